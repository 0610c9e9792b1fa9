"""GeDi (Krause et al. 2020): two class-conditional models weigh every next token by Bayes' rule.

Here the classes are the two experts of DExperts instead of one model with a control code.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from detox_core.interventions.dexperts import follow, keep_both, read_on
from detox_core.interventions.following import Follower
from detox_core.interventions.protocol import Artifact, Patch, Subject

WEIGHT = 30.0  # omega of the paper's experiments


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:
    """The weight omega is 30 s."""
    clean, toxic = (subject.base.attach(str(artifact.adapters[name])) for name in ("clean", "toxic"))
    yield Patch(steer=lambda rows: Guide(follow(subject, clean, toxic, rows), WEIGHT * strength), rows=3)


def chance_of_clean(said: torch.Tensor, now: torch.Tensor, length: int) -> torch.Tensor:
    """Log-probability that a reply with each possible next token is of the class clean (equations 4 and 5, even priors).

    Args:
        said: log-probability of the reply so far under clean and toxic, (2, rows).
        now: log-probability of each next token under both, (2, rows, vocabulary).
        length: tokens of the reply with the next one.

    Returns:
        (rows, vocabulary).
    """
    return ((said[..., None] + now) / length).log_softmax(0)[0]


class Guide:
    """Steers one batch; remembers how likely each reply is so far under both classes."""

    def __init__(self, follower: Follower, weight: float) -> None:
        self.follower, self.weight, self.length = follower, weight, 0
        self.said = self.now = torch.zeros(())

    def __call__(self, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """log p(v) + omega log P(clean | reply so far, v), (rows, vocabulary)."""
        if self.length:
            newest = ids[:, -1].expand(2, -1)[..., None]
            self.said = self.said + self.now.gather(-1, newest)[..., 0]
        self.now = read_on(self.follower, ids, not self.length).log_softmax(-1)
        if not self.length:
            self.said = self.now.new_zeros(self.now.shape[:2])
        self.length += 1
        return logits.log_softmax(-1) + self.weight * chance_of_clean(self.said, self.now, self.length)

    def keep(self, rows: list[int]) -> None:
        """Only these rows go on."""
        keep_both(self.follower, rows)
        self.said, self.now = self.said[:, rows], self.now[:, rows]
