"""The Results page as a person meets it."""

import json
from pathlib import Path

import pytest

from detox_core.demo import FOLDER, RECORDED
from detox_core.interventions.registry import METHODS
from detox_core.measure.events import around_events
from pages.methods import verdict


def test_recorded_results_are_shown_with_their_commands(open_page):
    app = open_page("results.py")
    assert not app.exception
    searched = "events" in json.loads((RECORDED / "explain.json").read_text(encoding="utf-8"))
    assert searched == (not app.info)
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


@pytest.fixture
def record_events(monkeypatch, tmp_path):
    """Let the page find other events than the recorded ones; None = a file made before there were any."""

    def record(events: dict | None) -> Path:
        document = json.loads((RECORDED / "explain.json").read_text(encoding="utf-8"))
        document.pop("events", None)
        if events is not None:
            document["events"] = dict.fromkeys(("entropy", "relative", "dependence"), events)
        (tmp_path / "explain.json").write_text(json.dumps(document), encoding="utf-8")
        monkeypatch.setattr("detox_core.demo.RECORDED", tmp_path)
        return tmp_path

    return record


def event_table(app):
    return next(frame.value for frame in app.dataframe if "offset" in frame.value.columns)


def answers(variant: str, size: float, count: int = 24) -> list[dict]:
    """An answer of twelve words each, with one value that differs, at the toxic word."""
    places = [number % 12 for number in range(count)]
    words = list(range(12))
    return [{"variant": variant, "entropy": [size * (at == p) for at in words], "words": words, "toxic": [p]} for p in places]


def test_what_happens_around_toxic_words_is_told_drawn_and_tabled(open_page, record_events):
    events = around_events(answers("it", -1) + answers("ft", -1, 5) + answers("rl", -2), "entropy", draws=100)
    record_events(events)
    app = open_page("results.py")
    assert not app.exception
    assert not app.info
    assert "What happens around toxic words" in [heading.value for heading in app.header]
    (told,) = [text.value for text in app.markdown if text.value.startswith("Around toxic words")]
    assert "in IT (" in told
    assert "lower at the word itself" in told
    assert told.endswith("there are too few toxic words of FT (5).")
    table = event_table(app)
    assert list(table["variant"].unique()) == ["it", "rl"]
    assert len(table) == len(events["points"])
    for series in ("entropy", "dependence"):
        app.selectbox(key="event-series").set_value(series).run()
        assert not app.exception


@pytest.mark.parametrize(("events", "said"), [(None, "not searched for toxic words"), ("few", "No model wrote enough toxic words")])
def test_missing_or_too_few_toxic_words_are_said(open_page, record_events, events, said):
    record_events(events and around_events(answers("it", -1, 5), "entropy"))
    app = open_page("results.py")
    assert not app.exception
    (info,) = app.info
    assert said in info.value


def test_the_papers_claims_have_a_published_value_ours_and_a_verdict(open_page):
    app = open_page("results.py")
    table = app.dataframe[-1].value
    row = table[table["claim"] == "toxic replies of RedPajama IT, all prompts"].iloc[0]
    assert (row["published"], round(row["ours"], 4), row["counts"], row["outcome"]) == (0.13, 0.1299, "721 of 5,549", "holds")
    app.multiselect(key="claim-outcome").set_value(["differs"]).run()
    assert set(app.dataframe[-1].value["outcome"]) == {"differs"}
    app.selectbox(key="claim-source").select("Scalena et al. 2023, Table 1").run()
    assert not app.exception


def test_verdicts_fall_into_outcomes():
    from pages.results import outcome

    assert outcome("equal; 0.229 where all variants are scored") == "holds"
    assert outcome("equal; vanishes under a paired test (p = 0.37)") == "only in part"
    assert outcome("reverses weakly (p = 0.029)") == "differs"
    assert outcome("not published; mean score 0.2") == "new"


def test_every_method_is_in_the_recorded_table_with_a_verdict(open_page):
    app = open_page("results.py")
    assert not app.exception
    recorded = json.loads((RECORDED / "interventions.json").read_text(encoding="utf-8"))
    assert {row["method"] for row in recorded["rows"]} == {None, *METHODS}
    table = next(frame.value for frame in app.dataframe if "perplexity" in frame.value.columns and "cost" in frame.value.columns)
    assert len(table) == len(METHODS) + 4
    assert all(verdict.startswith(("less toxic", "more toxic", "no clear change")) for verdict in table["change"].iloc[4:])
    picked = table[table["model"].str.contains("Best of K")]
    assert picked["second"].isna().all(), "the scorer that picks must not judge"
    assert table["second"].isna().sum() == 1
    assert "training_jobs.recipes.interventions" in "\n".join(code.value for code in app.code)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"value": -0.2, "low": -0.3, "high": -0.1}, "less toxic (\N{MINUS SIGN}0.20)"),
        ({"value": 0.2, "low": 0.1, "high": 0.3}, "more toxic (+0.20)"),
        ({"value": -0.1, "low": -0.3, "high": 0.1}, "no clear change (\N{MINUS SIGN}0.10)"),
        (None, ""),
    ],
)
def test_a_difference_is_told_in_words(change, told):
    assert verdict(change) == told
