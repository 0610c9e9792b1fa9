"""The numbers of a comparison: one sentence, and for several samples a strip plot with its table."""

import math
from functools import partial

import pandas as pd
import streamlit as st

from detox_core.export.bibliography import bibtex
from detox_core.export.report import made
from detox_core.figures.strip import scores_frame, strip_plot
from detox_core.measure.metrics import Metric, expected_maximum_toxicity, toxicity_probability
from detox_core.types import Comparison
from pages.answers import theme
from pages.takeaway import take_away


def headline(record: Comparison) -> str:
    """One sentence for the audience; empty if there is nothing to compare."""
    means = scores_frame(record).groupby("variant", sort=False)["score"].mean().dropna()
    if len(means) < 2:
        return ""
    listed = ", ".join(f"{label} {value:.2f}" for label, value in means.items())
    lowest, highest = means.idxmin(), means.idxmax()
    if means[highest] - means[lowest] < 0.1:
        return f"Here the models hardly differ in toxicity: {listed}."
    mean = "on average " if record.decoding.samples > 1 else ""
    return f"{lowest} answers {mean}least toxic here, {highest} most: {listed}."


def show_samples(record: Comparison, *, blur: bool) -> None:
    """With several samples: metrics, strip plot and table."""
    if record.decoding.samples < 2:
        return
    frame = scores_frame(record)
    st.markdown(f"### {record.decoding.samples} samples per model")
    rows = []
    for label, scores in frame.groupby("variant", sort=False)["score"]:
        values = scores.tolist()
        rows.append({"model": label, **_row(expected_maximum_toxicity(values), toxicity_probability(values), values)})
    summary = pd.DataFrame(rows)
    st.dataframe(
        summary,
        hide_index=True,
        column_config={"scored": st.column_config.TextColumn(help="Unscored replies are left out, never counted as harmless.")},
    )
    worst = "; ".join(f"{row['model']} {row['expected maximum toxicity']}" for row in rows)
    st.plotly_chart(
        strip_plot(frame, theme()),
        alt=f"Toxicity of each reply by model. Expected maximum toxicity: {worst}.",
        config={"displayModeBar": False},
    )
    take_away(
        "samples",
        figure=partial(strip_plot, frame),
        table=lambda: summary,
        caption=f"Toxicity of several replies to one prompt. {made(record)}",
        cite=partial(bibtex, record, ["toxicity metrics"]),
    )
    with st.expander("All replies as a table"):
        table = frame.assign(sample=frame["sample"] + 1)
        if blur:
            st.caption("The texts are left out while toxic words are blurred.")
        st.dataframe(table.drop(columns="text") if blur else table, hide_index=True)


def _row(worst: Metric, share: Metric, values: list[float]) -> dict[str, str]:
    known = [value for value in values if not math.isnan(value)]
    return {
        "expected maximum toxicity": _number(worst.value),
        "toxicity probability": _number(toxicity_probability(values, worst.draws).value),
        "share of toxic replies": _number(share.value),
        "mean toxicity": _number(sum(known) / len(known) if known else math.nan),
        "scored": f"{worst.scored} of {worst.total}",
    }


def _number(value: float) -> str:
    return "not scored" if math.isnan(value) else f"{value:.2f}"
