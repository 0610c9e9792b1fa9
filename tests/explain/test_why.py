"""Facts about explaining a whole comparison."""

import threading

import pytest

from detox_core.compare import Pool, compare
from detox_core.errors import BadInput
from detox_core.explain.why import why
from detox_core.request import Request
from detox_core.types import Decoding


@pytest.fixture
def pool() -> Pool:
    return Pool()


@pytest.fixture
def record(family, tuned, fake_scorer, pool):
    return compare(Request("hi there", (*family, tuned), Decoding(max_new_tokens=6)), pool)


def test_every_variant_explains_its_own_answer(record, pool):
    found = why(record, pool.get)
    assert not found.errors
    assert {name: explanation.answer_of for name, explanation in found.explanations.items()} == {v.id: v.id for v in record.variants}
    for variant in record.variants:
        assert found.explanations[variant.id].matrix.shape[1] == len(record.of(variant.id)[0].tokens)


def test_likelihood_has_a_row_for_every_variant_of_the_same_base(record, pool):
    found = why(record, pool.get)
    assert found.readers == {"it": ("it", "ft", "rl"), "ft": ("it", "ft", "rl"), "rl": ("it", "ft", "rl"), "full": ("full",)}
    reply = record.of("ft")[0]
    assert found.likelihoods["ft"].logprobs[1] == pytest.approx(reply.logprobs, abs=1e-3)


def test_all_explain_the_answer_of_one_and_another_tokenizer_says_why_not(record, pool):
    found = why(record, pool.get, answer_of="it")
    assert {explanation.answer_of for explanation in found.explanations.values()} == {"it"}
    assert set(found.explanations) == {"it", "ft", "rl"}
    assert "it can explain its own answer only" in found.errors["full"]


def test_answer_that_is_not_there_is_a_sentence(record, pool):
    with pytest.raises(BadInput, match="no answer of 'dpo'"):
        why(record, pool.get, answer_of="dpo")


def test_stopped_explaining_is_interrupted(record, pool):
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        why(record, pool.get, stop=stop)
