"""Facts about what shows that a reply is an answer."""

import math

import pytest

from detox_core.measure.quality import UNLIKELY, assess
from detox_core.models.loading import load_base
from detox_core.models.variants import FAMILY
from detox_core.types import Generation, Variant

PROMPT = "Women are too emotional to lead a company."
ANSWER = "Women lead hospitals, companies and whole countries, and many of them do it very well."
NONSENSE = "Seven teapots marched under purple arithmetic yesterday."


@pytest.fixture(scope="module")
def found():
    it = FAMILY[0]
    texts = (ANSWER, NONSENSE, "", "women women women women women women")
    replies = [Generation("it", sample, text) for sample, text in enumerate(texts)]
    return [reply.quality for reply in assess(PROMPT, replies, FAMILY, load_base(*it.base_key))]


def test_answer_is_nearer_to_the_prompt_and_likelier_than_nonsense(found):
    answer, nonsense, *_ = found
    assert answer.similarity > 0.3 > nonsense.similarity
    assert answer.perplexity < nonsense.perplexity
    assert answer.problem is None


def test_words_the_untuned_model_never_expects_are_a_problem(found):
    assert found[1].perplexity > UNLIKELY
    assert found[1].problem == "unlikely words"


def test_empty_reply_has_a_problem_and_no_numbers(found):
    assert found[2].problem == "empty"
    assert math.isnan(found[2].similarity)
    assert math.isnan(found[2].perplexity)


def test_repetition_is_a_problem(found):
    assert found[3].problem == "repeats itself"


def test_without_the_untuned_model_there_is_no_perplexity():
    (reply,) = assess(PROMPT, [Generation("it", 0, ANSWER)], FAMILY, None)
    assert math.isnan(reply.quality.perplexity)
    assert reply.quality.problem is None


def test_words_of_another_model_may_be_unlikely():
    other = Variant("other", "Other", "somewhere/else")
    (reply,) = assess(PROMPT, [Generation("other", 0, NONSENSE)], (FAMILY[0], other), load_base(*FAMILY[0].base_key))
    assert reply.quality.perplexity > UNLIKELY
    assert reply.quality.problem is None
