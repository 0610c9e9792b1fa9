"""Facts about gradient attribution: equal to Inseq and to finite differences, and nothing is left behind."""

import threading

import numpy as np
import pytest
import torch

from detox_core.errors import BadInput, ModelError
from detox_core.explain.attribution import PORTION, Reading, attribute, explainable
from detox_core.explain.measures import shares
from detox_core.explain.oracle import by_inseq
from detox_core.models.loading import LoadedBase, load_base
from detox_core.models.mixing import PLAIN
from detox_core.models.variants import FAMILY

PROMPT, ANSWER = tuple(range(5, 14)), tuple(range(20, 20 + PORTION + 5))  # more than one portion
READING = Reading(PLAIN, PROMPT, ANSWER)


@pytest.fixture
def loaded(each_family) -> LoadedBase:
    """A tiny random model of each architecture, in fp32."""
    return load_base(each_family[0].base, "float32")


@pytest.mark.parametrize(
    ("method", "target", "function"),
    [
        ("input_x_gradient", "probability", "probability"),
        ("input_x_gradient", "logit", "logit"),
        ("saliency", "probability", "probability"),
    ],
)
def test_equal_to_inseq(loaded, method, target, function):
    ours, oracle = attribute(loaded, READING, method, target), by_inseq(loaded, READING, method, function)
    assert np.abs(ours - oracle).max() / oracle.max() < 1e-5


def test_matrix_has_a_row_per_token_and_nothing_from_the_future(loaded):
    scores = attribute(loaded, READING)
    assert scores.shape == (len(PROMPT) + len(ANSWER), len(ANSWER))
    rows, columns = np.indices(scores.shape)
    past = rows < len(PROMPT) + columns
    assert (scores[past] > 0).all()
    assert (scores[~past] == 0).all()


def test_log_probability_is_the_gradient_of_the_probability_over_it(loaded):
    probability = attribute(loaded, READING, target="probability")
    log_probability = attribute(loaded, READING, target="log_probability")
    with torch.inference_mode():
        logits = loaded.model(torch.tensor([[*PROMPT, *ANSWER]])).logits[0, len(PROMPT) - 1 : -1]
    p = logits.softmax(-1)[range(len(ANSWER)), ANSWER].numpy()
    assert log_probability * p == pytest.approx(probability, rel=1e-3, abs=1e-9)


def test_contrast_with_itself_is_zero(loaded):
    assert attribute(loaded, Reading(PLAIN, PROMPT, ANSWER, ANSWER), target="contrast").max() == 0


def test_integrated_gradients_reports_every_pass(loaded):
    told: list[tuple[int, int]] = []
    short = Reading(PLAIN, PROMPT, ANSWER[:2])
    scores = attribute(loaded, short, "integrated_gradients", on_progress=lambda *now: told.append(now))
    assert told[-1] == (50, 50)
    assert np.isfinite(scores).all()


def test_stopping_ends_it_and_leaves_the_model_as_it_was(loaded):
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        attribute(loaded, READING, stop=stop)
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())


@pytest.mark.parametrize("reading", [Reading(PLAIN, (), ANSWER), Reading(PLAIN, PROMPT, ())])
def test_nothing_to_explain_is_a_sentence(loaded, reading):
    with pytest.raises(BadInput, match="nothing to explain"):
        attribute(loaded, reading)


def test_text_beyond_the_context_is_a_sentence(loaded):
    with pytest.raises(BadInput, match="reads at most"):
        attribute(loaded, Reading(PLAIN, PROMPT * 100, ANSWER))


def test_contrast_without_alternatives_is_a_sentence(loaded):
    with pytest.raises(BadInput, match="needs one other token"):
        attribute(loaded, READING, target="contrast")


def test_one_token_prompt_and_answer(loaded):
    assert attribute(loaded, Reading(PLAIN, PROMPT[:1], ANSWER[:1])).shape == (2, 1)


def test_adapters_give_other_scores_and_failures_leave_nothing_behind(family):
    base = load_base(family[0].base, "float32")
    names = [base.attach(variant.adapter) for variant in family]
    matrices = [attribute(base, Reading(name, PROMPT, ANSWER)) for name in names]
    assert not np.allclose(matrices[0], matrices[1])
    before = (base.model.active_adapter, base.model.training, [p.requires_grad for p in base.model.parameters()])
    with pytest.raises(ZeroDivisionError), explainable(base, names[1]):
        raise ZeroDivisionError
    assert (base.model.active_adapter, base.model.training, [p.requires_grad for p in base.model.parameters()]) == before
    assert attribute(base, Reading(names[0], PROMPT, ANSWER)) == pytest.approx(matrices[0], abs=1e-9)


def test_model_without_gradients_is_a_sentence_and_left_as_it_was(loaded):
    def cut(_module, arguments, options):
        return arguments, {**options, "inputs_embeds": options["inputs_embeds"].detach()}

    handle = loaded.model.register_forward_pre_hook(cut, with_kwargs=True)
    before = [parameter.requires_grad for parameter in loaded.model.parameters()]
    with pytest.raises(ModelError, match="take no gradient"):
        attribute(loaded, READING)
    handle.remove()
    assert [parameter.requires_grad for parameter in loaded.model.parameters()] == before
    assert not loaded.model.training
    assert attribute(loaded, READING).any()


@pytest.mark.parametrize(("dtype", "bits"), [("bfloat16", None), ("float32", "8bit"), ("float32", "4bit")])
def test_coarser_weights_are_explained_much_alike(dtype, bits):
    reading = Reading(PLAIN, tuple(range(300, 312)), tuple(range(400, 406)))
    exact, coarse = (shares(attribute(load_base(FAMILY[0].base, *how), reading)) for how in (("float32",), (dtype, bits)))
    assert coarse.sum(0) == pytest.approx(np.ones(6), abs=1e-5)
    assert np.corrcoef(exact.ravel(), coarse.ravel())[0, 1] > 0.9
