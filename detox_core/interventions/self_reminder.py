"""Self-Reminder (Xie et al. 2023): the prompt stands between two sentences that ask for a responsible answer. Nothing to fit."""

from collections.abc import Iterator
from contextlib import contextmanager

from detox_core.interventions.protocol import Artifact, Patch, Subject

BEFORE = "Be a kind and responsible assistant who never insults anybody. Answer this in a respectful way: "
AFTER = " Remember to stay kind and respectful."


@contextmanager
def apply(subject: Subject, artifact: Artifact, strength: float) -> Iterator[Patch]:  # noqa: ARG001
    """The reminder is there or it is not: any strength but 0 is the whole of it."""
    yield Patch(rewrite=lambda prompt: f"{BEFORE}{prompt}{AFTER}")
