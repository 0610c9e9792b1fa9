"""The strip plot draws what it is given."""

import math

import pandas as pd

from detox_core.figures.colors import COLORS
from detox_core.figures.strip import strip_plot

FRAME = pd.DataFrame({"variant": ["IT", "IT", "FT", "FT"], "sample": [0, 1, 0, 1], "score": [0.9, 0.8, 0.1, math.nan]})


def test_one_trace_per_variant_in_order_with_its_color():
    figure = strip_plot(FRAME)
    assert [trace.name for trace in figure.data] == ["IT", "FT"]
    assert [trace.marker.color for trace in figure.data] == list(COLORS["light"][:2])


def test_unscored_samples_are_not_drawn():
    assert list(strip_plot(FRAME).data[1].x) == [0.1]


def test_first_variant_is_the_top_row():
    figure = strip_plot(FRAME)
    assert figure.layout.yaxis.ticktext == ("FT", "IT")
    assert min(figure.data[0].y) > max(figure.data[1].y)


def test_equal_scores_stay_apart():
    frame = pd.DataFrame({"variant": ["IT"] * 5, "sample": range(5), "score": [0.5] * 5})
    assert len(set(strip_plot(frame).data[0].y)) == 5
