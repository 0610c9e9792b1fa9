"""One run shared by two processes, through `accelerate launch` on CPUs."""

import json
from pathlib import Path

import pytest
import yaml

from detox_core.errors import BadInput
from detox_core.train.progress import ADAPTER, METRICS, PROBED, read_lines
from detox_core.train.spec import spec_from
from tests.training_jobs.test_jobs import until
from training_jobs import jobs


def test_two_processes_share_a_run(family, tmp_path):
    rows = [{"text": f"Say {n}", "reply": f"I say {n} kindly."} for n in range(32)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {"name": "Two", "method": "sft", "base": family[0].base, "data": str(tmp_path / "pairs.jsonl"), "steps": 4, "batch": 4}
    run = jobs.submit("train", {**spec, "rank": 2, "processes": 2, "scorers": {"second": 1.0}, "probe_every": 2}, "two")
    done = until(run.id, *jobs.ENDED)
    assert done.state == "done", f"{done.error}\n{jobs.tail(done.folder, 40)}"
    assert (done.done, done.total) == (4, 4)
    assert (done.folder / ADAPTER / "adapter_model.safetensors").is_file()
    assert [row["step"] for row in read_lines(done.folder / PROBED)] == [0, 2, 4]
    logged = [row for row in read_lines(done.folder / METRICS) if "epoch" in row]
    assert logged[-1]["epoch"] == pytest.approx(1.0), "four steps of two times four rows are all 32, each once"


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_the_launchers_settings_are_committed_and_chosen_by_the_spec(strategy, isolated):
    jobs.runs_folder().mkdir(parents=True)
    folder = jobs.runs_folder() / "x"
    folder.mkdir()
    jobs.write_json(folder / "spec.json", {"processes": 4, "strategy": strategy})
    command = jobs._launcher(folder)
    config = yaml.safe_load(Path(command[command.index("--config_file") + 1]).read_text())
    assert config["distributed_type"] == {"ddp": "MULTI_GPU", "fsdp": "FSDP"}[strategy]
    assert command[command.index("--num_processes") + 1] == "4"


def test_ppo_is_for_one_process():
    with pytest.raises(BadInput, match="one process"):
        spec_from({"name": "x", "method": "ppo", "processes": 2})
