"""A series around toxic words, averaged over many answers, with what chance alone would give."""

import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS, pale
from detox_core.figures.steps import DASHES

CHANCE = {"color": "#888888", "dash": "dot", "width": 1.5}  # lines, not a band: one model is drawn in grey


def events_chart(points: pd.DataFrame, variant: str, axis: str, row: int = 0, theme: str = "light") -> go.Figure:
    """One variant's mean with its 95 % interval, and the dotted limits of chance; the value axis spans all variants: charts compare.

    Args:
        points: columns `variant`, `offset` (0 = the first token of the word), `mean`, `low`, `high`, `null_low`, `null_high`, `n`.
        variant: whose points are drawn.
        axis: title of the value axis.
        row: the variant's place among all, which gives its colour and dash in every chart.
        theme: light or dark.
    """
    mine = points[points["variant"] == variant]
    color, label = COLORS[theme][row % 6], variant.upper()
    figure = go.Figure()
    usual = {"mode": "lines", "hoverinfo": "skip", "showlegend": False}
    for limit in ("null_high", "null_low"):
        figure.add_scatter(x=mine["offset"], y=mine[limit], line=CHANCE, **usual)
    figure.add_scatter(x=mine["offset"], y=mine["high"], line={"width": 0}, **usual)
    figure.add_scatter(x=mine["offset"], y=mine["low"], line={"width": 0}, fill="tonexty", fillcolor=pale(color), **usual)
    figure.add_scatter(
        x=mine["offset"],
        y=mine["mean"],
        mode="lines+markers",
        name=label,
        line={"color": color, "dash": DASHES[row % 6], "width": 2},
        customdata=mine["n"],
        hovertemplate=f"{label}, %{{x:+d}}: %{{y:.3f}} (%{{customdata}} words)<extra></extra>",
    )
    figure.add_vline(x=0, line_dash="dash", line_width=1, line_color="#888888")
    figure.update_layout(
        height=380,
        title={"text": label, "font": {"size": 15}},
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        showlegend=False,
        xaxis={"title": "tokens from the toxic word", "dtick": 1, "range": [points["offset"].min() - 0.3, points["offset"].max() + 0.3]},
        yaxis={"title": axis, "range": [points[["low", "null_low"]].min(axis=None), points[["high", "null_high"]].max(axis=None)]},
    )
    return figure
