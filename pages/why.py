"""Why: the views of a finished comparison that look into the models. The engine is asked by `explaining`."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.explain.methods import METHODS
from detox_core.export.bibliography import bibtex
from detox_core.export.report import made
from detox_core.figures.heatmap import heatmap_data
from detox_core.figures.matrix import LONGEST, matrix_chart
from detox_core.figures.steps import MEASURES, steps_chart, steps_frame
from detox_core.types import Comparison
from pages.answers import theme
from pages.explaining import USUAL, explanation, how_explained
from pages.heatmap import show_heatmap
from pages.inside import show_inside
from pages.samples import show_samples
from pages.takeaway import take_away
from pages.text import literal
from pages.whatif import show_what_if

state = st.session_state
OWN = "own"
VIEWS = {"answers": "Answers", "why": "Why these words", "uncertainty": "Token by token", "whatif": "What if", "inside": "Inside"}


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
    if view == "whatif":
        show_what_if(record)
        return
    if view == "inside":
        show_inside(record)
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
        method, target = how_explained(record) if view == "why" else USUAL
    found = explanation(record, None if answer_of == OWN else answer_of, method, target)
    if found is None:
        return
    if view == "why":
        _show_why(record, found, method, **options)
    else:
        _show_steps(record, found, **options)


def _why_options(answer_of: str) -> dict[str, Any]:
    unit = st.segmented_control("Units", ("words", "tokens", "sentences"), key="units", default="words", required=True)
    difference = st.toggle(
        "Difference to the first model", key="difference", disabled=answer_of == OWN, help="Only on one and the same answer."
    )
    return {"unit": unit, "difference": difference and answer_of != OWN}


def _step_options() -> dict[str, Any]:
    measure = st.selectbox("Measure", list(MEASURES), key="measure", format_func=lambda name: MEASURES[name].label, width=320)
    return {"measure": measure}


def _show_why(record: Comparison, found: Any, method: str, *, unit: str, difference: bool) -> None:
    card = METHODS[method]
    st.caption(
        f"{card.measures} Scaled to 1 per answer word. **What it does not show:** {card.misses} "
        "It shows what the model is sensitive to, not its reasons. Words in italics belong to the chat format."
    )
    show_heatmap(record, found, theme(), unit=unit, difference=difference, blur=state.blur)
    data = heatmap_data(record, found, theme(), unit=unit)
    rows = [row for row in data["rows"] if "error" not in row]
    take_away(
        "why",
        figure=figures(found, rows, partial(printed, record, found, unit, difference)),
        table=lambda: pd.DataFrame(influences(data)),
        caption=f"{card.label}: what each word of the answers hangs on. {card.measures} {made(record)}",
        cite=partial(bibtex, record, [method]),
    )
    with st.expander("As a table"):
        if state.blur:
            st.caption("Toxic words are left out while they are blurred.")
        st.dataframe(pd.DataFrame(influences(data, blur=state.blur)), hide_index=True)
    with st.expander("As a matrix"):
        _show_matrix(rows)


def printed(record: Comparison, found: Any, unit: str, difference: bool, place: Any) -> Any:
    """The coloured words as a figure for print; `place` as for `heatmap_figure`."""
    from detox_core.export.heatmap import heatmap_figure

    return heatmap_figure(heatmap_data(record, found, "light", unit=unit, difference=difference), place)


def figures(found: Any, rows: list[dict[str, Any]], words: Callable[[Any], Any]) -> dict[str, Callable[[], Any]]:
    """What can be printed, by name: the coloured words for one word or for all, and the matrices."""
    places: dict[str, Any] = {"as the page opens": "first", "for the whole answer": "all"}
    if found.answer_of and rows:
        answer = rows[0]["words"][rows[0]["prompt"] :]
        places |= {f"for {number} {text.strip()}": number - 1 for number, text in enumerate(answer, start=1)}
    matrices = {
        f"Matrix of {row['label']}": partial(matrix_chart, shown_words(row, blur=False), row["prompt"], row["matrix"]) for row in rows
    }
    return {**{f"Words, {name}": partial(words, place) for name, place in places.items()}, **matrices}


def _show_matrix(rows: list[dict[str, Any]]) -> None:
    if not rows:
        st.caption("No model could be explained.")
        return
    labels = [row["label"] for row in rows]
    if state.get("matrix_of") not in labels:
        state.matrix_of = labels[0]
    label = st.segmented_control("Model", labels, key="matrix_of", required=True, label_visibility="collapsed")
    row = next(row for row in rows if row["label"] == label)
    names = shown_words(row, blur=state.blur)
    st.plotly_chart(
        matrix_chart(names, row["prompt"], row["matrix"]),
        alt=f"Attribution of every answer word of {label} to every word before it. The table has the values.",
        config={"displayModeBar": False},
    )
    numbered = [f"{number} {name}" for number, name in enumerate(names, start=1)]
    st.dataframe(pd.DataFrame(row["matrix"], numbered, numbered[row["prompt"] :]), height=200)
    if len(names) - row["prompt"] > LONGEST or row["prompt"] > LONGEST // 2:
        st.caption(f"At most {LONGEST} words are shown each way: the end of the prompt, and the beginning of the answer.")


def influences(data: dict[str, Any], *, blur: bool = False) -> list[dict[str, Any]]:
    """One row per model and answer word: share on the prompt, and the three words with the largest shares."""
    rows = []
    for row in data["rows"]:
        if "error" in row:
            continue
        names = shown_words(row, blur=blur)
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


def shown_words(row: dict[str, Any], *, blur: bool) -> list[str]:
    """The words of a row of `heatmap_data`, as they may be shown."""
    return ["..." if blur and toxic else text.strip() or "(space)" for text, toxic in zip(row["words"], row["toxic"], strict=True)]


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
        steps_chart(frame, about.axis, theme(), min(state.get("step", 1), int(frame["token"].max()))),
        alt=f"{about.label} per answer token. Means: {summary}.",
        config={"displayModeBar": False},
        key="steps_chart",
        on_select=_pick_step,
        selection_mode="points",
    )
    toxic = " Diamonds are toxic words." if frame["toxic"].any() else ""
    st.caption(f"Mean over the answer: {summary}.{toxic} A click on a point shows below what else could have come there.")
    take_away(
        "steps",
        figure=partial(steps_chart, frame, about.axis),
        table=lambda: frame,
        caption=f"{about.label} per token of the answers. {about.about} {made(record)}",
        cite=partial(bibtex, record, USUAL[:1]),
    )
    if measure == "logprob" and found.answer_of:
        st.markdown(literal(whole_answer(record, found)))
    _show_alternatives(record, found)
    with st.expander("As a table"):
        st.dataframe(frame, hide_index=True)


def _pick_step() -> None:
    points = state.steps_chart.selection.points
    if points:
        state.step = int(points[0]["x"])


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
