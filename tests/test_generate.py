"""Decoding: the mixed batch, seeds, logprobs, stopping, and what is refused."""

import shutil
import threading
from dataclasses import replace

import pytest
import torch
from transformers.generation import TopPLogitsWarper

from detox_core import batch as batch_module
from detox_core.batch import nucleus
from detox_core.errors import BadInput, ModelError
from detox_core.generate import generate, generate_many
from detox_core.models import templates
from detox_core.models.loading import LoadedBase, load_base
from detox_core.models.templates import Template
from detox_core.types import Decoding, Generation, Variant

PROMPT = "What do you think of them?"
GREEDY = Decoding(temperature=0, max_new_tokens=20)
SAMPLED = Decoding(seed=5, temperature=1.0, top_p=0.9, max_new_tokens=20)


@pytest.fixture
def base(family) -> LoadedBase:
    return load_base(family[0].base, "float32")


def words(generations: list[Generation]) -> dict[tuple[str, int], tuple]:
    return {(g.variant, g.sample): (g.tokens, g.text, g.finish) for g in generations}


def hooks(model: torch.nn.Module) -> int:
    """Everything that makes a module do more, or other things, than its class says."""
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) + ("forward" in vars(module)) for module in model.modules())


class AfterChecks(threading.Event):
    """Is set, or calls `action`, when it was asked `checks` times: once per row and token."""

    def __init__(self, checks: int, action=lambda: True) -> None:
        super().__init__()
        self.left, self.action = checks, action

    def is_set(self) -> bool:
        self.left -= 1
        return self.left <= 0 and self.action()


def test_greedy_mixed_batch_equals_each_variant_alone(each_family):
    base = load_base(each_family[0].base, "float32")
    together = words(generate(base, PROMPT, each_family, GREEDY))
    assert len({reply[0] for reply in together.values()}) == 3
    for variant in each_family:
        alone = generate(load_base(variant.base, "float32"), PROMPT, [variant], GREEDY)
        assert words(alone) == {(variant.id, 0): together[variant.id, 0]}


def test_greedy_mixed_batch_with_different_templates_equals_each_variant_alone(each_family):
    it, ft, rl = each_family
    mixed = [replace(it, template="falcon"), ft, replace(rl, template="redpajama")]
    base = load_base(it.base, "float32")
    together = words(generate(base, PROMPT, mixed, GREEDY))
    for variant in mixed:
        assert words(generate(base, PROMPT, [variant], GREEDY)) == {(variant.id, 0): together[variant.id, 0]}


def test_greedy_equals_the_argmax_of_a_plain_loop(base, family):
    reply = generate(base, PROMPT, family[:1], GREEDY)[0]
    ids = base.tokenizer(PROMPT, return_tensors="pt").input_ids
    for token in reply.tokens:
        expected = base.model(ids).logits[0, -1].argmax()
        assert token == expected
        ids = torch.cat([ids, expected[None, None]], dim=1)


def test_an_adapter_that_cannot_be_mixed_follows_alone(base, family, make_adapter):
    dora = Variant("dora", "DoRA", family[0].base, make_adapter("gpt_neox", family[0].base, 5, use_dora=True))
    order = [family[1], dora, family[0]]
    together = generate(base, PROMPT, order, replace(SAMPLED, samples=2))
    assert [(g.variant, g.sample) for g in together] == [(v.id, s) for v in order for s in range(2)]
    for variant in order:
        alone = words(generate(load_base(variant.base, "float32"), PROMPT, [variant], replace(SAMPLED, samples=2)))
        assert alone == {key: reply for key, reply in words(together).items() if key[0] == variant.id}


def test_same_seed_same_text(base, family):
    assert words(generate(base, PROMPT, family, SAMPLED)) == words(generate(base, PROMPT, family, SAMPLED))


def test_same_seed_same_text_when_a_column_is_added(base, family):
    two, three = (words(generate(base, PROMPT, family[:count], SAMPLED)) for count in (2, 3))
    assert two.items() <= three.items()


def test_same_seed_same_text_when_samples_are_added(base, family):
    two, five = (words(generate(base, PROMPT, family, replace(SAMPLED, samples=count))) for count in (2, 5))
    assert two.items() <= five.items()


