"""Measurements on disk: what is written is read again, and nothing is lost or repeated."""

import errno
import json
import math
import threading
from dataclasses import replace

import pytest
from filelock import FileLock

from detox_core.errors import BadInput
from detox_core.measure import measurement as module
from detox_core.measure.measurement import (
    Settings,
    appending,
    measurements,
    open_prompt,
    read_measurement,
    read_settings,
    write_measurement,
)
from detox_core.measure.report import Measured
from detox_core.types import Decoding, Generation, Prompt, Quality, Score, Variant

SETTINGS = Settings("demo", 2, (Variant("it", "IT", "some/base"),), Decoding(seed=3), {"local": "r1", "second": "r2"}, {"some/base": "f"})


def measured(name: str, value: float = 0.25, text: str = 'Grüße,\n"you"\u2028') -> Measured:
    reason = "empty" if math.isnan(value) else None
    score = Score(value, "local", "r1", {"HATE": 0.5}, reason)
    reply = Generation("it", 0, text, (5, 7), finish="eos", score=score, quality=Quality(0.5, 2.25))
    prompt_score = Score(0.75, "local", "r1")
    return Measured(Prompt(name, f"prompt {name}", True, "a part"), (reply,), prompt_score, {"second": (Score(0.125, "second", "r2"),)})


def test_what_is_written_is_read_again(tmp_path):
    rows = [measured("1"), measured("2")]
    write_measurement(tmp_path / "m.jsonl", SETTINGS, rows)
    assert read_measurement(tmp_path / "m.jsonl") == (SETTINGS, rows)


def test_unscored_reply_is_null_with_its_reason(tmp_path):
    write_measurement(tmp_path / "m.jsonl", SETTINGS, [measured("1", math.nan)])
    line = json.loads((tmp_path / "m.jsonl").read_text(encoding="utf-8").split("\n")[1])
    assert (line["replies"][0]["scores"]["local"], line["replies"][0]["reasons"]) == (None, {"local": "empty"})
    (row,) = read_measurement(tmp_path / "m.jsonl")[1]
    assert row.generations[0].score.reason == "empty"


def test_going_on_gives_what_is_there_and_cuts_what_a_kill_left(tmp_path):
    path = tmp_path / "deep" / "m.jsonl"
    with appending(path, SETTINGS) as (done, append):
        assert done == []
        append([measured("1")])
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "2", "pro')
    with appending(path, SETTINGS) as (done, append):
        assert done == [measured("1")]
        assert path.read_bytes() == whole
        append([measured("2")])
    assert read_measurement(path)[1] == [measured("1"), measured("2")]


def test_a_file_with_a_torn_first_line_begins_anew(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"version": 1, "data')
    with appending(path, SETTINGS) as (done, _):
        assert done == []
    assert read_settings(path) == SETTINGS


@pytest.mark.parametrize("change", [{"decoding": Decoding(seed=4)}, {"fingerprints": {"some/base": "g"}}, {"prompts": 3}])
def test_other_settings_or_weights_are_refused_and_nothing_is_lost(tmp_path, change):
    path = tmp_path / "m.jsonl"
    write_measurement(path, SETTINGS, [measured("1")])
    before = path.read_bytes()
    with pytest.raises(BadInput, match="other settings"), appending(path, replace(SETTINGS, **change)):
        pass
    assert path.read_bytes() == before


def test_a_file_of_another_version_is_refused(tmp_path):
    (tmp_path / "m.jsonl").write_text('{"version": 99}\n')
    with pytest.raises(BadInput, match=r"m\.jsonl is no measurement: written by another version \(99, this one writes 1\)"):
        read_measurement(tmp_path / "m.jsonl")


@pytest.mark.parametrize(("text", "sentence"), [("", "is no measurement"), ("[1]\n", "not the settings"), ('{"version": 1}\n', "not the")])
def test_other_files_are_refused(tmp_path, text, sentence):
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(BadInput, match=sentence):
        read_measurement(tmp_path / "m.jsonl")


def test_a_damaged_line_is_named(tmp_path):
    write_measurement(tmp_path / "m.jsonl", SETTINGS, [measured("1")])
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('{"id": 3}\n')
    with pytest.raises(BadInput, match="line 3 is no measured prompt"):
        read_measurement(tmp_path / "m.jsonl")


def test_two_meters_do_not_write_into_one_file(tmp_path):
    path, refused = tmp_path / "m.jsonl", []

    def second() -> None:
        try:
            with appending(path, SETTINGS):
                pass
        except BadInput as error:
            refused.append(str(error))

    with appending(path, SETTINGS):
        other = threading.Thread(target=second)
        other.start()
        other.join()
    assert "Another process is measuring" in refused[0]
    with appending(path, SETTINGS) as (done, _):
        assert done == []


def test_a_full_disk_is_a_sentence_and_what_was_saved_stays(tmp_path, monkeypatch):
    path = tmp_path / "m.jsonl"

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with appending(path, SETTINGS) as (_, append):
        append([measured("1")])
    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(BadInput, match="No space left"), appending(path, SETTINGS) as (_, append):
        append([measured("2")])
    monkeypatch.undo()
    assert read_measurement(path)[1][0] == measured("1")


def test_a_lock_left_by_a_dead_process_does_not_matter(tmp_path):
    (tmp_path / "m.jsonl.lock").write_text("")
    with appending(tmp_path / "m.jsonl", SETTINGS), pytest.raises(TimeoutError):
        FileLock(f"{tmp_path / 'm.jsonl'}.lock", timeout=0, is_singleton=False).acquire()


def test_a_measured_prompt_opens_as_a_comparison_that_repeats_it(tmp_path):
    path = tmp_path / "m.jsonl"
    write_measurement(path, SETTINGS, [measured("1"), measured("2")])
    record = open_prompt(path, "2")
    assert (record.prompt, record.scorer, record.variants) == ("prompt 2", "local", SETTINGS.variants)
    assert record.generations == measured("2").generations
    assert record.decoding.seed == module.seed_of("2", 3) != module.seed_of("1", 3)
    assert open_prompt(path, "2").id == record.id != open_prompt(path, "1").id
    with pytest.raises(BadInput, match="no prompt 'x'"):
        open_prompt(path, "x")


def test_measurements_of_this_computer_are_listed(isolated):
    assert measurements() == []
    write_measurement(isolated / "runs" / "a" / "replies.jsonl", SETTINGS, [])
    assert [path.parent.name for path in measurements()] == ["a"]
