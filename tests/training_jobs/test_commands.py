"""The commands `train` and `runs`, and the paper's protocol on tiny models."""

import json

import pytest

from detox_core.cli import main
from detox_core.errors import BadInput
from detox_core.train.paper import PROTOCOL, commands, read_protocol


def run_json(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.fixture
def pairs(tmp_path):
    rows = [{"text": f"Say {n}", "reply": f"I say {n}.", "rejected": f"You idiot, {n}."} for n in range(4)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "pairs.jsonl"


def test_a_run_by_command_ends_as_a_variant_and_is_deleted_to_the_trash(capsys, tmp_path, pairs, family, isolated):
    spec = tmp_path / "spec.yaml"
    lines = [f"name: By hand\nmethod: sft\nbase: {family[0].base}\ndata: {pairs}", "steps: 2\nbatch: 2\nrank: 2\nmax_length: 48"]
    spec.write_text("\n".join(lines))
    done = run_json(capsys, "train", str(spec), "--wait")
    assert (done["state"], done["done"], done["total"]) == ("done", 2, 2)
    assert done["id"] in [variant["id"] for variant in run_json(capsys, "variants")["variants"]]
    assert [run["id"] for run in run_json(capsys, "runs")["runs"]] == [done["id"]]
    assert run_json(capsys, "runs", "latest")["id"] == done["id"]
    assert "log" in run_json(capsys, "runs", "show", done["id"])
    assert "is done" in refused(capsys, "runs", "resume", done["id"])
    assert run_json(capsys, "runs", "delete", done["id"]) == {"deleted": done["id"]}
    assert run_json(capsys, "runs")["runs"] == []
    assert len(list((isolated / "trash").iterdir())) == 1


def test_what_cannot_be_done_is_one_line(capsys, tmp_path):
    (tmp_path / "bad.yaml").write_text("name: x\nmethod: magic\n")
    assert "Unknown method 'magic'" in refused(capsys, "train", str(tmp_path / "bad.yaml"))
    assert "No training run is done yet" in refused(capsys, "runs", "latest")
    assert "Which run?" in refused(capsys, "runs", "stop")
    assert "There is no run 'x'" in refused(capsys, "runs", "show", "x")
    assert "Give --dir" in refused(capsys, "reproduce", "rewardlm")
    assert "at least 2" in refused(capsys, "reproduce", "paper", "--limit", "1")


def test_the_protocol_of_the_paper_runs_whole_and_is_not_done_twice(capsys, tmp_path, pairs, family, monkeypatch):
    def length(completions, **_more):
        return [float(len(text)) for text in completions]

    monkeypatch.setattr("detox_core.train.trainers.rewards_of", lambda _spec, _second: [("length", 1.0, length)])
    protocol = tmp_path / "paper.yaml"
    sizes = "batch: 4, rank: 2, max_length: 48, samples: 2, max_new_tokens: 5"
    protocol.write_text(
        f"model: {family[0].base}\nft: {{method: sft, data: {pairs}, {sizes}}}\nrl: {{method: rloo, data: {pairs}, {sizes}}}\n"
        "measure: {dataset: demo, samples: 2, scorers: [second]}\nexplain: {dataset: demo}\n"
    )
    asked = ("reproduce", "paper", "--protocol", str(protocol), "--limit", "2", "--out", str(tmp_path / "out"))
    document = run_json(capsys, *asked)
    assert set(document["measure"]["variants"]) == {family[0].base, "ft", "rl"}
    assert {point["variant"] for point in document["explain"]["steps"]["entropy"]} <= {family[0].base, "ft", "rl"}
    assert len(document["commands"]) == 4
    monkeypatch.setattr("detox_core.train.paper.train", None)
    assert run_json(capsys, *asked)["measure"] == document["measure"]


def test_the_limit_caps_prompts_and_steps():
    found = read_protocol(PROTOCOL, "ft", 20)
    assert (found["ft"].steps, found["rl"].steps, found["ft"].base) == (20, 20, "ft")
    assert "--limit 20" in commands(found)[-1]


def test_a_file_that_is_no_protocol_is_refused(tmp_path):
    (tmp_path / "p.yaml").write_text("model: it\n")
    with pytest.raises(BadInput, match="is no protocol"):
        read_protocol(tmp_path / "p.yaml")
