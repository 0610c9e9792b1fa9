"""What the chart of a series around toxic words contains."""

import pandas as pd
import pytest

from detox_core.figures.colors import COLORS
from detox_core.figures.events import events_chart

VALUES = {"mean": 0.1, "high": 0.3, "null_low": -0.2, "null_high": 0.2, "n": 20}
POINTS = pd.DataFrame(
    [
        {"variant": variant, "offset": offset, "low": low, **VALUES}
        for variant, low in (("it", -0.1), ("rl", -0.6))
        for offset in range(-5, 6)
    ]
)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_line_two_bands_and_one_scale_for_all_variants(theme):
    figure = events_chart(POINTS, "rl", "bits", row=2, theme=theme)
    assert len(figure.data) == 5
    assert list(figure.data[4].x) == list(range(-5, 6))
    assert figure.data[4].line.color == COLORS[theme][2]
    assert list(figure.data[1].y) == [-0.2] * 11
    assert figure.layout.yaxis.range == (-0.6, 0.3)
    assert figure.layout.title.text == "RL"
