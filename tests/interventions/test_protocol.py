"""What holds for every intervention, on every architecture: tiny random models."""

import threading
from dataclasses import replace

import pytest
import torch

from detox_core.errors import BadInput, ModelError
from detox_core.generate import generate, generate_many
from detox_core.interventions.applying import applied, fit_missing
from detox_core.interventions.following import Follower
from detox_core.interventions.registry import METHODS, check_interventions
from detox_core.models.loading import load_base
from detox_core.models.mixing import mixed
from detox_core.models.variants import changed, get_variants
from detox_core.types import Decoding, Variant

GREEDY = Decoding(temperature=0, max_new_tokens=8)
SAMPLED = Decoding(temperature=1.0, top_p=1.0, max_new_tokens=8)
PROMPTS = [("They are bad.", 1), ("What do you think of all those people over there?", 2), ("Hi", 3)]
CHANGES_TEXT = [name for name, card in METHODS.items() if card.kind in ("weights", "adapter", "hook")]


@pytest.fixture(autouse=True)
def fast(few_examples, monkeypatch):
    """Fits on eight examples, and strengths of all kinds."""
    monkeypatch.setenv("DETOX_RESEARCH", "1")


def state(model: torch.nn.Module) -> dict:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def hooks(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


@torch.inference_mode()
def logits(base, variant: Variant) -> torch.Tensor:
    ids = base.tokenizer(base.render("They are bad.", variant.template), return_tensors="pt")["input_ids"]
    with applied(base, variant), mixed(base.model, [base.attach(variant.adapter)]):
        return base.model(ids).logits


@pytest.mark.parametrize("name", METHODS)
def test_strength_zero_is_bit_identical_and_fits_nothing(name, each):
    base = load_base(*each[0].base_key)
    for variant in each:
        off = replace(variant, interventions=((name, 0.0),))
        fit_missing(base, off)
        assert torch.equal(logits(base, off), logits(base, variant))


@pytest.mark.parametrize("name", METHODS)
def test_it_answers_and_leaves_the_model_as_it_was_also_after_an_exception(name, each):
    base = load_base(*each[0].base_key)
    base.attach(each[1].adapter)
    for variant in each:
        on = changed(variant, ((name, METHODS[name].default),))
        fit_missing(base, on)
        before, plain, hooked = state(base.model), logits(base, variant), hooks(base.model)
        (reply,) = generate(base, PROMPTS[0][0], [on], GREEDY)
        assert reply.variant == on.id
        with pytest.raises(RuntimeError, match="broken"), applied(base, on):
            raise RuntimeError("broken")
        after = state(base.model)
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert hooks(base.model) == hooked
        assert torch.equal(logits(base, variant), plain)


@pytest.mark.parametrize("name", CHANGES_TEXT)
def test_it_changes_the_logits(name, gpt2):
    it, ft, base = gpt2
    for variant in (it, ft):
        on = changed(variant, ((name, METHODS[name].default),))
        fit_missing(base, on)
        if name != "fade" or variant.adapter:
            assert not torch.equal(logits(base, on), logits(base, variant))


@pytest.mark.parametrize("name", METHODS)
def test_a_padded_batch_is_one_by_one(name, each):
    base = load_base(*each[0].base_key)
    on = changed(each[1], ((name, METHODS[name].default),))
    fit_missing(base, on)
    together = generate_many(base, PROMPTS, [on], SAMPLED)
    alone = [generate(base, text, [on], replace(SAMPLED, seed=seed)) for text, seed in PROMPTS]
    assert [[reply.text for reply in replies] for replies in together] == [[reply.text for reply in replies] for replies in alone]


@pytest.mark.parametrize("name", CHANGES_TEXT)
def test_cached_decoding_is_uncached_decoding(name, each):
    base = load_base(*each[0].base_key)
    on = changed(each[1], ((name, METHODS[name].default),))
    fit_missing(base, on)
    cached = generate(base, PROMPTS[1][0], [on], GREEDY)[0].tokens
    with applied(base, on) as patch:
        read = (patch.rewrite or str)(PROMPTS[1][0])
    ids = base.tokenizer(base.render(read, on.template))["input_ids"]
    for token in cached:
        with applied(base, on), mixed(base.model, [base.attach(on.adapter)]), torch.inference_mode():
            assert int(base.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()) == token
        ids.append(token)


def test_a_follower_remembers_what_it_read(each):
    base = load_base(*each[0].base_key)
    adapters, contexts = ["__base__", base.attach(each[1].adapter)], [[5, 6, 7, 8], [9, 10]]
    follower = Follower(base, adapters, contexts)
    follower.first()
    follower.next(torch.tensor([11, 12]))
    follower.keep([1])
    last = follower.next(torch.tensor([13]))
    with mixed(base.model, adapters[1:]), torch.inference_mode():
        fresh = base.model(torch.tensor([[9, 10, 12, 13]]), use_cache=False).logits[:, -1]
    assert torch.allclose(last, fresh, atol=1e-4)


@pytest.mark.parametrize("name", METHODS)
def test_it_runs_in_bfloat16(name, gpt2):
    it, _, _ = gpt2
    half = replace(it, dtype="bfloat16")
    base, on = load_base(*half.base_key), changed(half, ((name, METHODS[name].default),))
    fit_missing(base, on)
    assert generate(base, PROMPTS[0][0], [on], GREEDY)[0].finish in ("eos", "length")


def test_contexts_nest(gpt2):
    it, _, base = gpt2
    outer, inner = changed(it, (("aura", 1.0),)), changed(it, (("damp", 1.0),))
    both = changed(it, (("aura", 1.0), ("damp", 1.0)))
    fit_missing(base, both)
    plain = logits(base, it)
    with applied(base, outer):
        nested = logits(base, inner)
        assert torch.equal(logits(base, it), logits(base, it))
    assert torch.allclose(nested, logits(base, both))
    assert torch.equal(logits(base, it), plain)


def test_other_variants_of_a_batch_are_not_touched(gpt2):
    it, ft, base = gpt2
    on = changed(it, (("aura", 1.0),))
    fit_missing(base, on)
    alone = generate(base, PROMPTS[0][0], [it, ft], GREEDY)
    beside = generate(base, PROMPTS[0][0], [it, on, ft], GREEDY)
    assert [reply.variant for reply in beside] == ["it", "it+aura:1", "ft"]
    assert [reply.tokens for reply in beside if reply.variant != on.id] == [reply.tokens for reply in alone]


def test_without_its_fit_the_error_says_how_to_make_it(gpt2):
    it, _, base = gpt2
    with pytest.raises(ModelError, match=r"detox_core fit it\+aura:1"):
        generate(base, "Hi", [changed(it, (("aura", 1.0),))], GREEDY)


def test_a_stopped_fit_leaves_nothing_to_apply(gpt2):
    it, _, base = gpt2
    stop, on = threading.Event(), changed(it, (("aura", 1.0),))
    stop.set()
    with pytest.raises(InterruptedError):
        fit_missing(base, on, stop=stop)
    with pytest.raises(ModelError):
        generate(base, "Hi", [on], GREEDY)


def test_a_fit_is_made_once(gpt2):
    it, _, base = gpt2
    told = []
    for _ in range(2):
        fit_missing(base, changed(it, (("aura", 0.5), ("damp", 1.0))), lambda what, done, count: told.append((done, count)))
    assert told == [(16, 16)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((("sorcery", 1.0),), "no intervention 'sorcery'"),
        ((("aura", 1.5),), "between -1 and 1"),
        ((("aura", 0.5), ("aura", 0.6)), "named twice"),
        ((("aura", 0.5), ("damp", 0.6), ("det0", 1.0)), "At most 2"),
    ],
)
def test_what_cannot_be_applied_is_refused_in_words(given, message):
    with pytest.raises(BadInput, match=message):
        check_interventions(given)


def test_what_makes_a_model_more_toxic_needs_the_research_switch(monkeypatch):
    monkeypatch.delenv("DETOX_RESEARCH")
    with pytest.raises(BadInput, match="research switch"):
        check_interventions((("aura", -0.5),))
    check_interventions((("aura", -0.5),), allowed=True)


def test_variants_are_named_by_method_and_strength():
    plain, bare, other = get_variants(["it", "aura:0.8", "ft+damp:0.5+self-reminder"])
    assert bare == replace(plain, id="aura:0.8", label="AURA 0.8", interventions=(("aura", 0.8),))
    assert (other.label, other.adapter) == ("FT + DAMP 0.5 + Self-Reminder 1", "embedded/ft")
    assert other.interventions == (("damp", 0.5), ("self-reminder", 1.0))


def test_a_bare_method_belongs_to_the_untuned_member_of_the_family_named():
    _, bare = get_variants(["ft", "aura:0.8"])
    assert (bare.base, bare.adapter) == ("embedded/it", None)
