"""Facts about what is shown of a model's inside. Tiny random models."""

import json
import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest
import torch

from detox_core.errors import BadInput, ModelError
from detox_core.explain.inside import activations, expert_neurons, logit_lens, toxic_tokens, toxic_vectors
from detox_core.explain.vocabulary import words
from detox_core.interventions import applying
from detox_core.interventions.applying import applied, fit_missing
from detox_core.interventions.protocol import Artifact, Example, Subject
from detox_core.models.loading import load_base
from detox_core.models.mixing import mixed
from detox_core.types import Variant
from tests.conftest import FakeScorer

PROMPT, TOKENS = "What do you think of them?", [7, 30, 31]
EXAMPLES = [Example("What about cooks?", f"I like {who}.", f"{who} are stupid.") for who in ("cooks", "bakers", "men", "women")]


@pytest.fixture
def base(each_family):
    return load_base(each_family[0].base, "float32")


@pytest.fixture
def aura(each_family, base, monkeypatch) -> Variant:
    """A variant whose neurons are turned down."""
    monkeypatch.setattr(applying, "examples", lambda data, count: EXAMPLES[:count])
    variant = replace(each_family[1], id="ft+aura:1", interventions=(("aura", 1.0),))
    fit_missing(base, variant)
    return variant


@torch.inference_mode()
def own_logits(base, variant: Variant, prompt: str = PROMPT) -> torch.Tensor:
    """At the last token of a prompt, (vocabulary,)."""
    ids = torch.tensor([base.tokenizer(base.render(prompt, variant.template))["input_ids"]])
    with applied(base, variant), mixed(base.model, [base.attach(variant.adapter)]):
        return base.model(ids).logits[0, -1]


@torch.inference_mode()
def last_activations(base, variant: Variant, prompt: str, neurons) -> torch.Tensor:
    """Of some neurons at the last token, (neurons,)."""
    inputs = {}
    ids = torch.tensor([base.tokenizer(base.render(prompt, variant.template))["input_ids"]])
    with applied(base, variant), mixed(base.model, [base.attach(variant.adapter)]), ExitStack() as stack:
        anatomy = Subject(base, variant).anatomy
        for layer in anatomy.layers:
            hook = partial(lambda layer, _module, given: inputs.update({layer: given[0]}), layer)
            stack.callback(anatomy.out(layer).register_forward_pre_hook(hook).remove)
        base.model(ids)
    return torch.stack([inputs[layer][0, -1, index] for layer, index in neurons])


def hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_toxic_vectors_are_listed_with_the_tokens_of_highest_unembedding(each_family, base):
    subject = Subject(base, each_family[1])
    anatomy = subject.anatomy
    w, svd = torch.randn(2, base.model.config.hidden_size, generator=torch.Generator().manual_seed(0))
    places = {"top_layer": torch.tensor([1, 0, 1]), "top_index": torch.tensor([4, 9, 2]), "top_cosine": torch.tensor([0.9, 0.8, 0.7])}
    found = toxic_vectors(subject, Artifact({}, {"w": w, "svd": svd, **places}, {}), count=2, tokens=3)
    assert [(one.layer, one.neuron, one.cosine) for one in found.vectors] == [(1, 4, 0.9), (0, 9, 0.8)]
    written = [(one.tokens, anatomy.value_vectors(one.layer)[one.neuron]) for one in found.vectors]
    for tokens, vector in [*written, (found.probe, w), (found.svd, svd)]:
        scores = {int(token): float(row @ vector) for token, row in enumerate(anatomy.unembedding().detach())}
        assert tokens == tuple(base.tokenizer.decode([token]) for token in sorted(scores, key=lambda token: -scores[token])[:3])


def test_more_than_there_is_gives_what_there_is(family):
    base = load_base(family[0].base, "float32")
    one = torch.ones(32)
    artifact = {"w": one, "svd": one, "top_layer": torch.tensor([0]), "top_index": torch.tensor([0]), "top_cosine": torch.tensor([1.0])}
    found = toxic_vectors(Subject(base, family[0]), Artifact({}, artifact, {}), count=50, tokens=10**6)
    assert len(found.vectors) == 1
    assert len(found.probe) == len(base.tokenizer)


def test_experts_are_the_neurons_above_one_half():
    scores = {"1.out": torch.tensor([0.5, 0.5]), "1.into": torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9]), "0.into": torch.tensor([0.6])}
    low, into, out = expert_neurons(Artifact({}, scores, {}))
    assert (low.layer, low.projection, low.neurons, low.experts) == (0, "into", 1, 1)
    assert (into.layer, into.projection, into.neurons, into.experts) == (1, "into", 5, 2)
    assert (into.highest, into.mean) == (0.9, 0.5)
    assert into.quantiles == (0.1, 0.3, 0.5, 0.7, 0.9)
    assert (out.projection, out.experts) == ("out", 0)


def test_the_last_layer_of_the_lens_is_what_the_model_says(each_family, base, aura):
    variants = [*each_family, aura]
    found = logit_lens(base, variants, PROMPT, TOKENS)
    assert [lens.variant for lens in found] == [variant.id for variant in variants]
    for lens, variant in zip(found, variants, strict=True):
        assert len(lens.masses) == 2
        assert lens.masses[-1] == pytest.approx(float(own_logits(base, variant).softmax(-1)[TOKENS].sum()), rel=1e-4)
    assert len({lens.masses for lens in found}) == len(found)  # each has its adapter, and its intervention


