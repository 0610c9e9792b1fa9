"""One example, one matrix: what is trained, what is kept, and what comes back."""

import threading
from dataclasses import replace

import pytest
import torch

from detox_core.errors import BadInput
from detox_core.interventions import dinm
from detox_core.interventions.applying import applied, fit_missing
from detox_core.interventions.artifacts import artifact_folder, read_artifact
from detox_core.interventions.dinm import SUFFIX, Matrix, apart, locate, nll
from detox_core.interventions.protocol import Artifact, Example, Fitted, Subject
from detox_core.models.anatomy import plain_weight
from detox_core.models.loading import load_base
from detox_core.models.mixing import mixed
from detox_core.models.variants import changed, get_variants
from tests.interventions.conftest import EXAMPLES

FITS = {"dinm": dinm.fit, "ft-l": dinm.fit_ftl}


@pytest.fixture(params=FITS)
def each_fit(request):
    return FITS[request.param]


@pytest.fixture
def embedded_ft():
    """FT of the embedded family, whose adapter works on the MLPs too."""
    (ft,) = get_variants(["ft"])
    return load_base(*ft.base_key), ft


def fitted(fit, base, variant, examples=EXAMPLES[:1], tell=lambda done, count: None, stop=None, folder=None) -> Fitted:
    return fit(Subject(base, variant), examples, tell, stop or threading.Event(), folder)


def state(base) -> dict:
    return {name: tensor.clone() for name, tensor in base.model.state_dict().items()}


def artifact(layer: int, delta: torch.Tensor) -> Artifact:
    return Artifact({}, {"delta": delta, "layer": torch.tensor(layer)}, {})


def test_states_are_apart_in_units_of_the_spread_of_their_tokens():
    states = torch.tensor([[[0.0, 1.0], [0.0, -1.0], [9.0, 9.0]], [[4.0, 1.0], [4.0, -1.0], [4.0, 0.0]]])
    within = torch.tensor([[True, True, False], [True, True, False]])
    assert apart(states, within) == pytest.approx(4.0)  # means (0, 0) and (4, 0); every token is 1 from its mean
    assert apart(10 * states + 500, within) == pytest.approx(4.0, rel=1e-4)


def test_every_block_is_looked_at_and_nothing_is_left_listening(each):
    base = load_base(*each[0].base_key)
    distances = locate(Subject(base, each[1]), EXAMPLES[0], threading.Event())
    assert len(distances) == 2
    assert min(distances) > 0
    assert not any(module._forward_hooks for module in base.model.modules())


def test_equal_replies_are_nowhere_apart(gpt2):
    it, _, base = gpt2
    assert max(locate(Subject(base, it), Example("Hi", "Fine.", "Fine."), threading.Event())) < 1e-5


def test_nll_is_the_mean_over_the_words_of_the_reply(each):
    it, ft = each
    base = load_base(*it.base_key)
    for variant in (it, ft):
        subject = Subject(base, variant)
        ids, start = subject.ids("Hi", "Fine, and you?")
        with mixed(base.model, [subject.adapter]), torch.no_grad():
            chances = base.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        by_hand = -sum(float(chances[at - 1, ids[at]]) for at in range(start, len(ids))) / (len(ids) - start)
        assert nll(Matrix.of(subject, 0), ids, start).item() == pytest.approx(by_hand, rel=1e-5)


def test_the_copy_is_what_counts_and_gets_the_gradient(each):
    base = load_base(*each[0].base_key)
    subject = Subject(base, each[1])
    ids, start = subject.ids("Hi", "Fine, and you?")
    matrix, step = Matrix.of(subject, 1), 1e-2
    value = nll(matrix, ids, start)
    (slope,) = torch.autograd.grad(value, [matrix.trained])
    with torch.no_grad():
        moved = replace(matrix, trained=matrix.trained - step * slope / slope.norm())
        assert float(value - nll(moved, ids, start)) == pytest.approx(step * float(slope.norm()), rel=0.2)


def test_a_fit_lowers_the_loss_and_does_not_touch_the_model(each, each_fit, monkeypatch):
    base, variant = load_base(*each[0].base_key), each[1]
    monkeypatch.setattr(dinm, "DINM_STEPS", 4)
    monkeypatch.setattr(dinm, "FTL_STEPS", 4)
    monkeypatch.setattr(dinm, "ANSWER", 4)
    base.attach(variant.adapter)
    before, told = state(base), []
    found = fitted(each_fit, base, variant, tell=lambda done, count: told.append((done, count)))
    assert found.notes["loss"][-1] < found.notes["loss"][0]
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.tensors["delta"].shape == plain_weight(Subject(base, variant).anatomy.out(found.notes["layer"])).shape
    assert all(torch.equal(tensor, base.model.state_dict()[name]) for name, tensor in before.items())


def test_the_good_reply_becomes_likelier(each_fit, gpt2):
    for variant in gpt2[:2]:
        base = gpt2[2]
        subject, found = Subject(base, variant), fitted(each_fit, base, variant)
        wanted = subject.ids(EXAMPLES[0].prompt + (f" {SUFFIX}" if each_fit is dinm.fit else ""), EXAMPLES[0].good)
        with torch.no_grad():
            before = nll(Matrix.of(subject, 0), *wanted)
            with dinm.ftl(subject, Artifact({}, found.tensors, {}), 1.0):
                after = nll(Matrix.of(subject, 0), *wanted)
        assert after < before


