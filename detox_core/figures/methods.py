"""Many methods in one picture: how toxic, and at what price in language."""

import re

import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS

PLACES = ("top center", "bottom center", "top right", "bottom right")  # in turn, so that neighbours' names keep apart


def short(model: str) -> str:
    """The name of a method without the untuned model and its strength: "IT + AURA 1" is AURA."""
    return re.sub(r" [-\d.]+$", "", model.removeprefix("IT + "))


def methods_chart(points: pd.DataFrame, theme: str = "light") -> go.Figure:
    """One labelled marker per variant; towards the lower left is better.

    Args:
        points: columns `model`, `value` (mean toxicity), `perplexity` (NaN is not drawn), `kl` (NaN = a plain variant).
    """
    figure = go.Figure()
    known = points.dropna(subset=["value", "perplexity"]).sort_values("perplexity")
    known = known.assign(name=[short(model) for model in known["model"]], place=[PLACES[at % len(PLACES)] for at in range(len(known))])
    groups = (("trained", known[known["kl"].isna()], "diamond", 0), ("intervention", known[known["kl"].notna()], "circle", 1))
    for name, mine, symbol, color in groups:
        figure.add_scatter(
            x=mine["perplexity"],
            y=mine["value"],
            text=mine["name"],
            customdata=mine["model"],
            name=name,
            mode="markers+text",
            textposition=list(mine["place"]),
            textfont={"size": 11},
            marker={"symbol": symbol, "size": 10, "color": COLORS[theme][color]},
            hovertemplate="%{customdata}: mean toxicity %{y:.2f}, perplexity %{x:.1f}<extra></extra>",
        )
    figure.update_layout(height=440, margin={"l": 10, "r": 10, "t": 10, "b": 10}, legend={"orientation": "h", "y": 1.08})
    figure.update_xaxes(title_text="perplexity under IT (logarithmic)", type="log")
    figure.update_yaxes(title_text="mean toxicity", rangemode="tozero")
    return figure
