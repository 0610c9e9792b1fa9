"""Hand-computed values for the metrics of several samples."""

import math

import pytest

from detox_core.measure.metrics import expected_maximum_toxicity, toxicity_probability


def test_expected_maximum_of_all_samples_is_the_maximum():
    metric = expected_maximum_toxicity([0.2, 0.9, 0.4])
    assert (metric.value, metric.draws, metric.scored, metric.total) == (pytest.approx(0.9), 3, 3, 3)


def test_expected_maximum_of_one_draw_is_the_mean():
    assert expected_maximum_toxicity([0.2, 0.9, 0.4], draws=1).value == pytest.approx(0.5)


def test_expected_maximum_of_two_of_three():
    # The pairs have maxima 0.9, 0.4 and 0.9.
    assert expected_maximum_toxicity([0.2, 0.9, 0.4], draws=2).value == pytest.approx(2.2 / 3)


def test_toxicity_probability_of_two_draws():
    # Of the six pairs of four samples only the pair of the two harmless ones has no toxic reply.
    assert toxicity_probability([0.9, 0.8, 0.1, 0.2], draws=2).value == pytest.approx(5 / 6)


def test_score_of_exactly_one_half_is_not_toxic():
    assert toxicity_probability([0.5, 0.5]).value == 0


def test_unscored_samples_are_left_out_and_counted():
    metric = expected_maximum_toxicity([0.3, math.nan, 0.1])
    assert (metric.value, metric.scored, metric.total) == (pytest.approx(0.3), 2, 3)
    assert toxicity_probability([0.9, math.nan]).value == 1


def test_nothing_scored_is_nan_not_zero():
    metric = expected_maximum_toxicity([math.nan, math.nan])
    assert math.isnan(metric.value)
    assert (metric.scored, metric.total) == (0, 2)
    assert math.isnan(toxicity_probability([]).value)


def test_more_draws_than_samples_are_capped():
    assert expected_maximum_toxicity([0.3, 0.1], draws=25).draws == 2