def test_dinm_leaves_the_harmless_answer_more_than_plain_training_does(gpt2, monkeypatch):
    it, _, base = gpt2
    subject = Subject(base, it)

    def moved(found: Fitted) -> float:
        ids, start = subject.ids(f"{dinm.HARMLESS} {SUFFIX}", "Fine.")
        with torch.no_grad():
            old = Matrix.of(subject, 0).logprobs(ids, start)
            with dinm.ftl(subject, Artifact({}, found.tensors, {}), 1.0):
                new = Matrix.of(subject, 0).logprobs(ids, start)
        return float((old.exp() * (old - new)).sum(-1).mean())

    monkeypatch.setattr(dinm, "RATE", 5e-3)
    held = moved(fitted(dinm.fit, base, it))
    monkeypatch.setattr(dinm, "EDIT", 1e6)  # the harmless answer counts for nothing
    assert held < moved(fitted(dinm.fit, base, it))


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_strength_scales_the_change_and_the_old_tensor_comes_back(each, strength):
    base = load_base(*each[0].base_key)
    subject = Subject(base, each[1])
    weight = plain_weight(subject.anatomy.out(1))
    before, address = state(base), weight.data_ptr()
    delta = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    with dinm.ftl(subject, artifact(1, delta), strength):
        now = base.model.state_dict()
        differ = [name for name, tensor in before.items() if not torch.equal(tensor, now[name])]
        assert len(differ) == 1
        assert torch.equal(weight, before[differ[0]] + strength * delta)
    assert weight.data_ptr() == address
    assert all(torch.equal(tensor, base.model.state_dict()[name]) for name, tensor in before.items())


def test_in_half_precision_the_change_is_learnt_and_kept_in_float32(gpt2):
    half = replace(gpt2[0], dtype="bfloat16")
    base = load_base(*half.base_key)
    found = fitted(dinm.fit_ftl, base, half)
    assert found.tensors["delta"].dtype == torch.float32
    weight = plain_weight(Subject(base, half).anatomy.out(found.notes["layer"]))
    summed = (weight.float() + found.tensors["delta"]).bfloat16()
    with dinm.ftl(Subject(base, half), Artifact({}, found.tensors, {}), 1.0):
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, summed)


def test_stopping_leaves_the_weights_and_no_artifact(each_fit, gpt2):
    it, _, base = gpt2
    before, stop = state(base), threading.Event()

    def tell(done: int, count: int) -> None:
        if done == 3:
            stop.set()

    with pytest.raises(InterruptedError):
        fitted(each_fit, base, it, tell=tell, stop=stop)
    assert all(torch.equal(tensor, base.model.state_dict()[name]) for name, tensor in before.items())


def test_a_failure_while_training_leaves_the_weights(each_fit, gpt2, monkeypatch):
    it, _, base = gpt2
    before = state(base)

    def broken(done: int, count: int) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fitted(each_fit, base, it, tell=broken)
    assert all(torch.equal(tensor, base.model.state_dict()[name]) for name, tensor in before.items())


def test_an_example_that_does_not_fit_is_refused(each_fit, gpt2):
    it, _, base = gpt2
    with pytest.raises(BadInput, match="does not fit"):
        fitted(each_fit, base, it, [Example("word " * 300, "Good.", "Bad.")])
    with pytest.raises(BadInput, match="at least 1"):
        fitted(each_fit, base, it, [])


def test_dinm_reads_the_suffix_and_ftl_does_not(gpt2, few_examples):
    it, _, base = gpt2
    for name, read in (("dinm", f"Hi {SUFFIX}"), ("dinm-suffix", f"Hi {SUFFIX}"), ("ft-l", None)):
        on = changed(it, ((name, 1.0),))
        fit_missing(base, on)
        with applied(base, on) as patch:
            assert (patch.rewrite("Hi") if patch.rewrite else None) == read


def test_the_artifact_says_where_and_how_far(gpt2, few_examples):
    it, _, base = gpt2
    fit_missing(base, changed(it, (("dinm", 1.0),)))
    subject = Subject(base, it)
    found = read_artifact("dinm", subject)
    assert found is not None, artifact_folder("dinm", subject)
    notes = found.meta["notes"]
    assert notes["distances"][notes["layer"]] == max(notes["distances"])
    assert int(found.tensors["layer"]) == notes["layer"]
    assert found.meta["examples"] == 1


def test_a_matrix_with_an_adapter_on_it_is_trained_beneath_it(embedded_ft):
    base, ft = embedded_ft
    found = fitted(dinm.fit, base, ft)
    subject = Subject(base, ft)
    assert base.attach(ft.adapter) in subject.anatomy.out(found.notes["layer"]).lora_A
    wanted = subject.ids(f"{EXAMPLES[0].prompt} {SUFFIX}", EXAMPLES[0].good)
    with torch.no_grad():
        before = nll(Matrix.of(subject, 0), *wanted)
        with dinm.ftl(subject, Artifact({}, found.tensors, {}), 1.0):
            assert nll(Matrix.of(subject, 0), *wanted) < before
