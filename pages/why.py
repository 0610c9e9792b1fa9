"""Why: the views of a finished comparison that look into the models. Asks the engine once per comparison and answer."""

import math
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.figures.steps import MEASURES, steps_chart, steps_frame
from detox_core.service import Job
from detox_core.types import Comparison
from pages.answers import theme
from pages.engine import service
from pages.heatmap import heatmap_data, show_heatmap
from pages.samples import show_samples
from pages.text import literal

state = st.session_state
TICK = 0.2
OWN = "own"
VIEWS = {"answers": "Answers", "why": "Why these words", "uncertainty": "Token by token"}
KEPT = 12  # explanations remembered for a visitor


def show_views(record: Comparison) -> None:
    """The switch between views, and whichever view is chosen."""
    view = st.segmented_control(
        "View",
        list(VIEWS),
        key="view",
        default="answers",
        required=True,
        format_func=lambda name: VIEWS[name],
        label_visibility="collapsed",
    )
    if view == "answers":
        show_samples(record, blur=state.blur)
        return
    labels = {OWN: "Each its own answer", **{v.id: f"The answer of {v.label}" for v in record.variants if record.of(v.id)}}
    if state.get("explained") not in labels:
        state.explained = OWN
    with st.container(horizontal=True, vertical_alignment="bottom"):
        answer_of = st.selectbox(
            "Explain",
            list(labels),
            key="explained",
            format_func=lambda name: labels.get(name, name),
            width=260,
            help="On one and the same answer, the models differ in how they read it, not in what they read.",
        )
        options = _why_options(answer_of) if view == "why" else _step_options()
    found = _explanation(record, None if answer_of == OWN else answer_of)
    if found is None:
        return
    if view == "why":
        _show_why(record, found, **options)
    else:
        _show_steps(record, found, **options)


def _why_options(answer_of: str) -> dict[str, bool]:
    words = st.segmented_control("Units", ("words", "tokens"), key="units", default="words", required=True) == "words"
    difference = st.toggle(
        "Difference to the first model", key="difference", disabled=answer_of == OWN, help="Only on one and the same answer."
    )
    return {"words": words, "difference": difference and answer_of != OWN}


def _step_options() -> dict[str, Any]:
    measure = st.selectbox("Measure", list(MEASURES), key="measure", format_func=lambda name: MEASURES[name].label, width=320)
    return {"measure": measure}


def _explanation(record: Comparison, answer_of: str | None) -> Any:
    """The explanation, if it is there; otherwise it is asked for and its progress shown."""
    kept: dict[tuple[str, str | None], Any] = state.setdefault("explanations", {})
    key = (record.id, answer_of)
    if key in kept:
        return kept[key]
    running: tuple[tuple, Job] | None = state.get("why_job")
    if running is None or running[0] != key:
        if running:
            service().stop(running[1])

        def task(pool: Any, on_phase: Any, stop: Any) -> Any:
            from detox_core.explain.why import why

            return why(record, pool.get, answer_of, on_phase, stop)

        state.why_job = (key, service().run(task))
    job = state.why_job[1]
    if job.active:
        st.fragment(_watch, run_every=TICK)(job)
        return None
    if job.state == "failed":
        st.error(literal(job.error or "The explanation failed."), icon=":material/error:")
        return None
    state.pop("why_job")
    while len(kept) >= KEPT:
        kept.pop(next(iter(kept)))
    kept[key] = job.result
    return job.result


def _watch(job: Job) -> None:
    job.watch()
    place = service().position(job)
    told = f"You are number {place + 1} in line." if place else f"{job.phase[:1].upper()}{job.phase[1:]} ..."
    st.caption(literal(told))
    if not job.active:
        st.rerun(scope="app")


def _show_why(record: Comparison, found: Any, *, words: bool, difference: bool) -> None:
    st.caption(
        "How strongly the probability of each answer word hangs on the words before it: gradient times embedding, L2 norm, scaled to 1 per "
        "word (Scalena et al. 2023). It shows sensitivity, not reasons. Pale words belong to the chat format."
    )
    show_heatmap(record, found, theme(), words=words, difference=difference, blur=state.blur)
    with st.expander("As a table"):
        if state.blur:
            st.caption("Toxic words are left out while they are blurred.")
        st.dataframe(pd.DataFrame(influences(heatmap_data(record, found, theme(), words=words), blur=state.blur)), hide_index=True)


