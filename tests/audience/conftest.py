"""A room with phones: the real service on tiny models, or on the embedded small family."""

import socket
import time
from collections.abc import Iterator

import pytest

from detox_core.audience.room import Room
from detox_core.service import Service
from detox_core.store import Store

LONG = 100  # seconds; reached only when something hangs


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition) -> None:
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


@pytest.fixture
def room(family, fake_scorer, monkeypatch) -> Iterator[Room]:
    """Tiny random models and two curated prompts."""
    import detox_core.models.variants

    monkeypatch.setattr(detox_core.models.variants, "FAMILY", family)
    made = Room(Service(), Store(), family)
    made.rules.prompts = ("Hello you", "What of them?")
    yield made
    for job in list(made.service._line):
        made.service.stop(job)
    until(lambda: not made.service._line)  # or the next test's engine would serve them


@pytest.fixture
def ask(room):
    """Ask and wait for the answers."""

    def ask_(session: str, prompt: str):
        ballot = room.ask(session, prompt)
        assert ballot.job.finished.wait(LONG)
        until(lambda: not ballot.job.active)
        return ballot

    return ask_
