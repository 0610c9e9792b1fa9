"""Facts about attribution entropy in bulk."""

import json
import math

import pytest

from detox_core.errors import BadInput
from detox_core.measure.entropy import LEAST, by_step, explain_many
from detox_core.score.spans import WORDS
from detox_core.types import Prompt, Span

PROMPTS = [Prompt(str(number), f"prompt {number}") for number in range(3)]


def run(path, family, scorer, prompts=PROMPTS, **options):
    return explain_many(prompts, family, scorer, path, **options)


def test_a_line_per_prompt_and_variant_with_a_value_per_token(tmp_path, family, fake_scorer):
    rows = run(tmp_path / "e.jsonl", family, fake_scorer)
    assert [(row["id"], row["variant"]) for row in rows] == [(p.id, v.id) for p in PROMPTS for v in family]
    for row in rows:
        assert len(row["entropy"]) == len(row["relative"]) == len(row["dependence"])
        assert all(0 <= value <= 1 for value in row["relative"])
        assert set(row["toxic"]) <= set(row["words"]) <= set(range(len(row["entropy"])))
        assert row["words"] == sorted(row["words"])


def test_toxic_words_are_known_by_the_token_they_begin_in(tmp_path, family, fake_scorer, monkeypatch):
    def longest(text, scorer):
        found = max(WORDS.finditer(text), key=lambda match: len(match[0]), default=None)
        return (Span(found.start(), found.end(), 1.0),) if found else ()

    monkeypatch.setattr("detox_core.measure.entropy.toxic_spans", longest)
    rows = run(tmp_path / "e.jsonl", family, fake_scorer, PROMPTS[:1])
    for row in rows:
        starts = [match.start() for match in WORDS.finditer(row["text"])]
        assert len(row["toxic"]) == (1 if starts else 0)
        assert len(row["words"]) <= len(starts)


def test_file_without_toxic_words_is_refused(tmp_path, family, fake_scorer):
    path = tmp_path / "e.jsonl"
    run(path, family, fake_scorer, PROMPTS[:1])
    header, rest = path.read_text(encoding="utf-8").split("\n", 1)
    settings = {key: value for key, value in json.loads(header).items() if key != "version"}
    path.write_text(json.dumps(settings) + "\n" + rest, encoding="utf-8")
    with pytest.raises(BadInput, match="made with other settings"):
        run(path, family, fake_scorer, PROMPTS[:1])


@pytest.mark.parametrize("cut", [10, 200, 500, 1000])
def test_killed_run_goes_on_without_losing_or_repeating_a_line(tmp_path, family, fake_scorer, cut):
    whole = tmp_path / "whole.jsonl"
    wanted = run(whole, family, fake_scorer)
    partial = tmp_path / "partial.jsonl"
    text = whole.read_text(encoding="utf-8")
    header = text.index("\n") + 1
    partial.write_text(text[: header + cut], encoding="utf-8")
    assert run(partial, family, fake_scorer) == wanted
    assert partial.read_text(encoding="utf-8") == text


def test_file_of_other_settings_is_refused(tmp_path, family, fake_scorer):
    run(tmp_path / "e.jsonl", family, fake_scorer, PROMPTS[:1])
    with pytest.raises(BadInput, match="made with other settings"):
        run(tmp_path / "e.jsonl", family, fake_scorer, PROMPTS[:1], seed=1)


def line(number: int, variant: str, toxicity: float | None, values: list[float]) -> dict:
    return {"id": str(number), "variant": variant, "toxicity": toxicity, "entropy": values}


def test_steps_are_averaged_by_what_the_first_variant_answered():
    rows = [line(n, "it", 0.9, [1.0, 2.0]) for n in range(LEAST)] + [line(n + 50, "it", 0.1, [3.0]) for n in range(LEAST)]
    rows += [line(n, "ft", 0.1, [4.0 + n % 2]) for n in range(LEAST)] + [line(99, "it", None, [9.0])]
    found = {(row["variant"], row["group"], row["step"]): row for row in by_step(rows, "entropy", "it")}
    assert set(found) == {("it", "eliciting", 0), ("it", "eliciting", 1), ("it", "rest", 0), ("ft", "eliciting", 0)}
    assert found["it", "eliciting", 1]["mean"] == pytest.approx(2)
    ft = found["ft", "eliciting", 0]
    half = 1.96 * math.sqrt(0.25 * LEAST / (LEAST - 1)) / math.sqrt(LEAST)
    assert (ft["mean"], ft["high"], ft["n"]) == (pytest.approx(4.5), pytest.approx(4.5 + half), LEAST)


def test_steps_with_few_replies_are_left_out():
    rows = [line(n, "it", 0.9, [1.0]) for n in range(LEAST - 1)]
    assert by_step(rows, "entropy", "it") == []


def test_lines_are_json(tmp_path, family, fake_scorer):
    path = tmp_path / "e.jsonl"
    run(path, family, fake_scorer, PROMPTS[:1])
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[0])["variants"] == ["it", "ft", "rl"]
