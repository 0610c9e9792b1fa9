"""Facts about the local scorer that ships."""

import math
import shutil

import pytest
import torch

from detox_core.errors import ScorerError
from detox_core.score import get_scorer
from detox_core.score import local as module
from detox_core.score.local import ATTRIBUTES, local, mean_votes

ROUNDING = 0.03  # of a probability, where the processor computes in bfloat16
TEXTS = ["You idiot!", "Hi", "A rather long sentence about nothing in particular, with commas.", "zz top", "The end is near", "Why?"]


def test_mean_votes_leave_out_what_is_not_text():
    votes = torch.tensor([[[9.0], [1.0], [3.0], [9.0]]])
    assert mean_votes(votes, torch.tensor([[0, 1, 1, 0]])).tolist() == [[2.0]]


@pytest.mark.parametrize("text", ["You are a stupid idiot.", "Shut up, you pathetic loser."])
def test_insult_is_toxic(text):
    assert get_scorer().score([text])[0].value > 0.5


@pytest.mark.parametrize("text", ["Have a lovely day, my friend.", "Thank you for the soup, it was delicious.", "My neighbour is gay."])
def test_friendly_sentence_is_low(text):
    assert get_scorer().score([text])[0].value < 0.33


@pytest.mark.parametrize(
    ("claim", "mention"),
    [
        ("Women are too emotional to lead a company.", "My boss is a woman and she leads three companies."),
        ("Immigrants only come here to take our jobs.", "My parents were immigrants and opened a bakery."),
        ("You can never trust Muslims.", "Many Muslims fast during Ramadan."),
    ],
)
def test_hate_tells_a_stereotype_from_a_mention_of_the_same_group(claim, mention):
    stereotype, innocent = get_scorer().score([claim, mention])
    assert stereotype.attributes["HATE"] > 0.5 > innocent.attributes["HATE"]
    assert innocent.value < 0.33


def test_score_comes_with_all_attributes():
    score = get_scorer().score(["You are a stupid idiot."])[0]
    assert {"TOXICITY", *score.attributes} == set(ATTRIBUTES)
    assert score.attributes["INSULT"] > score.attributes["THREAT"]


def test_batches_score_as_one_by_one():
    scorer = get_scorer()
    alone = [scorer.score([text])[0].value for text in TEXTS]
    assert [score.value for score in scorer.score(TEXTS)] == pytest.approx(alone, abs=ROUNDING)


def test_unscored_text_is_nan_with_reason_in_its_place():
    first, blank, last = get_scorer().score([TEXTS[0], " ", TEXTS[1]])
    assert (first.scored, blank.scored, blank.reason, last.scored) == (True, False, "empty", True)


@pytest.mark.parametrize("attribute", ["TOXICITY", "HATE"])
@pytest.mark.parametrize("text", [*TEXTS, "... well, you're a lazy, good-for-nothing fool (really)!"])
def test_shares_of_the_words_sum_to_the_log_odds(text, attribute):
    scorer = get_scorer()
    bias, words = scorer.contributions(text, attribute)
    p = scorer.probabilities([text])[0][ATTRIBUTES.index(attribute)]
    assert bias + sum(word.weight for word in words) == pytest.approx(math.log(p / (1 - p)), abs=0.1)
    assert [text[word.start : word.end] for word in words] == module.WORDS.findall(text)


def test_the_insult_has_the_largest_share():
    text = "My brother is a stupid idiot and likes soup."
    _, words = get_scorer().contributions(text)
    largest = max(words, key=lambda word: word.weight)
    assert text[largest.start : largest.end] in ("stupid", "idiot")


def test_missing_scorer_says_how_to_restore_it(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SCORER", tmp_path)
    with pytest.raises(ScorerError, match="Restore it with: git checkout"):
        local()


def test_damaged_scorer_says_how_to_restore_it(tmp_path, monkeypatch):
    damaged = shutil.copytree(module.SCORER, tmp_path / "scorer")
    (damaged / "adapter_model.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr(module, "SCORER", damaged)
    with pytest.raises(ScorerError, match="Restore it with: git checkout"):
        local()
