"""Runs: a folder each, worked on by a process of its own. Submit, list, stop, resume. Imports no torch.

    cache/runs/ID/spec.json     what to do, written once, before the process starts
                  status.json   how it stands, written by the worker alone
                  log.txt       what the worker printed
                  stop          its presence asks the worker to save and end

A worker waits for a lock that only one of them holds, so that one run computes at a time and the others queue.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import yaml

from detox_core.errors import BadInput
from detox_core.models.variants import cache_folder

SILENT = 30.0  # seconds without a sign of life after which a living process is called silent
PATIENCE = 10.0  # seconds between asking a worker to stop and ending it
ROOT = Path(__file__).parents[1]
LAUNCH = Path(__file__).parent / "launch"
ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
FIELDS = ("state", "phase", "done", "before", "total", "unit", "started", "seconds", "memory", "error")
ENDED = ("done", "failed", "stopped", "crashed")


@dataclass(frozen=True)
class Run:
    """A run as it stands.

    Attributes:
        state: queued, running, stopping, done, stopped (by a person), failed (with `error`), or crashed (the process is gone).
        phase: what it is doing, in words.
        done, total: progress in `unit`; total 0 = not known yet.
        before: how much of `done` an earlier attempt did.
        started: seconds since the epoch; None = not begun.
        seconds: worked so far; ended with the run.
        memory: bytes that the worker and its children hold.
        error: what went wrong and the way out.
    """

    id: str
    folder: Path
    spec: dict[str, Any]
    state: str
    phase: str = ""
    done: int = 0
    before: int = 0
    total: int = 0
    unit: str = ""
    started: float | None = None
    seconds: float = 0.0
    memory: int = 0
    error: str = ""

    @property
    def active(self) -> bool:
        """Waiting or working."""
        return self.state not in ENDED

    @property
    def left(self) -> float | None:
        """Seconds until the end at the pace so far; None = not known."""
        new = self.done - self.before
        return self.seconds / new * (self.total - self.done) if new > 0 and self.total and self.seconds else None


def runs_folder() -> Path:
    """Where all runs lie."""
    return cache_folder() / "runs"


def presets(method: str) -> dict[str, dict[str, Any]]:
    """Settings of the presets by name, smallest first.

    A preset's file holds settings for all methods, and under the name of a method what differs for it; a preset that has nothing but
    methods is for those alone.
    """
    found = {}
    for path in (Path(__file__).parent / "presets").glob("*.yaml"):
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings = {key: value for key, value in written.items() if not isinstance(value, dict)}
        if settings or method in written:
            found[path.stem] = settings | written.get(method, {})
    return dict(sorted(found.items(), key=lambda preset: preset[1]["steps"]))


def submit(kind: str, settings: dict[str, Any], name: str) -> Run:
    """Write a run down and start its worker; it queues if another run is working.

    Args:
        kind: what the worker does, for example measure.
        settings: plain JSON types; what that kind needs.
        name: any words; they become part of the folder's name.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or kind
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    for number in range(100):
        folder = runs_folder() / (f"{stamp}-{slug}" + (f"-{number}" if number else ""))
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            continue
    write_json(folder / "spec.json", {"kind": kind, **settings})
    _start(folder)
    return read_run(folder.name)


def runs(kind: str | None = None) -> list[Run]:
    """All runs, newest first."""
    folders = sorted((path.parent for path in runs_folder().glob("*/spec.json")), reverse=True)
    found = [read_run(folder.name) for folder in folders]
    return [run for run in found if kind in (None, run.spec.get("kind"))]


def read_run(run: str) -> Run:
    """One run by its id.

    Raises:
        BadInput: no such run, or its files are damaged.
    """
    folder = runs_folder() / run
    if not ID.fullmatch(run) or not (folder / "spec.json").is_file():
        raise BadInput(
            f"There is no run {run!r}. Known: {', '.join(path.parent.name for path in runs_folder().glob('*/spec.json')) or 'none'}."
        )
    try:
        spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        status = read_status(folder)
    except ValueError as error:
        raise BadInput(f"The files of the run {run} in {folder} are damaged: {error}") from error
    return Run(run, folder, spec, **_judged(folder, status))


