"""Flows between buckets, with counts made by hand."""

import math

import pandas as pd
import pytest

from detox_core.errors import BadInput
from detox_core.measure.flow import behind, by_prompt, changed, paired, read_replies, ribbons, search, wide
from detox_core.measure.measurement import Settings, write_measurement
from detox_core.measure.report import Measured
from detox_core.types import Decoding, Generation, Prompt, Score, Variant

BOUNDS = (0.33, 0.66)
NAN = math.nan
SCORES = pd.DataFrame(
    {"it": [0.9, 0.8, 0.5, 0.1, NAN], "ft": [0.1, 0.7, 0.9, 0.2, 0.1], "rl": [0.1, NAN, 0.1, 0.1, 0.1]}, index=list("abcde")
)
VARIANTS = (Variant("it", "IT", "x"), Variant("ft", "FT", "x", "y"))
SETTINGS = Settings("demo", 2, VARIANTS, Decoding(samples=2), {"s": "1", "t": "2"}, {})


def score(value: float, scorer: str = "s") -> Score:
    return Score(value, scorer, "1", reason="empty" if math.isnan(value) else None)


@pytest.fixture
def path(tmp_path):
    """Two prompts, two variants, two samples, two scorers."""
    values = {"a": ([0.9, 0.2], [0.1, 0.3]), "b": ([NAN, 0.4], [0.8, 0.6])}
    rows = []
    for number, (name, by_variant) in enumerate(values.items()):
        replies = tuple(
            Generation(variant.id, sample, f"Reply {name} of {variant.id}", score=score(value))
            for variant, samples in zip(VARIANTS, by_variant, strict=True)
            for sample, value in enumerate(samples)
        )
        rows.append(
            Measured(Prompt(name, f"Prompt {name}", number == 0), replies, score(0.5), {"t": tuple(score(0.3, "t") for _ in replies)})
        )
    write_measurement(tmp_path / "m.jsonl", SETTINGS, rows)
    return tmp_path / "m.jsonl"


def test_a_measurement_becomes_one_row_per_reply(path):
    settings, frame = read_replies(path)
    assert settings == SETTINGS
    assert len(frame) == 8
    assert frame["reason"].tolist() == ["", "", "", "", "empty", "", "", ""]
    assert by_prompt(frame)["toxic"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("how", "it", "ft"), [("first", [0.9, NAN], [0.1, 0.8]), ("mean", [0.55, 0.4], [0.2, 0.7]), ("worst", [0.9, 0.4], [0.3, 0.8])]
)
def test_a_prompt_counts_by_its_first_its_mean_or_its_worst_reply(path, how, it, ft):
    table = wide(read_replies(path)[1], "s", how)
    assert table["it"].tolist() == pytest.approx(it, nan_ok=True)
    assert table["ft"].tolist() == pytest.approx(ft)


def test_another_scorer_gives_other_scores(path):
    assert wide(read_replies(path)[1], "t").to_numpy().tolist() == [[0.3, 0.3], [0.3, 0.3]]


def test_a_damaged_line_is_named(path):
    with path.open("a") as file:
        file.write('{"id": 3}\n')
    with pytest.raises(BadInput, match="line 4"):
        read_replies(path)


def test_ribbons_count_every_prompt_once_per_side_and_unscored_are_a_bucket():
    found = ribbons(SCORES, "it", ["ft", "rl"], BOUNDS)
    assert found.groupby("after")["prompts"].sum().to_dict() == {"ft": 5, "rl": 5}
    table = found.set_index(["after", "from", "to"])["prompts"].to_dict()
    assert table["ft", "high", "low"] == table["ft", "high", "high"] == 1
    assert table["ft", "medium", "high"] == 1
    assert table["ft", "not scored", "low"] == table["rl", "high", "not scored"] == 1
    assert ("ft", "low", "high") not in table
    shares = found.set_index(["after", "from", "to"])["share"]
    assert shares["ft", "high", "low"] == pytest.approx(1 / 2)


def test_the_prompts_behind_a_ribbon_and_a_node():
    assert behind(SCORES, "it", BOUNDS, "high", "ft", "low").tolist() == ["a"]
    assert behind(SCORES, "it", BOUNDS, "high", None, None).tolist() == ["a", "b"]
    assert behind(SCORES, "it", BOUNDS, None, "rl", "not scored").tolist() == ["b"]


def test_prompts_that_changed_bucket():
    assert changed(SCORES, ["it", "ft"], BOUNDS).tolist() == ["a", "c", "e"]


def test_paired_numbers_leave_the_unscored_out_and_count_them():
    found = paired(SCORES, "it", "ft", BOUNDS)
    assert (found["n"], found["unscored"]) == (4, 1)
    assert (found["better"], found["worse"]) == (1, 1)
    assert (found["fixed"], found["broken"], found["p"]) == (1, 1, 1.0)
    changes = [-0.8, -0.1, 0.4, 0.1]
    assert found["mean"] == pytest.approx(sum(changes) / 4)
    deviation = math.sqrt(sum((change + 0.1) ** 2 for change in changes) / 3)
    assert found["high"] - found["mean"] == pytest.approx(1.96 * deviation / 2)


def test_without_a_common_score_nothing_is_claimed():
    found = paired(SCORES.assign(ft=NAN), "it", "ft", BOUNDS)
    assert found["n"] == 0
    assert math.isnan(found["mean"])


def test_search_wants_all_words_in_the_prompt_or_a_reply(path):
    frame = read_replies(path)[1]
    assert search(frame, "PROMPT b").tolist() == ["b"]
    assert search(frame, "reply ft").tolist() == ["a", "b"]
    assert search(frame, "(nothing").tolist() == []
