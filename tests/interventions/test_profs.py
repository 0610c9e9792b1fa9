"""Facts about removing a toxic subspace from what MLPs write. Tiny random models."""

import copy
import threading
from pathlib import Path

import pytest
import torch

from detox_core.errors import BadInput
from detox_core.interventions import profs
from detox_core.interventions.protocol import Artifact, Subject
from detox_core.models.anatomy import Anatomy, plain_weight
from detox_core.models.loading import load_base
from detox_core.models.mixing import mixed
from tests.interventions.conftest import EXAMPLES

IDS = torch.tensor([[5, 6, 7, 8, 9]])


@pytest.fixture
def plain(each) -> Subject:
    return Subject(load_base(*each[0].base_key), each[0])


def fitted(subject: Subject, examples=EXAMPLES):
    return profs.fit(subject, examples, lambda done, count: None, threading.Event(), Path())


def states(subject: Subject, prompt: str, reply: str, layer: int) -> torch.Tensor:
    """Mean output of a block over a reply, (width,)."""
    found = []

    def listen(_module, _inputs, output):
        found.append((output if isinstance(output, torch.Tensor) else output[0])[0])

    ids, start = subject.ids(prompt, reply)
    handle = subject.anatomy.blocks[layer].register_forward_hook(listen)
    with torch.inference_mode(), mixed(subject.base.model, [subject.adapter]):
        subject.base.model(torch.tensor([ids]))
    handle.remove()
    return found[0][start:].mean(0)


def test_the_subspace_is_the_strongest_difference_without_what_good_states_share():
    good = torch.tensor([[10.0, 0.0, 0.0, 0.0], [10.0, 0.0, 0.0, 0.0], [10.0, 0.0, 0.0, 0.0]])
    bad = good - torch.tensor([[9.0, 3.0, 0.0, 0.0], [9.0, 0.0, 2.0, 0.0], [9.0, 0.0, 0.0, 1.0]])  # 9 lies on the shared axis
    basis, share = profs.subspace(good, bad)
    assert torch.allclose(basis.abs(), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), atol=1e-5)
    assert share == pytest.approx(13 / 14, abs=1e-4)  # (9 + 4) of (9 + 4 + 1)


def test_equal_replies_have_no_difference_to_share():
    good = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    assert profs.subspace(good, good)[1] == 0


def test_the_fit_is_the_subspace_of_mean_states_in_the_upper_half(plain):
    found = fitted(plain)
    assert list(found.tensors) == ["1"]  # of two layers
    good = torch.stack([states(plain, one.prompt, one.good, 1) for one in EXAMPLES])
    bad = torch.stack([states(plain, one.prompt, one.bad, 1) for one in EXAMPLES])
    basis, share = profs.subspace(good, bad)
    assert torch.allclose(found.tensors["1"] @ found.tensors["1"].T, basis @ basis.T, atol=1e-2)  # a basis has no sign
    assert found.notes["share_of_difference"]["1"] == pytest.approx(share, abs=1e-3)


def test_the_basis_is_orthonormal_and_has_no_part_in_what_good_states_share(plain):
    basis = fitted(plain).tensors["1"]
    good = torch.stack([states(plain, one.prompt, one.good, 1) for one in EXAMPLES])
    common = torch.linalg.svd(good, full_matrices=False).Vh[0]
    assert torch.allclose(basis.T @ basis, torch.eye(profs.RANK), atol=1e-5)
    assert (common @ basis).abs().max() < 1e-2


def test_strength_one_removes_the_component_exactly_and_nothing_else():
    basis = torch.linalg.qr(torch.randn(8, 2, generator=torch.Generator().manual_seed(1))).Q
    output = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(2))
    left = profs._project(basis, 1.0, None, None, output)
    assert (left @ basis).abs().max() < 1e-5
    assert torch.allclose(output - left, (output @ basis) @ basis.T, atol=1e-6)
    half = profs._project(basis, 0.5, None, None, output)
    assert torch.allclose(half @ basis, 0.5 * output @ basis, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_the_hook_is_the_weight_edit_where_the_bias_is_zero(plain, strength):
    model = plain.base.model
    found = fitted(plain).tensors
    edited = copy.deepcopy(model)
    anatomy = Anatomy(edited)
    for layer, basis in found.items():
        out = anatomy.out(int(layer))
        assert getattr(out, "bias", None) is None or not out.bias.any()  # new models: 0
        kept = torch.eye(len(basis)) - strength * basis @ basis.T
        weight = plain_weight(out)
        weight.copy_(weight @ kept if model.config.model_type == "gpt2" else kept @ weight)
    before = model(IDS).logits
    with profs.apply(plain, Artifact({}, found, {}), strength):
        hooked = model(IDS).logits
    assert torch.allclose(hooked, edited(IDS).logits, atol=1e-3)
    assert not torch.allclose(hooked, before, atol=1e-3)
    assert torch.equal(model(IDS).logits, before)


def test_a_stopped_fit_takes_its_hooks_away(gpt2):
    it, _, base = gpt2
    subject, stop = Subject(base, it), threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        profs.fit(subject, EXAMPLES, lambda done, count: None, stop, Path())
    assert not any(block._forward_hooks for block in subject.anatomy.blocks)


def test_one_example_is_too_few(gpt2):
    it, _, base = gpt2
    with pytest.raises(BadInput, match="at least 2"):
        fitted(Subject(base, it), EXAMPLES[:1])
