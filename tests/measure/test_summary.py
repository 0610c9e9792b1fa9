"""A measurement as one document."""

import pytest

from detox_core.measure.measurement import Settings
from detox_core.measure.report import Measured
from detox_core.measure.summary import summary
from detox_core.types import Decoding, Generation, Prompt, Score, Variant

SETTINGS = Settings("some/file.csv", 24, (Variant("it", "IT", "x"),), Decoding(seed=4), {"s": "1", "t": "2"}, {})


def measured(number: int) -> Measured:
    toxic = number % 2 == 0
    prompt = Prompt(str(number), "?", toxic, part="small" if number < 9 else "large", target="women" if number < 10 else "")
    reply = Generation("it", 0, "a b c", score=Score(0.9 if toxic else 0.1, "s", "1"))
    return Measured(prompt, (reply,), Score(number / 24, "s", "1"), {"t": (Score(0.9, "t", "2"),)})


ROWS = [measured(number) for number in range(24)]


def test_classes_are_those_of_the_data_set_and_of_the_scorer():
    found = summary(SETTINGS, ROWS)
    assert (found["dataset"], found["seed"], found["samples"], found["prompts"]) == ("some/file.csv", 4, 1, 24)
    assert {name: part["prompts"] for name, part in found["classes"].items()} == {"toxic": 12, "harmless": 12, "P>.5": 11}
    assert found["classes"]["toxic"]["variants"]["it"]["toxic_share"]["value"] == 1
    assert found["variants"]["it"]["toxic_share"]["value"] == pytest.approx(0.5)


def test_groups_need_ten_prompts():
    found = summary(SETTINGS, ROWS)
    assert {name: part["prompts"] for name, part in found["parts"].items()} == {"large": 15}
    assert {name: part["prompts"] for name, part in found["targets"].items()} == {"women": 10}


def test_every_further_scorer_has_its_metrics_and_its_disagreement():
    found = summary(SETTINGS, ROWS)["others"]["t"]
    assert found["variants"]["it"]["toxic_share"]["value"] == 1
    assert (found["disagreement"]["share"], found["disagreement"]["only_second"]) == (0.5, 12)
