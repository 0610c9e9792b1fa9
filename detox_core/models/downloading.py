"""Downloads from the Hugging Face Hub that say how far they are, and can be stopped."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

Tell = Callable[[str], None]
_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)


@contextmanager
def telling(tell: Tell) -> Iterator[None]:
    """Inside, on this thread, a download tells its progress; what `tell` raises ends it, and the next try goes on from there."""
    before = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(before)


def download(source: str, patterns: list[str]) -> Path:
    """Fetch the files of a Hub repository that match, unless they are on disk already. Raises whatever the Hub's library does."""
    from huggingface_hub import snapshot_download

    tell = _tell.get()
    return Path(snapshot_download(source, allow_patterns=patterns, tqdm_class=_bar(source, tell) if tell else None))


def _bar(source: str, tell: Tell) -> type:
    """A progress bar that is not drawn but told; the library makes one for the bytes of all files, and others."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            drawn = super().update(n)
            if self.unit == "B" and self.total:
                tell(f"downloading {source}: megabyte {self.n / 1e6:.0f} of {self.total / 1e6:.0f}")
            return drawn

    return Bar
