"""The toxicity meter: prompts x variants x samples -> replies with scores. What they say together is in `report.py`."""

import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

from detox_core.compare import Pool
from detox_core.generate import generate
from detox_core.measure.report import Measured
from detox_core.score import Scorer
from detox_core.types import Decoding, Prompt, Variant

OnProgress = Callable[[int, int], None]


def measure(
    prompts: Sequence[Prompt],
    variants: Sequence[Variant],
    decoding: Decoding,
    scorer: Scorer,
    pool: Pool | None = None,
    on_progress: OnProgress = lambda _done, _all: None,
    stop: threading.Event | None = None,
) -> list[Measured]:
    """Answer every prompt with every variant and score the replies.

    The seed of a prompt follows from `decoding.seed` and the prompt's id, so a part of a data set gives the same replies as the whole.

    Args:
        on_progress: called with the number of prompts done and of all prompts.
        stop: when set, measuring ends before the next prompt and returns what is complete.

    Raises:
        BadInput, ModelError: a variant cannot answer; nothing is returned then.
    """
    pool, stop = pool or Pool(), stop or threading.Event()
    by_base = [list(members) for _, members in groupby(sorted(variants, key=lambda v: str(v.base_key)), key=lambda v: v.base_key)]
    done: list[Measured] = []
    for prompt in prompts:
        if stop.is_set():
            break
        settings = replace(decoding, seed=decoding.seed + zlib.crc32(prompt.id.encode()) % 1_000_003)
        replies = [reply for members in by_base for reply in generate(pool.get(members[0]), prompt.text, members, settings)]
        done += score_again([Measured(prompt, tuple(replies))], scorer)
        on_progress(len(done), len(prompts))
    return done


def score_again(measured: Sequence[Measured], scorer: Scorer) -> list[Measured]:
    """The same replies with the scores of `scorer`."""
    scores = iter(scorer.score([reply.text for row in measured for reply in row.generations]))
    return [replace(row, generations=tuple(replace(reply, score=next(scores)) for reply in row.generations)) for row in measured]
