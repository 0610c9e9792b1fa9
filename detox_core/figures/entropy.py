"""A series along the generation, averaged over many answers: Figure 1 of Scalena et al. 2023."""

import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS
from detox_core.figures.steps import DASHES

GROUPS = {"eliciting": "toxic-eliciting prompts", "rest": "all other prompts"}


def entropy_chart(points: pd.DataFrame, axis: str, theme: str = "light") -> go.Figure:
    """One panel per group of prompts, one line with its 95 % band per variant.

    Args:
        points: columns `variant`, `group` (eliciting, rest), `step` (from 0), `mean`, `low`, `high`, `n`.
        axis: title of the value axis.
        theme: light or dark.
    """
    figure = go.Figure()
    groups = [group for group in GROUPS if group in set(points["group"])]
    for column, group in enumerate(groups, start=1):
        for row, variant in enumerate(dict.fromkeys(points["variant"])):
            mine = points[(points["group"] == group) & (points["variant"] == variant)]
            color, place = COLORS[theme][row % 6], {"xaxis": f"x{column}", "yaxis": f"y{column}"}
            band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False, **place}
            figure.add_scatter(x=mine["step"] + 1, y=mine["high"], **band)
            figure.add_scatter(x=mine["step"] + 1, y=mine["low"], fill="tonexty", fillcolor=_pale(color), **band)
            figure.add_scatter(
                x=mine["step"] + 1,
                y=mine["mean"],
                mode="lines",
                name=str(variant).upper(),
                showlegend=column == 1,
                line={"color": color, "dash": DASHES[row % 6], "width": 2},
                customdata=mine["n"],
                hovertemplate=f"{str(variant).upper()}, token %{{x}}: %{{y:.3f}} (%{{customdata}} answers)<extra></extra>",
                **place,
            )
    width = 1 / max(1, len(groups))
    for column, group in enumerate(groups, start=1):
        span = [(column - 1) * width + (0.03 if column > 1 else 0), column * width - (0.03 if column < len(groups) else 0)]
        figure.update_layout({f"xaxis{column}": {"domain": span, "title": "token of the answer", "anchor": f"y{column}"}})
        figure.update_layout({f"yaxis{column}": {"anchor": f"x{column}", "matches": "y", "title": axis if column == 1 else ""}})
        figure.add_annotation(text=GROUPS[group], x=sum(span) / 2, y=1.08, xref="paper", yref="paper", showarrow=False)
    figure.update_layout(height=380, margin={"l": 10, "r": 10, "t": 40, "b": 10}, legend={"orientation": "h", "y": -0.2})
    return figure


def _pale(color: str) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.18)"
