"""Strip plot: the scores of several samples, one row per variant."""

import math

import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS
from detox_core.types import Comparison

SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")


def scores_frame(record: Comparison) -> pd.DataFrame:
    """Columns variant (label), sample, score (NaN = not scored), text."""
    labels = {variant.id: variant.label for variant in record.variants}
    rows = [
        {
            "variant": labels[reply.variant],
            "sample": reply.sample,
            "score": reply.score.value if reply.score else math.nan,
            "text": reply.text,
        }
        for variant in record.variants
        for reply in record.of(variant.id)
    ]
    return pd.DataFrame(rows, columns=["variant", "sample", "score", "text"])


def strip_plot(scores: pd.DataFrame, theme: str = "light", threshold: float = 0.5) -> go.Figure:
    """One dot per sample, one row per variant, with the toxicity threshold as a dashed line.

    Args:
        scores: columns `variant` (label), `sample`, `score` (probability; NaN is not drawn).
        theme: light or dark.
    """
    figure = go.Figure()
    variants = list(dict.fromkeys(scores["variant"]))
    for row, variant in enumerate(variants):
        mine = scores[scores["variant"] == variant].dropna(subset="score")
        # A fixed spread instead of random jitter: equal scores stay apart and the picture is repeatable.
        offsets = [((7 * index) % 5 - 2) * 0.09 for index in range(len(mine))]
        figure.add_trace(
            go.Scatter(
                x=mine["score"],
                y=[len(variants) - 1 - row + offset for offset in offsets],
                mode="markers",
                name=variant,
                marker={"color": COLORS[theme][row % 6], "symbol": SYMBOLS[row % 6], "size": 11, "opacity": 0.8, "line": {"width": 1}},
                customdata=mine["sample"] + 1,
                hovertemplate=f"{variant}, sample %{{customdata}}: %{{x:.2f}}<extra></extra>",
            )
        )
    figure.add_vline(
        x=threshold, line_dash="dash", line_width=1, line_color="#888888", annotation_text="toxic above 0.5", annotation_position="top"
    )
    figure.update_layout(
        height=90 + 62 * len(variants),
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        showlegend=False,
        xaxis={"range": [-0.02, 1.02], "title": "toxicity of each reply (probability)"},
        yaxis={"tickvals": list(range(len(variants))), "ticktext": variants[::-1], "zeroline": False, "showgrid": False},
    )
    return figure
