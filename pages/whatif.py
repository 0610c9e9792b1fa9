"""What if: the same prompt with an intervention, at any strength, beside the answers that are there."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.export.bibliography import bibtex
from detox_core.export.report import made
from detox_core.figures.tradeoff import tradeoff_chart
from detox_core.interventions.registry import FITS, METHODS, Card
from detox_core.service import Task
from detox_core.types import Comparison, Variant
from pages.answers import theme
from pages.asking import ask
from pages.takeaway import take_away
from pages.text import literal

state = st.session_state
KEPT = 6  # curves remembered for a visitor
NONE = "none"
COLUMNS = {
    "strength": st.column_config.NumberColumn("strength", format="%.2f"),
    "toxicity": st.column_config.NumberColumn("toxicity", format="%.2f", help="Mean over the replies."),
    "perplexity": st.column_config.NumberColumn("perplexity", format="%.3g", help="Under the untuned model; geometric mean."),
    "divergence": st.column_config.NumberColumn("KL, nats per token", format="%.3f", help="From the plain model, on its own greedy reply."),
    "milliseconds": st.column_config.NumberColumn("ms per token", format="%.1f", help="All replies of a strength are written at once."),
}


def show_what_if(record: Comparison) -> None:
    """Choose a method, try it, move its strength."""
    variant, methods = _choose(record)
    key = (record.id, variant.id, methods, bool(state.get("research")))
    found = ask("what_ifs", key, lambda: _begin(record, variant, methods), KEPT)
    if found:
        points, controls = found
        _show(record, points, controls, methods)
    elif state.pop("what_if", None):
        st.rerun()  # the answers above still show what was chosen before


def with_what_if(record: Comparison) -> Comparison:
    """The comparison with the answer at the chosen strength as one more column, while the view is open and there is one."""
    chosen = state.get("what_if")
    if state.get("view") != "whatif" or chosen is None or chosen[0] != record.id:
        return record
    from detox_core.measure.tradeoff import with_point

    for point in chosen[1]:
        record = with_point(record, point)
    return record


def _choose(record: Comparison) -> tuple[Variant, tuple]:
    plain = {variant.id: variant for variant in record.variants if not variant.interventions}
    offered = {name: card for name, card in METHODS.items() if state.get("research") or not card.research}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Change", list(plain), key="what_if_of", format_func=lambda name: plain[name].label, width=170)
        method = st.selectbox("by", list(offered), key="what_if_method", format_func=lambda name: offered[name].label, width=250)
        rest = [NONE, *(other for other in offered if other != method)]
        second = st.selectbox("together with", rest, key="what_if_second", format_func=lambda name: _label(name), width=220)
        fixed = 0.0
        if second != NONE:
            card = offered[second]
            low = card.low if state.get("research") else 0.0
            fixed = st.number_input("at strength", low, card.high, card.default, card.step, key=f"what_if_fixed_{second}", width=130)
    _explain(offered[method])
    return plain[name], ((method,), *(((second, fixed),) if second != NONE else ()))


def _label(name: str) -> str:
    return METHODS[name].label if name in METHODS else "nothing else"


def _explain(card: Card) -> None:
    st.caption(f"{card.about} ({card.source}.) Strength 0 is the plain model; 1: {card.unit}. **Keep in mind:** {card.misses}")


def _begin(record: Comparison, variant: Variant, methods: tuple) -> Task | None:
    """The work, once it is asked for."""
    (method,), *others = methods
    card, research = METHODS[method], bool(state.get("research"))
    tried = st.button("Try it", type="primary", icon=":material/science:", key="what_if_try")
    if card.fit:
        st.caption(f"The first time it learns {FITS[card.fit].what}. That is kept.")

    def task(pool: Any, on_phase: Any, stop: Any) -> Any:
        from detox_core.measure.tradeoff import strengths, tradeoff
        from detox_core.score import get_scorer

        asked = [(method, strengths(method, research=research)), *((name, [strength]) for name, strength in others)]
        with_scorer = (get_scorer(record.scorer), pool, on_phase, stop)
        points = tradeoff(record, variant, asked, *with_scorer, research=research)
        control = [(card.control, [METHODS[card.control].default])] if card.control else []
        return points, tradeoff(record, variant, control, *with_scorer, research=research) if control else []

    return task if tried else None


def _show(record: Comparison, points: list[Any], controls: list[Any], methods: tuple) -> None:
    by_strength = {point.strength: point for point in points}
    usual = METHODS[methods[0][0]].default
    key = f"what_if_strength_{methods}"
    strength = st.select_slider("Strength", list(by_strength), value=usual, key=key, format_func=lambda value: f"{value:g}")
    point = by_strength[strength]
    if state.get("what_if") != (record.id, [point, *controls]):
        state.what_if = (record.id, [point, *controls])
        st.rerun()
    plain = by_strength[0.0]
    with st.container(horizontal=True):
        st.metric(
            "Toxicity", _number(point.toxicity), _change(point.toxicity, plain.toxicity), delta_color="inverse", help="Mean of the replies."
        )
        st.metric("Perplexity", _number(point.perplexity), _change(point.perplexity, plain.perplexity), delta_color="inverse")
        st.metric("KL from the plain model", _number(point.divergence), help="In nats per token, on the plain model's greedy reply.")
        st.metric("ms per token", f"{point.seconds * 1000:.0f}")
    if point.replies[0].read:
        chain = "Toxic words of the prompt were found, masked and rewritten. " if "cmd" in dict(point.variant.interventions) else ""
        st.info(literal(f"{chain}The model read: {point.replies[0].read}"), icon=":material/edit_note:")
    frame = _frame(points)
    st.plotly_chart(
        tradeoff_chart(frame, theme(), strength),
        alt=f"Toxicity and perplexity over the strength. At {strength:g}: {_number(point.toxicity)}, {_number(point.perplexity)}.",
        config={"displayModeBar": False},
    )
    replies = f"{len(point.replies)} replies per strength; grey dots are single replies."
    st.caption(f"{replies} One prompt shows a mechanism, not a method's worth.")
    table = frame.drop(columns="replies").assign(milliseconds=[1000 * one.seconds for one in points])
    _take(record, partial(tradeoff_chart, frame, "light", strength), table, [name for name, *_ in methods])
    with st.expander("As a table"):
        st.dataframe(table, hide_index=True, column_config=COLUMNS)
    added = point.variant.id in state.columns or not point.variant.interventions
    if st.button("Keep as a column", icon=":material/add_column_right:", disabled=added, on_click=_keep, args=(point.variant.id,)):
        st.toast("It answers the next prompt beside the others.")


def _take(record: Comparison, figure: Callable[[], Any], table: pd.DataFrame, names: list[str]) -> None:
    label = " and ".join(METHODS[name].label for name in names)
    caption = f"{label} on one prompt, over its strength: {record.prompt} {made(record)}"
    take_away("what-if", figure=figure, table=lambda: table, caption=caption, cite=partial(bibtex, record, names))


def _keep(name: str) -> None:
    state.columns = [*state.columns, name]


def _frame(points: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "strength": point.strength,
            "toxicity": point.toxicity,
            "perplexity": point.perplexity,
            "divergence": point.divergence,
            "replies": [reply.score.value for reply in point.replies if reply.score and reply.score.scored],
        }
        for point in points
    )


def _number(value: float) -> str:
    return "not known" if math.isnan(value) else f"{value:.2f}"


def _change(value: float, plain: float) -> str | None:
    return None if math.isnan(value) or math.isnan(plain) else f"{value - plain:+.2f}"
