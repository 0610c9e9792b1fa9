"""How scores are spread, and where a threshold cuts them."""

from collections.abc import Sequence

import plotly.graph_objects as go

from detox_core.figures.colors import COLORS, RAMPS

BINS = 20


def score_histogram(scores: Sequence[float], threshold: float, inverse: bool, theme: str = "light") -> go.Figure:
    """Counts per score in [0, 1] (NaN is left out); kept rows in blue, dropped ones pale, a line at the threshold."""
    kept = [score for score in scores if (score > threshold if inverse else score <= threshold)]
    dropped = [score for score in scores if (score <= threshold if inverse else score > threshold)]
    bins = {"start": 0, "end": 1.0001, "size": 1 / BINS}
    figure = go.Figure()
    figure.add_histogram(x=kept, xbins=bins, name="kept", marker_color=COLORS[theme][1])
    figure.add_histogram(x=dropped, xbins=bins, name="dropped", marker_color=RAMPS[theme][1], marker_pattern_shape="/")
    figure.add_vline(threshold, line_dash="dash", line_color=COLORS[theme][0])
    figure.update_layout(
        barmode="stack",
        height=260,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"title": "score", "range": [0, 1]},
        yaxis={"title": "rows"},
        legend={"orientation": "h", "y": 1.12},
        bargap=0.05,
    )
    return figure
