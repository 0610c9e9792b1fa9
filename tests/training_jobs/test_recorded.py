"""The recorded examples are what the embedded family says."""

import pytest

from detox_core.compare import Pool, compare
from detox_core.request import Request
from detox_core.store import recorded
from training_jobs.recipes.record import EXAMPLES


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
        assert new.score.value == pytest.approx(old.score.value, abs=1e-3)
    assert again.versions == before.versions
