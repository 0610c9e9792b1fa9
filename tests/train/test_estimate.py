"""What is said before a run starts agrees with what the run then is."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from detox_core.models.loading import load_base
from detox_core.models.variants import FAMILY
from detox_core.train.estimate import estimate
from detox_core.train.spec import spec_from


def spec(**more):
    return spec_from({"name": "x", "method": "sft", **more})


@pytest.mark.parametrize("at", [0, 1])
def test_trainable_parameters_are_those_that_peft_makes(at, each_family, tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model

    base, variant = load_base(each_family[0].base, "float32"), each_family[at]
    if variant.adapter:
        made = PeftModel.from_pretrained(base.model, variant.adapter, is_trainable=True)
    else:
        made = get_peft_model(base.model, LoraConfig(task_type="CAUSAL_LM", r=8, target_modules="all-linear"))
    found = estimate(spec(rank=8, data="counter-narratives"), variant)
    assert found.trainable == made.get_nb_trainable_parameters()[0]
    assert found.parameters == sum(p.numel() for p in load_base(variant.base, "float32").model.parameters())


def test_rows_tokens_and_passes_by_hand(family, tmp_path, tokenizer):
    rows = [{"text": f"Say hello {n}", "reply": "Hello there."} for n in range(3)] + [{"text": "a " * 300, "reply": "b"}]
    path = tmp_path / "p.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = estimate(spec(data=str(path), steps=10, batch=2, max_length=100), family[0])
    assert (found.usable, found.used, found.passes, found.cut) == (4, 4, 5.0, 0.25)
    lengths = [len(tokenizer(f"{row['text'].strip()} {row['reply']}")["input_ids"]) for row in rows]
    assert found.tokens == pytest.approx(sum(lengths) / 4, abs=0.5)
    assert estimate(spec(data=str(path), rows=2, steps=10, batch=2), family[0]).passes == 10


def test_prompts_that_are_measured_are_counted_whatever_their_dress(family, tmp_path):
    from detox_core.data import get_dataset

    asked = get_dataset("demo")[0].text
    (tmp_path / "p.jsonl").write_text(json.dumps({"text": f"  {asked.upper()} ", "reply": "No."}) + "\n")
    assert estimate(spec(data=str(tmp_path / "p.jsonl")), family[0]).leaked == {"demo": 1}
    assert estimate(spec_from({"name": "x", "method": "rloo", "data": "demo"}), family[0]).leaked["demo"] == 330


def test_the_bundled_pairs_share_nothing_with_what_is_held_out():
    assert "demo-heldout" not in estimate(spec(), FAMILY[0]).leaked


def test_what_is_not_on_this_computer_is_left_open(family):
    from dataclasses import replace

    found = estimate(spec(), replace(family[0], base="EleutherAI/pythia-70m"))
    assert (found.tokens, found.trainable, found.memory) == (None, None, None)
    assert found.usable > 1000


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a process cannot tell its peak here")
def test_the_memory_is_roughly_what_a_run_takes(tmp_path):
    """A real run of the embedded family in a process of its own: between half and twice the estimate."""
    code = (
        "import threading, pathlib; from detox_core.train.run import train; from detox_core.train.spec import spec_from\n"
        "from detox_core.models.variants import FAMILY\n"
        f"spec = spec_from({{'name': 'x', 'method': 'sft', 'steps': 2, 'batch': 16}})\n"
        f"train(spec, FAMILY[0], pathlib.Path({str(tmp_path)!r}), lambda *_: None, threading.Event())\n"
        "print(pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"  # getrusage's peak is also the parent's
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    peak, said = 1024 * int(done.stdout.split()[-1]), estimate(spec(batch=16), FAMILY[0]).memory
    assert said
    assert 0.5 < peak / said < 2
