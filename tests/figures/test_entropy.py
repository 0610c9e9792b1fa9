"""What the chart of a series along the generation contains."""

import pandas as pd
import pytest

from detox_core.figures.entropy import GROUPS, entropy_chart

POINTS = pd.DataFrame(
    [
        {"variant": variant, "group": group, "step": step, "mean": 0.5, "low": 0.4, "high": 0.6, "n": 20}
        for variant in ("it", "ft")
        for group in GROUPS
        for step in range(3)
    ]
)


def test_each_variant_has_a_line_and_a_band_in_each_panel():
    figure = entropy_chart(POINTS, "bits")
    assert len(figure.data) == 2 * 2 * 3
    assert [trace.name for trace in figure.data if trace.showlegend] == ["IT", "FT"]
    assert {note.text for note in figure.layout.annotations} == set(GROUPS.values())


def test_steps_are_counted_from_one():
    assert list(entropy_chart(POINTS, "bits").data[2].x) == [1, 2, 3]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_one_group_fills_the_width(theme):
    figure = entropy_chart(POINTS[POINTS["group"] == "rest"], "bits", theme)
    assert figure.layout.xaxis.domain == (0, 1)
