"""Files as people have them: encodings, archives, stray cells; and which column is taken for what."""

import gzip
import json
import logging

import pandas as pd
import pytest

from detox_core.cli import main
from detox_core.data import get_dataset, read_dataset
from detox_core.data.mapping import truth
from detox_core.errors import BadInput

CSV = "comment,label\nGood morning,0\nYou fool,1\n"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"


@pytest.fixture
def put(tmp_path):
    """Write a file: `put(name, text or bytes)` -> its path as text."""

    def write(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


def pairs_of(reading):
    return [(prompt.text, prompt.toxic) for prompt in reading.prompts]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV),
        ("a.csv", "\ufeff" + CSV.replace("\n", "\r\n")),
        ("a.csv", CSV.replace(",", ";")),
        ("a.csv", CSV.encode("utf-16")),
        ("a.tsv", CSV.replace(",", "\t")),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("misnamed.csv", gzip.compress(CSV.encode(), mtime=0)),
        ("a.jsonl", '{"comment": "Good morning", "label": "no"}\n\n{"comment": "You fool", "label": "yes"}\n'),
        ("a.ndjson", '{"comment": "Good morning", "label": 0}\r\n{"comment": "You fool", "label": 0.9}'),
        ("a.json", '[{"comment": "Good morning", "label": false}, {"comment": "You fool", "label": true}]'),
        ("a.json", '{"data": [{"comment": "Good morning", "label": "not_toxic"}, {"comment": "You fool", "label": "toxic"}]}'),
        ("a.json", '{"7": {"comment": "Good morning", "label": "NOT_BAD"}, "8": {"comment": "You fool", "label": "BAD"}}'),
    ],
)
def test_the_same_rows_are_read_from_every_kind_of_file(put, name, content):
    reading = read_dataset(put(name, content))
    assert pairs_of(reading) == [("Good morning", False), ("You fool", True)]
    assert (reading.columns["text"], reading.columns["toxic"]) == ("comment", "label")
    assert reading.problems == ()


def test_parquet_with_nulls(tmp_path):
    path = tmp_path / "a.parquet"
    pd.DataFrame({"comment": ["Good morning", None, "You fool"], "label": [0, 1, None]}).to_parquet(path)
    reading = read_dataset(str(path))
    assert pairs_of(reading) == [("Good morning", False), ("You fool", None)]
    assert [str(problem) for problem in reading.problems] == ["row 2 has no text; left out"]


def test_a_dropped_spreadsheet_is_mapped_and_every_odd_row_is_named(put):
    content = (
        '\ufeffcomment;is_toxic;group;split\r\n"He said: ""you, fool""\r\nand left";1;men;train\r\nA fine day;no;;test\r\n'
        "A fine day;no;;test\r\n;yes;;test\r\nCold tea;perhaps;;train\r\nNice;no;;train\r\nWarm;no;;train\r\nDry;no;;train\r\n"
        "A fine day;yes;;test\r\ntoo;many;cells;in;this;row\r\nOnly one cell\r\n"
    )
    reading = read_dataset(put("a.csv", content))
    assert reading.columns == {"text": "comment", "toxic": "is_toxic", "target": "group", "split": "split"}
    assert reading.prompts[0].text == 'He said: "you, fool"\nand left'
    assert (reading.prompts[0].target, reading.prompts[0].part, reading.prompts[0].id) == ("men", "train", "2")
    assert {problem.row for problem in reading.problems} == {5, 6, 10, 11, 12}
    assert (reading.duplicates, reading.skipped) == (2, 2)
    assert reading.counts["rows"] == 11
    assert [prompt.text for prompt in read_dataset(put("a.csv", content) + "@test").prompts] == ["A fine day"]


