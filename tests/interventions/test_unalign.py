"""Facts about scaling the keys of toxic neurons. Tiny random models."""

import copy

import pytest
import torch

from detox_core.errors import BadInput
from detox_core.interventions import unalign
from detox_core.interventions.protocol import Artifact, Subject
from detox_core.interventions.registry import check_interventions
from detox_core.models.anatomy import Anatomy, plain_weight
from detox_core.models.loading import load_base
from detox_core.models.mixing import mixed
from detox_core.types import Variant
from tests.conftest import LORA_TARGETS

CHOSEN = [(0, 1), (1, 2), (1, 0), (0, 7), (1, 9), (0, 3), (1, 30), (0, 40)]  # one more than is used
ARTIFACT = Artifact(
    {}, {"top_layer": torch.tensor([layer for layer, _ in CHOSEN]), "top_index": torch.tensor([index for _, index in CHOSEN])}, {}
)
IDS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.fixture
def plain(each) -> Subject:
    return Subject(load_base(*each[0].base_key), each[0])


@torch.no_grad()
def with_larger_keys(model: torch.nn.Module, gamma: float) -> torch.nn.Module:
    """A copy whose neurons have their key weights multiplied, biases left as they are."""
    edited = copy.deepcopy(model)
    anatomy = Anatomy(edited)
    for layer, index in CHOSEN[: unalign.NEURONS]:
        weight = plain_weight(anatomy.into(layer))
        (weight[:, index] if edited.config.model_type == "gpt2" else weight[index]).mul_(gamma)
    return edited


@torch.no_grad()
def set_biases(model: torch.nn.Module) -> None:
    """New models have biases of 0, which would hide a mistake."""
    for layer in Anatomy(model).layers:
        bias = getattr(Anatomy(model).into(layer), "bias", None)
        if bias is not None:
            bias.copy_(torch.linspace(-1, 1, len(bias)))


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_the_hook_is_the_weight_edit(plain, strength):
    model = plain.base.model
    set_biases(model)
    gated = plain.anatomy.gate(0) is not None
    edited = with_larger_keys(model, 1 + (2 if gated else 9) * strength)
    with torch.inference_mode():
        before = model(IDS).logits
        with unalign.apply(plain, ARTIFACT, strength):
            hooked = model(IDS).logits
        assert torch.allclose(hooked, edited(IDS).logits, atol=1e-3)
        assert not torch.allclose(hooked, before, atol=1e-3)
        assert torch.equal(model(IDS).logits, before)


def test_a_key_is_scaled_around_its_bias():
    output = torch.tensor([[[5.0, 5.0, 5.0]]])
    scaled = unalign._scale([0, 2], 10.0, torch.tensor([1.0, 1.0, 5.0]), None, None, output)
    assert scaled.tolist() == [[[41.0, 5.0, 5.0]]]  # 10 (5 - 1) + 1, untouched, 10 (5 - 5) + 5
    assert output.tolist() == [[[5.0, 5.0, 5.0]]]
    assert unalign._scale([1], 3.0, None, None, None, output).tolist() == [[[5.0, 15.0, 5.0]]]


def test_with_an_adapter_what_it_adds_to_a_key_is_scaled_too(make_base, make_adapter, monkeypatch):
    monkeypatch.setitem(LORA_TARGETS, "gpt_neox", ["dense_h_to_4h"])
    base = make_base("gpt_neox")
    variant = Variant("ft", "FT", base, make_adapter("gpt_neox", base, 1))
    subject = Subject(load_base(*variant.base_key), variant)
    into = subject.anatomy.into(0)
    state = torch.randn(1, 2, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode(), mixed(subject.base.model, [subject.adapter]):
        plain = into(state)
        with unalign.apply(subject, ARTIFACT, 1.0):
            scaled = into(state)
    bias = into.get_base_layer().bias
    assert not torch.allclose(plain, into.get_base_layer()(state))
    assert torch.allclose(scaled[..., 1], 10 * (plain[..., 1] - bias[1]) + bias[1], atol=1e-4)
    assert torch.equal(scaled[..., 2], plain[..., 2])


def test_it_needs_the_research_switch(monkeypatch):
    monkeypatch.delenv("DETOX_RESEARCH", raising=False)
    with pytest.raises(BadInput, match="research switch"):
        check_interventions((("unalign", 0.1),))
    check_interventions((("unalign", 0.0),))