def test_an_earlier_layer_of_the_lens_is_the_model_without_the_later_blocks(family):
    short = load_base(family[0].base, "float32")
    short.model.gpt_neox.layers = short.model.gpt_neox.layers[:1]
    base = load_base(family[0].base, "float32")
    (lens,) = logit_lens(base, family[:1], PROMPT, TOKENS)
    assert lens.masses[0] == pytest.approx(float(own_logits(short, family[0]).softmax(-1)[TOKENS].sum()), rel=1e-4)


def test_all_tokens_hold_all_the_probability_and_none_hold_none(family):
    base = load_base(family[0].base, "float32")
    (lens,) = logit_lens(base, family[:1], PROMPT, [*range(len(base.tokenizer)), 0, 1])
    assert lens.masses == pytest.approx((1.0, 1.0), abs=1e-5)
    assert logit_lens(base, family[:1], PROMPT, [])[0].masses == (0.0, 0.0)


def test_activations_are_means_of_the_factors_of_value_vectors(each_family, base, aura):
    prompts, neurons = [PROMPT, "Hi", "They are kind people."], [(1, 3), (0, 5), (1, 0)]
    found = activations(base, [*each_family, aura], prompts, neurons)
    for activity, variant in zip(found, [*each_family, aura], strict=True):
        sums = sum(last_activations(base, variant, prompt, neurons) for prompt in prompts)
        assert activity.variant == variant.id
        assert activity.means == pytest.approx((sums / len(prompts)).tolist(), abs=1e-5)
    assert len({activity.means for activity in found}) == len(found)


def test_reading_leaves_the_model_as_it_was_also_after_an_exception(family):
    base = load_base(family[0].base, "float32")
    base.attach(family[1].adapter)
    before, plain = hooks(base.model), own_logits(base, family[1])
    logit_lens(base, family, PROMPT, TOKENS)
    activations(base, family, [PROMPT], [(0, 0)])
    for broken in (lambda: logit_lens(base, family, "word " * 500, TOKENS), lambda: activations(base, family, ["word " * 500], [(0, 0)])):
        with pytest.raises(BadInput, match="reads at most"):
            broken()
    assert hooks(base.model) == before
    assert torch.equal(own_logits(base, family[1]), plain)


def test_without_prompts_there_is_no_mean(family):
    with pytest.raises(BadInput, match="no prompt"):
        activations(load_base(family[0].base, "float32"), family, [], [(0, 0)])


def test_an_adapter_that_is_no_plain_lora_is_refused_in_words(family, make_adapter):
    base = load_base(family[0].base, "float32")
    dora = Variant("dora", "DoRA", family[0].base, make_adapter("gpt_neox", family[0].base, 5, use_dora=True))
    with pytest.raises(ModelError, match="no plain LoRA"):
        logit_lens(base, [dora], PROMPT, TOKENS)


class Counting(FakeScorer):
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(self, texts):
        self.asked += texts
        return super().score(texts)


class Vocabulary:
    """As much of a base as is read here."""

    def __init__(self, *tokens: str) -> None:
        self.tokenizer = self
        self.tokens = tokens

    def get_vocab(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}


BASE = Vocabulary("ing", "Ġbad", "Bad", "▁sad", "Ġok", "Ġgood", "!!!", "Ġca7", "Ġbäd", "Hello", "XLand")


def test_words_begin_with_a_space_or_a_capital_letter():
    assert words(BASE) == {1: "bad", 2: "Bad", 3: "sad", 5: "good", 9: "Hello"}


def test_toxic_tokens_are_words_rated_above_one_half_and_are_scored_once(isolated):
    scorer, told = Counting(), []
    assert toxic_tokens(BASE, scorer, tell=lambda done, count: told.append((done, count))) == (1, 2, 3)
    assert (scorer.asked, told) == (["Bad", "Hello", "bad", "good", "sad"], [(5, 5)])
    assert toxic_tokens(BASE, scorer) == (1, 2, 3)
    assert len(scorer.asked) == 5
    scorer.revision = "2"
    toxic_tokens(BASE, scorer)
    assert len(scorer.asked) == 10  # another scorer rates anew


def test_the_limit_counts_the_tokens_with_the_lowest_ids():
    assert toxic_tokens(BASE, Counting(), limit=2) == (1, 2)
    with pytest.raises(BadInput, match="limit is 0"):
        toxic_tokens(BASE, Counting(), limit=0)


def test_a_stopped_scoring_keeps_nothing_and_a_damaged_file_is_made_again(isolated):
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        toxic_tokens(BASE, Counting(), stop=stop)
    assert not (isolated / "toxic_tokens").exists()
    toxic_tokens(BASE, Counting())
    (path,) = (isolated / "toxic_tokens").iterdir()
    assert json.loads(path.read_text())["scorer"] == "fake"
    path.write_text("{")
    assert toxic_tokens(BASE, Counting()) == (1, 2, 3)


def test_a_real_tokenizer_has_words(family):
    found = words(load_base(family[0].base, "float32"))
    assert "think" in found.values()
    assert all(word.isalpha() for word in found.values())
