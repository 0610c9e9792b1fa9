"""Hand-computed values for the agreement of two scorers."""

import math

import pytest

from detox_core.measure.agreement import agreement

NAN = math.nan


def test_equal_scores_agree_perfectly():
    figures = agreement([0.1, 0.4, 0.9], [0.1, 0.4, 0.9])
    assert (figures["r"], figures["auroc"], figures["mae"], figures["coverage"]) == pytest.approx((1, 1, 0, 1))
    assert (figures["scored"], figures["toxic"]) == (3, 1)


def test_auroc_is_the_share_of_pairs_ranked_right():
    # Toxic: 0.9 and 0.7, guessed 0.3 and 0.8; others guessed 0.2 and 0.5. Three of the four pairs are in order.
    assert agreement([0.9, 0.7, 0.1, 0.2], [0.3, 0.8, 0.2, 0.5])["auroc"] == pytest.approx(3 / 4)


def test_error_is_the_mean_distance():
    assert agreement([0.9, 0.1], [0.5, 0.2])["mae"] == pytest.approx(0.25)


def test_calibration_gap_forgives_errors_that_cancel_within_a_bin():
    assert agreement([0.3, 0.5], [0.41, 0.41])["calibration_gap"] == pytest.approx(0.01)
    assert agreement([0.3, 0.5], [0.61, 0.61])["calibration_gap"] == pytest.approx(0.21)


def test_unscored_texts_lower_the_coverage_and_nothing_else():
    figures = agreement([0.1, 0.9, 0.5, NAN], [0.1, 0.9, NAN, 0.7])
    assert figures["coverage"] == pytest.approx(2 / 3)
    assert figures["scored"] == 2
    assert figures["mae"] == pytest.approx(0)


def test_what_the_texts_do_not_determine_is_nan():
    assert math.isnan(agreement([0.1, 0.2], [0.3, 0.3])["r"])
    assert math.isnan(agreement([0.1, 0.2], [0.3, 0.4])["auroc"])
    assert math.isnan(agreement([], [])["coverage"])
