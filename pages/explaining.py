"""How answers are explained, and the engine's work on it: asked once per comparison, answer, method and target."""

from typing import Any

import streamlit as st

from detox_core.explain.methods import METHODS
from detox_core.models.variants import FAMILY, SMOLLM2_FAMILY
from detox_core.types import Comparison
from pages.asking import ask
from pages.text import literal

state = st.session_state
EMBEDDED = {FAMILY[0].base, SMOLLM2_FAMILY[0].base}
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
    popover = st.popover("Method", icon=":material/tune:", key="methods", on_change="rerun")
    with popover:
        refused = _refused(record, bool(popover.open))
        offered = [name for name in METHODS if name not in refused]
        if state.get("method") not in offered:
            state.method = offered[0]
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


def _refused(record: Comparison, wanted: bool) -> dict[str, str]:
    """Methods that are not offered for a record, and why not.

    The embedded families run them all. Other models are tried once, when somebody wants to choose: it can take minutes.
    """
    bases = tuple(dict.fromkeys(variant.base_key for variant in record.variants))
    if {base[0] for base in bases} <= EMBEDDED:
        return {}
    one_of_each = {variant.base_key: variant for variant in record.variants}.values()

    def task(pool: Any, on_phase: Any, stop: Any) -> dict[str, str]:
        from detox_core.explain.others import refusals

        return refusals([pool.get(variant) for variant in one_of_each], on_phase, stop)

    found = ask("trials", bases, lambda: task if wanted else None, KEPT)
    foreign = (name for name, card in METHODS.items() if not card.ours)
    return dict.fromkeys(foreign, "They have not been tried on this model.") if found is None else found


def _by_reason(refused: dict[str, str]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, why in refused.items():
        reasons.setdefault(why, []).append(METHODS[name].label)
    return reasons


def explanation(record: Comparison, answer_of: str | None, method: str, target: Any) -> Any:
    """The explanation, if it is there; otherwise it is asked for, its progress is shown, and None is returned."""

    def task(pool: Any, on_phase: Any, stop: Any) -> Any:
        from detox_core.explain.why import why

        return why(record, pool.get, answer_of, on_phase, stop, method, target)

    return ask("explanations", (record.id, answer_of, method, target), lambda: task, KEPT)
