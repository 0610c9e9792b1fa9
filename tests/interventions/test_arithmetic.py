"""Adapters added, subtracted and scaled are the same as sums of matrices."""

from dataclasses import replace

import pytest
import torch
from peft.tuners.lora import LoraLayer

from detox_core.errors import ModelError
from detox_core.interventions import arithmetic
from detox_core.interventions.protocol import Artifact, Subject
from detox_core.models.loading import load_base
from detox_core.models.mixing import PLAIN, mixed

IDS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.fixture(params=("llama", "gpt2"))
def tuned(request, changeable, make_adapter):
    """A variant with an adapter as a subject, a fresh copy of its base, and another adapter's folder."""
    _, ft = changeable[request.param]
    other = make_adapter(request.param, ft.base, 9)
    subject, copy = Subject(load_base(*ft.base_key), ft), load_base(*ft.base_key)
    for base in (subject.base, copy):
        base.attach(ft.adapter)
        base.attach(other)
    return subject, copy, other


@torch.inference_mode()
def logits(base, adapter: str | None) -> torch.Tensor:
    with mixed(base.model, [base.attach(adapter)]):
        return base.model(IDS).logits


def merged(base, weights: dict[str, float]) -> torch.Tensor:
    """Logits of the base with weight x scaling B A of each adapter added to its matrices."""
    for layer in base.model.modules():
        if isinstance(layer, LoraLayer):
            for folder, weight in weights.items():
                layer.get_base_layer().weight.data += weight * layer.get_delta_weight(base.attach(folder)).detach()
    return logits(base, None)


def test_ext_sub_is_subtraction_of_what_the_toxic_training_added(tuned):
    subject, copy, toxic = tuned
    with arithmetic.ext_sub(subject, Artifact({}, {}, {"toxic": toxic}), 0.4):
        found = logits(subject.base, subject.variant.adapter)
    expected = merged(copy, {subject.variant.adapter: 1 + 0.4, toxic: -0.4})  # own - 0.4 (toxic - own)
    assert torch.allclose(found, expected, atol=1e-3)


def test_ext_sub_of_a_plain_variant_subtracts_the_whole_adapter(tuned):
    subject, copy, toxic = tuned
    plain = Subject(subject.base, replace(subject.variant, adapter=None))
    with arithmetic.ext_sub(plain, Artifact({}, {}, {"toxic": toxic}), 0.4):
        found = logits(subject.base, None)
    assert torch.allclose(found, merged(copy, {toxic: -0.4}), atol=1e-3)


def test_sgeat_at_one_is_the_adapter_it_trained(tuned):
    subject, copy, made = tuned
    with arithmetic.sgeat(subject, Artifact({}, {}, {"own": made}), 1.0):
        found = logits(subject.base, subject.variant.adapter)
    assert torch.allclose(found, logits(copy, made), atol=1e-3)


def test_sgeat_at_a_half_is_half_way(tuned):
    subject, copy, made = tuned
    with arithmetic.sgeat(subject, Artifact({}, {}, {"own": made}), 0.5):
        found = logits(subject.base, subject.variant.adapter)
    assert torch.allclose(found, merged(copy, {subject.variant.adapter: 0.5, made: 0.5}), atol=1e-3)


def test_fade_at_one_switches_the_adapter_off(tuned):
    subject, _, _ = tuned
    with arithmetic.fade(subject, Artifact({}, {}, {}), 1.0):
        assert torch.equal(logits(subject.base, subject.variant.adapter), logits(subject.base, None))


@pytest.mark.parametrize(("strength", "left"), [(0.5, 0.5), (-0.5, 1.5)])
def test_fade_scales_the_adapter(tuned, strength, left):
    subject, copy, _ = tuned
    with arithmetic.fade(subject, Artifact({}, {}, {}), strength):
        found = logits(subject.base, subject.variant.adapter)
    assert torch.allclose(found, merged(copy, {subject.variant.adapter: left}), atol=1e-3)


def test_fade_leaves_a_plain_variant_alone(tuned):
    subject, _, _ = tuned
    before = logits(subject.base, None)
    with arithmetic.fade(Subject(subject.base, replace(subject.variant, adapter=None)), Artifact({}, {}, {}), 1.0):
        assert subject.base.attach(None) == PLAIN
        assert torch.equal(logits(subject.base, None), before)


def test_contexts_within_each_other_multiply_and_the_way_back_is_exact(tuned):
    subject, copy, _ = tuned
    own, nothing = subject.variant.adapter, Artifact({}, {}, {})
    before = logits(subject.base, own)
    with arithmetic.fade(subject, nothing, 0.5):
        half = logits(subject.base, own)
        with arithmetic.fade(subject, nothing, 0.5):
            quarter = logits(subject.base, own)
        with pytest.raises(RuntimeError), arithmetic.fade(subject, nothing, 0.5):
            raise RuntimeError
        assert torch.equal(logits(subject.base, own), half)
    assert torch.allclose(quarter, merged(copy, {own: 0.25}), atol=1e-3)
    assert torch.equal(logits(subject.base, own), before)


def test_what_is_no_plain_product_is_refused_in_words(gpt2, make_adapter):
    it, _, base = gpt2
    subject = Subject(base, replace(it, adapter=make_adapter("gpt2", it.base, 7, use_dora=True)))
    with pytest.raises(ModelError, match="product of two small matrices"), arithmetic.fade(subject, Artifact({}, {}, {}), 1.0):
        pass