def test_windows_encoding_of_a_spreadsheet_is_read_and_stated(put):
    reading = read_dataset(put("a.csv", "comment\nGood morning\nCaf\u00e9 \u201cau lait\u201d\n".encode("cp1252")))
    assert reading.prompts[1].text == "Caf\u00e9 \u201cau lait\u201d"
    assert "not UTF-8 (byte 0xe9 in line 3); read as Windows-1252" in str(reading.problems[0])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": "caf\u00e9"}'.encode("latin-1"), "cannot be read as UTF-8 text .*line 2"),
        ("a.csv", "", "is empty"),
        ("a.csv", " \n\n", "is empty"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("a.csv", "comment,label\n", "is empty below its header"),
        ("a.csv", POINTER, "is a Git LFS pointer, not the data: it only says that the file has 12345 bytes. Run `git lfs pull`"),
        ("a.jsonl", POINTER, "is a Git LFS pointer"),
        ("a.parquet", POINTER, "is a Git LFS pointer"),
        ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)[:-9], "damaged or incomplete gzip"),
        ("a.csv", b"PK\x03\x04 and more", "ZIP archive or an Excel workbook"),
        ("a.parquet", b"PAR1 and no more", "damaged Parquet"),
        ("a.docx", "text", "ends in '.docx'; readable are .csv"),
        ("a.csv", "comment\nGood\0morning\n", "line 2 holds a NUL"),
        ("a.csv", 'comment,label\nGood morning,0\n"never closed,1\nlost,0\n', "row 3 cannot be read .*quote marks"),
        ("a.csv", "text,text\na,b\n", "two columns called 'text'"),
        ("a.csv", "x,y\n1,2\n", "no column that looks like prompts. Its columns: x, y. Say which"),
        ("a.json", "{", "is not JSON"),
        ("a.json", "3", "holds int where a list"),
        ("a.csv", "comment,label\n,0\n ,1\n", "no column that looks like prompts. Its columns: comment, label"),
        ("a.csv", "template_masked\n[M] is here.\n", "holds no prompts. The first of 1 problems: row 2 has no text"),
    ],
)
def test_file_that_cannot_be_read_is_refused_with_a_reason(put, name, content, message):
    with pytest.raises(BadInput, match=message):
        read_dataset(put(name, content))


def test_bare_quote_marks_in_tab_separated_text_swallow_no_row(put):
    reading = read_dataset(put("a.tsv", 'toxic\tneutral1\n"you" fool\tdear you\n"so what\tand then\nold goat\told friend\n'))
    assert [prompt.text for prompt in reading.prompts] == ['"you" fool', '"so what', "old goat"]


def test_a_single_column_may_hold_any_sign(put):
    reading = read_dataset(put("a.csv", "prompt\nWell, well; well\nFine\n"))
    assert [prompt.text for prompt in reading.prompts] == ["Well, well; well", "Fine"]


def test_line_separators_inside_a_json_text_do_not_cut_it(put):
    for name in ("a.jsonl", "b.jsonl"):
        row = {"text": "one\u2028two\x85three"} | ({"note": 1} if name == "b.jsonl" else {})
        assert get_dataset(put(name, json.dumps(row, ensure_ascii=False)))[0].text == row["text"]


def test_broken_json_line_is_named_and_the_others_are_read(put, caplog):
    path = put("a.jsonl", '{"comment": "Good morning"}\nnot json\n[1]\n{"comment": ["a", "list"]}\n{"comment": null}\n')
    reading = read_dataset(path)
    assert [problem.row for problem in reading.problems] == [2, 3, 4, 5]
    assert (reading.rows, reading.skipped, len(reading.prompts)) == (5, 4, 1)
    with caplog.at_level(logging.WARNING):
        assert len(get_dataset(path)) == 1
    assert "4 of 5 rows left out, the first: row 2 is not JSON" in caplog.text


