"""Facts about reading data sets; the files are written here."""

import gzip
import math

import pytest

from detox_core.data import DATASETS, get_dataset
from detox_core.data.rewardlm import read_rewardlm
from detox_core.errors import BadInput


def written(tmp_path, text: str):
    path = tmp_path / "prompts.jsonl"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", DATASETS)
def test_shipped_data_set_has_toxic_and_harmless_prompts_with_ids(name):
    prompts = get_dataset(name)
    assert len({prompt.id for prompt in prompts}) == len({prompt.text for prompt in prompts}) == len(prompts) >= 150
    assert {prompt.toxic for prompt in prompts} == {True, False}
    assert all(prompt.part for prompt in prompts)


def test_data_sets_share_no_prompt():
    demo, held_out = ({prompt.text.lower() for prompt in get_dataset(name)} for name in ("demo", "demo-heldout"))
    assert not demo & held_out


def test_fields_are_read_and_a_missing_id_is_the_line_number(tmp_path):
    path = written(tmp_path, '\ufeff{"text": "a", "toxic": true, "class": "group", "target": "men"}\n\n{"id": "x", "text": "b"}\n')
    first, second = get_dataset(path)
    assert (first.id, first.text, first.toxic, first.part, first.target) == ("1", "a", True, "group", "men")
    assert (second.id, second.toxic, second.part) == ("x", None, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"text": "a"}\nnot json', "line 2 is not JSON"),
        ('{"text": "  "}', 'line 1 needs a "text"'),
        ("[1]", 'line 1 needs a "text"'),
        ('{"text": "a", "toxic": "yes"}', "line 1: \"toxic\" is 'yes'"),
        ('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}', "line 2: the id '1' occurs twice"),
        ("\n\n", "holds no prompts"),
    ],
)
def test_bad_line_is_named(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        get_dataset(written(tmp_path, text))


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(BadInput, match="no data set 'demos'. Known: demo, counter-narratives, demo-heldout"):
        get_dataset("demos")


def test_file_in_another_encoding_is_refused_by_name(tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"text": "caf\u00e9"}'.encode("latin-1"))
    with pytest.raises(BadInput, match="latin.jsonl cannot be read as UTF-8"):
        get_dataset(str(path))


HEADER = ",prompts,responses,prompt_score,response_score,pro_API_response_score\n"


def test_rewardlm_marks_minus_one_and_empty_as_not_scored(tmp_path):
    with gzip.open(tmp_path / "measured_tox_PT_m.csv.gz", "wt") as file:
        file.write(HEADER + '0,"q, 1","fine",0.1,0.2,0.3\n1,q2,,0.1,-1,\n2,q3,x,0.1,0.5,-1\n')
    replies = read_rewardlm(tmp_path)
    assert list(replies["reply"]) == ["fine", "", "x"]
    assert replies["perspective"].tolist() == pytest.approx([0.3, math.nan, math.nan], nan_ok=True)
    assert replies["roberta"].tolist() == pytest.approx([0.2, math.nan, 0.5], nan_ok=True)
    assert set(replies["file"]) == {"measured_tox_PT_m"}


def test_rewardlm_folder_without_results_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no result file"):
        read_rewardlm(tmp_path)


def test_rewardlm_file_without_a_column_is_refused_by_name(tmp_path):
    (tmp_path / "measured_tox_PT_m.csv").write_text("prompts,responses,pro_API_response_score\na,b,0.1\n")
    with pytest.raises(BadInput, match="m.csv has no column 'response_score'"):
        read_rewardlm(tmp_path)
