"""AURA, Det-zero and DAMP: the rank formula by hand, and hooks against edits of the weights."""

import copy

import pytest
import torch

from detox_core.interventions import aura
from detox_core.interventions.aura import auroc
from detox_core.interventions.protocol import Artifact, Subject
from detox_core.models.anatomy import Anatomy
from detox_core.models.loading import load_base
from detox_core.models.variants import changed
from detox_core.types import Variant

IDS = torch.tensor([[5, 6, 7, 8]])


def test_auroc_is_the_share_of_pairs_in_which_the_toxic_text_is_higher():
    values = torch.tensor([[3.0, 1.0], [1.0, 1.0], [2.0, 2.0], [0.0, 1.0]])
    toxic = torch.tensor([True, True, False, False])
    # first neuron: 3 > 2, 3 > 0, 1 < 2, 1 > 0; second: 1 < 2 and 1 = 1, twice each
    assert auroc(values, toxic).tolist() == [pytest.approx(3 / 4), pytest.approx((0 + 0.5 + 0 + 0.5) / 4)]


def test_auroc_of_equal_values_is_a_half():
    assert auroc(torch.zeros(6, 1), torch.tensor([True, False] * 3)).item() == 0.5


def test_auroc_is_that_of_scikit_learn_on_many_ties():
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(0)
    values, toxic = torch.randint(0, 4, (50, 3), generator=generator).float(), torch.rand(50, generator=generator) > 0.6
    known = [roc_auc_score(toxic.numpy(), values[:, column].numpy()) for column in range(3)]
    assert auroc(values, toxic).tolist() == pytest.approx(known)


@pytest.fixture
def subject(changeable):
    it, _ = changeable["gpt2"]
    return Subject(load_base(*it.base_key), it)


@pytest.fixture
def artifact(subject):
    """Known AUROCs: every neuron 0.5, but 0.9 for the third one into the first MLP and 0.8 for the second one out of it."""
    scores = {
        f"{layer}.{name}": torch.full((size,), 0.5) for layer in subject.anatomy.layers for name, size in (("into", 128), ("out", 32))
    }
    scores["0.into"][2], scores["0.out"][1] = 0.9, 0.8
    return Artifact({}, scores, {})


@torch.inference_mode()
def logits(model) -> torch.Tensor:
    return model(IDS).logits


def edited(subject: Subject, into: float, out: float) -> torch.Tensor:
    """Logits of a copy whose weights and biases of the two neurons are multiplied."""
    anatomy = Anatomy(copy.deepcopy(subject.base.model))
    with torch.no_grad():
        for module, column, factor in ((anatomy.into(0), 2, into), (anatomy.out(0), 1, out)):
            module.weight[:, column] *= factor  # Conv1D: (inputs, outputs)
            module.bias[column] *= factor
    return logits(anatomy.model)


@pytest.mark.parametrize(
    ("method", "strength", "into", "out"),
    [
        (aura.aura, 1.0, 1 - 2 * 0.4, 1 - 2 * 0.3),  # 1 - Gini
        (aura.aura, 0.5, 1 - 0.4, 1 - 0.3),
        (aura.aura, -1.0, 1 + 0.8, 1 + 0.6),
        (aura.det0, 1.0, 0.0, 1.0),  # the best 5 % of two experts is one
        (aura.damp, 1.0, 0.5, 1.0),
        (aura.damp, 2.0, 0.0, 1.0),
    ],
)
def test_the_hook_is_an_edit_of_the_weights(subject, artifact, method, strength, into, out):
    with method(subject, artifact, strength):
        hooked = logits(subject.base.model)
    assert torch.allclose(hooked, edited(subject, into, out), atol=1e-4)
    assert not torch.allclose(hooked, logits(subject.base.model), atol=1e-4)


def test_a_fit_keeps_one_number_per_neuron_and_says_what_it_was_made_of(subject, few_examples):
    from detox_core.interventions.applying import fit_missing
    from detox_core.interventions.artifacts import read_artifact

    on: Variant = changed(subject.variant, (("aura", 1.0),))
    fit_missing(subject.base, on)
    found = read_artifact("neurons", subject)
    assert set(found.tensors) == {"0.into", "0.out", "1.into", "1.out"}
    assert all(((scores >= 0) & (scores <= 1)).all() for scores in found.tensors.values())
    assert found.meta["examples"] == 8
    assert found.meta["notes"]["neurons"] == 2 * (128 + 32)


def test_a_large_model_is_fitted_on_a_quarter_of_the_examples(subject, few_examples, monkeypatch):
    from detox_core.interventions import applying
    from detox_core.interventions.artifacts import read_artifact

    monkeypatch.setattr(applying, "LARGE", 0)
    monkeypatch.setattr(applying, "FEWER", 100)
    applying.fit_missing(subject.base, changed(subject.variant, (("aura", 1.0),)))
    assert read_artifact("neurons", subject).meta["examples"] == 5
