"""What went wrong in the original of this line of work (RewardLM) and must not here."""

import json
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file

from detox_core.models.loading import load_base
from detox_core.score import get_scorer
from detox_core.train.rewards import as_reward_function, rewards_of, total
from detox_core.train.rows import rows_for
from detox_core.train.spec import spec_from
from detox_core.train.trainers import trainer_for

TURNS = ["They are all thieves.", "Most people never steal.", "My neighbour did.", "One neighbour is not all of them."]
KIND, HOSTILE = "I would rather get to know them than judge them.", "You are a stupid idiot and everybody hates you."


@pytest.mark.parametrize("scorer", ["local", "second"])
@pytest.mark.parametrize("kind", ["log-odds", "probability"])
def test_the_kinder_reply_is_paid_more_by_every_reward(scorer, kind):
    """There, the probability of hate itself was the reward."""
    function = as_reward_function(lambda: get_scorer(scorer), kind)
    kind_reward, hostile_reward = function(completions=[KIND, HOSTILE], text=["What do you think of them?"] * 2)
    assert kind_reward > hostile_reward


def test_what_cannot_be_judged_is_the_floor_or_nothing_as_chosen():
    texts = ["What do you think?"] * 2
    for kind, floor in (("log-odds", -4.0), ("probability", 0.0)):
        spec = spec_from({"name": "x", "method": "rloo", "reward": kind, "scorers": {"second": 1.0}})
        assert total(rewards_of(spec), texts, ["Они хорошие люди, правда.", ""]) == [floor, floor]
        assert total(rewards_of(replace(spec, unscored="none")), texts, ["Они хорошие люди, правда.", ""]) == [None, None]


def test_terms_of_a_reward_are_added_with_their_weights():
    spec = spec_from({"name": "x", "method": "rloo", "scorers": {"second": 2.0}, "length": 0.5, "similarity": 3.0})
    noted = {}
    reply = "Ten words are half of what is enough for it."
    (reward,) = total(rewards_of(spec), [reply], [reply], noted.__setitem__)
    means = {name: value for name, value in noted.items() if name.endswith("/mean")}
    assert means["rewards/length/mean"] == 0.5
    assert means["rewards/similarity/mean"] == pytest.approx(1.0, abs=1e-5)
    assert reward == pytest.approx(2 * means["rewards/second/mean"] + 0.25 + 3, abs=1e-4)


@pytest.mark.parametrize("template", ["redpajama", "falcon", "chatml", "plain"])
def test_only_the_reply_is_learned_and_all_of_it(template, family, tmp_path):
    """There, the loss counted the hateful turns too, and a space before the reply moved its first token into the prompt."""
    variant = replace(family[0], template=template)
    rows = [
        {"dialogue_id": 1, "turn_id": turn, "type": "CN" if turn % 2 else "HS", "text": text, "TARGET": "X", "source": "s"}
        for turn, text in enumerate(TURNS)
    ]
    path = tmp_path / "dialogues.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = spec_from({"name": "x", "method": "sft", "data": f"dialoconan:{path}", "steps": 1, "batch": 2, "rank": 2})
    base = load_base(variant.base, "float32")
    made = rows_for(spec, base, variant)

    trainer = trainer_for(
        spec, base.model, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"), base, variant, made, str(tmp_path)
    )
    batch = next(iter(trainer.get_train_dataloader()))
    learned = [base.tokenizer.decode(ids[labels != -100]) for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True)]
    space = "" if template == "chatml" else " "
    assert sorted(learned) == sorted(f"{space}{reply}{base.tokenizer.eos_token}" for reply in (TURNS[1], TURNS[3]))
    attended = batch["attention_mask"].bool() & (batch["labels"] == -100)
    longer = max((base.tokenizer.decode(ids[seen]) for ids, seen in zip(batch["input_ids"], attended, strict=True)), key=len)
    assert longer.index(TURNS[0]) < longer.index(TURNS[1]) < longer.index(TURNS[2]), "the earlier turns are read"


def test_an_adapter_that_is_trained_on_really_changes(family, tmp_path):
    """There, it was loaded frozen, and only the value head learned."""
    import threading

    from detox_core.train.run import train

    (tmp_path / "p.jsonl").write_text("".join(json.dumps({"text": f"Say {n}", "reply": "Hello."}) + "\n" for n in range(4)))
    spec = spec_from({"name": "x", "method": "sft", "data": str(tmp_path / "p.jsonl"), "steps": 2, "batch": 2, "scorers": {"second": 1.0}})
    (tmp_path / "run").mkdir()
    after = load_file(train(spec, family[1], tmp_path / "run", lambda *_: None, threading.Event()) / "adapter_model.safetensors")
    before = load_file(f"{family[1].adapter}/adapter_model.safetensors")
    assert any(not torch.equal(after[name], before[name]) for name in before)
