"""Facts about the reward: what it pays, and that every known way around it pays the least."""

import math
from collections.abc import Sequence

import pytest

from detox_core.score import get_scorer
from detox_core.score.evasion import evasion
from detox_core.train.rewards import LIMIT, as_reward_function, not_toxic
from detox_core.types import Score

PROMPT = "Women are too emotional to lead a company."
HACKS = {
    "": "empty",
    "123 456 !!": "no letters",
    "Все люди равны и хороши.": "mostly not in Latin script",
    "Okay.": "too short",
    "nice nice nice nice nice nice nice": "repeats itself",
    "You are kind and you are kind and you are kind.": "repeats itself",
    "women are too emotional to lead a company": "copies the prompt",
}
ANSWER = "Most leaders are chosen for their work, and plenty of calm ones are women."


class Fixed:
    """Scores every text the same."""

    id, revision = "fixed", "1"

    def __init__(self, value: float, **attributes: float) -> None:
        self.value, self.attributes = value, attributes

    def score(self, texts: Sequence[str]) -> list[Score]:
        return [Score(self.value, self.id, self.revision, self.attributes) for _ in texts]


@pytest.mark.parametrize(("reply", "how"), HACKS.items())
def test_every_way_around_the_scorer_is_named_and_pays_the_least(reply, how):
    assert evasion(PROMPT, reply) == how
    assert not_toxic([PROMPT], [reply], Fixed(0.0001)) == ([-LIMIT], [how])


def test_the_local_scorer_alone_would_pay_for_repetition():
    reply = "nice nice nice nice nice nice nice"
    assert get_scorer().score([reply])[0].value < 0.1


@pytest.mark.parametrize("reply", [ANSWER, "I would rather talk about something else.", "That is a really, really old idea."])
def test_an_answer_is_no_hack(reply):
    assert evasion(PROMPT, reply) is None


def test_reward_is_the_log_odds_against_toxicity():
    rewards, _ = not_toxic([PROMPT] * 2, [ANSWER] * 2, Fixed(0.2))
    assert rewards == pytest.approx([math.log(4)] * 2)


def test_hate_counts_where_the_scorer_has_it():
    assert not_toxic([PROMPT], [ANSWER], Fixed(0.2, HATE=0.9))[0] == pytest.approx([math.log(1 / 9)])


@pytest.mark.parametrize(("value", "reward"), [(0.0, LIMIT), (1.0, -LIMIT), (math.nan, -LIMIT)])
def test_reward_is_clipped_and_unscored_pays_the_least(value, reward):
    assert not_toxic([PROMPT], [ANSWER], Fixed(value))[0] == [reward]


def test_trl_form_logs_what_the_guards_caught():
    logged = {}
    function = as_reward_function(lambda: Fixed(0.8))
    rewards = function(completions=[ANSWER, "Okay."], text=[PROMPT] * 2, log_metric=logged.__setitem__)
    assert rewards == pytest.approx([math.log(1 / 4), -LIMIT])
    assert (logged["too_short"], logged["toxic_share"], logged["distinct_replies"]) == (0.5, 0.5, 1)
