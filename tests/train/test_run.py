"""Training runs on tiny random models: every method ends with an adapter that differs from where it began."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from detox_core.errors import BadInput
from detox_core.models.loading import load_base
from detox_core.models.variants import FAMILY
from detox_core.train.progress import ADAPTER, METRICS, PROBED, read_lines
from detox_core.train.rows import rows_for
from detox_core.train.run import train
from detox_core.train.spec import METHODS, spec_from

SHORT = {
    "steps": 2,
    "batch": 4,
    "rank": 2,
    "max_length": 48,
    "samples": 2,
    "mini_batch": 2,
    "max_new_tokens": 5,
    "probe_every": 1,
    "scorers": {"second": 1.0},
}


@pytest.fixture
def pairs(tmp_path):
    """Eight prompts with a good and a bad reply."""
    rows = [{"text": f"Say {n}", "reply": f"I say {n} kindly.", "rejected": f"You idiot, {n}."} for n in range(8)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(autouse=True)
def reward_by_length(monkeypatch):
    """The guards find no answer in random text, so all rewards would be alike."""

    def length(completions, **_more):
        return [float(len(text)) for text in completions]

    monkeypatch.setattr("detox_core.train.trainers.rewards_of", lambda _spec, _second: [("length", 1.0, length)])


def run(folder, variant, method: str, data: str, stop=None, **more):
    told = []
    spec = spec_from({"name": "x", "method": method, "data": data, "scorers": {"second": 1.0}, **SHORT, **more})
    adapter = train(spec, variant, folder, lambda *step: told.append(step), stop or threading.Event())
    return adapter, told


@pytest.mark.parametrize("method", METHODS)
def test_every_method_ends_with_an_adapter_that_works(method, family, pairs, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    adapter, told = run(folder, family[0], method, pairs)
    weights = load_file(adapter / "adapter_model.safetensors")
    assert any(bool(weight.any()) for name, weight in weights.items() if "lora_B" in name), "nothing was learned"
    base = load_base(family[0].base, "float32")
    assert base.attach(str(adapter)) == "a0"
    assert told[-1] == ("saving", 2, 2)
    assert [row["step"] for row in read_lines(folder / PROBED)] == [0, 1, 2]
    assert {"step", "time", "loss"} <= set(read_lines(folder / METRICS)[0])
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == family[0].base


def test_equal_specs_give_equal_weights(family, pairs, tmp_path):
    weights = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        adapter, _ = run(tmp_path / name, family[0], "sft", pairs)
        weights.append(load_file(adapter / "adapter_model.safetensors"))
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_run_can_start_from_an_adapter(family, pairs, tmp_path):
    adapter, _ = run(tmp_path, family[1], "sft", pairs)
    names = set(load_file(adapter / "adapter_model.safetensors"))
    assert names == set(load_file(f"{family[1].adapter}/adapter_model.safetensors"))


def test_a_stopped_run_saves_and_goes_on(family, pairs, tmp_path):
    stop = threading.Event()
    spec = {"steps": 4, "probe_every": 4}

    class After(threading.Event):
        def is_set(self) -> bool:
            return True

    for step in (1, 2):
        assert run(tmp_path, family[0], "sft", pairs, After(), **spec)[0] is None
        assert (tmp_path / f"checkpoint-{step}").is_dir()
    assert not (tmp_path / ADAPTER).exists()
    _, told = run(tmp_path, family[0], "sft", pairs, stop, **spec)
    assert ("training", 2, 4) in told
    assert told[-1] == ("saving", 4, 4)


def test_prompts_end_without_a_space_and_replies_begin_with_one(family, pairs):
    base = load_base(family[0].base, "float32")
    spec = spec_from({"name": "x", "method": "dpo", "data": pairs})
    for row in rows_for(spec, base, family[0]):
        assert not row["prompt"].endswith(" ")
        assert row["chosen"].startswith(" I say")
        assert row["rejected"].startswith(" You idiot")


def test_kto_learns_from_both_sides(family, pairs):
    rows = rows_for(spec_from({"name": "x", "method": "kto", "data": pairs}), load_base(family[0].base, "float32"), family[0])
    assert sorted(row["label"] for row in rows) == [False] * 8 + [True] * 8


@pytest.mark.parametrize(("method", "sentence"), [("sft", "has no replies"), ("dpo", "has no replies")])
def test_data_without_what_the_method_needs_is_refused(method, sentence, family, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"text": "Hello"}\n')
    spec = spec_from({"name": "x", "method": method, "data": str(tmp_path / "p.jsonl")})
    with pytest.raises(BadInput, match=sentence):
        rows_for(spec, load_base(family[0].base, "float32"), family[0])


def kl_of_first_step(folder, variant, method, data, reference):
    folder.mkdir()
    run(folder, variant, method, data, reference=reference, beta=0.1, learning_rate=1e-6)
    return read_lines(folder / METRICS)[0]["kl"]


@pytest.mark.parametrize("method", ["rloo", "grpo", "ppo"])
def test_the_kl_is_measured_to_what_was_chosen(method, strong, pairs, tmp_path):
    assert abs(kl_of_first_step(tmp_path / "start", strong, method, pairs, "start")) < 1e-3
    assert abs(kl_of_first_step(tmp_path / "base", strong, method, pairs, "base")) > 1e-2


@pytest.fixture
def strong(family, tmp_path):
    """A variant whose adapter says something quite different from its base."""
    folder = tmp_path / "strong"
    folder.mkdir()
    weights = load_file(f"{family[1].adapter}/adapter_model.safetensors")
    save_file({name: tensor * 20 for name, tensor in weights.items()}, folder / "adapter_model.safetensors", {"format": "pt"})
    (folder / "adapter_config.json").write_text(Path(f"{family[1].adapter}/adapter_config.json").read_text())
    return replace(family[1], adapter=str(folder))


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_quantised_bases_are_trained(bits, pairs, tmp_path):
    adapter, _ = run(tmp_path, replace(FAMILY[0], quantization=bits), "sft", pairs)
    assert any(bool(weight.any()) for name, weight in load_file(adapter / "adapter_model.safetensors").items() if "lora_B" in name)


def test_ppo_goes_on_with_its_value_head_and_coefficient(family, pairs, tmp_path):
    class After(threading.Event):
        def is_set(self) -> bool:
            return True

    spec = {"steps": 2, "probe_every": 4}
    assert run(tmp_path, family[0], "ppo", pairs, After(), **spec)[0] is None
    saved = json.loads((tmp_path / "checkpoint-1" / "ppo.json").read_text())["beta"]
    assert saved != 0.1
    run(tmp_path, family[0], "ppo", pairs, **spec)
    assert [row["beta"] for row in read_lines_of(tmp_path / METRICS) if "beta" in row] == [0.1, pytest.approx(saved)]


def test_attention_entropy_is_added_and_told(family, pairs, tmp_path):
    values = {}
    for weight in (0.0, 5.0):
        folder = tmp_path / str(weight)
        folder.mkdir()
        run(folder, family[0], "sft", pairs, steps=6, attention_entropy=weight, learning_rate=1e-2, probe_every=6)
        values[weight] = [row.get("attention_entropy") for row in read_lines(folder / METRICS) if "loss" in row]
    assert set(values[0.0]) == {None}
    assert values[5.0][-1] > values[5.0][0]


def test_pairs_are_the_best_and_the_worst_of_several_replies(family, pairs, tmp_path, monkeypatch):
    def length(completions, **_more):
        return [float(len(text)) for text in completions]

    monkeypatch.setattr("detox_core.train.pairs.rewards_of", lambda _spec: [("length", 1.0, length)])
    adapter, told = run(tmp_path, family[0], "dpo", pairs, best_of=4, rows=6)
    assert adapter
    made = read_lines_of(tmp_path / "made_pairs.jsonl")
    assert [row["text"] for row in made] == [f"Say {n}" for n in range(6)]
    assert all(len(row["reply"]) - len(row["rejected"]) == row["margin"] >= 0 for row in made)
    assert ("making pairs: prompt 6 of 6", 0, 2) in told


def read_lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_guards_that_stop_end_the_run_and_say_why(family, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("detox_core.train.guards.Guards.look", lambda _self, _metrics: [("KL too large", "It is 3.")])
    adapter, _ = run(tmp_path, family[0], "rloo", pairs, guards="stop", steps=4)
    assert adapter is None
    assert read_lines_of(tmp_path / "warnings.jsonl") == [{"step": 1, "warnings": {"KL too large": "It is 3."}}]
    assert any(tmp_path.glob("checkpoint-*"))