def test_same_seed_same_text_in_small_batches(base, family, monkeypatch):
    whole = words(generate(base, PROMPT, family, replace(SAMPLED, samples=3)))
    monkeypatch.setattr(batch_module, "MAX_ROWS", 4)
    assert words(generate(base, PROMPT, family, replace(SAMPLED, samples=3))) == whole


def test_different_seed_different_text(base, family):
    one, other = (words(generate(base, PROMPT, family, replace(SAMPLED, seed=seed))) for seed in (1, 2))
    assert all(one[key] != other[key] for key in one)


def test_common_random_numbers_give_identical_adapters_identical_text(base, family, tmp_path):
    twin = Variant("twin", "Twin", family[1].base, str(shutil.copytree(family[1].adapter, tmp_path / "twin")))
    replies = words(generate(base, PROMPT, [*family, twin], replace(SAMPLED, samples=3)))
    for sample in range(3):
        assert replies["twin", sample] == replies["ft", sample]
        assert replies["rl", sample] != replies["ft", sample]


def test_five_samples_differ_and_come_in_order(base, family):
    replies = generate(base, PROMPT, family, replace(SAMPLED, samples=5))
    assert [(g.variant, g.sample) for g in replies] == [(v.id, s) for v in family for s in range(5)]
    assert len({g.text for g in replies if g.variant == "it"}) == 5


def test_tokens_come_as_often_as_the_model_says(base, family):
    """First tokens of 1,000 seeds against the model's own probabilities, within 4 standard errors."""
    decoding = Decoding(temperature=0.7, top_p=1, max_new_tokens=1, samples=25)
    draws = [g.tokens[0] if g.tokens else 0 for seed in range(40) for g in generate(base, PROMPT, family[:1], replace(decoding, seed=seed))]
    with torch.inference_mode():
        logits = base.model(base.tokenizer(PROMPT, return_tensors="pt").input_ids).logits[0, -1]
    expected, ids = (logits / 0.7).softmax(-1).topk(3)
    for probability, token in zip(expected.tolist(), ids.tolist(), strict=True):
        error = (probability * (1 - probability) / len(draws)) ** 0.5
        assert draws.count(token) / len(draws) == pytest.approx(probability, abs=4 * error)


def test_top_p_keeps_only_the_most_probable_token_when_it_is_small(base, family):
    narrow = generate(base, PROMPT, family, replace(SAMPLED, top_p=0.05, temperature=0.5))
    assert [g.tokens for g in narrow] == [g.tokens for g in generate(base, PROMPT, family, GREEDY)]


@pytest.mark.parametrize("decoding", [GREEDY, replace(SAMPLED, samples=2)])
def test_logprobs_equal_a_plain_forward_pass(each_family, decoding):
    base = load_base(each_family[0].base, "float32")
    replies = generate(base, PROMPT, each_family, decoding)
    assert sum(len(g.tokens) for g in replies) > 20
    prompt = base.tokenizer(PROMPT).input_ids
    for variant in each_family:
        other = load_base(variant.base, "float32")
        name = other.attach(variant.adapter)
        if variant.adapter:
            other.model.set_adapter(name)
        for reply in (g for g in replies if g.variant == variant.id):
            assert len(reply.tokens) == len(reply.logprobs)
            with torch.inference_mode():
                logits = other.model(torch.tensor([[*prompt, *reply.tokens]])).logits[0, len(prompt) - 1 : -1]
            expected = logits.log_softmax(-1).gather(1, torch.tensor(reply.tokens)[:, None])[:, 0]
            assert torch.allclose(torch.tensor(reply.logprobs), expected, atol=1e-4)


def test_text_is_the_decoded_tokens(base, family):
    for reply in generate(base, PROMPT, family, SAMPLED):
        assert reply.text == base.tokenizer.decode(reply.tokens).strip()
        assert reply.finish == "length"
        assert len(reply.tokens) == 20


def test_end_of_text_token_ends_the_reply_and_is_not_part_of_it(base, family):
    whole = generate(base, PROMPT, family[:1], GREEDY)[0]
    last = next(token for at, token in enumerate(whole.tokens) if at > 2 and token not in whole.tokens[:at])
    base.model.generation_config.eos_token_id = [0, last]
    reply = generate(base, PROMPT, family[:1], GREEDY)[0]
    assert reply.finish == "eos"
    assert reply.tokens == whole.tokens[: whole.tokens.index(last)]
    assert len(reply.logprobs) == len(reply.tokens)


