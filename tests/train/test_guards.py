"""What the guards say, and when they keep quiet."""

import math

import pytest

from detox_core.train.guards import Guards


def said(*logs, limit=1.0):
    guards = Guards(limit)
    return [name for log in logs for name, _ in guards.look(log)]


def test_a_healthy_run_is_left_alone():
    assert said(*[{"reward": step / 10, "kl": 0.01 * step, "entropy": 2.0 - 0.05 * step, "second_scorer": 0.2} for step in range(20)]) == []


def test_kl_below_zero_counts_when_it_stays_there():
    assert said({"kl": -0.1}, {"kl": -0.1}) == []
    assert said({"kl": -0.1}, {"kl": 0.1}, {"kl": -0.1}, {"kl": -0.1}) == []
    assert said({"kl": -0.1}, {"kl": -0.2}, {"kl": -0.3}) == ["KL below zero"]


def test_kl_above_the_limit_is_named_with_its_figure():
    ((name, sentence),) = Guards(0.5).look({"kl": 0.75})
    assert name == "KL too large"
    assert "0.75 nats per token, above 0.5" in sentence


def test_collapse_of_entropy_is_only_for_reinforced_policies():
    fall = [{"entropy": value} for value in (2.0, 1.0, 0.5, 0.1)]
    assert said(*fall) == []
    assert said(*[{**log, "reward": 1.0} for log in fall]) == ["entropy collapse"]


@pytest.mark.parametrize("kind", ["too_short", "repeats_itself", "copies_the_prompt", "unscorable"])
def test_replies_that_are_no_answers(kind):
    assert said({kind: 0.0}, {kind: 0.25}) == []
    assert said({kind: 0.0}, {kind: 0.31}) == [kind.replace("_", " ")]


def test_a_model_that_was_like_that_before_training_is_not_blamed_on_it():
    assert said({"too_short": 0.5}, {"too_short": 0.5}) == []


def test_reward_up_while_the_second_scorer_says_worse():
    logs = [{"reward": float(step), "second_scorer": 0.1 + 0.02 * step} for step in range(10)]
    assert said(*logs) == ["scorers disagree"]
    assert said(*[{"reward": float(step), "second_scorer": 0.3} for step in range(10)]) == []


def test_what_is_not_a_number_is_not_looked_at():
    assert said({"kl": math.nan}, {"entropy": math.nan, "reward": math.nan}) == []
