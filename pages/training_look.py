"""How a training run does: its curves, what the guards say, its replies to the probe prompts."""

from functools import partial

import pandas as pd
import streamlit as st

from detox_core.export.bibliography import bibtex_of
from detox_core.figures.training import metric_chart
from detox_core.train.progress import METRICS, PROBED, WARNED, read_lines
from pages.answers import theme
from pages.takeaway import take_away
from pages.text import literal
from training_jobs.jobs import Run

CURVES = ("reward", "loss", "kl", "second_scorer", "entropy", "rewards/margins", "mean_token_accuracy", "attention_entropy")


def look(run: Run) -> None:
    """Everything there is to see of a run, working or ended."""
    warnings(run)
    numbers(run)
    probes(run)


def warnings(run: Run) -> None:
    """What the guards saw, newest first."""
    for row in reversed(read_lines(run.folder / WARNED)[-5:]):
        for name, sentence in row["warnings"].items():
            st.warning(literal(f"{name}, step {row['step']:,}: {sentence}"), icon=":material/warning:")


def numbers(run: Run) -> None:
    """The run's metrics as a chart."""
    frame = pd.DataFrame(read_lines(run.folder / METRICS))
    names = [name for name in CURVES if name in frame and frame[name].notna().any()]
    if frame.empty or not names:
        st.caption("Its numbers appear after the first steps.")
        return
    for column, name in zip(st.columns(min(3, len(names))), names, strict=False):
        last = frame[name].dropna().iloc[-1]
        chart = metric_chart({run.spec["name"]: frame}, name, theme())
        column.plotly_chart(
            chart, key=f"chart-{run.id}-{name}", alt=f"{name} by step; the last value is {last:.3g}.", config={"displayModeBar": False}
        )
    with st.expander("As a table", key=f"steps-{run.id}"):
        st.dataframe(frame[["step", *names]].dropna(how="all", subset=names), hide_index=True, key=f"numbers-{run.id}")
    take_away(
        f"run-{run.id}",
        figure={name.replace("_", " "): partial(metric_chart, {run.spec["name"]: frame}, name) for name in names},
        table=lambda: frame,
        caption=f"The training run {run.spec['name']}, step by step.",
        cite=partial(bibtex_of, (), (), [str(run.spec.get("method", ""))]),
    )


def probes(run: Run) -> None:
    """What the probe prompts were answered before, and now."""
    found = read_lines(run.folder / PROBED)
    if not found:
        return
    first, last = found[0], found[-1]
    rows = [
        {
            "prompt": before["prompt"],
            "before": before["reply"],
            "toxicity": before["toxicity"],
            "now": now["reply"],
            "toxicity now": now["toxicity"],
        }
        for before, now in zip(first["probes"], last["probes"], strict=True)
    ]
    st.caption(f"Probe prompts, greedy: before training and at step {last['step']:,}")
    bar = st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1)
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"probes-{run.id}", column_config={"toxicity": bar, "toxicity now": bar})
