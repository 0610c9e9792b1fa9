"""What the views into the models are given to draw, and how a person meets them."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from detox_core.compare import Pool, compare
from detox_core.explain.explanation import Explanation
from detox_core.explain.likelihood import Likelihood
from detox_core.explain.methods import METHODS
from detox_core.explain.why import Why
from detox_core.export.heatmap import heatmap_figure
from detox_core.figures.heatmap import first_word, heatmap_data
from detox_core.figures.matrix import LONGEST, matrix_chart
from detox_core.figures.steps import MEASURES, marked, steps_chart, steps_frame
from detox_core.models.variants import get_variants
from detox_core.request import Request
from detox_core.store import Store, recorded
from detox_core.types import Comparison, Decoding, Generation, Span, Variant
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
    row = heatmap_data(RECORD, FOUND, "light", unit="tokens")["rows"][0]
    assert (row["words"], row["prompt"], row["own"]) == (["<h>", "Hi", "No", " way"], 2, [False, True])


def test_difference_needs_one_and_the_same_answer():
    assert not heatmap_data(RECORD, FOUND, "light", difference=True)["difference"]


def test_no_difference_to_a_model_that_read_other_words_or_none():
    longer = replace(SHARED, variant="ft", pieces=("<h>", "Be", " kind", "No", " way"), prompt=3, own=(False, True, True))
    longer = replace(longer, matrix=MATRIX[[0, 1, 2, 2, 3]])
    found = replace(FOUND, answer_of="it", explanations={"it": SHARED, "ft": longer}, errors={})
    data = heatmap_data(RECORD, found, "light", difference=True)
    assert data["difference"]
    assert "read other words than IT" in data["rows"][1]["error"]
    heatmap_figure(data)
    assert np.isnan(MEASURES["reading"].of(longer, None, 0, SHARED)).all()
    failed = replace(found, explanations={"ft": longer}, errors={"it": "It cannot."})
    assert not heatmap_data(RECORD, failed, "light", difference=True)["difference"]


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
    data = heatmap_data(replace(RECORD, prompt_spans=(Span(0, 2, 1.0),)), FOUND, "light", unit="tokens")
    assert influences(data, blur=True)[1]["most weight"] == "<h> 0.50, No 0.40, ... 0.10"


def test_table_names_the_largest_shares():
    rows = influences(heatmap_data(RECORD, FOUND, "light", unit="tokens"))
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
def test_every_measure_is_drawn_on_one_answer(measure):
    figure = steps_chart(steps_frame(RECORD, replace(FOUND, answer_of="it"), measure), MEASURES[measure].axis)
    assert len(figure.data) == 1
    assert figure.layout.yaxis.title.text == MEASURES[measure].axis


def test_reading_of_the_prompt_is_compared_on_one_answer_only():
    assert steps_frame(RECORD, FOUND, "reading").empty
    assert steps_frame(RECORD, replace(FOUND, answer_of="it"), "reading")["value"].tolist() == [0, 0]


def test_effective_tokens_are_two_to_the_entropy():
    entropy = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert steps_frame(RECORD, FOUND, "effective")["value"].tolist()[0] == pytest.approx(2**entropy)


def test_toxic_words_and_the_chosen_token_are_marked_in_the_chart():
    record = replace(RECORD, generations=(replace(RECORD.generations[0], spans=(Span(3, 6, 1.0),)),))
    figure = steps_chart(steps_frame(record, FOUND, "dependence"), "axis", chosen=2)
    assert list(figure.data[0].marker.symbol) == ["circle", "diamond"]
    assert figure.layout.shapes[0].x0 == 2


def test_matrix_shows_what_comes_before_each_answer_word():
    figure = matrix_chart(["a", "b", " c", " d"], 2, [[0.25, 0.5], [0.75, 0.1], [0.0, 0.4], [0.0, 0.0]])
    assert (list(figure.data[0].x), list(figure.data[0].y)) == (["3 c", "4 d"], ["1 a", "2 b", "3 c"])
    assert [list(line) for line in figure.data[0].z] == [[0.25, 0.5], [0.75, 0.1], [None, 0.4]]


@pytest.mark.parametrize(("prompt", "answer"), [(1, 1), (60, 60), (3, 100), (100, 3), (25, 15)])
def test_matrix_stays_readable(prompt, answer):
    words = prompt + answer
    figure = matrix_chart(["w"] * words, prompt, [[0.1] * answer for _ in range(words)])
    assert 1 <= len(figure.data[0].x) <= LONGEST
    assert 1 <= len(figure.data[0].y) <= LONGEST
    assert len({*figure.data[0].x, *figure.data[0].y}) <= words


def finished(app):
    """Look until the engine has explained."""
    deadline = time.monotonic() + 400
    while "explanations_job" in app.session_state and time.monotonic() < deadline:
        time.sleep(0.2)
        app.run()
    return app.run()


@pytest.fixture
def small(isolated) -> str:
    """A stored comparison of the small family, which is explained at once."""
    record = compare(Request("Old people are slow.", get_variants(["it", "ft", "rl"]), Decoding(max_new_tokens=12)), Pool())
    Store().save(record)
    return record.id


def test_why_explains_the_shown_comparison(open_page):
    app = open_page("compare.py", x=next(iter(recorded())))
    app.segmented_control(key="view").set_value("why").run()
    finished(app)
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert set(table["model"]) == {"IT 135M", "FT 135M", "RL 135M"}
    assert table["share on the prompt"].between(0, 1.001).all()


def test_another_method_and_target_explain_anew(open_page, small):
    app = open_page("compare.py", x=small)
    app.segmented_control(key="view").set_value("why").run()
    finished(app)
    usual = app.dataframe[0].value["share on the prompt"]
    app.selectbox(key="target").set_value("contrast").run()
    finished(app)
    assert not app.dataframe[0].value["share on the prompt"].equals(usual)
    app.selectbox(key="method").set_value("attention").run()
    finished(app)
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="target").disabled
    assert METHODS["attention"].misses in "\n".join(caption.value for caption in app.caption)


def test_methods_that_a_model_refuses_are_not_offered(open_page, make_base):
    base = str(make_base("falcon", 0))
    variants = (Variant("tiny", "Tiny", base, template="plain"),)
    record = compare(Request("Hi there", variants, Decoding(max_new_tokens=4)), Pool())
    Store().save(replace(record, id="tinyfalcon"))
    app = open_page("compare.py", x="tinyfalcon")
    app.segmented_control(key="view").set_value("why").run()
    assert "trials_job" not in app.session_state, "nobody has asked for another method"
    app.session_state["methods"] = True  # the popover is opened
    app.run()
    deadline = time.monotonic() + 400
    while len(app.selectbox(key="method").options) < len(METHODS) - 1 and time.monotonic() < deadline:
        time.sleep(0.3)
        app.run()
    assert not app.exception
    assert "Layer gradient x activation" not in app.selectbox(key="method").options
    assert any("Not offered" in caption.value and "Layer gradient x activation" in caption.value for caption in app.caption)


def test_token_by_token_shows_a_chart_and_alternatives_for_one_answer(open_page, small):
    app = open_page("compare.py", x=small)
    app.segmented_control(key="view").set_value("uncertainty").run()
    finished(app)
    app.selectbox(key="explained").set_value("it").run()
    finished(app)
    app.selectbox(key="measure").set_value("divergence").run()
    assert not app.exception
    assert not app.error
    assert "Mean over the answer: IT 0.00" in "\n".join(caption.value for caption in app.caption)
    assert set(app.dataframe[0].value["model"]) == {"IT", "FT", "RL"}