def test_a_finished_row_does_not_change_the_others(base, family):
    whole = {g.variant: g for g in generate(base, PROMPT, family, GREEDY)}
    last = whole["ft"].tokens[0]
    base.model.generation_config.eos_token_id = [0, last]
    for reply in generate(base, PROMPT, family, GREEDY):
        tokens = whole[reply.variant].tokens
        assert reply.tokens == (tokens[: tokens.index(last)] if last in tokens else tokens)


def test_next_turn_marker_cuts_the_text(base, family, monkeypatch):
    whole = generate(base, PROMPT, family[:1], GREEDY)[0]
    marker = base.tokenizer.decode(whole.tokens[6:9])
    before = base.tokenizer.decode(whole.tokens).split(marker)[0]
    assert marker.strip()
    assert before.strip()
    monkeypatch.setitem(templates.TEMPLATES, "test", Template("", "", marker))
    reply, other = generate(base, PROMPT, [replace(family[0], template="test"), family[1]], GREEDY)
    assert (reply.finish, other.finish) == ("turn", "length")
    assert reply.text == before.strip()
    assert reply.tokens == whole.tokens[: len(reply.tokens)]
    assert len(reply.tokens) <= 9


def test_stop_ends_after_the_next_token(base, family):
    stop = threading.Event()
    stop.set()
    whole = {g.variant: g for g in generate(base, PROMPT, family, SAMPLED)}
    for reply in generate(base, PROMPT, family, SAMPLED, stop=stop):
        assert reply.finish == "stopped"
        assert reply.tokens == whole[reply.variant].tokens[:1]


def test_stop_in_the_middle_keeps_the_text(base, family):
    whole = generate(base, PROMPT, family[:1], SAMPLED)[0]
    reply = generate(base, PROMPT, family[:1], SAMPLED, stop=AfterChecks(7))[0]
    assert reply.finish == "stopped"
    assert reply.tokens == whole.tokens[:7]
    assert reply.text == base.tokenizer.decode(whole.tokens[:7]).strip() != ""


def test_stop_of_a_first_batch_stops_the_following_ones(base, family, monkeypatch):
    monkeypatch.setattr(batch_module, "MAX_ROWS", 3)
    replies = generate(base, PROMPT, family, replace(SAMPLED, samples=2), stop=AfterChecks(7))
    assert [(g.sample, g.finish, len(g.tokens)) for g in replies] == [(0, "stopped", 3), (1, "stopped", 1)] * 3


def test_updates_grow_and_end_with_the_result(base, family, monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr(batch_module.time, "perf_counter", lambda: next(clock))
    updates: list[list[Generation]] = []
    result = generate(base, PROMPT, family, SAMPLED, updates.append)
    assert updates[-1] == result
    assert [len(update[0].tokens) for update in updates] == [*range(1, 21), 20]


@pytest.mark.parametrize("columns", [slice(0, 3), slice(1, 2)])
def test_no_hook_is_left_behind_when_generation_raises(base, family, columns):
    for variant in family:
        base.attach(variant.adapter)
    before, during = hooks(base.model), []

    def fail() -> bool:
        during.append(hooks(base.model))
        raise RuntimeError("in the middle")

    expected = words(generate(base, PROMPT, family, GREEDY))
    with pytest.raises(RuntimeError, match="in the middle"):
        generate(base, PROMPT, family[columns], GREEDY, stop=AfterChecks(10, fail))
    assert len(during) == 1
    assert hooks(base.model) == before
    assert words(generate(base, PROMPT, family, GREEDY)) == expected


def test_the_mixed_batch_changes_layers_that_could_be_left_so(base, family):
    during = []
    before = hooks(base.model)
    generate(base, PROMPT, family, GREEDY, stop=AfterChecks(10, lambda: bool(during.append(hooks(base.model)))))
    assert max(during) > before


def test_an_adapter_used_alone_is_off_for_the_base_afterwards(base, family):
    plain = words(generate(base, PROMPT, family[:1], GREEDY))
    generate(base, PROMPT, family[1:2], GREEDY)
    assert words(generate(base, PROMPT, family[:1], GREEDY)) == plain


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"temperature": -0.1}, r"temperature is -0\.1; it must be between 0 and 2"),
        ({"temperature": 2.1}, r"temperature is 2\.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0}, r"top p is 0; it must be between 0\.05 and 1"),
        ({"max_new_tokens": 0}, "max new tokens is 0; it must be between 1 and 1024"),
        ({"samples": 26}, "samples is 26; it must be between 1 and 25"),
        ({"seed": -1}, "seed is -1"),
        ({"temperature": 0, "samples": 5}, "all 5 samples would be the same. Ask for 1 sample or raise the temperature"),
    ],
)
def test_settings_out_of_range_are_refused(base, family, change, sentence):
    with pytest.raises(BadInput, match=sentence):
        generate(base, PROMPT, family, replace(SAMPLED, **change))


