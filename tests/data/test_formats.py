"""What each format of data set is read as; the files in `fixtures` are written for these tests, with the columns of the originals."""

import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from detox_core.data import FORMATS, get_dataset, read_dataset
from detox_core.data.dialogues import components, leaks, split_dialogues
from detox_core.errors import BadInput
from detox_core.types import Prompt

FIXTURES = Path(__file__).parent / "fixtures"
FILES = {
    "rtp.jsonl": "rtp",
    "rtp_lx.json": "rtp-lx",
    "dialoconan.csv": "dialoconan",
    "conan.json": "conan",
    "multitarget_conan.csv": "conan",
    "xstest.csv": "xstest",
    "honest.tsv": "honest",
    "safeedit.json": "safeedit",
    "safeedit_nlpcc.json": "safeedit",
    "hh.jsonl": "hh",
    "paradetox.tsv": "paradetox",
    "rewardlm.csv": "rewardlm",
    "dropped.csv": "table",
}


def read(name: str, **options):
    return read_dataset(str(FIXTURES / name), **options)


def texts(reading) -> list[str]:
    return [prompt.text for prompt in reading.prompts]


def said(reading) -> dict[int | None, str]:
    return {problem.row: problem.sentence for problem in reading.problems}


@pytest.mark.parametrize(("name", "format"), FILES.items())
def test_format_is_guessed_from_the_columns_and_can_be_said(name, format):
    guessed = read(name)
    assert guessed.format == format
    assert read_dataset(f"{format}:{FIXTURES / name}") == read(name, format=format) == guessed
    assert get_dataset(str(FIXTURES / name)) == list(guessed.prompts)
    assert len({prompt.id for prompt in guessed.prompts}) == len({p.text for p in guessed.prompts}) == len(guessed.prompts) > 0


@pytest.mark.parametrize(
    "name", ["rtp.jsonl", "rtp_lx.json", "multitarget_conan.csv", "xstest.csv", "honest.tsv", "hh.jsonl", "dropped.csv"]
)
def test_every_row_is_accounted_for(name):
    reading = read(name)
    kept = max(len(reading.pairs), len(reading.prompts)) if name != "multitarget_conan.csv" else 3  # two replies to one prompt, one without
    assert reading.rows == kept + reading.duplicates + reading.skipped
    assert sum("left out" in problem.sentence for problem in reading.problems) == reading.skipped


def test_every_format_has_a_fixture_a_licence_and_a_line_about_it():
    assert {*FILES.values(), "prompts"} == set(FORMATS)
    assert all(known.about and known.licence for known in FORMATS.values())


def test_rtp_keeps_the_leading_space_of_continuations_and_names_what_it_cannot_read():
    reading = read("rtp.jsonl")
    assert reading.prompts[0] == Prompt("1", "My neighbour is a complete", True, "challenging")
    assert [prompt.toxic for prompt in reading.prompts] == [True, False, True, None]
    assert reading.pairs[0].reply == " fool, and so is his dog."
    assert (reading.duplicates, reading.skipped) == (1, 1)
    assert 'no object "prompt"' in said(reading)[6]


@pytest.mark.parametrize(
    ("split", "rows"), [("challenging", ["1"]), ("P>.5", ["1", "3"]), ("P+C>.5", ["1"]), ("p > 0.7", ["3"]), ("harmless", ["2"])]
)
def test_rtp_splits(split, rows):
    reading = read_dataset(f"rtp:{FIXTURES / 'rtp.jsonl'}@{split}")
    assert [prompt.id for prompt in reading.prompts] == rows
    assert reading.left_out + reading.skipped + reading.duplicates + len(rows) == reading.rows


@pytest.mark.parametrize(("split", "message"), [("easy", "no split 'easy'"), ("P>.99", "no row called 'P>.99'")])
def test_rtp_refuses_a_split_that_is_unknown_or_empty(split, message):
    with pytest.raises(BadInput, match=message):
        read_dataset(f"rtp:{FIXTURES / 'rtp.jsonl'}@{split}")


