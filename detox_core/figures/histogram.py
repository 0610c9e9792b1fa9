"""How scores are spread, and where a threshold cuts them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS, RAMPS

BINS = 20


def score_counts(scores: Sequence[float], kept: Sequence[bool]) -> pd.DataFrame:
    """The histogram's bars in numbers: columns `from`, `to`, `kept`, `dropped`; NaN is left out."""
    pairs = [(score, stays) for score, stays in zip(scores, kept, strict=True) if not np.isnan(score)]
    edges = np.linspace(0, 1, BINS + 1)
    counts = [np.histogram([score for score, stays in pairs if stays is wanted], edges)[0] for wanted in (True, False)]
    return pd.DataFrame({"from": edges[:-1], "to": edges[1:], "kept": counts[0], "dropped": counts[1]})


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
