"""A training run's numbers over its steps."""

import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS
from detox_core.figures.steps import DASHES


def metric_chart(runs: dict[str, pd.DataFrame], metric: str, theme: str = "light") -> go.Figure:
    """One line per run.

    Args:
        runs: label -> columns `step` and the metric; steps without it are left out.
    """
    figure = go.Figure()
    for at, (label, frame) in enumerate(runs.items()):
        known = frame.dropna(subset=[metric]) if metric in frame else frame.iloc[:0]
        line = {"color": COLORS[theme][at % 6], "dash": DASHES[at % 6], "width": 2}
        figure.add_scatter(x=known["step"], y=known.get(metric), mode="lines+markers", name=label, line=line, marker={"size": 4})
    figure.update_layout(
        height=260,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"title": "step"},
        yaxis={"title": metric.replace("_", " ")},
        legend={"orientation": "h", "y": 1.15},
        showlegend=len(runs) > 1,
    )
    return figure
