"""Facts about the methods of Inseq: they run on every architecture, agree with computations by hand, and leave nothing behind."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from detox_core.errors import BadInput, ModelError
from detox_core.explain.attribution import Reading
from detox_core.explain.explanation import explain
from detox_core.explain.methods import METHODS
from detox_core.explain.others import AT_ONCE, by_method, refusals, works
from detox_core.explain.untouched import HOOKS
from detox_core.explain.why import why
from detox_core.generate import generate
from detox_core.models.loading import LoadedBase, load_base
from detox_core.models.mixing import PLAIN
from detox_core.models.variants import FAMILY
from detox_core.types import Comparison, Decoding

OTHERS = [name for name, card in METHODS.items() if not card.ours]
NEED_GRADIENTS = [name for name in METHODS if name not in ("attention", "value_zeroing", "occlusion", "lime")]
REFUSED = {("falcon", "layer_gradient_x_activation")}  # its layers return several values at once
PROMPT, ANSWER = (5, 9, 7, 12), (20, 21, 22)
READING = Reading(PLAIN, PROMPT, ANSWER)


@pytest.fixture(scope="module")
def bases(families) -> dict[str, LoadedBase]:
    """A tiny random model of each architecture, in fp32; the tests leave them as they were."""
    return {architecture: load_base(family[0].base, "float32") for architecture, family in families.items()}


@pytest.fixture
def tiny(bases) -> LoadedBase:
    return bases["gpt_neox"]


@pytest.fixture(scope="module")
def embedded() -> LoadedBase:
    return load_base(FAMILY[0].base, "float32")


def state(base: LoadedBase) -> list:
    """Everything a method may change."""
    model = base.model
    modules = [(set(vars(module)), [len(getattr(module, name)) for name in HOOKS]) for module in model.modules()]
    tokenizer = base.tokenizer
    special = [getattr(model.config, name, None) for name in ("pad_token_id", "bos_token_id", "eos_token_id")]
    return [
        modules,
        special,
        model.training,
        str(getattr(model, "active_adapter", "")),
        model.config._attn_implementation,
        [parameter.requires_grad for parameter in model.parameters()],
        (tokenizer.pad_token, tokenizer.unk_token, tokenizer.padding_side, tokenizer.truncation_side),
        (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), sys.gettrace()),
    ]


def check(scores: np.ndarray, prompt: int, answer: int) -> None:
    assert scores.shape == (prompt + answer, answer)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    rows, columns = np.indices(scores.shape)
    assert (scores[rows >= prompt + columns] == 0).all()
    assert (scores.sum(0) > 0).all()


def test_cards_are_listed_without_torch():
    code = "import sys, detox_core.explain.methods; print(*sorted({'torch', 'inseq', 'transformers', 'captum'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_cards_say_everything():
    for name, card in METHODS.items():
        assert card.id == name
        assert all(text and "\n" not in text for text in (card.label, card.measures, card.cost, card.misses))


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("architecture", ["gpt_neox", "falcon", "llama", "gpt2"])
def test_every_method_on_every_architecture(bases, architecture, method):
    base = bases[architecture]
    before = state(base)
    refused = works(base, method)
    if (architecture, method) in REFUSED:
        assert refused.startswith(f"{METHODS[method].label} does not work with this model: ")
        with pytest.raises(ModelError, match="does not work with this model"):
            by_method(base, READING, method)
    else:
        assert refused is None
        check(by_method(base, READING, method), len(PROMPT), len(ANSWER))
    assert state(base) == before


@pytest.mark.parametrize("method", OTHERS)
def test_every_method_on_the_embedded_family(embedded, method):
    matrices = []
    for variant in FAMILY[:2]:
        (reply,) = generate(embedded, "You are weak.", [variant], Decoding(temperature=0, max_new_tokens=3))
        if method == "discretized_integrated_gradients":  # slow: two tokens of prompt show as much
            matrix = by_method(embedded, Reading(embedded.attach(variant.adapter), (70, 71), reply.tokens), method)
            check(matrix, 2, len(reply.tokens))
            return
        explanation = explain(embedded, variant, "You are weak.", reply, method)
        assert explanation.method == method
        check(explanation.matrix.astype(np.float32), explanation.prompt, len(reply.tokens))
        matrices.append(explanation.matrix[: explanation.prompt, 0])
    assert not np.allclose(*matrices)  # the adapter was on


@pytest.mark.parametrize("target", ["probability", "log_probability", "logit", "contrast"])
def test_occlusion_is_the_change_without_a_token(tiny, target):
    instead = (30, 31, 32)
    scores = by_method(tiny, Reading(PLAIN, PROMPT, ANSWER, instead), "occlusion", target)

    def value(embeddings: torch.Tensor, place: int) -> torch.Tensor:
        logits = tiny.model(inputs_embeds=embeddings).logits[0, -1]
        logs = logits.log_softmax(-1)[ANSWER[place]]
        return {
            "probability": logs.exp(),
            "log_probability": logs,
            "logit": logits[ANSWER[place]],
            "contrast": logits[ANSWER[place]] - logits[instead[place]],
        }[target]

    expected = np.zeros_like(scores)
    with torch.inference_mode():
        for place in range(len(ANSWER)):
            ids = torch.tensor([[*PROMPT, *ANSWER[:place]]])
            whole = tiny.model.get_input_embeddings()(ids)
            for row in range(ids.shape[1]):
                hidden = whole.clone()
                hidden[0, row] = 0
                expected[row, place] = abs(value(whole, place) - value(hidden, place))
    assert scores == pytest.approx(expected, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("architecture", ["gpt_neox", "falcon", "llama", "gpt2"])
def test_attention_is_the_mean_over_heads_and_layers(families, bases, architecture):
    from transformers import AutoModelForCausalLM

    scores = by_method(bases[architecture], READING, "attention")
    model = AutoModelForCausalLM.from_pretrained(families[architecture][0].base, attn_implementation="eager").eval()
    with torch.inference_mode():
        weights = torch.stack(model(torch.tensor([[*PROMPT, *ANSWER]]), output_attentions=True).attentions)[:, 0].mean((0, 1)).numpy()
    for place in range(len(ANSWER)):
        end = len(PROMPT) + place
        assert scores[:end, place] == pytest.approx(weights[end - 1, :end], abs=1e-5)


def test_value_zeroing_is_how_far_the_state_turns(bases):
    base = bases["llama"]
    scores = by_method(base, READING, "value_zeroing")
    ids = torch.tensor([[*PROMPT, *ANSWER]])
    expected = np.zeros_like(scores)
    for number, layer in enumerate(base.model.model.layers):

        def state_without(row: int | None, number=number, layer=layer) -> torch.Tensor:
            def zero(_module, _args, values):
                return values * (torch.arange(values.shape[1]) != (-1 if row is None else row))[:, None]

            handle = layer.self_attn.v_proj.register_forward_hook(zero)
            with torch.inference_mode():
                states = base.model(ids, output_hidden_states=True).hidden_states[number + 1][0]
            handle.remove()
            return states

        clean = state_without(None)
        turned = torch.stack([1 - torch.cosine_similarity(clean, state_without(row), dim=-1) for row in range(ids.shape[1])]).numpy()
        for place in range(len(ANSWER)):
            end = len(PROMPT) + place
            expected[:end, place] += turned[:end, end - 1] / turned[:end, end - 1].sum() / len(base.model.model.layers)
    assert scores == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", ["lime", "gradient_shap"])
def test_random_methods_repeat_themselves(tiny, method):
    assert (by_method(tiny, READING, method) == by_method(tiny, READING, method)).all()


def test_lime_finds_the_tokens_of_a_linear_model(tiny, monkeypatch):
    """Each token that is there adds its number to the target."""
    effects = torch.tensor([0.1, 0.4, 0.2, 0.3])

    def linear(*_args, inputs_embeds, **_options):
        there = (inputs_embeds.abs().sum(-1) > 0).float()
        logits = torch.zeros(len(inputs_embeds), 1, tiny.model.config.vocab_size)
        logits[:, 0, ANSWER[0]] = (there * effects).sum(-1)
        return type("Output", (), {"logits": logits})()

    monkeypatch.setattr(tiny.model, "forward", linear)
    scores = by_method(tiny, Reading(PLAIN, PROMPT, ANSWER[:1]), "lime", "logit")
    assert scores[:4, 0] == pytest.approx(effects.numpy(), rel=0.05)


@pytest.mark.parametrize("method", OTHERS)
def test_stopped_in_the_middle_leaves_the_model_as_it_was(tiny, method):
    before, stop, told = state(tiny), threading.Event(), []

    def progress(done: int, count: int) -> None:
        told.append((done, count))
        stop.set()

    if method in AT_ONCE:  # stops between passes, and nothing is told before the end
        stop.set()
    with pytest.raises(InterruptedError):
        by_method(tiny, READING, method, on_progress=progress, stop=stop)
    assert told == ([] if method in AT_ONCE else [(1, len(ANSWER))])
    assert state(tiny) == before


@pytest.mark.parametrize("error", [RuntimeError, ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("method", OTHERS)
def test_failure_in_the_middle_leaves_the_model_as_it_was(tiny, method, error, monkeypatch):
    before, layer = state(tiny), tiny.model.gpt_neox.layers[-1]
    whole, passes = type(layer).forward, []

    def broken(self, *args, **options):
        passes.append(1)
        if self is layer and len(passes) > (1 if method == "attention" else 2):  # which has one pass, of two layers
            raise error("broken")
        return whole(self, *args, **options)

    monkeypatch.setattr(type(layer), "forward", broken)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else ModelError):
        by_method(tiny, Reading(PLAIN, PROMPT, ANSWER * 2), method)
    assert state(tiny) == before


def test_failure_with_an_adapter_leaves_it_as_it_was(family, monkeypatch):
    base = load_base(family[0].base, "float32")
    first, second = (base.attach(variant.adapter) for variant in family[1:])
    base.model.set_adapter(first)
    before = state(base)
    monkeypatch.setattr(type(base.model.get_base_model().gpt_neox.layers[-1]), "forward", lambda *_args, **_options: 1 / 0)
    with pytest.raises(ModelError, match="Occlusion does not work with this model: division by zero"):
        by_method(base, Reading(second, PROMPT, ANSWER), "occlusion")
    assert state(base) == before


@pytest.mark.parametrize("method", METHODS)
def test_model_whose_embeddings_take_no_gradient_says_so(family, method):
    base = load_base(family[0].base, "float32")
    cut = base.model.gpt_neox.layers[0].register_forward_hook(lambda _module, _args, output: output.detach())
    last = base.model.gpt_neox.layers[-1].register_forward_hook(lambda _module, _args, output: output.detach())
    found = works(base, method)
    assert works(base, method) == found
    assert (found is not None) == (method in NEED_GRADIENTS)
    assert found is None or "gradient" in found
    cut.remove()
    last.remove()
    assert works(base, method) == found  # asked once per loaded model
    assert works(load_base(family[0].base, "float32"), method) is None


def test_progress_is_told_for_every_token(tiny):
    told: list[tuple[int, int]] = []
    by_method(tiny, READING, "deeplift", on_progress=lambda *now: told.append(now))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("method", ["saliency", "reagent", ""])
def test_method_that_is_not_there_is_a_sentence(tiny, method):
    with pytest.raises(BadInput, match="There is no method"):
        by_method(tiny, READING, method)


def test_whole_comparison_by_another_method(family, tiny):
    (reply,) = generate(tiny, "hi", [family[0]], Decoding(temperature=0, max_new_tokens=3))
    record = Comparison("1", "now", "hi", (family[0],), Decoding(), "fake", generations=(reply,))
    phases: list[str] = []
    found = why(record, lambda _: tiny, on_phase=phases.append, method="occlusion", target="logit")
    assert (found.explanations["it"].method, found.explanations["it"].target) == ("occlusion", "logit")
    assert phases == ["explaining IT", *(f"explaining IT: token {done} of {len(reply.tokens)}" for done in range(1, len(reply.tokens) + 1))]


def test_refusals_name_the_methods_that_do_not_run_on_all_models(make_base):
    falcon, neox = (load_base(str(make_base(architecture, 0)), "float32") for architecture in ("falcon", "gpt_neox"))
    assert refusals([neox]) == {}
    assert set(refusals([neox, falcon])) == {"layer_gradient_x_activation"}
