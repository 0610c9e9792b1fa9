"""Interventions in the views that look into a model."""

import threading

import numpy as np
import pytest
import torch

from detox_core.compare import Pool
from detox_core.errors import BadInput, ModelError
from detox_core.explain.explanation import explain
from detox_core.explain.likelihood import logs_of
from detox_core.generate import generate, read_as
from detox_core.interventions import registry
from detox_core.interventions.applying import applied, fit_missing
from detox_core.measure.entropy import explain_many
from detox_core.measure.perplexity import perplexity
from detox_core.models.variants import changed
from detox_core.train.run import train
from detox_core.train.spec import TrainSpec
from detox_core.types import Decoding, Prompt
from tests.conftest import FakeScorer

PROMPT = "They are bad."
GREEDY = Decoding(temperature=0, max_new_tokens=6)


def test_reading_as_a_plain_variant_is_one_pass_over_the_text(gpt2):
    _, ft, base = gpt2
    reply = generate(base, PROMPT, [ft], GREEDY)[0]
    ids = base.tokenizer(base.render(PROMPT, None))["input_ids"]
    whole = logs_of(base, [base.attach(ft.adapter)], ids, reply.tokens)[0]
    assert torch.allclose(read_as(base, ft, PROMPT, reply.tokens), whole, atol=1e-5)


def test_a_reply_is_its_own_likeliest_reading_under_the_same_intervention(gpt2, few_examples):
    it, _, base = gpt2
    on = changed(it, (("aura", 1.0),))
    fit_missing(base, on)
    reply = generate(base, PROMPT, [on], GREEDY)[0]
    found = read_as(base, on, PROMPT, reply.tokens)
    assert found.argmax(-1).tolist() == list(reply.tokens)
    assert found.gather(1, torch.tensor(reply.tokens)[:, None])[:, 0].tolist() == pytest.approx(reply.logprobs, abs=1e-5)


def test_attribution_sees_the_changed_model(gpt2, few_examples):
    it, _, base = gpt2
    on = changed(it, (("aura", 1.0),))
    fit_missing(base, on)
    reply = generate(base, PROMPT, [it], GREEDY)[0]
    plain, seen = explain(base, it, PROMPT, reply), explain(base, on, PROMPT, reply)
    assert not np.allclose(plain.matrix, seen.matrix)
    with applied(base, on):
        assert np.array_equal(explain(base, it, PROMPT, reply).matrix, seen.matrix)


def test_attribution_reads_the_rewritten_prompt(gpt2):
    it, _, base = gpt2
    on = changed(it, (("self-reminder", 1.0),))
    reply = generate(base, PROMPT, [on], GREEDY)[0]
    found = explain(base, on, PROMPT, reply)
    assert reply.read.startswith("Be a kind")
    assert "".join(found.pieces[: found.prompt]) == reply.read
    assert "".join(piece for piece, own in zip(found.pieces, found.own, strict=False) if own).strip() == PROMPT


@pytest.mark.parametrize("name", [name for name, card in registry.METHODS.items() if card.kind == "logits"])
def test_what_works_after_the_model_is_not_attributed_to_it(name, gpt2, few_examples):
    it, _, base = gpt2
    on = changed(it, ((name, 1.0),))
    fit_missing(base, on)
    reply = generate(base, PROMPT, [it], GREEDY)[0]
    with pytest.raises(ModelError, match="after the model has read"):
        explain(base, on, PROMPT, reply)


def test_perplexity_of_a_text_is_that_of_the_changed_model(gpt2, few_examples):
    it, _, _ = gpt2
    pool, text = Pool(), "They are all bad people, and I like them."
    plain, changed_ = (one.value for one in perplexity(text, [it, changed(it, (("aura", 1.0),))], pool))
    assert plain != changed_
    with pytest.raises(ModelError, match="looks at the model alone"):
        perplexity(text, [changed(it, (("guidance", 1.0),))], pool)


def test_answers_in_bulk_are_explained_with_the_intervention(gpt2, few_examples, tmp_path):
    it, _, _ = gpt2
    on, prompts = changed(it, (("aura", 1.0),)), [Prompt("p1", PROMPT), Prompt("p2", "Hi")]
    rows = explain_many(prompts, [it, on], FakeScorer(), tmp_path / "lines.jsonl")
    assert [row["variant"] for row in rows] == ["it", "it+aura:1"] * 2
    with pytest.raises(ModelError, match="looks at the model alone"):
        explain_many(prompts, [changed(it, (("guidance", 1.0),))], FakeScorer(), tmp_path / "other.jsonl")


def test_a_variant_with_an_intervention_is_no_base_for_training(gpt2, tmp_path):
    it, _, _ = gpt2
    with pytest.raises(BadInput, match="cannot be trained"):
        train(TrainSpec("x", "sft"), changed(it, (("guidance", 1.0),)), tmp_path, lambda *_: None, threading.Event())
