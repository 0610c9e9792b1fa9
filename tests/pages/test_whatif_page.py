"""What if and Inside on Compare, as a person meets them."""

import time

import pytest

from pages.whatif import COLUMNS

PROMPT = "Women can't drive."


def until(app, done, seconds=120):
    deadline = time.monotonic() + seconds
    while not done(app) and time.monotonic() < deadline:
        time.sleep(0.3)
        app.run()
    assert done(app), [message.value for message in app.error]
    return app


@pytest.fixture
def answered(open_page, generate):
    app = generate(open_page("compare.py"), PROMPT)
    app.session_state["view"] = "whatif"
    return app.run()


def test_a_method_is_tried_and_its_strength_moved(answered):
    app = answered
    assert not app.exception
    assert "Keep in mind" in "".join(caption.value for caption in app.caption)
    app.selectbox(key="what_if_method").set_value("aura").run()
    app.button(key="what_if_try").click().run()
    until(app, lambda app: app.metric)
    labels = [metric.label for metric in app.metric]
    assert labels == ["Toxicity", "Perplexity", "KL from the plain model", "ms per token"]
    slider = app.select_slider[0]
    assert slider.value == 1.0
    slider.set_value(0.0).run()
    assert app.metric[2].value == "0.00"
    assert not app.exception
    table = next(frame.value for frame in app.dataframe if list(frame.value.columns) == list(COLUMNS))
    assert table["strength"].tolist()[0] == 0.0


def test_a_strength_can_be_kept_as_a_column(answered):
    app = answered
    app.button(key="what_if_try").click().run()
    until(app, lambda app: app.metric)
    next(button for button in app.button if button.label == "Keep as a column").click().run()
    assert app.session_state["columns"][-1] == "it+self-reminder:1"
    assert not app.exception


def test_another_method_takes_the_column_of_the_last_one_away(answered):
    app = answered
    app.button(key="what_if_try").click().run()
    until(app, lambda app: app.metric)
    assert "what_if" in app.session_state
    app.selectbox(key="what_if_method").set_value("aura").run()
    assert "what_if" not in app.session_state
    assert not app.metric
    assert not app.exception


def test_what_makes_a_model_more_toxic_is_offered_with_the_switch_only(answered):
    app = answered
    assert "unalign" not in app.selectbox(key="what_if_method").options
    app.session_state["research"] = True
    app.run()
    assert any("align" in option for option in app.selectbox(key="what_if_method").options)


def test_inside_shows_layers_vectors_and_neurons(answered):
    app = answered
    app.session_state["view"] = "inside"
    app.run()
    app.button(key="look_inside").click().run()
    until(app, lambda app: app.warning)
    assert not app.exception
    assert "2.5 to 24 %" in app.warning[0].value
    columns = [tuple(frame.value.columns) for frame in app.dataframe]
    assert ("variant", "layer", "mass") in columns
    assert ("variant", "neuron", "activation") in columns
    lens = next(frame.value for frame in app.dataframe if tuple(frame.value.columns) == ("variant", "layer", "mass"))
    assert list(lens["variant"].unique()) == ["IT", "FT", "RL", "DPO"]


def test_dinm_stands_beside_its_suffix(answered):
    app = answered
    app.selectbox(key="what_if_method").set_value("dinm").run()
    app.button(key="what_if_try").click().run()
    until(app, lambda app: app.metric)
    shown = [point.variant.id for point in app.session_state["what_if"][1]]
    assert shown == ["it+dinm:2", "it+dinm-suffix:1"]
    assert not app.exception
