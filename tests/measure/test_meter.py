"""The meter on tiny models."""

import threading

import pytest

from detox_core.compare import Pool
from detox_core.errors import BadInput, ModelError, ScorerError
from detox_core.measure.measurement import read_measurement
from detox_core.measure.meter import default_path, measure, measure_into, settings_for
from detox_core.types import Decoding, Prompt, Score, Variant

PROMPTS = [Prompt(str(number), "what " * (8 - number) + "then") for number in range(8)]
SHORT = Decoding(max_new_tokens=6, seed=2)


class Second:
    """Knows the length only."""

    id, revision = "second", "9"

    def score(self, texts):
        return [Score(min(1.0, len(text) / 20), self.id, self.revision) for text in texts]


class Failing:
    """Fails after so many calls."""

    id, revision = "fake", "1"

    def __init__(self, calls: int, scorer) -> None:
        self.left, self.scorer = calls, scorer

    def score(self, texts):
        self.left -= 1
        if self.left < 0:
            raise ScorerError("The service is down.")
        return self.scorer.score(texts)


def test_replies_come_in_the_order_of_the_prompts_and_as_if_alone(family, fake_scorer):
    together = measure(PROMPTS, family, SHORT, fake_scorer)
    assert [row.prompt for row in together] == PROMPTS
    for row in (together[0], together[5]):
        (alone,) = measure([row.prompt], family, SHORT, fake_scorer)
        assert [reply.text for reply in alone.generations] == [reply.text for reply in row.generations]


def test_prompts_are_scored_too_and_by_every_scorer(family, fake_scorer):
    (row,) = measure(PROMPTS[:1], family[:2], SHORT, fake_scorer, others=[Second()])
    assert row.prompt_score.value == 0.9
    assert [score.value for score in row.others["second"]] == [min(1.0, len(reply.text) / 20) for reply in row.generations]


def test_a_prompt_that_is_too_long_is_not_scored_and_says_why(family, fake_scorer):
    prompts = [PROMPTS[0], Prompt("long", "word " * 400)]
    short, long = measure(prompts, family[:2], SHORT, fake_scorer)
    assert all(reply.score.scored or reply.score.reason == "empty" for reply in short.generations)
    assert [(reply.text, reply.score.scored) for reply in long.generations] == [("", False)] * 2
    assert "reads at most" in long.generations[0].score.reason


def test_quality_is_judged_when_asked_for(family, fake_scorer):
    (row,) = measure(PROMPTS[:1], family[:2], SHORT, fake_scorer, quality=True)
    assert all(reply.quality.perplexity > 1 for reply in row.generations if reply.tokens)
    assert measure(PROMPTS[:1], family[:2], SHORT, fake_scorer)[0].generations[0].quality is None


def test_a_scorer_that_fails_half_way_keeps_what_is_done(family, fake_scorer, tmp_path, monkeypatch):
    monkeypatch.setattr("detox_core.batch.MAX_ROWS", 4)  # two prompts a block
    pool, path = Pool(), tmp_path / "m.jsonl"
    settings = settings_for("x", PROMPTS, family[:2], SHORT, [fake_scorer], pool)
    with pytest.raises(ScorerError, match="down"):
        measure_into(path, settings, PROMPTS, [Failing(2, fake_scorer)], pool)
    assert len(read_measurement(path)[1]) == 4
    told = []
    whole = measure_into(path, settings, PROMPTS, [fake_scorer], pool, lambda done, total: told.append((done, total)))
    assert told[0] == (6, 8)
    assert [row.prompt for row in whole] == PROMPTS
    assert sorted(row.prompt.id for row in read_measurement(path)[1]) == [prompt.id for prompt in PROMPTS]


def test_a_finished_measurement_is_not_done_again(family, fake_scorer, tmp_path):
    pool, path = Pool(), tmp_path / "m.jsonl"
    settings = settings_for("x", PROMPTS, family[:2], SHORT, [fake_scorer], pool)
    first = measure_into(path, settings, PROMPTS, [fake_scorer], pool)
    again = measure_into(path, settings, PROMPTS, [Failing(0, fake_scorer)], pool)
    assert [[reply.text for reply in row.generations] for row in again] == [[reply.text for reply in row.generations] for row in first]


def test_stop_ends_before_the_next_block(family, fake_scorer, monkeypatch):
    monkeypatch.setattr("detox_core.batch.MAX_ROWS", 4)
    stop = threading.Event()
    rows = measure(PROMPTS, family[:2], SHORT, fake_scorer, on_progress=lambda *_: stop.set(), stop=stop)
    assert len(rows) == 2


def test_an_empty_data_set_is_a_sentence(family, fake_scorer):
    with pytest.raises(BadInput, match="no prompts"):
        settings_for("nothing.csv", [], family, SHORT, [fake_scorer], Pool())


def test_a_missing_variant_is_told_before_anything_is_measured(family, fake_scorer):
    gone = Variant("gone", "Gone", family[0].base, "/nowhere/adapter")
    with pytest.raises(ModelError, match="/nowhere/adapter"):
        settings_for("x", PROMPTS, [*family, gone], SHORT, [fake_scorer], Pool())


def test_equal_settings_have_equal_files_and_others_have_not(family, fake_scorer):
    pool = Pool()
    one, same = (settings_for("A b/C.csv", PROMPTS, family, SHORT, [fake_scorer], pool) for _ in range(2))
    other = settings_for("A b/C.csv", PROMPTS[:2], family, SHORT, [fake_scorer], pool)
    assert default_path(one) == default_path(same) != default_path(other)
    assert default_path(one).parent.name.startswith("measure-c-csv-")
