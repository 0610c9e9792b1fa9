"""The trade-off of an intervention: toxicity, perplexity and divergence over its strength."""

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from detox_core.figures.colors import COLORS

AXES = {"toxicity": "toxicity", "perplexity": "perplexity", "divergence": "KL, nats per token"}


def tradeoff_chart(points: pd.DataFrame, theme: str = "light", chosen: float | None = None) -> go.Figure:
    """Three small charts above each other with one strength axis; replies are dots behind their mean.

    Args:
        points: columns `strength`, `toxicity`, `perplexity`, `divergence` (NaN is not drawn) and `replies` (list of toxicities).
        chosen: the strength that a line marks.
    """
    figure = make_subplots(rows=len(AXES), cols=1, shared_xaxes=True, vertical_spacing=0.06)
    gray, *colors = COLORS[theme]
    dots = [(strength, value) for strength, values in zip(points["strength"], points["replies"], strict=True) for value in values]
    figure.add_scatter(
        x=[strength for strength, _ in dots],
        y=[value for _, value in dots],
        mode="markers",
        marker={"color": gray, "size": 5, "opacity": 0.5},
        hovertemplate="one reply at strength %{x:g}: %{y:.2f}<extra></extra>",
        row=1,
        col=1,
    )
    for row, (column, title) in enumerate(AXES.items(), start=1):
        known = points.dropna(subset=[column])
        figure.add_scatter(
            x=known["strength"],
            y=known[column],
            mode="lines+markers",
            line={"color": colors[row - 1], "width": 2},
            hovertemplate=f"strength %{{x:g}}, {title} %{{y:.3g}}<extra></extra>",
            row=row,
            col=1,
        )
        figure.update_yaxes(title_text=title, row=row, col=1, rangemode="tozero")
    figure.update_yaxes(range=[-0.02, 1.02], row=1, col=1)
    if chosen is not None:
        figure.add_vline(x=chosen, line={"width": 1, "dash": "dot", "color": "gray"})
    figure.update_xaxes(title_text="strength", row=len(AXES), col=1)
    figure.update_layout(height=420, margin={"l": 10, "r": 10, "t": 10, "b": 10}, showlegend=False)
    return figure
