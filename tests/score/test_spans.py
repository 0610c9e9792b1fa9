"""Facts about the words that carry a score."""

import math
import re
from collections.abc import Sequence

import pytest

from detox_core.score import get_scorer
from detox_core.score.spans import MAX_MARKED, MAX_WORDS, toxic_words
from detox_core.types import Score


class Additive:
    """Log-odds of a text = bias + the weights of its words, so leaving a word out costs exactly its weight."""

    id, revision = "additive", "1"

    def __init__(self, bias: float = 0.0, **weights: float) -> None:
        self.bias, self.weights, self.calls = bias, weights, 0

    def score(self, texts: Sequence[str]) -> list[Score]:
        self.calls += 1
        return [self._one(re.findall(r"[\w'-]+", text.lower())) for text in texts]

    def _one(self, words: list[str]) -> Score:
        if not words:
            return Score(math.nan, self.id, self.revision, reason="empty")
        log_odds = self.bias + sum(self.weights.get(word, 0.0) for word in words)
        return Score(1 / (1 + math.exp(-log_odds)), self.id, self.revision)


def marked(text: str, scorer, **options) -> dict[str, float]:
    return {text[span.start : span.end]: span.weight for span in toxic_words(text, scorer, **options)}


def test_word_that_is_harmless_by_itself_is_not_marked():
    scorer = Additive(-2, women=0.8, idiots=3)
    assert set(marked("Women are idiots", scorer)) == {"idiots"}
    assert marked("Women women women", Additive(-2, women=0.8)) == {}


def test_weight_is_the_fall_of_the_log_odds():
    scorer = Additive(-2, stupid=2, idiot=3)
    assert marked("Have a nice day, you stupid idiot.", scorer) == pytest.approx({"stupid": 2, "idiot": 3})


def test_only_as_many_words_as_needed_are_marked():
    # Without "idiot" the log-odds are -1.5, a probability of 0.18: no longer toxic.
    assert marked("You boring idiot", Additive(-2, idiot=4, boring=0.5)) == pytest.approx({"idiot": 4})


def test_lower_threshold_marks_more():
    assert set(marked("You boring idiot", Additive(-2, idiot=4, boring=0.5), threshold=0.15)) == {"idiot", "boring"}


def test_insults_that_stand_in_for_each_other_are_both_marked():
    class Either(Additive):
        def _one(self, words):
            found = len({"moron", "idiot"} & set(words))
            return Score((0.1, 0.8, 0.9)[found], self.id, self.revision)

    assert set(marked("You moron, you idiot", Either())) == {"moron", "idiot"}


def test_no_more_than_eight_words_are_marked():
    words = [f"bad{number}" for number in range(12)]
    assert len(marked(" ".join(words), Additive(**dict.fromkeys(words, 1.0)))) == MAX_MARKED


def test_word_that_lowers_the_score_is_not_marked():
    assert set(marked("You lovely idiot", Additive(-2, idiot=4, lovely=-1))) == {"idiot"}


def test_spans_come_in_order_of_appearance():
    text = "Idiot, you stupid moron"
    spans = toxic_words(text, Additive(-2, idiot=2, stupid=3, moron=2.5))
    assert [text[span.start : span.end] for span in spans] == ["Idiot", "stupid", "moron"]


def test_repeated_word_is_marked_at_each_place():
    text = "idiot, idiot"
    assert [(span.start, span.end) for span in toxic_words(text, Additive(idiot=2))] == [(0, 5), (7, 12)]


@pytest.mark.parametrize("word", ["don't", "half-wit", "naïf"])
def test_offsets_enclose_the_whole_word(word):
    assert set(marked(f"Café: you «{word}»!", Additive(**{word: 3}))) == {word}


def test_text_of_which_nothing_is_left_counts_as_harmless():
    # Probabilities are clipped to 0.0001, log-odds of -9.21.
    assert marked("Idiot!", Additive(idiot=2)) == pytest.approx({"Idiot": 11.21}, abs=0.01)


def test_certain_score_has_finite_weights():
    assert all(math.isfinite(weight) for weight in marked("You idiot", Additive(idiot=500)).values())


def test_text_up_to_the_threshold_costs_one_call_and_has_no_spans():
    scorer = Additive(-3, idiot=2)
    value = scorer.score(["You idiot"])[0].value
    assert toxic_words("You idiot", scorer, threshold=value) == ()
    assert scorer.calls == 2
    assert set(marked("You idiot", scorer, threshold=value - 1e-6)) == {"idiot"}


@pytest.mark.parametrize("text", ["", "!?", "word " * MAX_WORDS + "idiot"])
def test_unscored_and_very_long_texts_have_no_spans(text):
    assert toxic_words(text, Additive(idiot=3)) == ()


def test_longest_text_with_spans_has_150_words():
    assert set(marked("word " * (MAX_WORDS - 1) + "idiot", Additive(idiot=3))) == {"idiot"}


def test_local_scorer_marks_the_insults_of_a_mixed_sentence():
    found = marked("Have a nice day, you stupid idiot.", get_scorer("local"))
    assert found
    assert set(found) <= {"stupid", "idiot"}


def test_local_scorer_marks_nothing_in_clean_text():
    assert toxic_words("Have a lovely day, my friend.", get_scorer("local")) == ()
