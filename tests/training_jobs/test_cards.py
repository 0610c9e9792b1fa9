"""The family's card shows what was measured."""

import json

import pytest

from detox_core.demo import FOLDER, SMOLLM2
from training_jobs.recipes.cards import BEGIN, END, tables


@pytest.mark.parametrize("folder", [FOLDER, SMOLLM2], ids=["small", "larger"])
def test_tables_of_the_card_are_those_of_the_evaluation(folder):
    shown = (folder / "README.md").read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown == "\n" + tables(json.loads((folder / "evaluation.json").read_text(encoding="utf-8")))


def test_every_variant_has_a_row_with_its_interval():
    text = tables(json.loads((FOLDER / "evaluation.json").read_text(encoding="utf-8")))
    rows = [line for line in text.splitlines() if line.startswith("| FT |")]
    assert len(rows) == 4
    assert "[" in rows[0]
