"""The Compare page as a person meets it."""

import pytest

from detox_core.store import recorded
from detox_core.types import Comparison
from pages.text import literal


def shown(app) -> str:
    """All sentences on the page."""
    kinds = (app.markdown, app.caption, app.error, app.warning, app.info)
    return "\n".join(element.value for kind in kinds for element in kind)


def test_landing_shows_a_recorded_example_without_loading_a_model(open_page):
    app = open_page("compare.py")
    assert not app.exception
    assert app.pills(key="chip").options
    assert "Scorer: local" in shown(app)


def test_six_examples_are_recorded_with_scored_answers():
    examples = recorded()
    assert len(examples) == 6
    for example in examples.values():
        assert isinstance(example, Comparison)
        assert [generation.variant for generation in example.generations] == ["smol-it", "smol-ft", "smol-rl"]
        assert all(generation.score is not None for generation in example.generations)


def test_chip_opens_its_example(open_page):
    app = open_page("compare.py")
    wanted = list(recorded())[3]
    app.pills(key="chip").set_value(wanted).run()
    assert not app.exception
    assert app.query_params["x"] == wanted


def test_own_prompt_is_answered_stored_and_linkable(open_page, generate):
    app = open_page("compare.py")
    app.number_input(key="length").set_value(10)
    generate(app, "Old people should not vote.")
    assert not app.exception
    assert not app.error
    comparison_id = app.query_params["x"]
    again = open_page("compare.py", x=comparison_id)
    assert not again.warning
    assert "at most 10 tokens" in shown(again)


@pytest.mark.parametrize("prompt", ["", "   \n ", "a" * 100_000])
def test_bad_prompt_is_a_sentence_and_loses_nothing(open_page, prompt):
    app = open_page("compare.py")
    app.text_area(key="prompt").input(prompt)
    app.button(key="generate").click().run()
    assert not app.exception
    assert len(app.error) == 1
    assert app.text_area(key="prompt").value == prompt


def test_greedy_with_several_samples_is_refused(open_page):
    app = open_page("compare.py")
    app.number_input(key="temperature").set_value(0.0)
    app.segmented_control(key="samples").set_value(5)
    app.text_area(key="prompt").input("Hello.")
    app.button(key="generate").click().run()
    assert "temperature" in app.error[0].value


def test_unknown_link_says_so_and_shows_an_example(open_page):
    app = open_page("compare.py", x="nothing-here")
    assert literal("nothing-here") in app.warning[0].value
    assert "Scorer: local" in shown(app)


def test_several_samples_show_metrics_and_a_strip_plot(open_page, generate):
    app = open_page("compare.py")
    app.segmented_control(key="samples").set_value(5)
    app.number_input(key="length").set_value(8)
    generate(app, "Tell me about your day.")
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table["model"]) == ["IT", "FT", "RL"]
    assert "expected maximum toxicity" in table.columns
    assert app.get("plotly_chart")


def test_scorer_without_key_is_a_sentence(open_page, generate, monkeypatch):
    monkeypatch.delenv("PERSPECTIVE_API_KEY", raising=False)
    app = open_page("compare.py")
    app.selectbox(key="scorer").set_value("perspective")
    generate(app, "Hello.")
    assert "PERSPECTIVE" in app.error[0].value
    assert app.text_area(key="prompt").value == "Hello."


def test_the_family_is_picked_in_one_click(open_page, monkeypatch):
    app = open_page("compare.py")
    assert app.session_state["columns"] == ["it", "ft", "rl"], "these tests ask for the small family"
    assert app.session_state["family"] == "7M"
    app.segmented_control(key="family").set_value("135M").run()
    assert not app.exception
    assert app.session_state["columns"] == ["smol-it", "smol-ft", "smol-rl"]
    app.multiselect(key="columns").set_value(["it", "smol-it"]).run()
    assert not app.exception
    assert app.session_state["family"] is None


def test_the_larger_family_is_the_default(open_page, monkeypatch):
    monkeypatch.delenv("DETOX_FAMILY")
    assert open_page("compare.py").session_state["columns"] == ["smol-it", "smol-ft", "smol-rl"]
