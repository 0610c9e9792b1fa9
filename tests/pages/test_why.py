"""What the views into the models are given to draw, and how a person meets them."""

import time
from dataclasses import replace

import numpy as np
import pytest

from detox_core.explain.explanation import Explanation
from detox_core.explain.likelihood import Likelihood
from detox_core.explain.why import Why
from detox_core.figures.steps import MEASURES, steps_chart, steps_frame
from detox_core.store import recorded
from detox_core.types import Comparison, Decoding, Generation, Span, Variant
from pages.heatmap import first_word, heatmap_data, marked
from pages.why import influences, whole_answer

VARIANTS = (Variant("it", "IT", "b"), Variant("ft", "FT", "b"))
RECORD = Comparison(
    "id", "2026", "Hi", VARIANTS, Decoding(), "local", generations=(Generation("it", 0, "No way"), Generation("ft", 0, "Yes"))
)
MATRIX = np.array([[0.25, 0.5], [0.75, 0.1], [0.0, 0.4], [0.0, 0.0]])
SHARED = Explanation("it", "it", "m", "t", ("<h>", "Hi", "No", " way"), 2, (False, True), MATRIX)
NUMBERS = Likelihood(np.array([[-0.1, -0.2]]), np.array([[0.3, 0.4]]), np.zeros((1, 2)), np.zeros((1, 2, 5), int), np.full((1, 2, 5), 0.2))
FOUND = Why(None, {"it": SHARED}, {"it": NUMBERS}, {"it": ("it",)}, {"it": [["a"] * 5] * 2}, {"ft": "It cannot."})


def test_rows_carry_words_shares_and_errors():
    explained, failed = heatmap_data(RECORD, FOUND, "light")["rows"]
    assert (explained["words"], explained["prompt"]) == (["<h>", "Hi", "No", " way"], 2)
    assert sum(line[0] for line in explained["matrix"]) == pytest.approx(1)
    assert failed["error"] == "It cannot."


def test_words_of_the_chat_format_are_not_the_persons_own():
    row = heatmap_data(RECORD, FOUND, "light", words=False)["rows"][0]
    assert (row["words"], row["prompt"], row["own"]) == (["<h>", "Hi", "No", " way"], 2, [False, True])


def test_difference_needs_one_and_the_same_answer():
    assert not heatmap_data(RECORD, FOUND, "light", difference=True)["difference"]


@pytest.mark.parametrize(
    ("texts", "toxic", "start"),
    [([" You", " stupid", " idiot"], [False, True, True], 1), (["...", " well", " then"], [False] * 3, 1), ([], [], 0)],
)
def test_first_looks_at_a_toxic_word(texts, toxic, start):
    assert first_word(texts, toxic) == start


def test_words_that_share_a_letter_with_a_span_are_marked():
    assert marked([" You", " stu", "pid", "."], (Span(4, 10, 2.0),), start=1) == [False, True, True, False]
    assert marked(["<h>", "you", " fool"], (Span(4, 8, 1.0),), start=3) == [False, False, True]


def test_blurred_words_are_not_in_the_table():
    data = heatmap_data(replace(RECORD, prompt_spans=(Span(0, 2, 1.0),)), FOUND, "light", words=False)
    assert influences(data, blur=True)[1]["most weight"] == "<h> 0.50, No 0.40, ... 0.10"


def test_table_names_the_largest_shares():
    rows = influences(heatmap_data(RECORD, FOUND, "light", words=False))
    assert [row["answer word"] for row in rows] == ["No", "way"]
    assert rows[0]["share on the prompt"] == pytest.approx(1)
    assert rows[1]["most weight"] == "<h> 0.50, No 0.40, Hi 0.10"


def test_steps_have_a_value_per_token_and_leave_out_what_failed():
    frame = steps_frame(RECORD, FOUND, "dependence")
    assert list(frame["variant"]) == ["IT", "IT"]
    assert frame["value"].tolist() == pytest.approx([1, 0.6])
    assert steps_frame(RECORD, FOUND, "logprob")["value"].tolist() == pytest.approx([-0.1, -0.2])


def test_whole_answer_is_the_sum_and_its_distance_from_the_writer():
    other = Likelihood(np.array([[-1.0, -2.0]]), *[np.zeros(1)] * 4)
    found = Why("it", {}, {"it": NUMBERS, "ft": other}, {"it": ("it",), "ft": ("ft",)}, {}, {})
    assert whole_answer(RECORD, found) == "Log-probability of the whole answer of IT, in nats: IT \u22120.3, FT \u22123.0 (\u22122.7)."


@pytest.mark.parametrize("measure", MEASURES)
def test_every_measure_is_drawn(measure):
    figure = steps_chart(steps_frame(RECORD, FOUND, measure), MEASURES[measure].axis)
    assert len(figure.data) == 1
    assert figure.layout.yaxis.title.text == MEASURES[measure].axis


def finished(app):
    """Look until the engine has explained."""
    deadline = time.monotonic() + 120
    while "why_job" in app.session_state and time.monotonic() < deadline:
        time.sleep(0.2)
        app.run()
    return app.run()


def test_why_explains_the_shown_comparison(open_page):
    app = open_page("compare.py", x=next(iter(recorded())))
    app.segmented_control(key="view").set_value("why").run()
    finished(app)
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert set(table["model"]) == {"IT", "FT", "RL"}
    assert table["share on the prompt"].between(0, 1.001).all()


def test_token_by_token_shows_a_chart_and_alternatives_for_one_answer(open_page):
    app = open_page("compare.py", x=next(iter(recorded())))
    app.segmented_control(key="view").set_value("uncertainty").run()
    finished(app)
    app.selectbox(key="explained").set_value("it").run()
    finished(app)
    app.selectbox(key="measure").set_value("divergence").run()
    assert not app.exception
    assert not app.error
    assert "Mean over the answer: IT 0.00" in "\n".join(caption.value for caption in app.caption)
    assert set(app.dataframe[0].value["model"]) == {"IT", "FT", "RL"}
