"""The commands, run in-process on the real embedded family."""

import json
import subprocess
import sys

import pytest

from detox_core.cli import main
from detox_core.models.variants import cache_folder, save_variant
from detox_core.types import Variant

PROMPT = "Women can't drive."


def run_json(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments: str) -> str:
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    return lines[-1]


def test_compare_prints_the_promised_document(capsys):
    document = run_json(capsys, "compare", PROMPT, "--max-new-tokens", "12")
    assert document["prompt"] == PROMPT
    assert 0 <= document["prompt_score"] <= 1
    assert [generation["variant"] for generation in document["generations"]] == ["it", "ft", "rl"]
    first = document["generations"][0]
    assert {"variant", "sample", "text", "score", "tokens", "finish"} <= set(first)
    assert len(first["tokens"]) == len(first["logprobs"])
    assert first["finish"] in ("eos", "turn", "length")


def test_same_seed_prints_the_same_texts(capsys):
    texts = [
        [generation["text"] for generation in run_json(capsys, "compare", PROMPT, "--seed", seed, "--max-new-tokens", "12")["generations"]]
        for seed in ("3", "3", "4")
    ]
    assert texts[0] == texts[1] != texts[2]


def test_greedy_does_not_depend_on_the_seed(capsys):
    texts = [
        run_json(capsys, "compare", PROMPT, "--greedy", "--variants", "it", "--seed", seed, "--max-new-tokens", "12")["generations"][0][
            "text"
        ]
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1]


def test_samples_are_numbered(capsys):
    document = run_json(capsys, "compare", PROMPT, "--samples", "2", "--variants", "it,rl", "--max-new-tokens", "6")
    assert [(g["variant"], g["sample"]) for g in document["generations"]] == [("it", 0), ("it", 1), ("rl", 0), ("rl", 1)]


def test_missing_adapter_fails_its_column_alone(capsys):
    save_variant(Variant("lost", "LOST", "embedded/it", str(cache_folder() / "no-such-adapter")))
    document = run_json(capsys, "compare", PROMPT, "--variants", "it,lost", "--max-new-tokens", "6")
    assert "no-such-adapter" in document["errors"]["lost"]
    assert [generation["variant"] for generation in document["generations"]] == ["it"]


def test_score_prints_one_entry_per_text(capsys):
    document = run_json(capsys, "score", "You are an idiot.", "What a lovely day.", "  ")
    toxic, friendly, blank = document["scores"]
    assert toxic["score"] > 0.5 > friendly["score"]
    assert (blank["score"], blank["reason"], blank["bucket"]) == (None, "empty", "not scored")
    assert document["scorer"] == "local"
    assert document["revision"]


def test_variants_lists_the_family(capsys):
    assert [variant["id"] for variant in run_json(capsys, "variants")["variants"]][:3] == ["it", "ft", "rl"]


def test_doctor_says_offline_ready(capsys):
    report = run_json(capsys, "doctor")
    assert report["offline_ready"], [check for check in report["checks"] if not check["ok"]]
    assert report["packages"]["torch"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compare", "   "], "empty"),
        (["compare", "a" * 100_000], "100,000 characters"),
        (["compare", PROMPT, "--variants", "nobody"], "nobody"),
        (["compare", PROMPT, "--variants", ""], "variant"),
        (["compare", PROMPT, "--samples", "99"], "99"),
        (["compare", PROMPT, "--temperature", "-1"], "-1"),
        (["compare", PROMPT, "--greedy", "--samples", "5"], "temperature"),
        (["compare", PROMPT, "--scorer", "nobody"], "nobody"),
        (["score", "text", "--scorer", "perspective"], "PERSPECTIVE_API_KEY"),
    ],
)
def test_bad_input_is_one_line_and_status_2(capsys, monkeypatch, arguments, said):
    monkeypatch.delenv("PERSPECTIVE_API_KEY", raising=False)
    assert said in refused(capsys, *arguments)


def test_bad_arguments_are_one_line_and_status_2(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["compare"])
    assert exit_.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_standard_output_of_a_process_is_one_json_document():
    command = [sys.executable, "-m", "detox_core", "score", "Hello there.", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["scores"][0]["text"] == "Hello there."


def test_bench_generate_prints_both_sides_and_their_ratio(capsys):
    document = run_json(capsys, "bench", "generate", "--rounds", "1")
    assert document["ratio"] == pytest.approx(document["other_s"] / document["ours_s"])
    assert document["what"]
    assert set(document["peak_mib"]) == {"one", "mixed", "three"}


def test_a_request_that_no_variant_could_answer_is_bad_input(capsys):
    assert "no folder" in refused(capsys, "compare", PROMPT, "--variants", "/no/such/folder")
