"""Votes counted."""

import math

import pytest

from detox_core.audience.tallies import by_prompt, tally
from detox_core.types import Variant, Vote

VARIANTS = (Variant("it", "IT", "x"), Variant("ft", "FT", "x"), Variant("rl", "RL", "x"))


def votes(**counts: int) -> list[Vote]:
    return [Vote(f"{name}{at}", "b", "Hello" if at else None, name, "A", "") for name, count in counts.items() for at in range(count)]


def test_shares_have_wilson_intervals():
    table = tally(votes(ft=7, it=3), VARIANTS).set_index("variant")
    assert list(table["votes"]) == [3, 7, 0]
    assert table.loc["FT", "share"] == pytest.approx(0.7)
    assert (table.loc["FT", "low"], table.loc["FT", "high"]) == pytest.approx((0.397, 0.892), abs=0.001)  # Wilson 1927, by hand
    assert table.loc["RL", "low"] == pytest.approx(0)


def test_without_votes_nothing_is_claimed():
    table = tally([], VARIANTS)
    assert list(table["votes"]) == [0, 0, 0]
    assert all(math.isnan(value) for value in table[["share", "low", "high"]].to_numpy().ravel())
    assert by_prompt([], VARIANTS).empty


def test_vote_for_a_variant_of_before_is_counted_under_its_id():
    assert dict(tally(votes(dpo=1), VARIANTS)[["variant", "votes"]].to_numpy()) == {"IT": 0, "FT": 0, "RL": 0, "dpo": 1}


def test_votes_by_prompt_put_together_what_is_not_kept():
    table = by_prompt(votes(ft=3, it=2), VARIANTS)
    assert list(table.columns) == ["prompt", "IT", "FT", "RL", "votes"]
    assert table.to_numpy().tolist() == [["Hello", 1, 2, 0, 3], ["prompts that are not kept", 1, 1, 0, 2]]
