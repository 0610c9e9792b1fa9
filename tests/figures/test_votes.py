"""The chart of the votes."""

from detox_core.audience.tallies import tally
from detox_core.figures.votes import votes_chart
from detox_core.types import Variant, Vote


def test_bars_are_the_shares_with_counts_and_intervals():
    variants = (Variant("it", "IT", "x"), Variant("ft", "FT", "x"))
    table = tally([Vote("v", "b", None, "ft", "A", "")], variants)
    (bar,) = votes_chart(table, "dark").data
    assert list(bar.x) == [0, 1]
    assert list(bar.y) == ["IT: <b>0</b>", "FT: <b>1</b>"]
    assert list(bar.error_x.array) == list(table["high"] - table["share"])
