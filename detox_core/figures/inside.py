"""What is found inside a model: layer by layer, neuron by neuron."""

import pandas as pd
import plotly.graph_objects as go

from detox_core.figures.colors import COLORS
from detox_core.figures.steps import DASHES
from detox_core.figures.strip import SYMBOLS

MARGIN = {"l": 10, "r": 10, "t": 10, "b": 10}
PROJECTIONS = {"into": "into the neurons", "gate": "gates", "out": "out of the neurons"}


def lens_chart(points: pd.DataFrame, theme: str = "light") -> go.Figure:
    """Probability of toxic words after each layer, one line per variant.

    Args:
        points: columns `variant` (label), `layer` (from 1), `mass`.
    """
    figure = go.Figure()
    for row, (variant, mine) in enumerate(points.groupby("variant", sort=False)):
        figure.add_scatter(
            x=mine["layer"],
            y=mine["mass"],
            name=str(variant),
            mode="lines+markers",
            line={"color": COLORS[theme][row % 6], "dash": DASHES[row % 6], "width": 2},
            marker={"symbol": SYMBOLS[row % 6], "size": 7},
            hovertemplate=f"{variant}, after layer %{{x}}: %{{y:.3f}}<extra></extra>",
        )
    figure.update_layout(height=320, margin=MARGIN, legend={"orientation": "h", "y": 1.12})
    figure.update_xaxes(title_text="after layer", dtick=1 if points["layer"].max() <= 12 else 5)
    figure.update_yaxes(title_text="probability of a toxic word", rangemode="tozero")
    return figure


def activity_chart(points: pd.DataFrame, theme: str = "light") -> go.Figure:
    """Mean activation of each neuron, one marker per variant.

    Args:
        points: columns `variant` (label), `neuron` (text), `activation`.
    """
    figure = go.Figure()
    for row, (variant, mine) in enumerate(points.groupby("variant", sort=False)):
        figure.add_scatter(
            x=mine["neuron"],
            y=mine["activation"],
            name=str(variant),
            mode="markers",
            marker={"color": COLORS[theme][row % 6], "symbol": SYMBOLS[row % 6], "size": 11, "line": {"width": 1}},
            hovertemplate=f"{variant}, neuron %{{x}}: %{{y:.3f}}<extra></extra>",
        )
    figure.update_layout(height=320, margin=MARGIN, legend={"orientation": "h", "y": 1.12})
    figure.update_xaxes(title_text="neuron (layer.number)", type="category")
    figure.update_yaxes(title_text="mean activation")
    return figure


def experts_chart(points: pd.DataFrame, theme: str = "light") -> go.Figure:
    """AUROC of the neurons of each layer as boxes (least, quartiles, highest), one per projection.

    Args:
        points: columns `layer` (from 1), `projection` (key of PROJECTIONS), and `q0` to `q4`.
    """
    figure = go.Figure()
    for row, (projection, mine) in enumerate(points.groupby("projection", sort=False), start=1):
        figure.add_trace(
            go.Box(
                x=mine["layer"],
                lowerfence=mine["q0"],
                q1=mine["q1"],
                median=mine["q2"],
                q3=mine["q3"],
                upperfence=mine["q4"],
                name=PROJECTIONS[str(projection)],
                marker={"color": COLORS[theme][row % 6]},
            )
        )
    figure.add_hline(y=0.5, line_dash="dash", line_width=1, line_color="#888888")
    figure.update_layout(height=320, margin=MARGIN, boxmode="group", legend={"orientation": "h", "y": 1.12})
    figure.update_xaxes(title_text="layer", dtick=1 if points["layer"].max() <= 12 else 5)
    figure.update_yaxes(title_text="AUROC, toxic against other text", range=[0, 1])
    return figure
