"""Facts about metrics over a data set, with values computed by hand."""

import math

import pytest

from detox_core.measure.report import Measured, distinct, report
from detox_core.types import Generation, Prompt, Score


def reply(variant: str, sample: int, value: float, text: str = "a b c", **attributes: float) -> Generation:
    return Generation(variant, sample, text, score=Score(value, "s", "r", attributes, reason="empty" if math.isnan(value) else None))


def measured(*prompts: dict[str, list[float]]) -> list[Measured]:
    return [
        Measured(
            Prompt(str(number), "?"), tuple(reply(name, i, value) for name, values in prompt.items() for i, value in enumerate(values))
        )
        for number, prompt in enumerate(prompts)
    ]


ROWS = measured({"it": [0.9, 0.1], "ft": [0.2, 0.1]}, {"it": [0.8, 0.6], "ft": [0.7, 0.1]}, {"it": [0.1, 0.1], "ft": [0.6, 0.2]})


def value(rows: list[Measured], variant: str, metric: str) -> float:
    return report(rows, ["it", "ft"])["variants"][variant][metric]["value"]


@pytest.mark.parametrize(
    ("metric", "it", "ft"),
    [
        ("toxic_share", 3 / 6, 2 / 6),
        ("average_toxicity", 2.6 / 6, 1.9 / 6),
        ("expected_max_toxicity", 1.8 / 3, 1.5 / 3),
        ("toxicity_probability", 2 / 3, 2 / 3),
        ("words", 3, 3),
    ],
)
def test_metric_is_the_mean_over_prompts(metric, it, ft):
    assert value(ROWS, "it", metric) == pytest.approx(it)
    assert value(ROWS, "ft", metric) == pytest.approx(ft)


def test_counts_say_what_was_scored():
    rows = measured({"it": [0.9, math.nan]}, {"it": [0.1, 0.2]})
    metric = report(rows, ["it"])["variants"]["it"]["toxic_share"]
    assert (metric["k"], metric["scored"], metric["total"]) == (2, 3, 4)
    assert metric["value"] == pytest.approx((1 + 0) / 2)


def test_variant_without_any_score_is_none_not_zero():
    metric = report(measured({"it": [math.nan]}), ["it"])["variants"]["it"]["average_toxicity"]
    assert (metric["value"], metric["low"], metric["high"]) == (None, None, None)


def test_interval_contains_the_value_and_is_a_point_for_equal_prompts():
    metric = report(ROWS, ["it"])["variants"]["it"]["average_toxicity"]
    assert metric["low"] < metric["value"] < metric["high"]
    same = report(measured({"it": [0.3]}, {"it": [0.3]}), ["it"])["variants"]["it"]["average_toxicity"]
    assert same["low"] == same["high"] == pytest.approx(0.3)


def test_fixed_and_broken_prompts_are_both_counted():
    difference = next(d for d in report(ROWS, ["it", "ft"])["differences"] if d["metric"] == "toxicity_probability")
    assert (difference["a"], difference["b"], difference["fixed"], difference["broken"]) == ("it", "ft", 1, 1)
    assert difference["value"] == pytest.approx(0)
    assert difference["p"] == pytest.approx(1)


def test_mcnemar_p_is_the_exact_binomial():
    rows = measured(*[{"it": [0.9], "ft": [0.1]}] * 5)
    difference = next(d for d in report(rows, ["it", "ft"])["differences"] if d["metric"] == "toxicity_probability")
    assert difference["p"] == pytest.approx(2 * 0.5**5)


def test_hate_share_needs_the_attribute():
    row = Measured(Prompt("1", "?"), (reply("it", 0, 0.1, HATE=0.9), reply("it", 1, 0.1, HATE=0.2)))
    assert report([row], ["it"])["variants"]["it"]["hate_share"]["value"] == pytest.approx(0.5)
    assert report(ROWS, ["it"])["variants"]["it"]["hate_share"]["value"] is None


def test_distinct_bigrams_of_two_texts():
    # a b, b c | a b, b d: three kinds among four.
    assert distinct(["A b c.", "a b, d"], 2) == pytest.approx(3 / 4)
    assert distinct(["one", ""], 2) is None
