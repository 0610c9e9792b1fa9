"""Facts about the probe, the value vectors closest to it, and the subtraction of a direction. Tiny random models."""

import math
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from detox_core.errors import BadInput
from detox_core.interventions import subtract
from detox_core.interventions.applying import applied, fit
from detox_core.interventions.protocol import Artifact, Subject, labelled
from detox_core.interventions.registry import check_interventions
from detox_core.models.loading import load_base
from detox_core.models.mixing import mixed
from tests.interventions.conftest import EXAMPLES

TEXTS, TOXIC = labelled(EXAMPLES)


@pytest.fixture
def subject(each) -> Subject:
    return Subject(load_base(*each[0].base_key), each[1])


@pytest.fixture
def small(gpt2) -> Subject:
    it, _, base = gpt2
    return Subject(base, it)


def fitted(subject: Subject, examples=EXAMPLES):
    return subtract.fit(subject, examples, lambda done, count: None, threading.Event(), Path())


@torch.inference_mode()
def last_residual(subject: Subject, ids: list[int]) -> torch.Tensor:
    """After the last block, (tokens, width)."""
    found = []

    def listen(_module, _inputs, output):
        found.append((output if isinstance(output, torch.Tensor) else output[0])[0].clone())

    handle = subject.anatomy.blocks[-1].register_forward_hook(listen)
    with mixed(subject.base.model, [subject.adapter]):
        subject.base.model(torch.tensor([ids]))
    handle.remove()
    return found[0]


def test_the_fit_has_unit_directions_on_the_side_of_the_probe(subject):
    found = fitted(subject).tensors
    width = subject.base.model.config.hidden_size
    for name in ("w", "value", "svd"):
        assert found[name].shape == (width,)
        assert float(found[name].norm()) == pytest.approx(1, abs=1e-5)
        assert float(found[name] @ found["w"]) > 0
    assert len(found["top_layer"]) == len(found["top_index"]) == len(found["top_cosine"]) == subtract.LEAST


def test_residuals_are_means_over_the_reply_and_their_norm(subject):
    means, norm = subtract.residuals(subject, TEXTS[:3], lambda done, count: None, threading.Event())
    norms = []
    for (prompt, reply), mean in zip(TEXTS[:3], means, strict=True):
        ids, start = subject.ids(prompt, reply)
        states = last_residual(subject, ids)[start:]
        assert torch.allclose(mean, states.mean(0), atol=1e-4)
        norms += states.norm(dim=1).tolist()
    assert norm == pytest.approx(sum(norms) / len(norms), rel=1e-4)


def test_the_last_residual_is_before_the_last_norm(subject):
    ids, _ = subject.ids(*TEXTS[0])
    with torch.inference_mode(), mixed(subject.base.model, [subject.adapter]):
        logits = subject.base.model(torch.tensor([ids])).logits[0]
        read = subject.anatomy.model.get_output_embeddings()(subject.anatomy.norm(last_residual(subject, ids)))
    assert torch.allclose(read, logits, atol=1e-4)


def test_the_probe_points_to_toxic_and_its_offset_is_left_out():
    toxic = torch.arange(40) % 2 == 0
    states = torch.full((40, 3), 7.0) + 0.01 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    states[toxic, 1] += 2.0  # the two kinds differ in one coordinate, far from the origin
    w, notes = subtract.probe(states[:30], toxic[:30], states[30:], toxic[30:])
    assert float(w.norm()) == pytest.approx(1)
    assert float(w[1]) > 0.99
    assert notes == {"probe_accuracy": 1.0, "probe_auroc": 1.0, "held_out": 10}


def test_the_probe_is_the_same_direction_at_any_scale_of_the_model():
    made = torch.Generator().manual_seed(1)
    states, toxic = torch.randn(40, 6, generator=made), torch.arange(40) % 2 == 0
    one, _ = subtract.probe(states[:30], toxic[:30], states[30:], toxic[30:])
    large, _ = subtract.probe(1000 * states[:30], toxic[:30], 1000 * states[30:], toxic[30:])
    assert torch.allclose(one, large, atol=1e-3)


def test_the_probe_is_tested_on_examples_it_has_not_seen(small, monkeypatch):
    seen = {}
    real = subtract.probe

    def watched(train, toxic, held, held_toxic):
        seen.update(train=len(train), held=held_toxic.tolist())
        return real(train, toxic, held, held_toxic)

    monkeypatch.setattr(subtract, "probe", watched)
    notes = fitted(small).notes
    assert seen == {"train": 12, "held": [True, False, True, False]}  # two of eight examples
    assert notes["held_out"] == 4


