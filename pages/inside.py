"""Inside: value vectors read as words, neurons that react to toxic text, and toxic words from layer to layer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.export.bibliography import bibtex
from detox_core.figures.inside import activity_chart, experts_chart, lens_chart
from detox_core.models.variants import FAMILY, SMOLLM2_FAMILY
from detox_core.service import Task
from detox_core.types import Comparison, Variant
from pages.answers import theme
from pages.asking import ask
from pages.takeaway import take_away
from pages.text import literal

state = st.session_state
KEPT = 4  # looks inside remembered for a visitor
PLAIN = {"displayModeBar": False}


def show_inside(record: Comparison) -> None:
    """Everything there is to see, once it is asked for."""
    readers = _readers(record)
    key = (record.id, tuple(variant.id for variant in readers))
    found = ask("insights", key, lambda: _begin(record, readers), KEPT)
    if found:
        _show(found, partial(bibtex, record, ["inside"]))


def _readers(record: Comparison) -> tuple[Variant, ...]:
    """The whole family where the comparison is about one, else all columns with the base of the first."""
    first = record.variants[0]
    family = next((family for family in (FAMILY, SMOLLM2_FAMILY) if family[0].base_key == first.base_key), ())
    own = tuple(variant for variant in record.variants if variant.base_key == first.base_key)
    return (*family, *(variant for variant in own if variant.id not in {member.id for member in family}))


def _begin(record: Comparison, readers: tuple[Variant, ...]) -> Task | None:
    """The work, once it is asked for."""
    labels = ", ".join(variant.label for variant in readers)
    st.markdown(literal(f"Looks at the neurons of {labels}: which of them write toxic words, and what training did to them."))
    asked = st.button("Look inside", type="primary", icon=":material/neurology:", key="look_inside")
    st.caption("The first time, a probe is fitted on bundled examples and the model's vocabulary is scored. That is kept.")

    def task(pool: Any, on_phase: Any, stop: Any) -> Any:
        from detox_core.explain.insight import insight

        return insight(record, readers, pool.get(readers[0]), on_phase, stop)

    return task if asked else None


def _show(found: Any, cite: Callable[[], str]) -> None:
    st.warning(
        "Neurons are a part of the story only: over four models they carried 2.5 to 24 % of what DPO does to toxicity (Yang et al. 2025).",
        icon=":material/info:",
    )
    _show_lens(found, cite)
    _show_vectors(found, cite)
    _show_activity(found, cite)
    _show_experts(found, cite)


def _show_lens(found: Any, cite: Callable[[], str]) -> None:
    st.markdown("### When does a toxic word become likely?")
    place = f"to come next in a reply that begins \u201c{literal(found.begun)}\u201d" if found.begun else "to begin the reply"
    st.caption(
        f"The state after each layer, read as if it were the last (logit lens): how likely one of {found.toxic_words} toxic words of the "
        f"vocabulary is {place}. The last layer is the model's own answer."
    )
    rows = [(found.readers[lens.variant], layer, mass) for lens in found.lens for layer, mass in enumerate(lens.masses, start=1)]
    points = pd.DataFrame(rows, columns=["variant", "layer", "mass"])
    last = ", ".join(f"{found.readers[lens.variant]} {lens.masses[-1]:.3f}" for lens in found.lens)
    st.plotly_chart(
        lens_chart(points, theme()), alt=f"Probability of a toxic first word after each layer. At the end: {last}.", config=PLAIN
    )
    _table(points, "lens", lens_chart, "Probability of a toxic word after each layer (logit lens).", cite)


def _show_vectors(found: Any, cite: Callable[[], str]) -> None:
    st.markdown("### Which neurons write toxic words?")
    st.caption(
        f"A probe on the last layer of {literal(found.of)} tells good from bad replies (accuracy {found.accuracy:.2f}, AUROC "
        f"{found.auroc:.2f} on replies it was not fitted on). These are the neurons whose output points most in its direction, and the "
        "words that each makes likelier when it is on (Lee et al. 2024). Not every one reads as toxic: words are chosen by the sum of "
        "all, not by one neuron."
    )
    rows = [("probe", None, None, found.vectors.probe), ("first singular vector", None, None, found.vectors.svd)]
    rows += [(f"layer {one.layer + 1}, neuron {one.neuron}", one.layer + 1, one.cosine, one.tokens) for one in found.vectors.vectors]
    table = pd.DataFrame([{"direction": name, "cosine with the probe": cosine, "writes": _words(words)} for name, _, cosine, words in rows])
    shown = table
    if state.get("blur"):
        st.caption("The words are left out while toxic words are blurred.")
        shown = table.drop(columns="writes")
    column = st.column_config.NumberColumn(format="%.2f")
    st.dataframe(shown, hide_index=True, column_config={"cosine with the probe": column}, placeholder="")
    take_away("vectors", table=lambda: table, caption=f"Directions of {found.of} that write toxic words.", cite=cite)


def _words(tokens: tuple[str, ...]) -> str:
    whole = [token for token in tokens if "\N{REPLACEMENT CHARACTER}" not in token]  # not a part of a letter
    return ", ".join(token.strip() or repr(token) for token in whole)


def _show_activity(found: Any, cite: Callable[[], str]) -> None:
    st.markdown("### Did training switch them off?")
    st.caption(f"How strongly those neurons are on where the reply begins, mean over {found.prompts} toxic demo prompts.")
    names = [f"{one.layer + 1}.{one.neuron}" for one in found.vectors.vectors]
    rows = [(found.readers[one.variant], neuron, mean) for one in found.activity for neuron, mean in zip(names, one.means, strict=True)]
    points = pd.DataFrame(rows, columns=["variant", "neuron", "activation"])
    means = ", ".join(f"{label} {mean:.2f}" for label, mean in points.groupby("variant", sort=False)["activation"].mean().items())
    alt = f"Mean activation of {len(names)} neurons. Over all of them: {means}. The table has the values."
    st.plotly_chart(activity_chart(points, theme()), alt=alt, config=PLAIN)
    _table(points, "activations", activity_chart, f"Mean activation of neurons over {found.prompts} toxic prompts.", cite)


def _show_experts(found: Any, cite: Callable[[], str]) -> None:
    st.markdown("### How many neurons tell toxic text apart?")
    experts, neurons = sum(one.experts for one in found.experts), sum(one.neurons for one in found.experts)
    st.caption(
        f"AUROC of each neuron's highest value over a reply: toxic against other replies (Suau et al. 2024). {experts:,} of {neurons:,} "
        "are above 0.5, the dashed line; AURA turns those down. Boxes: lowest, quartiles, highest of a layer."
    )
    rows = [
        {"layer": one.layer + 1, "projection": one.projection, **{f"q{number}": value for number, value in enumerate(one.quantiles)}}
        for one in found.experts
    ]
    points = pd.DataFrame(rows)
    best = max(found.experts, key=lambda one: one.highest)
    alt = f"AUROC of neurons by layer. The highest is {best.highest:.2f} in layer {best.layer + 1}. The table has the values."
    st.plotly_chart(experts_chart(points, theme()), alt=alt, config=PLAIN)
    _table(points, "experts", experts_chart, "AUROC of neurons by layer, toxic against other replies: least, quartiles, highest.", cite)


def _table(points: pd.DataFrame, name: str, chart: Callable[[pd.DataFrame], Any], caption: str, cite: Callable[[], str]) -> None:
    take_away(name, figure=partial(chart, points), table=lambda: points, caption=caption, cite=cite)
    with st.expander("As a table"):
        st.dataframe(points, hide_index=True)
