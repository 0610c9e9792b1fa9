"""Facts about reading one answer with several variants."""

import math

import numpy as np
import pytest
import torch

from detox_core.errors import BadInput
from detox_core.explain.likelihood import ALTERNATIVES, likeliest_others, likelihood, perplexities
from detox_core.generate import generate
from detox_core.models.loading import load_base
from detox_core.types import Decoding

PROMPT, ANSWER = list(range(5, 14)), list(range(20, 27))


@pytest.fixture
def base(each_family):
    return load_base(each_family[0].base, "float32")


@pytest.fixture
def found(base, each_family):
    return likelihood(base, [base.attach(variant.adapter) for variant in each_family], PROMPT, ANSWER)


def test_first_row_is_what_the_base_alone_says(base, found, each_family):
    alone = load_base(each_family[0].base, "float32").model
    with torch.inference_mode():
        logs = alone(torch.tensor([[*PROMPT, *ANSWER]])).logits[0, len(PROMPT) - 1 : -1].log_softmax(-1)
    assert found.logprobs[0] == pytest.approx(logs[range(len(ANSWER)), ANSWER].numpy(), abs=1e-4)
    assert found.entropy[0] == pytest.approx(-(logs.exp() * logs).sum(-1).numpy(), abs=1e-4)
    assert found.top[0, :, 0].tolist() == logs.argmax(-1).tolist()


def test_adapters_read_the_same_answer_differently(found):
    assert not np.allclose(found.logprobs[0], found.logprobs[1])
    assert (found.divergence[0] == 0).all()
    assert (found.divergence[1:] > 0).all()


def test_shapes_and_bounds(found, base):
    assert found.logprobs.shape == found.entropy.shape == (3, len(ANSWER))
    assert found.top.shape == found.top_probabilities.shape == (3, len(ANSWER), ALTERNATIVES)
    assert (found.entropy <= math.log(base.model.config.vocab_size) + 1e-4).all()
    assert (np.diff(found.top_probabilities) <= 0).all()


def test_own_answer_has_the_log_probabilities_of_its_generation(family):
    base = load_base(family[0].base, "float32")
    (reply,) = generate(base, "Hi", [family[1]], Decoding(temperature=0, max_new_tokens=6))
    prompt = base.tokenizer(base.render("Hi", family[1].template), add_special_tokens=False)["input_ids"]
    found = likelihood(base, [base.attach(family[1].adapter)], prompt, reply.tokens)
    assert found.logprobs[0] == pytest.approx(reply.logprobs, abs=1e-3)


@pytest.mark.parametrize(("prompt", "answer"), [([], ANSWER), (PROMPT, []), (PROMPT * 100, ANSWER)])
def test_what_cannot_be_read_is_a_sentence(base, prompt, answer):
    with pytest.raises(BadInput, match="nothing to read|reads at most"):
        likelihood(base, [base.attach(None)], prompt, answer)


def test_perplexity_in_a_padded_batch_is_that_of_each_answer_alone(base, each_family):
    adapter = base.attach(each_family[1].adapter)
    answers = [ANSWER, ANSWER[:3], ANSWER[2:4]]
    found = perplexities(base, adapter, PROMPT, answers)
    alone = [math.exp(-likelihood(base, [adapter], PROMPT, answer).logprobs.mean()) for answer in answers]
    assert found == pytest.approx(alone, rel=1e-4)


def test_answer_that_cannot_be_read_has_no_perplexity(base):
    found = perplexities(base, "__base__", PROMPT, [[], ANSWER, [5] * base.context])
    assert [math.isnan(value) for value in found] == [True, False, True]
    assert all(math.isnan(value) for value in perplexities(base, "__base__", [], [ANSWER]))


def test_likeliest_other_token_is_never_the_written_one(base, found):
    top = [int(token) for token in found.top[0, :, 0]]
    assert likeliest_others(base, "__base__", PROMPT, ANSWER) != tuple(ANSWER)
    others = likeliest_others(base, "__base__", PROMPT, [top[0], *ANSWER[1:]])
    assert others[0] == int(found.top[0, 0, 1])
    assert others[0] != top[0]
