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


def runs_table(app):
    return next(frame.value for frame in app.dataframe if "★" in frame.value)


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
    assert any("has no replies" in warning.value for warning in app.warning)
    assert app.button(key="t-start").disabled


def test_every_method_can_be_chosen(open_page):
    app = open_page("train.py")
    for method in ("dpo", "kto", "rloo", "grpo", "ppo"):
        app.segmented_control(key="t-method").set_value(method).run()
        assert not app.exception
        assert not app.error
        assert f"method: {method}" in app.code[1].value


def test_a_finished_run_is_listed_and_is_a_variant(open_page, finished):
    assert list_variants()[finished.id].label == "Two steps"
    app = open_page("train.py")
    assert not app.exception
    rows = runs_table(app)
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


def test_the_papers_settings_are_a_size_of_its_two_methods(open_page):
    app = open_page("train.py")
    app.segmented_control(key="t-preset").set_value("paper").run()
    assert "steps: 1868" in app.code[1].value
    app.segmented_control(key="t-method").set_value("ppo").run()
    assert not app.exception
    yaml = app.code[1].value
    assert all(
        line in yaml for line in ("steps: 129", "batch: 64", "beta: 0.2", "rank: 32", "learning_rate: 5.0e-06", "reward: probability")
    )
    app.segmented_control(key="t-method").set_value("dpo").run()
    assert not app.exception
    assert "steps: 20" in app.code[1].value, "the paper has no DPO, so the smallest size is taken"


def test_preflight_says_what_a_run_takes(open_page):
    app = open_page("train.py")
    text = " ".join(caption.value for caption in app.caption)
    assert "parameters" in text
    assert "tokens a row" in text
    assert "GiB at its peak" in text


def test_pairs_can_be_made_where_the_data_has_none(open_page):
    app = open_page("train.py")
    app.segmented_control(key="t-method").set_value("dpo").run()
    app.selectbox(key="t-data").select("demo").run()
    assert any("let the pairs be made here" in warning.value for warning in app.warning)
    next(toggle for toggle in app.toggle if toggle.label == "Make the pairs here").set_value(True).run()
    assert not app.exception
    assert "best_of: 4" in app.code[1].value
    assert not app.button(key="t-start").disabled


def test_a_run_is_starred_and_cloned(open_page, finished):
    app = open_page("train.py")
    app.session_state["t-run"] = finished.id
    app.run()
    app.button(key="t-star").click().run()
    assert runs_table(app)["★"].tolist() == [True]
    app.button(key="t-star").click().run()
    assert runs_table(app)["★"].tolist() == [False]
    app.button(key="t-clone").click().run()
    assert not app.exception
    assert "steps: 2" in app.code[1].value
    assert "rows: 16" in app.code[1].value


def test_what_the_guards_saw_stands_above_the_curves(open_page, finished):
    from detox_core.train.progress import WARNED, append_line

    append_line(finished.folder / WARNED, {"step": 2, "warnings": {"KL too large": "The KL is 3."}})
    app = open_page("train.py")
    app.session_state["t-run"] = finished.id
    app.run()
    assert any("KL too large" in warning.value for warning in app.warning)