def test_context_overflow_is_refused_with_numbers(base, family):
    length = len(base.tokenizer(PROMPT * 10).input_ids)
    with pytest.raises(BadInput, match=rf"{length} tokens long and the reply may have 150.*at most 160.*Shorten"):
        generate(base, PROMPT * 10, family, replace(GREEDY, max_new_tokens=150))


def test_prompt_and_reply_may_fill_the_context(base, family):
    length = len(base.tokenizer(PROMPT).input_ids)
    replies = generate(base, PROMPT, family, replace(GREEDY, max_new_tokens=160 - length))
    assert all(g.finish == "eos" or len(g.tokens) == 160 - length for g in replies)


def test_missing_adapter_is_refused(base, family):
    with pytest.raises(ModelError, match="/no/such/adapter"):
        generate(base, PROMPT, [family[0], replace(family[1], adapter="/no/such/adapter")], GREEDY)


def test_8bit_on_this_machine(family):
    try:
        base = load_base(family[0].base, quantization="8bit")
    except ModelError as error:
        if isinstance(error.__cause__, ImportError):
            pytest.skip(f"bitsandbytes cannot be used here: {error}")
        raise
    assert any(parameter.dtype == torch.int8 for parameter in base.model.parameters())
    replies = generate(base, PROMPT, family, replace(SAMPLED, samples=2))
    assert len(replies) == 6
    assert all(g.tokens and g.text for g in replies)
    assert len({g.text for g in replies if g.sample == 0}) == 3


MANY = [("What do you think of them?", 5), ("Hello", 1), ("I think that they are kind people, do you not?", 9), ("Hello", 1)]


@pytest.mark.parametrize("decoding", [GREEDY, replace(SAMPLED, samples=2)])
@pytest.mark.parametrize("few", [0, 16])
def test_many_prompts_together_are_answered_as_each_alone(base, family, decoding, few, monkeypatch):
    monkeypatch.setattr(batch_module, "FEW_ROWS", few)  # 0: rows that have ended always leave
    monkeypatch.setattr(batch_module, "ROUND", 7)
    together = generate_many(base, MANY, family, decoding)
    for (prompt, seed), replies in zip(MANY, together, strict=True):
        alone = generate(base, prompt, family, replace(decoding, seed=seed))
        assert words(replies) == words(alone)
        assert [(g.variant, g.sample) for g in replies] == [(g.variant, g.sample) for g in alone]


def test_rows_that_have_ended_leave_the_batch(base, family, monkeypatch):
    monkeypatch.setattr(batch_module, "FEW_ROWS", 0)
    monkeypatch.setattr(batch_module, "ROUND", 1)
    sizes = []
    forward = base.model.forward
    monkeypatch.setattr(base.model, "forward", lambda *args, **more: sizes.append(len(more["input_ids"])) or forward(*args, **more))
    lengths = [len(g.tokens) + (g.finish == "eos") for (g,) in generate_many(base, MANY, family[:1], SAMPLED)]
    assert sizes == [sum(length > step for length in lengths) for step in range(max(lengths))]


def test_two_formats_with_one_adapter_do_not_lie_side_by_side_and_still_work(base, family):
    mine = [family[0], family[1], replace(family[0], id="plain-it", template="plain")]
    for variant, reply in zip(mine, generate(base, PROMPT, mine, GREEDY), strict=True):
        assert words([reply]) == words(generate(base, PROMPT, [variant], GREEDY))


@pytest.mark.parametrize("spread", [0.01, 1.0, 8.0])
@pytest.mark.parametrize("top_p", [0.05, 0.8, 0.999])
def test_the_nucleus_is_the_librarys(spread, top_p):
    values = spread * torch.randn(6, 500, generator=torch.Generator().manual_seed(1))
    assert torch.equal(nucleus(values, top_p).isfinite(), TopPLogitsWarper(top_p)(None, values).isfinite())
