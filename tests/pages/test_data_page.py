"""The Data page as a person meets it."""

import json
import time

import pytest

from training_jobs import jobs


@pytest.fixture
def file(app_cache):
    """A table of this computer with replies, one duplicate and one row without text."""
    rows = [("You are stupid.", "I am sorry you see it so."), ("Nice day!", "You idiot."), ("Nice day!", "You idiot."), ("", "x")]
    path = app_cache / "datasets" / "mine.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("text,reply\n" + "".join(f'"{text}","{reply}"\n' for text, reply in rows))
    return path


def wait(app, button_gone: str = "data-job") -> None:
    deadline = time.monotonic() + 120
    while button_gone in app.session_state and time.monotonic() < deadline:
        time.sleep(0.2)
        app.run()


def test_landing_shows_the_demo_set(open_page):
    app = open_page("data.py")
    assert not app.exception
    assert "330 prompts" in app.markdown[0].value
    assert len(app.dataframe[0].value) == 330
    assert "measure --dataset demo --variants it,ft,rl --samples 5 --scorer local" in app.code[0].value


def test_a_file_is_read_and_its_problems_are_named_by_row(open_page, file):
    app = open_page("data.py")
    app.selectbox(key="dataset").select(str(file)).run()
    assert not app.exception
    assert "2 prompts" in app.markdown[0].value
    assert "1 duplicates dropped" in app.markdown[0].value
    assert app.dataframe[0].value["row"].tolist() == [5]


def test_what_cannot_be_read_is_a_sentence(open_page, app_cache):
    path = app_cache / "datasets" / "empty.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    app = open_page("data.py")
    app.selectbox(key="dataset").select(str(path)).run()
    path.unlink()
    assert not app.exception
    assert "empty" in app.error[0].value


def test_filter_keeps_shows_the_boundary_and_saves(open_page, file, app_cache):
    app = open_page("data.py")
    app.selectbox(key="dataset").select(str(file)).run()
    app.selectbox(key="side").select("reply").run()
    next(button for button in app.button if button.label == "Score 2 texts").click().run()
    wait(app)
    assert not app.exception
    assert any("1 of 2 rows stay (50.0%)" in element.value for element in app.markdown)
    app.toggle(key="inverse").set_value(True).run()
    assert app.dataframe[-1].value["stays"].tolist() == [False, True]
    name = next(field for field in app.text_input if field.label.startswith("Name"))
    name.input("toxic-replies")
    next(button for button in app.button if button.label == "Save").click().run()
    assert "Saved 1 rows" in app.success[0].value
    (row,) = [json.loads(line) for line in (app_cache / "datasets" / "toxic-replies.jsonl").read_text().splitlines()]
    assert (row["text"], row["reply"]) == ("Nice day!", "You idiot.")
    made = json.loads((app_cache / "datasets" / "toxic-replies.made.json").read_text())
    assert (made["threshold"], made["inverse"], made["side"]) == (0.5, True, "reply")


def test_measure_starts_a_run_that_ends_and_leads_to_its_flows(open_page, app_cache):
    app = open_page("data.py")
    app.number_input(key="m-limit-demo").set_value(2).run()
    app.segmented_control(key="m-samples").set_value(1).run()
    app.button(key="measure").click().run()
    assert not app.exception
    (run,) = jobs.runs("measure")
    deadline = time.monotonic() + 120
    while jobs.read_run(run.id).active and time.monotonic() < deadline:
        time.sleep(0.3)
    assert jobs.read_run(run.id).state == "done", jobs.read_run(run.id).error
    app.run()
    assert any(button.label == "See its flows" for button in app.button)
    assert not app.exception


def test_no_model_is_a_sentence(open_page):
    app = open_page("data.py")
    app.multiselect(key="m-variants").set_value([]).run()
    app.button(key="measure").click().run()
    assert "No variant is chosen" in app.error[0].value
