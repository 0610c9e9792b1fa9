"""The recorded examples are what the embedded family says."""

import json

import pytest

from detox_core.compare import Pool, compare
from detox_core.data import get_dataset
from detox_core.measure.commands import reply_row
from detox_core.request import Request
from detox_core.store import recorded
from training_jobs.recipes.record import DEMO_FILE, DEMO_SAMPLES, EXAMPLES, demo

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


def test_every_demo_prompt_is_recorded_with_all_replies():
    rows = [json.loads(line) for line in DEMO_FILE.read_text(encoding="utf-8").splitlines()]
    wanted = [(p.id, name, i) for p in get_dataset("demo") for name in ("it", "ft", "rl", "dpo") for i in range(DEMO_SAMPLES)]
    assert [(row["id"], row["variant"], row["sample"]) for row in rows] == wanted
    assert all(row["score"] is not None or row["reason"] for row in rows)


def test_a_new_run_over_demo_prompts_gives_the_recorded_replies(pool):
    prompts = get_dataset("demo")[::EVERY]
    ids = {prompt.id for prompt in prompts}
    before = [row for line in DEMO_FILE.read_text(encoding="utf-8").splitlines() if (row := json.loads(line))["id"] in ids]
    after = [reply_row(measured.prompt.id, reply) for measured in demo(prompts, pool) for reply in measured.generations]
    assert [row["text"] for row in after] == [row["text"] for row in before]
    assert [row["score"] for row in after] == pytest.approx([row["score"] for row in before], abs=SCORE)
