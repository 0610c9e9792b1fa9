"""Something the engine is asked for once and remembered: its start, progress with the time left, stop, failure and result."""

import re
import time
from collections.abc import Callable, Hashable
from typing import Any

import streamlit as st

from detox_core.service import Job, Task
from pages.engine import service
from pages.status import show_status
from pages.text import literal

state = st.session_state
TICK = 0.2


def ask(slot: str, key: Hashable, begin: Callable[[], Task | None], keep: int) -> Any:
    """The result for a key, if it is there; otherwise its progress is shown, and None is returned.

    Args:
        slot: name of this kind of result in the visitor's session; only one of a kind is worked on at a time.
        begin: the work to queue; None = the person has not asked for it yet.
        keep: how many results are remembered.
    """
    kept: dict[Hashable, Any] = state.setdefault(slot, {})
    if key in kept:
        return kept[key]
    place = f"{slot}_job"
    running: tuple[Hashable, Job] | None = state.get(place)
    if running is None or running[0] != key:
        if running:
            service().stop(running[1])
            state.pop(place)
        task = begin()
        if task is None:
            return None
        state[place] = (key, service().run(task))
        st.rerun()  # without whatever asked for it
    job: Job = state[place][1]
    if job.active:
        st.fragment(_watch, run_every=TICK)(job, slot)
        return None
    if job.state == "failed":
        _failed(job, place)
        return None
    state.pop(place)
    while len(kept) >= keep:
        kept.pop(next(iter(kept)))
    kept[key] = job.result
    return job.result


def _failed(job: Job, place: str) -> None:
    if job.stopping.is_set():
        st.info("Stopped.", icon=":material/stop_circle:")
    else:
        st.error(literal(job.error or "It failed."), icon=":material/error:")
    if st.button("Try again", icon=":material/refresh:", key=f"again_{place}"):
        state.pop(place)
        st.rerun()


def _watch(job: Job, slot: str) -> None:
    job.watch()
    place = service().position(job)
    told = f"You are number {place + 1} in line." if place else f"{phase_of(job)} ..."
    with st.container(horizontal=True, vertical_alignment="center"):
        show_status(told, slot)
        if st.button("Stop", key=f"stop_{slot}", icon=":material/stop:", shortcut="Esc"):
            service().stop(job)
    if not job.active:
        st.rerun(scope="app")


def phase_of(job: Job) -> str:
    """What a job is doing, as the beginning of a sentence, and how long that still takes."""
    return f"{job.phase[:1].upper()}{job.phase[1:]}{_left(job.phase)}"


def _left(phase: str) -> str:
    """How long the phase "doing: token 12 of 40" still takes at its pace so far; empty before that is known."""
    doing, _, step = phase.rpartition(": ")
    counts = re.fullmatch(r"\w+ (\d+) of (\d+)", step)
    began = state.setdefault("phase_began", {})
    if not counts:
        began.clear()
        return ""
    now, (done, count) = time.monotonic(), map(int, counts.groups())
    first, since = began.setdefault(doing, (done, now))
    if done < first:
        first, since = began[doing] = (done, now)  # begun anew
    if done <= first or now - since < 1:
        return ""
    return f", {(now - since) / (done - first) * (count - done):.0f} s left"
