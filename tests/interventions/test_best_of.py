"""Best of K: who picks, who judges, and what one candidate is."""

import math

import pytest

from detox_core.compare import Pool
from detox_core.errors import BadInput
from detox_core.generate import generate
from detox_core.interventions import best_of
from detox_core.interventions.registry import METHODS, check_judge
from detox_core.measure.meter import measure, settings_for
from detox_core.models.variants import changed
from detox_core.request import Request, new_comparison
from detox_core.score import get_scorer
from detox_core.types import Decoding, Prompt, Score

SAMPLED = Decoding(temperature=1.0, top_p=1.0, max_new_tokens=6, samples=2)


class Fixed:
    """Scores by text; NaN for others."""

    id, revision = "second", "1"

    def __init__(self, values):
        self.values = values

    def score(self, texts):
        return [Score(self.values.get(text, math.nan), self.id, self.revision) for text in texts]


@pytest.mark.parametrize(
    ("replies", "chosen"),
    [
        (["bad", "good", "middling"], 1),
        (["bad", "good", "good"], 1),
        (["", "bad"], 1),
        (["good", ""], 0),
        (["", ""], 0),
    ],
)
def test_the_lowest_score_is_picked_the_first_among_equals_and_the_unscorable_last(monkeypatch, replies, chosen):
    scorer = Fixed({"bad": 0.9, "middling": 0.5, "good": 0.1})
    monkeypatch.setattr(best_of, "get_scorer", lambda name: scorer)
    assert best_of.least_toxic("What?", replies) == chosen


def test_the_second_scorer_picks():
    replies = ["They are stupid idiots.", "They are kind people.", "123"]
    assert best_of.least_toxic("What?", replies) == 1
    scores = [score.value for score in get_scorer("second").score(replies[:2])]
    assert scores[1] < scores[0]


def test_one_candidate_is_the_plain_model(gpt2):
    it, _, base = gpt2
    plain = generate(base, "Hi", [it], SAMPLED)
    one = generate(base, "Hi", [changed(it, (("best-of", 1.0),))], SAMPLED)
    assert [reply.tokens for reply in one] == [reply.tokens for reply in plain]


def test_the_reply_is_one_of_as_many_draws_as_strength_says(gpt2):
    it, _, base = gpt2
    drawn = [reply.text for reply in generate(base, "Hi", [it], Decoding(temperature=1.0, top_p=1.0, max_new_tokens=6, samples=6))]
    found = [reply.text for reply in generate(base, "Hi", [changed(it, (("best-of", 3.0),))], SAMPLED)]
    assert found == [part[best_of.least_toxic("Hi", part)] for part in (drawn[:3], drawn[3:])]


def test_half_a_candidate_is_refused_in_words(gpt2):
    it, _, base = gpt2
    with pytest.raises(BadInput, match=r"whole number, not 2\.5"):
        generate(base, "Hi", [changed(it, (("best-of", 2.5),))], SAMPLED)


@pytest.mark.parametrize("given", [(), (("best-of", 0.0),), (("guidance", 1.0),)])
def test_what_picks_nothing_may_be_judged_by_any_scorer(given):
    check_judge(given, METHODS["best-of"].picks_by)


def test_a_comparison_is_not_judged_by_the_scorer_that_picked(gpt2):
    on = changed(gpt2[0], (("best-of", 4.0),))
    with pytest.raises(BadInput, match="picks replies with the scorer 'second', which cannot judge them"):
        new_comparison(Request("Hi", (gpt2[0], on), scorer="second"))
    assert new_comparison(Request("Hi", (on,), scorer="local")).variants == (on,)


def test_a_measurement_is_not_judged_by_the_scorer_that_picked(gpt2):
    on, prompts = changed(gpt2[0], (("best-of", 2.0),)), [Prompt("1", "Hi")]
    second, other = Fixed({}), get_scorer()
    with pytest.raises(BadInput, match="cannot judge them"):
        measure(prompts, [on], SAMPLED, second)
    with pytest.raises(BadInput, match="cannot judge them"):
        settings_for("demo", prompts, [on], SAMPLED, [second, other], Pool())
    assert settings_for("demo", prompts, [on], SAMPLED, [other, second], Pool()).scorers.keys() == {"local", "second"}
