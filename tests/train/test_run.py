"""Training runs on tiny random models: every method ends with an adapter that differs from where it began."""

import json
import threading

import pytest
import torch
from safetensors.torch import load_file

from detox_core.errors import BadInput
from detox_core.models.loading import load_base
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
    monkeypatch.setattr("detox_core.train.run._reward", lambda _: lambda completions, **_more: [float(len(text)) for text in completions])


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
