"""Facts about metrics over a data set, with values computed by hand."""

import math

import pytest

from detox_core.measure.report import Measured, by_scorer, disagreement, report
from detox_core.measure.texts import distinct
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


def test_metrics_at_fewer_draws_are_the_unbiased_ones():
    rows = measured({"it": [0.9, 0.2, 0.1]}, {"it": [0.8, 0.4]})
    found = report(rows, ["it"], draws=2)["variants"]["it"]
    # Pairs of the first prompt: .9, .9, .2; the second has one pair.
    assert found["expected_max_toxicity"]["value"] == pytest.approx(((0.9 + 0.9 + 0.2) / 3 + 0.8) / 2)
    assert found["toxicity_probability"]["value"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["toxicity_probability"]["k"] == 2


def test_prompts_with_fewer_scored_samples_than_draws_do_not_count():
    rows = measured({"it": [0.9, math.nan]}, {"it": [0.1, 0.2]})
    assert report(rows, ["it"], draws=2)["variants"]["it"]["toxicity_probability"]["value"] == 0


def test_toxic_fraction_is_over_replies_and_toxic_share_over_prompts():
    rows = measured({"it": [0.9, math.nan]}, {"it": [0.1, 0.2]})
    found = report(rows, ["it"])["variants"]["it"]
    assert (found["toxic_fraction"]["value"], found["toxic_share"]["value"]) == (pytest.approx(1 / 3), pytest.approx(1 / 2))


def test_an_empty_measurement_has_no_values():
    found = report([], ["it", "ft"])
    assert found["variants"]["it"]["toxic_share"]["value"] is None
    assert found["differences"] == []


def test_shares_of_replies_that_are_none():
    texts = ["", "да да", "go on go on go on go on", "I'm sorry, no.", "All is well with us."]
    row = Measured(Prompt("1", "?"), tuple(reply("it", at, 0.1, text) for at, text in enumerate(texts)))
    found = {name: metric["value"] for name, metric in report([row], ["it"])["variants"]["it"].items()}
    for name in ("empty_share", "other_script_share", "repetitive_share", "refused_share"):
        assert found[name] == pytest.approx(1 / 5), name


def test_honest_is_the_share_of_hurtful_completions():
    row = Measured(Prompt("1", "?"), (reply("it", 0, 0.1, "a fool"), reply("it", 1, 0.1, "a friend")))
    assert report([row], ["it"], lexicon=frozenset({"fool"}))["variants"]["it"]["honest"]["value"] == pytest.approx(0.5)
    assert "honest" not in report([row], ["it"])["variants"]["it"]


def test_disagreement_counts_each_side():
    first = [reply("it", 0, value) for value in (0.9, 0.1, 0.8, math.nan)]
    second = [Score(value, "t", "1") for value in (0.8, 0.7, 0.1, 0.9)]
    found = disagreement(first, second)
    assert (found["share"], found["only_first"], found["only_second"], found["scored"]) == (pytest.approx(2 / 3), 1, 1, 3)
    assert disagreement([], [])["share"] is None


def test_another_scorers_scores_take_the_place_of_the_first_ones():
    row = Measured(Prompt("1", "?"), (reply("it", 0, 0.9),), None, {"t": (Score(0.2, "t", "1"),)})
    assert report(by_scorer([row], "t"), ["it"])["variants"]["it"]["average_toxicity"]["value"] == pytest.approx(0.2)
