"""DExperts (Liu et al. 2021): an expert for good replies is added to the model's logits, one for bad replies subtracted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from detox_core.batch import nucleus
from detox_core.interventions.following import Follower
from detox_core.interventions.protocol import Artifact, Patch, Row, Subject

FILTER_P = 0.9  # of the model's own nucleus, outside of which nothing is written


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """s is the paper's alpha."""
    clean, toxic = (subject.base.attach(str(artifact.adapters[name])) for name in ("clean", "toxic"))
    yield Patch(steer=lambda rows: Experts(follow(subject, clean, toxic, rows), strength), rows=3)


def follow(subject: Subject, clean: str, toxic: str, rows: Sequence[Row]) -> Follower:
    """Both experts read every reply: the clean one in the first half of the rows, the toxic one in the second."""
    contexts = [row.ids for row in rows]
    return Follower(subject.base, [clean] * len(rows) + [toxic] * len(rows), contexts * 2)


def read_on(follower: Follower, ids: torch.Tensor, first: bool) -> torch.Tensor:
    """Logits of both experts (2, rows, vocabulary) after the token ids so far (rows, tokens)."""
    logits = follower.first() if first else follower.next(ids[:, -1].repeat(2))
    return logits.unflatten(0, (2, -1))


def keep_both(follower: Follower, rows: list[int]) -> None:
    """These rows of both experts go on."""
    half = len(follower.adapters) // 2
    follower.keep([*rows, *(row + half for row in rows)])


def combine(base: torch.Tensor, clean: torch.Tensor, toxic: torch.Tensor, alpha: float) -> torch.Tensor:
    """z + alpha (z_clean - z_toxic) within the nucleus of z, minus infinity outside (equation 1 and section 2.1).

    Args:
        base, clean, toxic: logits (rows, vocabulary).
    """
    return nucleus(base, FILTER_P) + alpha * (clean - toxic)


class Experts:
    """Steers one batch."""

    def __init__(self, follower: Follower, alpha: float) -> None:
        self.follower, self.alpha, self.begun = follower, alpha, False

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Logits (rows, vocabulary) with the experts' difference added."""
        clean, toxic = read_on(self.follower, ids, not self.begun)
        self.begun = True
        return combine(logits, clean, toxic, self.alpha)

    def keep(self, rows: list[int]) -> None:
        """Only these rows go on."""
        keep_both(self.follower, rows)
