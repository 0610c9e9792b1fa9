"""What the audience would post."""

import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS


def votes_chart(table: pd.DataFrame, theme: str = "light") -> go.Figure:
    """One bar per variant with its share of the votes and the interval; the number of votes stands beside its name.

    Args:
        table: columns `variant`, `votes`, `share`, `low`, `high`; shares in [0, 1].
    """
    colors = COLORS[theme]
    figure = go.Figure()
    figure.add_bar(
        x=table["share"],
        y=[f"{row.variant}: <b>{row.votes}</b>" for row in table.itertuples()],
        orientation="h",
        marker_color=[colors[at % len(colors)] for at in range(len(table))],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": table["high"] - table["share"],
            "arrayminus": table["share"] - table["low"],
            "color": {"light": "black", "dark": "gray"}[theme],
        },
        hovertemplate="%{y} votes, %{x:.0%}<extra></extra>",
    )
    figure.update_layout(
        height=80 + 70 * len(table),
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"title": "share of the votes", "range": [0, 1], "tickformat": ".0%"},
        yaxis={"autorange": "reversed", "tickfont": {"size": 20}},
        showlegend=False,
    )
    return figure