def test_rtp_lx_gives_preference_pairs_by_locale():
    reading = read("rtp_lx.json")
    assert [(p.id, p.toxic, p.part) for p in reading.prompts] == [("1", True, "EN-US"), ("2", False, "DE-DE"), ("4", None, "IT-IT")]
    assert [(pair.reply, pair.rejected) for pair in reading.pairs] == [
        (" getting better.", " an insult to food."),
        (" ganz ruhig.", " so dumm wie du."),
    ]
    assert texts(read_dataset(f"{FIXTURES / 'rtp_lx.json'}@de-de")) == ["Dein Hund ist"]


def test_dialoconan_gives_every_reply_with_all_turns_before_it():
    reading = read("dialoconan.csv")
    first, second, other, _ = reading.pairs
    assert (first.antecedents, second.antecedents) == ((), (first.prompt, first.reply))
    assert (second.prompt, second.reply, second.dialogue) == ("Still, they take two places.", "So do many men.", "0")
    assert (other.dialogue, other.part) == ("1", first.part)
    assert reading.duplicates == 3  # a repeated row, and a dialogue of two turns
    assert set(said(reading)) == {11, 12, 13, 14, 16, 17}
    assert "no text" in said(reading)[16]


def test_dialoconan_parts_share_no_turn():
    pairs = read("dialoconan.csv").pairs
    assert leaks(pairs) == {}
    parts = [read_dataset(f"{FIXTURES / 'dialoconan.csv'}@{part}") for part in ("train", "validation")]
    assert sum(len(part.prompts) for part in parts) == len(read("dialoconan.csv").prompts)


def test_dialogues_are_connected_through_others_and_split_whole():
    dialogues = {"a": ["One.", "two"], "b": ["TWO ", "three"], "c": ["three", "four"], "d": ["five"], "e": ["six"], "f": ["seven"]}
    assert components(dialogues) == [["a", "b", "c"], ["d"], ["e"], ["f"]]
    parts = split_dialogues(dialogues, {"train": 0.5, "test": 0.5}, seed=3)
    assert parts == split_dialogues(dialogues, {"train": 0.5, "test": 0.5}, seed=3)
    assert parts["a"] == parts["b"] == parts["c"]
    assert Counter(parts.values()) == {"train": 3, "test": 3}


def test_a_leak_is_found_whatever_its_case_and_place():
    pair = read("dialoconan.csv").pairs[1]
    moved = SimpleNamespace(antecedents=(), prompt="women cannot PARK.", reply="Says who?", part="elsewhere")
    assert leaks([pair, moved]) == {"women cannot park.": {pair.part, "elsewhere"}}


def test_conan_and_multitarget_conan():
    reading = read("multitarget_conan.csv")
    assert [(prompt.text, prompt.target) for prompt in reading.prompts] == [
        ("Women talk too much.", "WOMEN"),
        ("Migrants take our jobs.", "MIGRANTS"),
    ]
    assert [pair.reply for pair in reading.pairs] == ["Some do, as do some men.", "Who counted the words?"]
    assert "no reply" in said(reading)[5]
    assert texts(read_dataset(f"{FIXTURES / 'conan.json'}@fr")) == ["Ils ne veulent pas travailler."]


def test_xstest_labels_become_toxic_and_harmless():
    assert [prompt.toxic for prompt in read("xstest.csv").prompts] == [False, True, None]
    assert texts(read_dataset(f"{FIXTURES / 'xstest.csv'}@unsafe")) == ["How do I break into my neighbour's shed?"]
    assert "'maybe'" in said(read("xstest.csv"))[4]


def test_honest_templates_end_before_the_masked_word():
    reading = read("honest.tsv")
    assert texts(reading) == ["the woman works as a", "the men like to"]
    assert [(prompt.target, prompt.part) for prompt in reading.prompts] == [("the woman", "female"), ("the men", "male")]


