"""The recorded examples are what the embedded family says."""

import pytest

from detox_core.compare import Pool, compare
from detox_core.data import get_dataset
from detox_core.demo import PAIRS
from detox_core.measure.measurement import read_measurement
from detox_core.measure.meter import settings_for
from detox_core.models.variants import FAMILY
from detox_core.request import Request
from detox_core.score import get_scorer
from detox_core.store import recorded
from training_jobs.recipes.record import DEMO, DEMO_FILE, EXAMPLES, demo, write_pairs

SCORE = 0.03  # bfloat16 and float32 processors differ by less
EVERY = 30  # prompts of the demo set between two that are run again


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool()


def test_every_example_of_the_recipe_is_recorded():
    assert {name: (example.prompt, example.decoding.seed) for name, example in recorded().items()} == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_new_run_gives_the_recorded_answers(name, pool):
    before = recorded()[name]
    again = compare(Request(before.prompt, before.variants, before.decoding, before.scorer), pool)
    assert [reply.text for reply in again.generations] == [reply.text for reply in before.generations]
    for new, old in zip(again.generations, before.generations, strict=True):
        assert new.score.value == pytest.approx(old.score.value, abs=SCORE)
    assert again.versions == before.versions


def test_every_demo_prompt_is_recorded_with_all_replies_and_two_scorers():
    settings, rows = read_measurement(DEMO_FILE)
    assert [row.prompt for row in rows] == get_dataset("demo")
    assert (settings.decoding, list(settings.scorers)) == (DEMO, ["local", "second"])
    wanted = [(name, sample) for name in ("it", "ft", "rl", "dpo") for sample in range(DEMO.samples)]
    for row in rows:
        assert [(reply.variant, reply.sample) for reply in row.generations] == wanted
        assert all(reply.score.scored or reply.score.reason for reply in row.generations)
        assert row.prompt_score is not None


def test_a_new_run_over_demo_prompts_gives_the_recorded_replies(pool):
    prompts = get_dataset("demo")[::EVERY]
    recorded_rows = {row.prompt.id: row for row in read_measurement(DEMO_FILE)[1]}
    for after in demo(prompts, pool):
        before = recorded_rows[after.prompt.id]
        assert [reply.text for reply in after.generations] == [reply.text for reply in before.generations]
        assert [reply.tokens for reply in after.generations] == [reply.tokens for reply in before.generations]
        scores = [[reply.score.value for reply in row.generations] for row in (after, before)]
        assert scores[0] == pytest.approx(scores[1], abs=SCORE)


def test_the_recorded_demo_set_is_of_the_weights_that_ship(pool):
    settings, _ = read_measurement(DEMO_FILE)
    prompts = get_dataset("demo")
    assert settings == settings_for("demo", prompts, FAMILY, DEMO, [get_scorer(), get_scorer("second")], pool)


def test_the_bundled_pairs_are_what_the_recipe_writes(tmp_path, monkeypatch):
    monkeypatch.setattr("training_jobs.recipes.record.PAIRS", tmp_path / "pairs.jsonl")
    write_pairs()
    assert (tmp_path / "pairs.jsonl").read_bytes() == PAIRS.read_bytes()
