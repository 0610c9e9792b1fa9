"""What is remembered between sessions."""

import json
import math
import threading
from dataclasses import replace

import pytest

from detox_core import store as store_module
from detox_core.store import Store, recorded
from detox_core.types import Comparison, Decoding, Generation, Score, Variant

RECORD = Comparison(
    id="0a1b2c",
    created="2026-01-02T03:04:05+00:00",
    prompt="'); DROP TABLE comparison; -- \U0001f642",
    variants=(Variant("it", "IT", "some/base"),),
    decoding=Decoding(),
    scorer="local",
    generations=(Generation("it", 0, "Hi", (1,), (-0.5,), score=Score(0.5, "local", "abc")),),
)


@pytest.fixture
def examples(tmp_path, monkeypatch):
    """A folder of recorded examples with two of them."""
    records = [replace(RECORD, id=name, prompt=name).to_dict() for name in ("second", "first")]
    (tmp_path / "examples.json").write_text(json.dumps(records))
    monkeypatch.setattr(store_module, "RECORDED", tmp_path)


def test_saved_comparison_is_loaded_by_another_store():
    Store().save(RECORD)
    assert Store().load(RECORD.id) == RECORD


def test_the_store_lies_in_the_cache(isolated, tmp_path):
    assert Store().path.parent == isolated
    assert Store(tmp_path / "other" / "place").path.is_file()


def test_unknown_id_is_none():
    assert Store().load("nothing") is None
    Store().save(RECORD)
    for unknown in ("", "0a1b2", "%", "' OR 1=1 --"):
        assert Store().load(unknown) is None


def test_the_same_id_is_replaced():
    store = Store()
    store.save(RECORD)
    store.save(replace(RECORD, prompt="new"))
    assert store.load(RECORD.id).prompt == "new"


def test_unscored_replies_stay_unscored():
    unscored = replace(RECORD, generations=(Generation("it", 0, "", score=Score(math.nan, "local", "abc", reason="empty")),))
    Store().save(unscored)
    score = Store().load(RECORD.id).generations[0].score
    assert math.isnan(score.value)
    assert score.reason == "empty"


def test_two_threads_save_and_load():
    store, failures = Store(), []

    def work(name: str) -> None:
        try:
            for number in range(30):
                mine = replace(RECORD, id=f"{name}{number}", prompt=name)
                store.save(mine)
                if store.load(mine.id) != mine:
                    failures.append(mine.id)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(Store().load(f"{name}{number}").prompt == name for name in "ab" for number in range(30))


@pytest.mark.usefixtures("examples")
def test_recorded_examples_can_be_loaded_and_keep_their_order():
    assert list(recorded()) == ["second", "first"]
    assert Store().load("first").prompt == "first"


@pytest.mark.usefixtures("examples")
def test_a_saved_comparison_comes_before_a_recorded_one():
    Store().save(replace(RECORD, id="first", prompt="mine"))
    assert Store().load("first").prompt == "mine"


def test_no_recorded_examples(tmp_path, monkeypatch):
    monkeypatch.setattr(store_module, "RECORDED", tmp_path)
    assert recorded() == {}
