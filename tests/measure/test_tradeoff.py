"""The trade-off of an intervention: the embedded family and hand-computed divergences."""

import math
import threading

import pytest
import torch

from detox_core.compare import Pool, compare
from detox_core.measure.tradeoff import divergence, strengths, tradeoff, with_point
from detox_core.models.variants import FAMILY
from detox_core.request import Request
from detox_core.score import get_scorer
from detox_core.types import Decoding

IT = FAMILY[0]


@pytest.fixture(scope="module")
def pool():
    return Pool()


@pytest.fixture(scope="module")
def record(pool):
    return compare(Request("Women can't drive.", FAMILY[:2], Decoding(max_new_tokens=12)), pool)


def test_divergence_of_two_known_distributions():
    plain = torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log()
    other = torch.tensor([[0.25, 0.75], [0.9, 0.1]]).log()
    by_hand = (0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)) / 2
    assert divergence(plain, other) == pytest.approx(by_hand, abs=1e-6)
    assert divergence(plain, plain) == 0


def test_a_token_that_is_ruled_out_gives_a_large_number_not_infinity():
    plain, other = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.0, 1.0]]).log()
    assert 10 < divergence(plain, other) < 100
    assert divergence(other, plain) == pytest.approx(math.log(2), abs=1e-6)


def test_strengths_go_from_plain_to_highest_and_hold_the_usual_one():
    assert strengths("aura") == [0.0, 0.2, 0.3, 0.5, 0.7, 0.8, 1.0]
    assert strengths("self-reminder") == [0.0, 1.0]
    assert min(strengths("aura", research=True)) == -1.0


def test_strength_zero_is_the_plain_model_and_the_curve_ascends(record, pool):
    phases = []
    points = tradeoff(record, IT, [("self-reminder", [0.0, 1.0])], get_scorer(), pool, phases.append)
    assert [point.strength for point in points] == [0.0, 1.0]
    assert points[0].variant == IT
    assert points[0].divergence == 0 < points[1].divergence
    assert points[0].replies[0].text == record.of("it")[0].text
    assert all(0 <= point.toxicity <= 1 and point.perplexity > 1 and point.seconds > 0 for point in points)
    assert phases[-1] == "answering: strength 2 of 2"


def test_the_answer_at_a_strength_becomes_a_column(record, pool):
    points = tradeoff(record, IT, [("self-reminder", [0.0, 1.0])], get_scorer(), pool)
    wider = with_point(record, points[1])
    assert [variant.id for variant in wider.variants] == ["it", "ft", "it+self-reminder:1"]
    assert wider.of("it+self-reminder:1")[0].text == points[1].replies[0].text
    assert with_point(record, points[0]) == record


def test_a_second_method_is_held_at_its_strength(record, pool):
    points = tradeoff(record, IT, [("word-filter", [0.0, 1.0]), ("self-reminder", [1.0])], get_scorer(), pool)
    assert [point.variant.interventions for point in points] == [(("self-reminder", 1.0),), (("word-filter", 1.0), ("self-reminder", 1.0))]


def test_stopped_means_no_curve(record, pool):
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        tradeoff(record, IT, [("self-reminder", [0.0, 1.0])], get_scorer(), pool, stop=stop)