def influences(data: dict[str, Any], *, blur: bool = False) -> list[dict[str, Any]]:
    """One row per model and answer word: share on the prompt, and the three words with the largest shares."""
    rows = []
    for row in data["rows"]:
        if "error" in row:
            continue
        names = ["..." if blur and toxic else text.strip() or "(space)" for text, toxic in zip(row["words"], row["toxic"], strict=True)]
        for column, name in enumerate(names[row["prompt"] :]):
            shares = [line[column] for line in row["matrix"]]
            most = sorted(range(len(shares)), key=lambda at: -shares[at])[:3]
            rows.append(
                {
                    "model": row["label"],
                    "answer word": name,
                    "share on the prompt": sum(shares[: row["prompt"]]),
                    "most weight": ", ".join(f"{names[at]} {shares[at]:.2f}" for at in most if shares[at]),
                }
            )
    return rows


def _show_steps(record: Comparison, found: Any, *, measure: str) -> None:
    about = MEASURES[measure]
    st.caption(about.about)
    frame = steps_frame(record, found, measure)
    if frame.empty:
        st.info("There is nothing to draw: " + literal("; ".join(found.errors.values()) or "this needs two models on one answer."))
        return
    means = frame.groupby("variant", sort=False)["value"].mean()
    summary = "; ".join(f"{label} {value:.2f}" for label, value in means.items())
    st.plotly_chart(
        steps_chart(frame, about.axis, theme()), alt=f"{about.label} per answer token. Means: {summary}.", config={"displayModeBar": False}
    )
    st.caption(f"Mean over the answer: {summary}.")
    if measure == "logprob" and found.answer_of:
        st.markdown(literal(whole_answer(record, found)))
    _show_alternatives(record, found)
    with st.expander("As a table"):
        st.dataframe(frame, hide_index=True)


def whole_answer(record: Comparison, found: Any) -> str:
    """How likely each model finds the whole of one answer, and how far that is from its writer."""
    labels = {variant.id: variant.label for variant in record.variants}
    sums = {name: likelihood.logprobs[found.readers[name].index(name)].sum() for name, likelihood in found.likelihoods.items()}
    writer = sums.get(found.answer_of)
    parts = [
        f"{labels[name]} {value:.1f}" + (f" ({value - writer:+.1f})" if writer is not None and name != found.answer_of else "")
        for name, value in sums.items()
    ]
    return f"Log-probability of the whole answer of {labels[found.answer_of]}, in nats: {', '.join(parts)}.".replace(
        "-", "\N{MINUS SIGN}"
    ).replace("Log\N{MINUS SIGN}", "Log-")


def _show_alternatives(record: Comparison, found: Any) -> None:
    names = [variant.id for variant in record.variants if variant.id in found.likelihoods]
    labels = {variant.id: variant.label for variant in record.variants}
    longest = max((found.likelihoods[name].logprobs.shape[1] for name in names), default=0)
    if longest < 2:
        return
    step = st.slider("What else could have come at token", 1, longest, 1, key="step") - 1
    rows = []
    for name in names:
        likelihood, explanation = found.likelihoods[name], found.explanations[name]
        if step >= likelihood.logprobs.shape[1]:
            continue
        own = found.readers[name].index(name)
        chances = zip(found.alternatives[name][step], likelihood.top_probabilities[own, step], strict=True)
        rows.append(
            {
                "model": labels[name],
                "written": explanation.pieces[explanation.prompt + step].strip(),
                "its probability": math.exp(likelihood.logprobs[own, step]),
                "likeliest tokens": ", ".join(f"{text.strip() or '(space)'} {chance:.2f}" for text, chance in chances),
            }
        )
    st.dataframe(pd.DataFrame(rows), hide_index=True)
