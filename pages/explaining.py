"""How answers are explained, and the engine's work on it: asked once per comparison, answer, method and target."""

import re
import time
from typing import Any

import streamlit as st

from detox_core.explain.methods import METHODS
from detox_core.models.variants import FAMILY
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


def how_explained(record: Comparison) -> tuple[str, Any]:
    """Method and target, as chosen among those that run on the models of the record."""
    refused = _refused(record)
    offered = [name for name in METHODS if name not in refused]
    if state.get("method") not in offered:
        state.method = offered[0]
    with st.popover("Method", icon=":material/tune:"):
        method = st.selectbox("Method", offered, key="method", format_func=lambda name: METHODS[name].label)
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
        for why, names in _by_reason(refused).items():
            st.caption(literal(f"Not offered: {', '.join(names)}. {why}"))
    return method, target if card.targets else USUAL[1]


def _refused(record: Comparison) -> dict[str, str]:
    """Methods that are not offered for a record, and why not. The embedded family runs them all; other models are tried once."""
    bases = tuple(dict.fromkeys(variant.base_key for variant in record.variants))
    if all(base[0] == FAMILY[0].base for base in bases):
        return {}
    jobs: dict[tuple, Job] = state.setdefault("method_jobs", {})
    if bases not in jobs:
        one_of_each = {variant.base_key: variant for variant in record.variants}.values()

        def task(pool: Any, _on_phase: Any, _stop: Any) -> dict[str, str]:
            from detox_core.explain.others import refusals

            return refusals(pool.get(variant) for variant in one_of_each)

        jobs[bases] = service().run(task)
    job = jobs[bases]
    if job.state == "done":
        return dict(job.result)
    why = "They are being tried on this model." if job.active else job.error or "They could not be tried on this model."
    return {name: why for name, card in METHODS.items() if not card.ours}


def _by_reason(refused: dict[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, why in refused.items():
        reasons.setdefault(why, []).append(METHODS[name].label)
    return reasons


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
