"""Guidance with a negative prompt, by hand and on tiny random models."""

import pytest
import torch

from detox_core.errors import BadInput
from detox_core.generate import generate
from detox_core.interventions.applying import applied
from detox_core.interventions.following import following
from detox_core.interventions.guidance import NEGATIVE, Guidance, guided
from detox_core.interventions.protocol import Row, Subject
from detox_core.models.mixing import mixed
from detox_core.models.variants import changed
from detox_core.types import Decoding

GREEDY = Decoding(temperature=0, max_new_tokens=6)


def test_probabilities_move_away_from_those_under_the_negative_prompt():
    own, negative = torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.25, 0.25, 0.5]])
    found = guided(own.log() + 3.0, negative.log() - 2.0, 1.0).softmax(-1)
    weights = torch.tensor([[0.5 * 2, 0.25 * 1, 0.25 * 0.5]])  # p (p / n)
    assert torch.allclose(found, weights / weights.sum())


def test_what_is_ruled_out_before_stays_ruled_out():
    own = torch.tensor([[0.0, 1.0, -torch.inf]])
    assert guided(own, torch.zeros(1, 3), 2.0)[0, 2] == -torch.inf


def test_the_negative_prompt_is_read_by_the_same_variant_in_the_same_format(gpt2):
    _, ft, base = gpt2
    subject = Subject(base, ft)
    row = Row("They are bad.", tuple(subject.ids("They are bad.")[0]))
    own = torch.randn(1, base.model.config.vocab_size)
    found = Guidance(subject, [row], 1.0)(torch.tensor([row.ids]), own)
    ids = subject.ids(f"{NEGATIVE}They are bad.")[0]
    with mixed(base.model, [subject.adapter]), torch.inference_mode():
        negative = base.model(torch.tensor([ids])).logits[:, -1]
    assert torch.allclose(found, guided(own, negative, 1.0), atol=1e-4)


def test_a_reply_that_outgrows_the_context_of_the_negative_prompt_is_refused_in_words(gpt2):
    it, _, base = gpt2
    on = changed(it, (("guidance", 1.0),))
    with pytest.raises(BadInput, match=r"longer than the 160 tokens that the model reads. Shorten"):
        generate(base, "so " * 45, [on], GREEDY)


def test_a_follower_says_that_it_reads_and_only_then(gpt2):
    it, _, base = gpt2
    seen = []
    handle = base.model.get_output_embeddings().register_forward_hook(lambda *_: seen.append(following()))
    try:
        with applied(base, changed(it, (("guidance", 1.0),))) as patch:
            row = Row("Hi", tuple(Subject(base, it).ids("Hi")[0]))
            patch.steer([row])(torch.tensor([row.ids]), torch.zeros(1, base.model.config.vocab_size))
        base.model(torch.tensor([row.ids]))
    finally:
        handle.remove()
    assert seen == [True, False]
