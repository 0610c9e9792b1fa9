"""Facts about the second scorer."""

import math

import numpy as np
import pytest

from detox_core.errors import ScorerError
from detox_core.score import get_scorer
from detox_core.score import linear as module
from detox_core.score.linear import FEATURES, Linear, features, second


def test_features_are_two_unit_vectors_side_by_side():
    row = features(["you are kind"])
    assert row.shape == (1, 2 * FEATURES)
    assert (row[:, :FEATURES].power(2).sum(), row[:, FEATURES:].power(2).sum()) == pytest.approx((1, 1))


def test_score_is_the_sigmoid_of_bias_and_weights():
    assert Linear(np.zeros(2 * FEATURES), 1.0, "r").score(["kind"])[0].value == pytest.approx(1 / (1 + math.exp(-1)))


def test_insult_is_above_a_friendly_sentence():
    insult, friendly = get_scorer("second").score(["You are a stupid idiot.", "Have a lovely day, my friend."])
    assert insult.value > 0.5 > friendly.value


def test_unscored_text_is_nan_with_reason():
    scores = second().score(["", "123", "fine"])
    assert [score.reason for score in scores] == ["empty", "no letters", None]
    assert [score.scored for score in scores] == [False, False, True]


def test_scores_carry_another_id_than_the_local_scorer():
    assert (get_scorer("second").id, get_scorer("local").id) == ("second", "local")


def test_missing_file_says_how_to_restore_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SECOND_SCORER", tmp_path)
    with pytest.raises(ScorerError, match="Restore it with: git checkout"):
        second()
