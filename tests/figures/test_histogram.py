"""The histogram of scores in numbers."""

import math

from detox_core.figures.histogram import score_counts


def test_every_scored_row_is_counted_once_in_its_bar_and_unscored_ones_are_not():
    table = score_counts([0.0, 0.04, 0.5, 1.0, math.nan], [True, False, True, False, False])
    assert (table["kept"].sum(), table["dropped"].sum()) == (2, 2)
    first, last = table.iloc[0], table.iloc[-1]
    assert (first["from"], first["to"], first["kept"], first["dropped"]) == (0, 0.05, 1, 1)
    assert (last["to"], last["kept"], last["dropped"]) == (1, 0, 1)
    assert table.set_index("from").loc[0.5, "kept"] == 1