def test_the_closest_value_vectors_are_those_of_highest_cosine(subject):
    anatomy = subject.anatomy
    aim = torch.nn.functional.normalize(anatomy.value_vectors(1)[5].detach().float(), dim=0)
    layers, indices, cosines = subtract.closest(anatomy, aim)
    assert (layers[0], indices[0]) == (1, 5)
    assert float(cosines[0]) == pytest.approx(1, abs=1e-5)
    every = torch.cat([torch.nn.functional.cosine_similarity(anatomy.value_vectors(layer), aim, dim=1) for layer in anatomy.layers])
    assert torch.allclose(cosines, every.sort(descending=True).values[: len(cosines)], atol=1e-5)


def test_a_value_vector_is_what_one_switched_on_neuron_adds_to_the_output(subject):
    out, layer, neuron = subject.anatomy.out(1), 1, 3
    some = torch.zeros(1, 1, len(subject.anatomy.value_vectors(layer)))
    on = some.clone()
    on[..., neuron] = 1.0
    with torch.inference_mode(), mixed(subject.base.model, ["__base__"]):
        added = (out(on) - out(some))[0, 0]
    assert torch.allclose(added, subject.anatomy.value_vectors(layer)[neuron], atol=1e-5)


def test_svd_direction_points_to_toxic():
    vectors = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [5.0, 0.0, 0.0]])  # normalised, the first axis counts twice
    for sign in (1.0, -1.0):
        rows = subtract.singular(vectors, torch.tensor([sign, 0.1, 0.0]))
        assert torch.allclose(rows[0], torch.tensor([sign, 0.0, 0.0]), atol=1e-6)
        assert torch.allclose(rows[1], torch.tensor([0.0, 1.0, 0.0]), atol=1e-6)


def test_every_singular_direction_is_on_the_side_of_the_probe():
    made = torch.Generator().manual_seed(3)
    vectors, w = torch.randn(8, 12, generator=made), torch.randn(12, generator=made)
    rows = subtract.singular(vectors, w)
    assert ((rows @ w) >= 0).all()
    assert torch.allclose(rows @ rows.T, torch.eye(8), atol=1e-5)


@pytest.mark.parametrize(("method", "name"), [("subtract", "w"), ("subtract-value", "value"), ("subtract-svd", "svd")])
def test_strength_moves_the_last_residual_by_so_many_shifts(method, name, each, few_examples, monkeypatch):
    monkeypatch.setenv("DETOX_RESEARCH", "1")
    base = load_base(*each[0].base_key)
    plain = Subject(base, each[1])
    artifact = fit(base, each[1], "probe", lambda what, done, count: None, threading.Event())
    ids, _ = plain.ids(*TEXTS[0])
    before = last_residual(plain, ids)
    for strength in (0.5, 2.0, -1.0):
        with applied(base, replace(each[1], interventions=((method, strength),))):
            moved = last_residual(plain, ids) - before
        shift = strength * artifact.tensors["scale"] * artifact.tensors[name]
        assert torch.allclose(moved, -shift.expand_as(moved), atol=1e-3)


def test_strength_one_is_a_share_of_the_mean_residual(small):
    found = fitted(small)
    norm = subtract.residuals(small, TEXTS, lambda done, count: None, threading.Event())[1]
    assert float(found.tensors["scale"]) == pytest.approx(subtract.SHIFT * norm, rel=1e-5)
    assert found.notes["shift"] == pytest.approx(subtract.SHIFT * norm, abs=1e-3)


def test_a_gpt2_whose_last_mlp_bias_is_shifted_gives_the_same(gpt2):
    it, _, base = gpt2
    subject = Subject(base, it)
    artifact = Artifact({}, fitted(subject).tensors, {})
    ids, _ = subject.ids(*TEXTS[0])
    with subtract.subtract(subject, artifact, 1.5):
        hooked = last_residual(subject, ids)
    bias = subject.anatomy.out(1).bias
    kept = bias.detach().clone()
    with torch.no_grad():
        bias -= 1.5 * artifact.tensors["scale"] * artifact.tensors["w"]
        edited = last_residual(subject, ids)
        bias.copy_(kept)
    assert torch.allclose(hooked, edited, atol=1e-4)


def test_a_stopped_fit_takes_its_hook_away(small):
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        subtract.fit(small, EXAMPLES, lambda done, count: None, stop, Path())
    assert not small.anatomy.blocks[-1]._forward_hooks


def test_one_example_is_too_few(small):
    with pytest.raises(BadInput, match="at least 2"):
        fitted(small, EXAMPLES[:1])


def test_two_examples_are_enough(small):
    assert math.isfinite(float(fitted(small, EXAMPLES[:2]).tensors["scale"]))


def test_adding_the_direction_needs_the_research_switch(monkeypatch):
    monkeypatch.delenv("DETOX_RESEARCH", raising=False)
    for method in ("subtract", "subtract-value", "subtract-svd"):
        check_interventions(((method, 1.0),))
        with pytest.raises(BadInput, match="research switch"):
            check_interventions(((method, -0.5),))
