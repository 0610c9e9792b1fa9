"""The Train page as a person meets it."""

import time

import pytest

from detox_core.models.variants import list_variants
from training_jobs import jobs


@pytest.fixture(scope="module")
def finished(app_cache):
    """A run that was trained from the page's own defaults, with two steps."""
    import os

    os.environ["DETOX_CACHE"] = str(app_cache)
    run = jobs.submit("train", {"name": "Two steps", "method": "sft", "data": "counter-narratives", "rows": 16, "steps": 2}, "Two steps")
    deadline = time.monotonic() + 240
    while jobs.read_run(run.id).active and time.monotonic() < deadline:
        time.sleep(0.3)
    done = jobs.read_run(run.id)
    assert done.state == "done", f"{done.error}\n{jobs.tail(done.folder)}"
    return done


def test_landing_is_ready_to_start_the_smallest_run(open_page):
    app = open_page("train.py")
    assert not app.exception
    assert not app.button(key="t-start").disabled
    assert any("usable rows" in caption.value for caption in app.caption)
    assert "method: sft" in app.code[1].value


def test_data_without_what_the_method_needs_disables_start_and_says_why(open_page):
    app = open_page("train.py")
    app.selectbox(key="t-data").select("demo").run()
    assert not app.exception
    assert "has no replies" in app.warning[0].value
    assert app.button(key="t-start").disabled


def test_every_method_can_be_chosen(open_page):
    app = open_page("train.py")
    for method in ("dpo", "kto", "rloo", "grpo"):
        app.segmented_control(key="t-method").set_value(method).run()
        assert not app.exception
        assert not app.error
        assert f"method: {method}" in app.code[1].value


def test_a_finished_run_is_listed_and_is_a_variant(open_page, finished):
    assert list_variants()[finished.id].label == "Two steps"
    app = open_page("train.py")
    assert not app.exception
    rows = app.dataframe[-1].value
    assert rows["name"].tolist() == ["Two steps"]
    assert "→" in rows["toxicity of probes"].iloc[0]
    app.session_state["t-run"] = finished.id
    app.run()
    assert not app.exception
    assert any(button.label == "Open in Compare" for button in app.button)


def test_a_name_that_is_taken_cannot_start(open_page, finished):
    app = open_page("train.py")
    next(field for field in app.text_input if field.label == "Name").input("Two steps").run()
    assert "There is a model called Two steps already" in app.warning[0].value
