"""The Results page as a person meets it."""

import json

from detox_core.demo import FOLDER


def test_recorded_results_are_shown_with_their_commands(open_page):
    app = open_page("results.py")
    assert not app.exception
    assert not app.info
    commands = "\n".join(code.value for code in app.code)
    assert "training_jobs.recipes.evaluate" in commands
    assert "detox_core explain --dataset demo" in commands


def test_table_has_the_recorded_values(open_page):
    app = open_page("results.py")
    table = app.dataframe[0].value.set_index("model")
    recorded = json.loads((FOLDER / "evaluation.json").read_text(encoding="utf-8"))["toxic prompts"]["local"]["variants"]
    for name in ("it", "ft", "rl", "dpo"):
        assert table.loc[name.upper(), "toxicity probability"].startswith(f"{recorded[name]['toxicity_probability']['value']:.2f} [")


def test_every_series_can_be_chosen(open_page):
    app = open_page("results.py")
    for series in ("entropy", "dependence", "relative"):
        app.selectbox(key="series").set_value(series).run()
        assert not app.exception
