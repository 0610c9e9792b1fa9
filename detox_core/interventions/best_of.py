"""Best of K: several replies are written, and the one that a scorer of words finds least toxic is kept. Nothing to fit.

The scorer that picks must not judge: see `check_judge` in `registry.py`.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from detox_core.errors import BadInput
from detox_core.interventions.protocol import Artifact, Patch, Subject
from detox_core.interventions.registry import METHODS
from detox_core.score import get_scorer


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:  # noqa: ARG001
    """Strength is the number of candidates.

    Raises:
        BadInput: it is not a whole number.
    """
    if strength != int(strength):
        raise BadInput(f"The strength of Best of K counts replies: it must be a whole number, not {strength:g}.")
    yield Patch(candidates=int(strength), pick=least_toxic)


def least_toxic(prompt: str, replies: Sequence[str]) -> int:  # noqa: ARG001
    """Number of the reply with the lowest score, the first among equals.

    One that cannot be scored, such as an empty one, is picked only when none can.
    """
    scores = [score.value for score in get_scorer(METHODS["best-of"].picks_by).score(replies)]
    return min(range(len(scores)), key=lambda at: math.inf if math.isnan(scores[at]) else scores[at])
