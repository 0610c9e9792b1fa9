"""One engine for all visitors of a server: a queue, one worker thread, places in line, stop. Imports no torch itself."""

import atexit
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from detox_core.errors import DetoxError
from detox_core.types import Comparison

if TYPE_CHECKING:
    from detox_core.compare import Pool, Request

LEAVE_SECONDS = 6  # to come to rest when the program ends
UNWATCHED_SECONDS = 120.0  # a job nobody looks at any more (closed tab) is stopped

State = Literal["queued", "running", "done", "failed"]
Task = Callable[["Pool", Callable[[str], None], threading.Event], Any]  # models, tell the phase, stop -> result


@dataclass(eq=False)
class Job:
    """A request, or another task, on its way. Written by the worker, read by pages; fields are replaced whole, never changed inside.

    Attributes:
        audience: asked for from a phone: the presenter goes first, and nothing of it is remembered.
    """

    request: "Request | None" = None
    task: "Task | None" = None
    audience: bool = False
    state: State = "queued"
    phase: str = "waiting"
    comparison: Comparison | None = None
    result: Any = None
    error: str | None = None
    watched: float = field(default_factory=time.monotonic)
    stopping: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)

    @property
    def active(self) -> bool:
        """Waiting or being served."""
        return self.state in ("queued", "running")

    def watch(self) -> None:
        """Somebody is looking; call at least every few seconds."""
        self.watched = max(self.watched, time.monotonic())


class Service:
    """First come, first served; the audience after everybody else. The worker thread starts with the first job or `warm_up`.

    Args:
        on_done: called from the worker thread with every finished comparison that the audience did not ask for.
    """

    def __init__(self, on_done: Callable[[Comparison], None] = lambda _: None) -> None:
        self._on_done = on_done
        self._line: list[Job] = []  # in the order of service; the running one is first
        self._lock = threading.Condition()
        self._thread: threading.Thread | None = None
        self._pool: Pool | None = None
        self._took: deque[float] = deque(maxlen=10)  # seconds of the last jobs
        self.ready = False

    def warm_up(self) -> None:
        """Import the libraries and load the embedded family and its scorer in the background."""
        self._start()

    def submit(self, request: "Request", *, audience: bool = False) -> Job:
        """Put a request at the end of the line; the presenter's end is before the audience's first."""
        return self._queue(Job(request, audience=audience))

    def run(self, task: "Task") -> Job:
        """Put anything else that needs the models at the end of the presenter's line; what it returns becomes `Job.result`."""
        return self._queue(Job(task=task))

    def _queue(self, job: Job) -> Job:
        with self._lock:
            waiting = (at for at, other in enumerate(self._line) if other.audience and other.state == "queued")
            self._line.insert(len(self._line) if job.audience else next(waiting, len(self._line)), job)
            self._lock.notify()
        self._start()
        return job

    def _next(self) -> Job:
        """Wait for a job and take it."""
        with self._lock:
            self._lock.wait_for(lambda: self._line)
            self._line[0].state = "running"
            return self._line[0]

    def stop(self, job: Job) -> None:
        """End at the next token and keep the partial text; a waiting job leaves the line at once."""
        job.stopping.set()
        with self._lock:
            if job.state == "queued" and job in self._line:
                self._line.remove(job)
                job.state, job.error = "failed", "Stopped before it began."
                job.finished.set()

    def position(self, job: Job) -> int:
        """How many jobs are before this one; 0 = it is being served."""
        with self._lock:
            return self._line.index(job) if job in self._line else 0

    def wait(self, job: Job) -> float | None:
        """Seconds until this job is begun, if those before it take as long as the last ten did on average; None = nobody knows yet."""
        with self._lock:
            return self.position(job) * sum(self._took) / len(self._took) if self._took else None

    def memory(self) -> list[dict[str, Any]]:
        """What is loaded: name, MiB, number of adapters, and why this device and dtype."""
        bases = list(self._pool.bases.values()) if self._pool else []
        return [{"model": b.name, "mib": b.bytes / 2**20, "adapters": len(b.adapters), "choice": b.choice} for b in bases]

    def free(self) -> None:
        """Unload all models and scorers, after the presenter's jobs already in line."""

        def unload(pool: "Pool", _tell: Any, _stop: Any) -> None:
            from detox_core.score.registry import unload_scorers

            unload_scorers()
            pool.clear()

        self.run(unload)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="detox-engine", daemon=True)
                self._thread.start()
                atexit.register(self._settle)

    def _settle(self) -> None:
        """Let the worker come to rest before Python ends: a thread that is cut off inside of torch aborts the whole process."""
        with self._lock:
            for job in self._line:
                job.stopping.set()
        deadline = time.monotonic() + LEAVE_SECONDS
        while (self._line or not self.ready) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _work(self) -> None:
        from detox_core.models.variants import default_family
        from detox_core.score import get_scorer

        try:
            from detox_core.compare import Pool

            pool = self._pool = Pool()
        except Exception as error:
            traceback.print_exc()
            self._refuse_all(f"The libraries could not be loaded ({error}). Run: python -m detox_core doctor")
            return
        try:
            get_scorer()
            base = pool.get(default_family()[0])
            for variant in default_family():
                base.attach(variant.adapter)
        except DetoxError:
            pass  # told, with its way out, to whoever asks for that model
        except Exception:  # a bug here must not take the engine down with it either
            traceback.print_exc()
        self.ready = True
        while True:
            job, began = self._next(), time.monotonic()
            self._serve(job, pool)
            with self._lock:
                self._line.remove(job)
                self._took.append(time.monotonic() - began)

    def _refuse_all(self, why: str) -> None:
        self.ready = True
        while True:
            job = self._next()
            with self._lock:
                job.state, job.error = "failed", why
                self._line.remove(job)
            job.finished.set()

    def _serve(self, job: Job, pool: "Pool") -> None:
        from detox_core.compare import compare
        from detox_core.models.downloading import telling

        def on_phase(phase: str) -> None:
            job.phase = phase
            if time.monotonic() - job.watched > UNWATCHED_SECONDS:
                job.stopping.set()

        def on_progress(comparison: Comparison, phase: str) -> None:
            job.comparison = comparison
            on_phase(phase)

        def on_download(phase: str) -> None:
            on_phase(phase)
            if job.stopping.is_set():
                raise InterruptedError("Stopped.")

        try:
            with telling(on_download):
                if job.request:
                    job.comparison = compare(job.request, pool, on_progress, job.stopping)
                elif job.task:
                    job.result = job.task(pool, on_phase, job.stopping)
            if job.comparison and not job.audience:
                self._on_done(job.comparison)
            job.state = "done"
        except InterruptedError:
            job.error, job.state = "Stopped.", "failed"
        except DetoxError as error:
            job.error, job.state = str(error), "failed"
        except Exception as error:  # a bug must not take the engine down with it
            traceback.print_exc()
            job.error = f"Something in the engine broke ({type(error).__name__}: {error}). The server's log has the details."
            job.state = "failed"
        finally:
            job.finished.set()
