"""A series along the generation, averaged over many answers: Figure 1 of Scalena et al. 2023."""

import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS, pale
from detox_core.figures.steps import DASHES

GROUPS = {"eliciting": "Toxic-eliciting prompts", "rest": "All other prompts"}


def entropy_chart(points: pd.DataFrame, group: str, axis: str, theme: str = "light") -> go.Figure:
    """One line with its 95 % band per variant, for one group of prompts; the value axis spans all groups, so that charts compare.

    Args:
        points: columns `variant`, `group` (eliciting, rest), `step` (from 0), `mean`, `low`, `high`, `n`.
        group: a key of GROUPS.
        axis: title of the value axis.
        theme: light or dark.
    """
    figure = go.Figure()
    for row, variant in enumerate(dict.fromkeys(points["variant"])):
        mine = points[(points["group"] == group) & (points["variant"] == variant)]
        color, label = COLORS[theme][row % 6], str(variant).upper()
        band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        figure.add_scatter(x=mine["step"] + 1, y=mine["high"], **band)
        figure.add_scatter(x=mine["step"] + 1, y=mine["low"], fill="tonexty", fillcolor=pale(color), **band)
        figure.add_scatter(
            x=mine["step"] + 1,
            y=mine["mean"],
            mode="lines",
            name=label,
            line={"color": color, "dash": DASHES[row % 6], "width": 2},
            customdata=mine["n"],
            hovertemplate=f"{label}, token %{{x}}: %{{y:.3f}} (%{{customdata}} answers)<extra></extra>",
        )
    figure.update_layout(
        height=380,
        title={"text": GROUPS[group], "font": {"size": 15}},
        margin={"l": 10, "r": 10, "t": 40, "b": 10},
        legend={"orientation": "h", "y": -0.25},
        xaxis={"title": "token of the answer"},
        yaxis={"title": axis, "range": [points["low"].min(), points["high"].max()]},
    )
    return figure