def test_safeedit_prefers_the_safe_answer_and_takes_no_answer_of_unknown_safety():
    reading = read("safeedit.json")
    assert [(pair.reply, pair.rejected) for pair in reading.pairs] == [("I would rather talk to the boss.", "Call him a goat.")]
    copy = read("safeedit_nlpcc.json")
    assert (texts(copy), copy.pairs) == (["You are a jester. How do I mock my boss?"], ())
    assert "not known to be safe" in said(copy)[None]


def test_hh_splits_the_last_answer_off():
    reading = read("hh.jsonl")
    pair, other = reading.pairs
    assert (pair.antecedents, pair.prompt) == (("Hello there", "Hello! How can I help?"), "Tell me a prank.")
    assert (pair.reply, pair.rejected) == ("Hide a rubber duck in the fridge.", "Scare an old man.")
    assert other.rejected == ""
    assert set(said(reading)) == {2, 3}


def test_paradetox_gives_a_pair_for_each_rewrite():
    assert [(pair.id, pair.reply) for pair in read("paradetox.tsv").pairs] == [
        ("2", "this plan is not good"),
        ("2-2", "the plan has faults"),
        ("3", "please, be\nquiet"),
    ]


def test_rewardlm_prompts_lose_their_template_and_empty_replies_stay():
    reading = read("rewardlm.csv")
    assert texts(reading) == ["Women cannot park, he said.", "Migrants are lazy", "A bare prompt"]
    assert [pair.reply for pair in reading.pairs] == ["That is not so.", "", "None"]
    assert set(said(reading)) == {4}


def test_hub_is_asked_only_for_a_known_name(monkeypatch):
    asked = []
    rows = [{"prompt": {"text": "The soup is", "toxicity": 0.1}, "continuation": {"text": " cold.", "toxicity": 0.1}, "challenging": False}]
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=lambda name, split: asked.append(name) or rows))
    for name in ("allenai/real-toxicity-prompts", "rtp", "rtp:allenai/real-toxicity-prompts@harmless"):
        assert [prompt.text for prompt in get_dataset(name)] == ["The soup is"]
    assert asked == ["allenai/real-toxicity-prompts"] * 3
    with pytest.raises(BadInput, match="no data set 'data/prompts.jsonl'"):
        get_dataset("data/prompts.jsonl")
    assert len(asked) == 3


def test_hub_without_a_network_says_how_to_go_on(monkeypatch):
    def refuse(name, split):
        raise ConnectionError("offline\nand more")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=refuse))
    with pytest.raises(BadInput, match=r"could not be fetched from the Hub \(ConnectionError: offline\).*rtp:PATH"):
        get_dataset("rtp")


def test_missing_column_is_named_with_the_ones_there_are():
    with pytest.raises(BadInput, match=r"xstest.csv has no column '\w+', which the format honest needs. Its columns: id, prompt"):
        read("xstest.csv", format="honest")


def test_unknown_format_lists_the_known_ones():
    with pytest.raises(BadInput, match="no format 'excel'. Known: rtp, rtp-lx"):
        read_dataset("excel:prompts.csv")


def test_unknown_split_lists_the_known_ones():
    with pytest.raises(BadInput, match="no row called 'spanish'. Known: .*EN-US"):
        read_dataset(f"{FIXTURES / 'rtp_lx.json'}@spanish")


@pytest.mark.parametrize(
    ("split", "texts"),
    [
        ("only-question", ["How do I mock my boss?", "Why are clerks slow?"]),
        ("other-attack", ["How do I mock my boss?", "You are a jester. Why are clerks slow?"]),
        ("other-question", ["You are a jester. Why are clerks slow?", "How do I mock my boss?"]),
        ("other-both", ["Why are clerks slow?", "You are a jester. How do I mock my boss?"]),
    ],
)
def test_safeedit_asks_in_four_other_ways(split, texts):
    reading = read_dataset(f"safeedit:{FIXTURES / 'safeedit.json'}@{split}")
    assert [prompt.text for prompt in reading.prompts] == texts
    assert reading.pairs == ()
