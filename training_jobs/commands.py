"""The commands `train` and `runs`: start, follow, stop, resume and delete runs."""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detox_core.errors import BadInput
from detox_core.train.spec import METHODS, read_spec
from training_jobs import jobs

LOOK = 1.0  # seconds between two looks with --wait
ACTIONS = ("list", "latest", "show", "stop", "resume", "delete")


def add_commands(command: Callable[[str, Any], argparse.ArgumentParser]) -> None:
    """Register the commands with the parser of `cli.py`."""
    sub = command("train", run_train)
    sub.add_argument("spec", type=Path, metavar="SPEC.yaml", help=f"name, method ({', '.join(METHODS)}), base, data, steps, ...")
    sub.add_argument("--wait", action="store_true", help="stay until it ends")
    sub = command("runs", run_runs)
    sub.add_argument("action", nargs="?", default="list", choices=ACTIONS)
    sub.add_argument("id", nargs="?", help="the run, for all but list and latest")


def run_train(options: argparse.Namespace) -> tuple[dict, str]:
    """Train an adapter as a YAML file says, in a process of its own."""
    spec = read_spec(options.spec)
    run = jobs.submit("train", asdict(spec), spec.name)
    print(f"run {run.id} in {run.folder}", file=sys.stderr)
    while options.wait and (run := jobs.read_run(run.id)).active:
        left = f", {run.left:.0f} s left" if run.left is not None else ""
        print(f"\r{run.state}: {run.phase} {run.done} of {run.total}{left}   ", end="", file=sys.stderr, flush=True)
        time.sleep(LOOK)
    if options.wait:
        print(file=sys.stderr)
        if run.state in ("failed", "crashed"):
            raise BadInput(f"The run {run.id} {run.state}: {run.error}")
    return as_json(run), f"{run.id}  {run.state}"


def run_runs(options: argparse.Namespace) -> tuple[dict, str]:
    """The runs of this computer, or one of them."""
    if options.action == "list":
        found = jobs.runs()
        lines = [f"{run.id:<48} {run.state:<9} {run.spec.get('kind', '')} {run.done} of {run.total} {run.unit}" for run in found]
        return {"runs": [as_json(run) for run in found]}, "\n".join(lines) or "There are no runs yet."
    if options.action == "latest":
        trained = next((run for run in jobs.runs("train") if run.state == "done"), None)
        if trained is None:
            raise BadInput("No training run is done yet. Start one with: python -m detox_core train SPEC.yaml --wait")
        return as_json(trained), trained.id
    if not options.id:
        raise BadInput(f"Which run? Give its id: runs {options.action} ID. The command runs lists them.")
    run = jobs.read_run(options.id)
    if options.action == "stop":
        jobs.stop(run)
    elif options.action == "resume":
        jobs.resume(run)
    elif options.action == "delete":
        jobs.delete(run)
        return {"deleted": run.id}, f"deleted {run.id}"
    now = jobs.read_run(run.id)
    shown = {**as_json(now), "log": jobs.tail(now.folder)}
    return shown, "\n".join(f"{name}: {value}" for name, value in shown.items())


def as_json(run: jobs.Run) -> dict[str, Any]:
    """A run as plain JSON types."""
    return {**asdict(run), "folder": str(run.folder), "left": run.left}
