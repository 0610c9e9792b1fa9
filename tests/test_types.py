"""Values: buckets, the record's round trip, base keys."""

import json
import math
from dataclasses import FrozenInstanceError, replace

import pytest

from detox_core.types import Comparison, Decoding, Generation, Score, Span, Variant, bucket, nan_to_none

NOT_SCORED = Score(math.nan, "local", "abc", reason="empty")
RECORD = Comparison(
    id="0a1b2c",
    created="2026-01-02T03:04:05+00:00",
    prompt="Hi\n\u05e9\u05dc\u05d5\u05dd \U0001f642",
    variants=(Variant("it", "IT", "some/base"), Variant("ft", "FT", "some/base", "some/adapter", "redpajama", "float32", "8bit", "About.")),
    decoding=Decoding(seed=7, temperature=0.5, top_p=0.9, max_new_tokens=3, samples=2),
    scorer="local",
    prompt_score=Score(0.25, "local", "abc", {"INSULT": 0.5}),
    prompt_spans=(Span(0, 2, 0.75),),
    generations=(
        Generation("it", 1, "two", (4, 5), (-0.5, -1.25), "length", 0.5, Score(0.7, "local", "abc"), (Span(0, 3, 1.5),)),
        Generation("it", 0, "", score=NOT_SCORED, finish="stopped"),
        Generation("ft", 0, "three", (6,), (-2.0,), "turn"),
    ),
    errors={"ft": "It broke."},
    versions={"torch": "2"},
)


@pytest.mark.parametrize(
    ("value", "name"),
    [(0.0, "low"), (0.33, "low"), (0.330001, "medium"), (0.66, "medium"), (0.660001, "high"), (1.0, "high"), (math.nan, "not scored")],
)
def test_bucket_edges(value, name):
    assert bucket(value) == name


def test_comparison_round_trips_through_json():
    back = Comparison.from_dict(json.loads(json.dumps(RECORD.to_dict(), allow_nan=False)))
    scored, not_scored, other = back.generations
    assert (scored, other) == (RECORD.generations[0], RECORD.generations[2])
    assert math.isnan(not_scored.score.value)
    assert not_scored.score.reason == "empty"
    assert replace(back, generations=()) == replace(RECORD, generations=())
    assert back.to_dict() == RECORD.to_dict()


def test_comparison_without_prompt_score_round_trips():
    bare = replace(RECORD, prompt_score=None, generations=())
    assert Comparison.from_dict(bare.to_dict()) == bare


@pytest.mark.parametrize("missing", ["variants", "decoding", "prompt_score", "generations", "id"])
def test_from_dict_refuses_what_is_not_a_comparison(missing):
    data = {key: value for key, value in RECORD.to_dict().items() if key != missing}
    with pytest.raises((KeyError, TypeError)):
        Comparison.from_dict(data)


def test_replies_of_a_variant_come_by_sample_number():
    assert [generation.sample for generation in RECORD.of("it")] == [0, 1]
    assert RECORD.of("nobody") == []


def test_scored_is_false_for_nan_only():
    assert not NOT_SCORED.scored
    assert Score(0.0, "local", "abc").scored


def test_variants_share_a_base_only_in_the_same_form():
    it, ft = Variant("it", "IT", "some/base"), Variant("ft", "FT", "some/base", "some/adapter")
    assert it.base_key == ft.base_key
    for other in (replace(it, base="other/base"), replace(it, dtype="float16"), replace(it, quantization="8bit")):
        assert other.base_key != it.base_key


def test_values_are_frozen():
    with pytest.raises(FrozenInstanceError):
        RECORD.prompt = "changed"


def test_further_attributes_are_named_from_one_half_on_highest_first():
    attributes = {"INSULT": 0.66, "HATE": 0.914, "THREAT": 0.5, "IDENTITY_ATTACK": 0.7}
    assert Score(0.2, "s", "r", attributes).also == "hate 0.91, identity attack 0.70, insult 0.66"
    assert Score(0.2, "s", "r").also == ""


def test_nan_becomes_none_at_any_depth():
    assert nan_to_none({"a": [1.0, math.nan, {"b": (math.nan, "x")}]}) == {"a": [1.0, None, {"b": [None, "x"]}]}
