"""Toxification reversal: the formula by hand, and the pass that it changes."""

import pytest
import torch

from detox_core.generate import generate
from detox_core.interventions.applying import applied, fit_missing
from detox_core.interventions.protocol import Row, Subject
from detox_core.interventions.reversal import KIND, TOXIC, prefix_end, turned
from detox_core.models.loading import load_base
from detox_core.models.mixing import mixed
from detox_core.models.variants import changed
from detox_core.types import Decoding

GREEDY = Decoding(temperature=0, max_new_tokens=6)
PROMPT = "They are bad."


def test_heads_move_by_the_published_formula():
    own = torch.tensor([[[3.0, 0.0], [0.0, 4.0]]])  # one row, two heads of width 2, length 5
    toxic = torch.tensor([[[3.0, 4.0], [1.0, 0.0]]])
    kind = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    end = torch.tensor([[[1.0, 0.0], [0.0, -1.0]]])
    # head 1: D = (3, 4), n = 6^0.4, cosine 1, c = 2^0.6; head 2: D = 0
    factor = 6**0.4 * 2**0.6
    moved = torch.tensor([[[3 - 0.5 * factor * 3, -0.5 * factor * 4], [0.0, 4.0]]])
    expected = moved * 5 / moved.norm()
    assert torch.allclose(turned(own, toxic, kind, end, 0.5), expected, atol=1e-5)


def test_a_head_unlike_the_toxic_prefix_is_moved_without_extra():
    own = torch.tensor([[[1.0, 0.0]]])
    found = turned(own, torch.tensor([[[0.0, 1.0]]]), torch.zeros(1, 1, 2), -own, 1.0)
    moved = torch.tensor([[[1.0, -(2**0.4)]]])
    assert torch.allclose(found, moved / moved.norm())


def test_equal_readings_change_nothing_and_lengths_stay():
    own, toxic, kind, end = torch.randn(4, 3, 4, 8)
    assert torch.allclose(turned(own, toxic, toxic, end, 1.0), own, atol=1e-6)
    assert torch.allclose(turned(own, toxic, kind, end, 1.0).flatten(1).norm(dim=1), own.flatten(1).norm(dim=1), atol=1e-4)


def test_the_end_of_the_toxic_prefix_is_its_colon(gpt2):
    it, _, base = gpt2
    subject = Subject(base, it)
    ids, _ = subject.ids(f"{TOXIC} {PROMPT}")
    assert base.tokenizer.decode(ids[: prefix_end(subject, PROMPT) + 1]).endswith(TOXIC)


def heads_of(subject: Subject, layer: int, ids: list[int]) -> torch.Tensor:
    """Merged heads of a plain pass (tokens, heads, width)."""
    seen = []
    handle = subject.anatomy.attention_out(layer).register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
    try:
        with mixed(subject.base.model, [subject.adapter]), torch.inference_mode():
            subject.base.model(torch.tensor([ids]), use_cache=False)
    finally:
        handle.remove()
    return seen[0][0].unflatten(-1, (subject.anatomy.heads, -1))


@pytest.mark.parametrize("which", [0, 1])
def test_the_first_layer_writes_what_the_formula_says(each, which):
    variant, base = each[which], load_base(*each[0].base_key)
    base.attach(each[1].adapter)
    subject = Subject(base, variant)
    plain, toxic, kind = (subject.ids(text)[0] for text in (PROMPT, f"{TOXIC} {PROMPT}", f"{KIND} {PROMPT}"))
    own, minus, plus = (heads_of(subject, 0, ids) for ids in (plain, toxic, kind))
    expected = turned(own[-1:], minus[-1:], plus[-1:], minus[prefix_end(subject, PROMPT)][None], 1.0)
    seen = []
    with applied(base, changed(variant, (("toxification-reversal", 1.0),))) as patch:
        patch.steer([Row(PROMPT, tuple(plain))])
        handle = subject.anatomy.attention_out(0).register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].clone()))
        try:
            with mixed(base.model, [subject.adapter]), torch.inference_mode():
                subject.anatomy.model(input_ids=torch.tensor([plain]), use_cache=False)
        finally:
            handle.remove()
    written = seen[-1][0].unflatten(-1, (subject.anatomy.heads, -1))
    assert len(seen) == 2  # the follower's pass, then the main one
    assert torch.allclose(written[:-1], own[:-1], atol=1e-5)
    assert torch.allclose(written[-1:], expected, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(written[-1], own[-1], atol=1e-3)


def test_nothing_is_turned_outside_the_writing_of_a_reply(gpt2):
    _, ft, base = gpt2
    ids = torch.tensor([Subject(base, ft).ids(PROMPT)[0]])
    with torch.inference_mode(), mixed(base.model, [base.attach(ft.adapter)]):
        plain = base.model(ids).logits
        with applied(base, changed(ft, (("toxification-reversal", 1.0),))):
            assert torch.equal(base.model(ids).logits, plain)


def test_followers_of_other_methods_read_unchanged(gpt2):
    it, _, base = gpt2
    both = changed(it, (("toxification-reversal", 0.5), ("guidance", 1.0)))
    swapped = changed(it, (("guidance", 1.0), ("toxification-reversal", 0.5)))
    fit_missing(base, both)
    first, second = (generate(base, PROMPT, [variant], GREEDY)[0] for variant in (both, swapped))
    assert first.tokens == second.tokens  # whoever comes first, the negative prompt is read by the plain variant


def test_replies_change_with_strength(gpt2):
    it, _, base = gpt2
    tokens = [generate(base, PROMPT, [changed(it, (("toxification-reversal", s),))], GREEDY)[0].tokens for s in (0.0, 0.5, 2.0)]
    assert len(set(tokens)) > 1
