"""How answers are explained, and the engine's work on it: asked once per comparison, answer, method and target."""

import re
import time
from typing import Any

import streamlit as st

from detox_core.explain.methods import METHODS
from detox_core.service import Job
from detox_core.types import Comparison
from pages.engine import service
from pages.text import literal

state = st.session_state
TICK = 0.2
KEPT = 12  # explanations remembered for a visitor
USUAL = ("input_x_gradient", "probability")
TARGETS = {
    "probability": "the probability of the written token",
    "log_probability": "its log-probability",
    "logit": "its logit, before the softmax",
    "contrast": "its logit less that of the likeliest other token",
}


def how_explained() -> tuple[str, Any]:
    """Method and target, as chosen."""
    with st.popover("Method", icon=":material/tune:"):
        method = st.selectbox("Method", list(METHODS), key="method", format_func=lambda name: METHODS[name].label)
        card = METHODS[method]
        cost = f"{card.cost} n: tokens of the answer; T: of prompt and answer."
        st.markdown(f"{card.measures}\n\n**Cost:** {cost}\n\n**What it does not show:** {card.misses}")
        if card.slow:
            st.caption(":material/hourglass: Seconds to minutes. It can be stopped.")
        target = st.selectbox(
            "What is explained",
            list(TARGETS),
            key="target",
            format_func=TARGETS.__getitem__,
            disabled=not card.targets,
            help="The last one asks why this token and not the one that the same model found likeliest instead.",
        )
    return method, target if card.targets else USUAL[1]


def explanation(record: Comparison, answer_of: str | None, method: str, target: Any) -> Any:
    """The explanation, if it is there; otherwise it is asked for, its progress is shown, and None is returned."""
    kept: dict[tuple, Any] = state.setdefault("explanations", {})
    key = (record.id, answer_of, method, target)
    if key in kept:
        return kept[key]
    running: tuple[tuple, Job] | None = state.get("why_job")
    if running is None or running[0] != key:
        if running:
            service().stop(running[1])

        def task(pool: Any, on_phase: Any, stop: Any) -> Any:
            from detox_core.explain.why import why

            return why(record, pool.get, answer_of, on_phase, stop, method, target)

        state.why_job = (key, service().run(task))
    job = state.why_job[1]
    if job.active:
        st.fragment(_watch, run_every=TICK)(job)
        return None
    if job.state == "failed":
        _failed(job)
        return None
    state.pop("why_job")
    while len(kept) >= KEPT:
        kept.pop(next(iter(kept)))
    kept[key] = job.result
    return job.result


def _failed(job: Job) -> None:
    if job.stopping.is_set():
        st.info("Stopped.", icon=":material/stop_circle:")
    else:
        st.error(literal(job.error or "The explanation failed."), icon=":material/error:")
    if st.button("Explain again", icon=":material/refresh:"):
        state.pop("why_job")
        st.rerun()


def _watch(job: Job) -> None:
    job.watch()
    place = service().position(job)
    told = f"You are number {place + 1} in line." if place else f"{job.phase[:1].upper()}{job.phase[1:]}{_left(job.phase)} ..."
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(literal(told))
        if st.button("Stop", key="stop_why", icon=":material/stop:"):
            service().stop(job)
    if not job.active:
        st.rerun(scope="app")


def _left(phase: str) -> str:
    """How long the phase "doing: token 12 of 40" still takes at its pace so far; empty before that is known."""
    doing, _, step = phase.rpartition(": ")
    counts = re.fullmatch(r"\w+ (\d+) of (\d+)", step)
    began = state.setdefault("why_phase", {})
    if not counts:
        began.clear()
        return ""
    now, (done, count) = time.monotonic(), map(int, counts.groups())
    first, since = began.setdefault(doing, (done, now))
    if done <= first or now - since < 1:
        return ""
    return f", {(now - since) / (done - first) * (count - done):.0f} s left"
