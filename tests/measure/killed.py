"""A bulk explanation or a measurement killed again and again; run as a process of its own by test_killed.py.

Each attempt is a fork, so that libraries and models are loaded once: kills would otherwise mostly hit that. Torch has one thread,
because others would not survive a fork. Replies are short, for time.
"""

import json
import math
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from detox_core import batch
from detox_core.compare import Pool
from detox_core.measure import entropy
from detox_core.measure.meter import measure_into, settings_for
from detox_core.measure.similarity import embed
from detox_core.types import Decoding, Prompt, Score, Variant

PROMPTS = [Prompt(str(number), f"prompt {number}") for number in range(4)]
Run = Callable[[Path], object]


class Scorer:
    id = "fake"
    revision = "1"

    def score(self, texts):
        return [Score(0.9 if "a" in text else 0.1 if text.strip() else math.nan, self.id, self.revision) for text in texts]


def attempt(run: Run, path: Path, delay: float | None = None, tear: int | None = None) -> bool:
    """Begin or go on; whether it came to its end.

    Args:
        delay: seconds until a SIGKILL.
        tear: bytes that the file may still grow by: the system ends the process in the middle of the write that exceeds it.
    """
    child = os.fork()
    if not child:
        if tear is not None:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (size(path) + tear,) * 2)
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        run(path)
        os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == (signal.SIGKILL if delay is not None else signal.SIGXFSZ)
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def complete(path: Path, lines: int) -> int:
    """Prompts whose lines are all in the file."""
    return max(0, path.read_bytes().count(b"\n") - 1) // lines if path.is_file() else 0


def explanation(pool: Pool, variants: list[Variant]) -> tuple[Run, int]:
    """A bulk explanation, and its lines per prompt."""
    entropy.Pool, entropy.Decoding = lambda: pool, partial(Decoding, max_new_tokens=16)
    return lambda path: entropy.explain_many(PROMPTS, variants, Scorer(), path), len(variants)


def measurement(pool: Pool, variants: list[Variant]) -> tuple[Run, int]:
    """A measurement that saves after every prompt, and its lines per prompt."""
    embed(["loads the encoder"])
    batch.MAX_ROWS = len(variants)
    settings = settings_for("x", PROMPTS, variants, Decoding(max_new_tokens=16), [Scorer()], pool)
    return lambda path: measure_into(path, settings, PROMPTS, [Scorer()], pool), 1


def main(what: str, folder: Path, variants: list[Variant], kills: int, tears: int) -> None:
    torch.set_num_threads(1)
    pool = Pool()
    pool.get(variants[0])
    run, lines = {"explain": explanation, "measure": measurement}[what](pool, variants)
    rng, whole = random.Random(0), folder / "whole.jsonl"
    began = time.monotonic()
    assert attempt(run, whole)
    taken = time.monotonic() - began
    ways = ["kill"] * kills + ["tear"] * tears
    rng.shuffle(ways)
    runs, path, before, kept = 1, folder / "1.jsonl", 0, 0
    while ways:
        way = {"delay": rng.uniform(0, 0.6 * taken)} if ways[-1] == "kill" else {"tear": rng.randrange(2 * size(whole) // len(PROMPTS))}
        if attempt(run, path, **way):  # it was quicker than the kill: the next one hits a new run
            assert path.read_bytes() == whole.read_bytes()
            runs, path, before = runs + 1, folder / f"{runs + 1}.jsonl", 0
            continue
        ways.pop()
        now = complete(path, lines)
        assert now >= before, "lines that were complete are gone"
        kept, before = kept + (0 < now < len(PROMPTS)), now
    assert attempt(run, path)
    assert path.read_bytes() == whole.read_bytes()
    print(json.dumps({"runs": runs, "kept": kept}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Variant(**fields) for fields in json.loads(sys.argv[3])], int(sys.argv[4]), int(sys.argv[5]))
