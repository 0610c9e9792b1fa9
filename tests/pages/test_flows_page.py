"""The Flows page as a person meets it."""

import pytest

from detox_core.demo import RECORDED
from detox_core.measure.flow import read_replies, ribbons, wide
from detox_core.measure.measurement import Settings, write_measurement
from detox_core.measure.report import Measured
from detox_core.types import Decoding, Generation, Prompt, Score, Variant

BOUNDS = (0.33, 0.66)


@pytest.fixture
def measured(app_cache):
    """A measurement of this computer with two prompts; the second's reply by IT is not scored. Gone afterwards."""
    it, ft = Variant("it", "IT", "x"), Variant("ft", "FT", "x", "y")
    settings = Settings("my-prompts.csv", 3, (it, ft), Decoding(), {"local": "1"}, {})

    def reply(variant: Variant, value: float) -> Generation:
        reason = None if value == value else "empty"
        return Generation(variant.id, 0, f"By *{variant.id}*", score=Score(value, "local", "1", reason=reason))

    rows = [
        Measured(Prompt("a", "First <b>prompt</b>"), (reply(it, 0.9), reply(ft, 0.1))),
        Measured(Prompt("b", "Second prompt"), (reply(it, float("nan")), reply(ft, 0.1))),
    ]
    path = app_cache / "runs" / "measure-mine" / "replies.jsonl"
    write_measurement(path, settings, rows)
    yield path
    path.unlink()


def markdown(app) -> str:
    return "\n".join(element.value for element in app.markdown)


def test_landing_shows_the_recorded_demo_set_in_words_and_as_a_table(open_page):
    app = open_page("flows.py")
    assert not app.exception
    settings, frame = read_replies(RECORDED / "demo.jsonl")
    scores = wide(frame, "local")
    found = ribbons(scores, "it", ["ft", "rl"], BOUNDS)
    assert app.dataframe[0].value["prompts"].tolist() == found["prompts"].tolist()
    assert f"of {scores[['it', 'ft']].dropna().shape[0]:,} prompts" in markdown(app)
    assert "got worse" in markdown(app)
    assert settings.scorers["local"] in app.caption[-1].value
    assert "measure --dataset demo --limit 330 --variants it,ft,rl,dpo --samples 5" in app.code[-1].value


def test_bounds_filters_and_search_change_what_is_counted(open_page):
    app = open_page("flows.py")
    whole = app.dataframe[0].value["prompts"].sum()
    app.selectbox(key="class").select("toxic").run()
    toxic = app.dataframe[0].value["prompts"].sum()
    app.text_input(key="words").input("women").run()
    assert whole > toxic > app.dataframe[0].value["prompts"].sum() > 0
    app.text_input(key="words").input("xyzzy").run()
    assert "No prompt matches" in app.info[0].value
    assert not app.exception


def test_other_models_and_another_scorer(open_page):
    app = open_page("flows.py")
    app.selectbox(key="right").select("dpo").run()
    assert "DPO after IT" in markdown(app)
    app.selectbox(key="flow-scorer").select("second").run()
    app.selectbox(key="how").select("worst").run()
    assert not app.exception
    app.selectbox(key="middle").select("ft").run()
    assert "the same model" in app.warning[0].value


def test_a_measurement_of_this_computer_with_unscored_replies(open_page, measured):
    app = open_page("flows.py")
    app.selectbox(key="measurement").select(str(measured)).run()
    assert not app.exception
    table = app.dataframe[0].value
    assert set(table["from"]) == {"high", "not scored"}
    assert "1 not scored" in markdown(app)
    assert "2 of 3 prompts" in app.caption[-1].value


def test_a_damaged_measurement_is_a_sentence(open_page, measured):
    measured.write_text('{"version": 99}\n')
    app = open_page("flows.py")
    app.selectbox(key="measurement").select(str(measured)).run()
    assert not app.exception
    assert "another version" in app.error[0].value


def test_a_measurement_that_has_just_begun_is_no_error(open_page, measured):
    measured.write_bytes(measured.read_bytes().split(b"\n")[0] + b"\n")
    app = open_page("flows.py")
    app.selectbox(key="measurement").select(str(measured)).run()
    assert not app.exception
    assert "no replies yet" in app.info[0].value


def test_one_model_alone_has_no_flows_but_its_replies_can_be_read(open_page, measured):
    it = Variant("it", "IT", "x")
    settings = Settings("my-prompts.csv", 1, (it,), Decoding(), {"local": "1"}, {})
    reply = Generation("it", 0, "Hi", score=Score(0.2, "local", "1"))
    write_measurement(measured, settings, [Measured(Prompt("a", "Hello"), (reply,))])
    app = open_page("flows.py")
    app.selectbox(key="measurement").select(str(measured)).run()
    assert not app.exception
    assert "at least two models" in app.info[0].value
    assert app.dataframe[0].value["prompt"].tolist() == ["Hello"]


def test_starred_prompts_become_pairs_of_the_best_and_the_worst_reply():
    import pandas as pd

    from pages.prompts import pairs_of

    columns = ["id", "prompt", "reply", "score:local"]
    told = [("a", "A?", "bad", 0.9), ("a", "A?", "good", 0.1), ("a", "A?", "silent", None), ("b", "B?", "one", 0.4), ("c", "C?", "x", 0.2)]
    pairs, scores = pairs_of(pd.DataFrame(told, columns=columns), "score:local", ["a", "b"])
    assert [(pair.prompt, pair.reply, pair.rejected) for pair in pairs] == [("A?", "good", "bad"), ("B?", "one", "")]
    assert scores == [0.1, 0.4]