def read_status(folder: Path) -> dict[str, Any]:
    """What the worker wrote last."""
    path = folder / "status.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"state": "queued", "phase": "starting"}
    return found


def _judged(folder: Path, status: dict[str, Any]) -> dict[str, Any]:
    """The worker's own words, corrected by what can be seen of its process."""
    told: dict[str, Any] = {name: status[name] for name in FIELDS if name in status}
    if told["state"] in ENDED:
        return told
    process = _process(status)
    if process is None and (status.get("pid") or _age(folder / "spec.json") > SILENT):
        lines = tail(folder, 3)
        why = "The process is gone: killed, out of memory, or the computer was switched off. Resume goes on from what is saved."
        return {**told, "state": "crashed", "error": why + (f" Its last words: {lines}" if lines else "")}
    if (folder / "stop").exists():
        return {**told, "state": "stopping"}
    silent = _age(folder / "status.json")
    return {**told, "phase": f"no sign of life for {silent:.0f} s"} if silent > SILENT else told


def stop(run: Run) -> None:
    """Ask a run to save and end; one that does not within ten seconds is ended at the next call."""
    flag = run.folder / "stop"
    if not flag.exists():
        flag.touch()
    elif _age(flag) > PATIENCE:
        kill(run)


def kill(run: Run) -> None:
    """End the process and all its children at once; what is saved stays."""
    process = _process(read_status(run.folder))
    if process is not None:
        try:
            os.killpg(os.getpgid(process.pid), signal.SIGKILL)
        except (ProcessLookupError, PermissionError, AttributeError):
            process.kill()
        process.wait(5)
    write_json(run.folder / "status.json", {**read_status(run.folder), "state": "stopped"})


def resume(run: Run) -> None:
    """Go on with a run that ended before it was done.

    Raises:
        BadInput: it is still working, or done.
    """
    if run.active or run.state == "done":
        raise BadInput(f"The run {run.id} is {run.state}; only one that was stopped, failed or crashed can go on.")
    (run.folder / "stop").unlink(missing_ok=True)
    (run.folder / "status.json").unlink(missing_ok=True)
    os.utime(run.folder / "spec.json")
    _start(run.folder)


def delete(run: Run) -> Path:
    """Move a run that has ended to `cache/trash/`.

    Returns:
        Where it lies now.

    Raises:
        BadInput: it is still working.
    """
    if run.active:
        raise BadInput(f"The run {run.id} is {run.state}. Stop it first.")
    trash = cache_folder() / "trash" / f"{run.id}-{time.time_ns()}"
    trash.parent.mkdir(parents=True, exist_ok=True)
    run.folder.replace(trash)
    return trash


def tail(folder: Path, lines: int = 20) -> str:
    """The end of a run's log."""
    path = folder / "log.txt"
    if not path.is_file():
        return ""
    text = path.read_bytes()[-20_000:].decode("utf-8", errors="replace").replace("\r", "\n")
    return "\n".join([line for line in text.split("\n") if line.strip()][-lines:])


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a file so that a reader sees the old or the new one, never a part."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")
    temporary.replace(path)


def _start(folder: Path) -> None:
    command: Sequence[str] = [sys.executable, *_launcher(folder), "-m", "training_jobs.worker", str(folder)]
    with (folder / "log.txt").open("ab") as log:
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def _launcher(folder: Path) -> list[str]:
    """`accelerate launch` with its settings, for a run of several processes."""
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    if spec.get("processes", 1) == 1:
        return []
    config = LAUNCH / f"{'fsdp' if spec.get('strategy') == 'fsdp' else 'ddp'}.yaml"
    many = ["--num_processes", str(int(spec["processes"])), "--main_process_port", "0"]
    return ["-m", "accelerate.commands.launch", "--config_file", str(config), *many]


def _process(status: dict[str, Any]) -> psutil.Process | None:
    """The worker's process; None if it is gone, or its number is another process's by now."""
    try:
        process = psutil.Process(status["pid"])
        same = abs(process.create_time() - status["created"]) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except (KeyError, psutil.Error):
        return None


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime if path.exists() else 0.0
