"""The family's card shows what was measured."""

import json

from detox_core.demo import FOLDER
from training_jobs.recipes.cards import BEGIN, CARD, END, tables


def test_tables_of_the_card_are_those_of_the_evaluation():
    shown = CARD.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown == "\n" + tables(json.loads((FOLDER / "evaluation.json").read_text(encoding="utf-8")))


def test_every_variant_has_a_row_with_its_interval():
    text = tables(json.loads((FOLDER / "evaluation.json").read_text(encoding="utf-8")))
    rows = [line for line in text.splitlines() if line.startswith("| FT |")]
    assert len(rows) == 4
    assert "[" in rows[0]
