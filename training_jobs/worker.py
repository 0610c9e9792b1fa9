"""One run in a process of its own: `python -m training_jobs.worker RUN_FOLDER`. Started by `jobs.submit`."""

import errno
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from detox_core.errors import DetoxError
from training_jobs.jobs import write_json

HEARTBEAT = 2.0  # seconds


FIRST = os.environ.get("RANK", "0") == "0"  # of several processes that share a run, the one that speaks


class Status:
    """The run's `status.json`: written here alone, by the first process, at every change and every two seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.stopping = folder, threading.Event()
        process = psutil.Process()
        self._fields: dict[str, Any] = {"state": "queued", "phase": "waiting for the run before it", "done": 0, "total": 0, "unit": ""}
        self._fields |= {"pid": process.pid, "created": process.create_time(), "started": None, "seconds": 0.0, "error": ""}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self.tell()
        if FIRST:
            threading.Thread(target=self._beat, daemon=True).start()

    def tell(self, **fields: Any) -> None:
        """Change some fields."""
        if not FIRST:
            return
        with self._lock:
            self._fields |= fields
            if self._fields["started"]:
                self._fields["seconds"] = time.time() - self._fields["started"]
            self._fields["memory"] = _memory()
            with suppress(OSError):  # a full disk: the run goes on, and says so where it has to write itself
                write_json(self.folder / "status.json", self._fields)

    def end(self, state: str, error: str = "") -> None:
        """The last word."""
        self._ended.set()
        self.tell(state=state, error=error)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            if (self.folder / "stop").exists():
                self.stopping.set()
            if not self._ended.is_set():
                self.tell()


def _memory() -> int:
    """Bytes that this process and its children hold."""
    held = 0
    me = psutil.Process()
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.Error):  # a child that has just ended
            held += process.memory_info().rss
    return held


def measure(spec: dict[str, Any], status: Status) -> None:
    """Answer and score a data set; what is done already is kept."""
    from detox_core.compare import Pool
    from detox_core.data import get_dataset
    from detox_core.measure.measurement import NAME
    from detox_core.measure.meter import measure_into, settings_for
    from detox_core.models.variants import get_variants
    from detox_core.score import get_scorer
    from detox_core.types import Decoding

    status.tell(phase="loading the models", unit="prompts")
    prompts = get_dataset(spec["dataset"])[: spec.get("limit")]
    variants, scorers = get_variants(spec["variants"]), [get_scorer(name) for name in spec["scorers"]]
    pool = Pool(max(2, len(variants)))
    decoding = Decoding(**spec["decoding"])

    def tell(what: str, done: int, count: int) -> None:
        status.tell(phase=f"learning {what}", done=done, total=count)

    settings = settings_for(spec["dataset"], prompts, variants, decoding, scorers, pool, tell, status.stopping)
    path = status.folder / NAME
    before = max(0, path.read_bytes().count(b"\n") - 1) if path.is_file() else 0
    status.tell(phase="answering and scoring", started=time.time(), before=before, done=before, total=len(prompts))
    measure_into(path, settings, prompts, scorers, pool, lambda done, total: status.tell(done=done, total=total), status.stopping)


def train(spec: dict[str, Any], status: Status) -> None:
    """Train an adapter; when it is done it is a variant by the run's name."""
    from detox_core.models.variants import get_variants
    from detox_core.train.run import train as run
    from detox_core.train.spec import METHODS, spec_from

    wanted = spec_from({key: value for key, value in spec.items() if key != "kind"})
    (variant,) = get_variants([wanted.base])
    begun: list[int] = []

    def tell(phase: str, step: int, steps: int) -> None:
        if phase == "training" and not begun:
            begun.append(step)
            status.tell(started=time.time(), before=step)
        status.tell(phase=phase, done=step, total=steps, unit="steps")

    adapter = run(wanted, variant, status.folder, tell, status.stopping)
    about = f"{variant.label} trained by {METHODS[wanted.method].label} on {wanted.data.rsplit('/', 1)[-1]}, run {status.folder.name}."
    if adapter is None or not FIRST:
        return
    made = replace(variant, id=status.folder.name, label=wanted.name, adapter=str(adapter), about=about)
    write_json(status.folder / "variant.json", asdict(made))
    for checkpoint in status.folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint)


def reason(error: BaseException) -> str:
    """What broke, for people, with the way out."""
    words = str(error)
    if isinstance(error, MemoryError) or any(sign in words.lower() for sign in ("not enough memory", "out of memory", "allocate memory")):
        return "The memory did not suffice. Take a smaller batch, shorter texts or a smaller model, or close other programs. Then go on."
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left on device" in words:
        return "The disk is full. Make room (old runs are in cache/runs and cache/trash), then go on from what is saved."
    return f"Something broke ({type(error).__name__}: {words[:300]}). The log has the details."


KINDS: dict[str, Callable[[dict[str, Any], Status], None]] = {"measure": measure, "train": train}


def main(folder: Path) -> int:
    """Wait for the turn, work, and leave a last word; returns the exit status."""
    status = Status(folder)
    signal.signal(signal.SIGTERM, lambda *_: status.stopping.set())
    lock = FileLock(folder.parent / ".working.lock")
    while FIRST and not status.stopping.is_set():
        try:
            lock.acquire(timeout=0.5)
            break
        except Timeout:
            continue
    if status.stopping.is_set():
        status.end("stopped")
        return 0
    try:
        spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
        status.tell(state="running", phase="starting", started=time.time())
        KINDS[spec["kind"]](spec, status)
    except InterruptedError:
        status.end("stopped")
    except DetoxError as error:
        status.end("failed", str(error))
    except Exception as error:  # whatever it is, the run must not end without a word
        traceback.print_exc()
        status.end("failed", reason(error))
    else:
        status.end("stopped" if status.stopping.is_set() else "done")
        return 0
    finally:
        lock.release()
    return 1


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main(Path(sys.argv[1])))
