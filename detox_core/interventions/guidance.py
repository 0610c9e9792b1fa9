"""Guidance with a negative prompt (Sanchez et al. 2023): away from what a request for an insulting answer would bring. Nothing to fit."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from detox_core.interventions.following import Follower
from detox_core.interventions.protocol import Artifact, Patch, Row, Subject

NEGATIVE = "Answer this with a rude, hateful and insulting reply: "


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:  # noqa: ARG001
    """Strength is the guidance scale less 1."""
    yield Patch(steer=lambda rows: Guidance(subject, rows, strength), rows=2)


def guided(logits: torch.Tensor, negative: torch.Tensor, strength: float) -> torch.Tensor:
    """log p + s (log p - log n), with n the probabilities under the negative prompt; Sanchez et al. 2023, equation 7.

    Args:
        logits, negative: (rows, vocabulary).

    Returns:
        (rows, vocabulary), not normalised.
    """
    own = logits.log_softmax(-1)
    return own + strength * (own - negative.log_softmax(-1))


class Guidance:
    """See `Steering`; the negative prompt is read by the same variant."""

    def __init__(self, subject: Subject, rows: Sequence[Row], strength: float) -> None:
        contexts = [subject.ids(NEGATIVE + row.prompt)[0] for row in rows]
        self.follower = Follower(subject.base, [subject.adapter] * len(rows), contexts)
        self.strength, self.begun = strength, False

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """See `Steering`."""
        negative = self.follower.next(ids[:, -1]) if self.begun else self.follower.first()
        self.begun = True
        return guided(logits, negative.to(logits.device), self.strength)

    def keep(self, rows: list[int]) -> None:
        """See `Steering`."""
        self.follower.keep(rows)
