"""What the chart of a series along the generation contains."""

import pandas as pd
import pytest

from detox_core.figures.entropy import GROUPS, entropy_chart

POINTS = pd.DataFrame(
    [
        {"variant": variant, "group": group, "step": step, "mean": 0.5, "low": low, "high": 0.6, "n": 20}
        for variant in ("it", "ft")
        for group, low in zip(GROUPS, (0.4, 0.1), strict=True)
        for step in range(3)
    ]
)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("group", GROUPS)
def test_each_variant_has_a_line_and_a_band_on_one_scale(group, theme):
    figure = entropy_chart(POINTS, group, "bits", theme)
    assert len(figure.data) == 2 * 3
    assert [trace.name for trace in figure.data if trace.name] == ["IT", "FT"]
    assert figure.layout.yaxis.range == (0.1, 0.6)


def test_steps_are_counted_from_one():
    assert list(entropy_chart(POINTS, "rest", "bits").data[2].x) == [1, 2, 3]
