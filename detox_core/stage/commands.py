"""The command `rehearse`: a stage run through before it counts."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detox_core.errors import BadInput
from detox_core.stage.steps import Stage, read_stage

NOW = "current"


def add_commands(command: Callable[[str, Any], argparse.ArgumentParser]) -> None:
    """Register the command with the parser of `cli.py`."""
    sub = command("rehearse", run_rehearse)
    sub.add_argument("stage", metavar="STAGE", help=f"a file exported on the page Stage, or {NOW}: the list that the app has now")
    sub.add_argument("--limit", type=float, default=10.0, metavar="SECONDS", help="a step that takes longer is a problem (default: 10)")
    sub.set_defaults(offline=True)


def run_rehearse(options: argparse.Namespace) -> tuple[dict, str]:
    """Answer every step of a stage without a network; exit status 1 if one can be shown neither live nor from its recording."""
    stage = stage_named(options.stage)
    from detox_core.compare import Pool
    from detox_core.stage.rehearse import rehearse

    done = rehearse(stage, Pool(), lambda phase: print(f"{phase} ...", file=sys.stderr), limit=options.limit)
    options.status = 0 if done.passed else 1
    steps = [{"step": number, "works": step.verdict, **asdict(step)} for number, step in enumerate(done.steps, start=1)]
    total = sum(step.seconds for step in done.steps)
    result = {"title": stage.title, "passed": done.passed, "load": done.load, "seconds": total, "limit": options.limit, "steps": steps}
    lines = [f"{stage.title}: {len(steps)} steps; loading {done.load:.1f} s, all steps {total:.1f} s"]
    for row in done.table():
        lines.append(
            "{step:>3}  {works:<16}first word {first word:>6}, all {all:>7}, same texts {same texts}, scores {scores}".format(**row)
        )
        lines.append(f"     {row['prompt']}")
        lines += [f"     ! {problem}" for problem in done.steps[row["step"] - 1].problems]
    return result, "\n".join([*lines, "Every step can be shown." if done.passed else "Not every step can be shown."])


def stage_named(name: str) -> Stage:
    """The stage in a file, or the app's.

    Raises:
        BadInput: no such file, or see `read_stage`.
    """
    if name == NOW:
        from detox_core.store import Store

        return Store().stage()
    try:
        return read_stage(Path(name).expanduser().read_bytes(), name)
    except OSError as error:
        raise BadInput(f"The stage {name} cannot be read: {error.strerror}. Give an exported file, or {NOW}.") from error