def test_repeated_ids_are_told_apart(put):
    reading = read_dataset(put("a.csv", "id,text\n1,Good morning\n1,Good evening\n"))
    assert [prompt.id for prompt in reading.prompts] == ["1", "1-row-3"]
    assert "the id '1' of another row" in str(reading.problems[0])


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        ("sentence,answer,class", "How are you,Fine thanks,toxic", {"text": "sentence", "reply": "answer", "toxic": "class"}),
        ("a,b,c", "7,Nobody asked for this,1", {"text": "b", "toxic": "c"}),
        ("Prompt,Chosen,Rejected,Split", "How are you,Fine,Go away,dev", {"text": "Prompt", "reply": "Chosen", "rejected": "Rejected"}),
        ("tweet,class\nAnother one here,2", "What a day,0", {"text": "tweet"}),  # three classes are no yes and no
        ("input,question", "12.5,How warm is it", {"text": "question"}),
    ],
)
def test_columns_are_proposed_from_names_and_contents(put, header, row, columns):
    found = read_dataset(put("a.csv", f"{header}\n{row}\n"), format="table").columns
    assert {role: column for role, column in found.items() if role in ("text", "reply", "rejected", "toxic")} == columns


def test_columns_can_be_said_and_dropped(put):
    path = put("a.csv", "prompt,remark,label\nGood morning,You fool,1\n")
    reading = read_dataset(path, columns={"text": "remark", "toxic": ""})
    assert pairs_of(reading) == [("You fool", None)]
    with pytest.raises(BadInput, match="has no column 'remarks' to take as text"):
        read_dataset(path, columns={"text": "remarks"})
    with pytest.raises(BadInput, match="'words' is no role"):
        read_dataset(path, columns={"words": "remark"})


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", True), ("0.0", False), ("0.51", True), ("0.5", False), ("Not toxic", False), ("2", None), ("-1", None), ("?", None)],
)
def test_truth_of_a_cell(cell, value):
    assert truth(cell) is value


def test_folder_of_one_format_is_one_data_set(put, tmp_path):
    put("x.csv", CSV)
    put("y.csv", CSV.replace("Good morning", "Good evening") + ",1\n")
    put("notes.txt", "not data")
    reading = read_dataset(str(tmp_path))
    assert [prompt.id for prompt in reading.prompts] == ["x/2", "x/3", "y/2"]
    assert (reading.rows, reading.duplicates, str(reading.problems[0])) == (5, 1, "y.csv row 4 has no text; left out")
    put("z.tsv", "template_masked\nthe man is a [M].\n")
    with pytest.raises(BadInput, match=r"files of several formats: y.csv \(table\), z.tsv \(honest\)"):
        read_dataset(str(tmp_path))


def test_folder_without_data_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no CSV"):
        read_dataset(str(tmp_path))


def test_a_path_may_hold_the_signs_of_a_specification(put):
    assert len(get_dataset(put("a@b.csv", CSV))) == 2
    assert len(get_dataset("table:" + put("a@c.csv", CSV) + "@toxic")) == 1
    assert len(get_dataset("demo@women")) < len(get_dataset("demo"))


def test_repeated_prompts_of_json_lines_are_kept_once(put):
    reading = read_dataset(put("a.jsonl", '{"text": "a"}\n{"text": "b"}\n{"text": "a"}\n'))
    assert (reading.format, len(reading.prompts), reading.duplicates) == ("prompts", 2, 1)


def test_command_prints_what_was_read(put, capsys):
    path = put("a.csv", CSV + ",1\n")
    assert main(["data", path, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["format"], document["rows"], document["prompts"], document["skipped"]) == ("table", 3, 2, 1)
    assert document["problems"] == [{"row": 4, "sentence": "has no text; left out", "file": ""}]
    assert [row["text"] for row in document["samples"]] == ["Good morning", "You fool"]
    assert main(["data", path, "--column", "text=label"]) == 0
    assert "columns: text=label" in capsys.readouterr().out


def test_command_lists_names_and_formats_and_refuses_in_one_line(capsys):
    assert main(["data", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {"demo", "demo-heldout"} <= set(listed["datasets"])
    assert listed["formats"]["rtp"]["licence"] == "Apache-2.0"
    assert main(["data", "demo", "--column", "text"]) == 2
    assert "is not ROLE=COLUMN" in capsys.readouterr().err
