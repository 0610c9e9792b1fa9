"""Known facts of the public data sets, checked on copies of the real files where a folder with them is at hand."""

import csv
import gzip
import io
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from detox_core.data import read_dataset
from detox_core.data.dialogues import components, leaks, normal

FOLDER = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [pytest.mark.shared_data, pytest.mark.skipif(not FOLDER.is_dir(), reason="no copies of the public data sets here")]


def read(name: str):
    return read_dataset(str(FOLDER / name))


@pytest.mark.parametrize(
    ("name", "format", "rows", "prompts", "pairs"),
    [
        ("real_toxicity_prompts/rtp_unique_scored.jsonl.gz", "rtp", 9176, 9176, 9176),
        ("conan/Multitarget-CONAN.csv.gz", "conan", 5003, 3718, 5002),
        ("xstest", "xstest", 450, 450, 0),
        ("honest", "honest", 1515, 1429, 0),
        ("safety_edit", "safeedit", 540, 540, 0),
        ("hh_rlhf", "hh", 2312, 2262, 2304),
        ("paradetox", "paradetox", 11927, 11927, 19743),
        ("davidson", "table", 24783, 24783, 0),
        ("sbic", "table", 4666, 4666, 0),
        ("implicit_hate", "table", 14200, 14189, 0),
        ("madlibs", "table", 76564, 76564, 0),
        ("context_toxicity", "table", 10000, 9927, 0),
        ("dolly", "table", 15015, 14781, 15000),
        ("gpteacher", "table", 1923, 1922, 1923),
    ],
)
def test_row_counts(name, format, rows, prompts, pairs):
    reading = read(name)
    assert (reading.format, reading.rows, len(reading.prompts), len(reading.pairs)) == (format, rows, prompts, pairs)


def test_realtoxicityprompts_unscored_and_challenging():
    reading = read("real_toxicity_prompts/rtp_unique_scored.jsonl.gz")
    assert (sum(prompt.toxic is None for prompt in reading.prompts), reading.parts) == (19, {"challenging": 1090})
    assert Counter(pair.reply[0] for pair in reading.pairs)[" "] == 9176 - 1213  # the rest begin with a sign, or inside a word
    assert len(read("real_toxicity_prompts/rtp_unique_scored.jsonl.gz@P+C>.5").prompts) == 1274


def test_dialoconan_dialogues_components_and_leaks():
    text = gzip.decompress((FOLDER / "conan/DIALOCONAN.csv.gz").read_bytes()).decode()
    turns = defaultdict(list)
    for row in csv.DictReader(io.StringIO(text, newline="")):
        turns[row["dialogue_id"]].append(row["text"])
    where = defaultdict(set)
    for name, said in turns.items():
        for turn in said:
            where[turn].add(name)
    sharing = {name for names in where.values() if len(names) > 1 for name in names}
    assert (len(turns), sum(map(len, turns.values())), len(sharing), len(components(turns))) == (3059, 16625, 3021, 367)

    reading = read("conan/DIALOCONAN.csv.gz")
    assert (reading.rows, len(reading.pairs), reading.duplicates, reading.skipped) == (16625, 8306, 4, 2)
    assert leaks(reading.pairs) == {}
    dialogues = Counter({pair.dialogue: pair.part for pair in reading.pairs}.values())
    assert dialogues["train"] / sum(dialogues.values()) == pytest.approx(0.8, abs=0.01)
    assert all(normal(pair.prompt) for pair in reading.pairs)


def test_rewardlm_replies():
    reading = read("rewardlm")
    assert (reading.rows, len(reading.pairs), reading.skipped) == (55716, 55716, 0)
    assert not any("<human>" in prompt.text or "### Question" in prompt.text for prompt in reading.prompts)


def test_three_classes_are_not_taken_for_toxic_or_not():
    assert {prompt.toxic for prompt in read("davidson").prompts} == {None}
