"""The Stage page as a presenter meets it."""

import json
import time
from dataclasses import replace

import pytest

from detox_core.compare import Pool
from detox_core.errors import ModelError
from detox_core.measure.measurement import read_measurement
from detox_core.models.variants import get_variants
from detox_core.stage.steps import Stage, Step, read_stage
from detox_core.store import Store, recorded
from detox_core.types import Decoding
from pages import presenting
from pages.prompts import DEMO

RECORD = next(iter(recorded().values()))
SMALL = replace(
    RECORD,
    id="small",
    variants=get_variants(["it", "ft", "rl"]),
    decoding=Decoding(temperature=0.0, max_new_tokens=6),
    generations=tuple(replace(g, variant=g.variant.removeprefix("smol-")) for g in RECORD.generations),
)


@pytest.fixture(autouse=True)
def fresh(isolated):
    """An empty stage for every test."""
    Store().change_stage(lambda _: Stage())


@pytest.fixture
def staged():
    """Three steps."""
    steps = [Step(replace(SMALL, id=name, prompt=f"Prompt {name}."), f"Say {name}.") for name in ("a", "b", "c")]
    return Store().change_stage(lambda _: Stage("Talk", tuple(steps)))


def order() -> list[str]:
    return [step.comparison.id for step in Store().stage().steps]


def shown(app) -> str:
    kinds = (app.markdown, app.caption, app.error, app.warning, app.info, app.success)
    return "\n".join(element.value for kind in kinds for element in kind)


def drawn(app) -> dict:
    """What the component of answers or words got."""
    (component,) = app.get("bidi_component")
    return json.loads(component.proto.json)


def press(app, shortcut: str):
    return app.button(key=f"stage-{shortcut}").click().run()


def wait(app, gone) -> None:
    deadline = time.monotonic() + 300
    while not gone(app) and time.monotonic() < deadline:
        time.sleep(0.3)
        app.run()
    assert gone(app)


def test_an_empty_stage_says_how_to_fill_it_and_takes_the_recorded_examples(open_page):
    app = open_page("stage.py")
    assert not app.exception
    assert "press Star" in shown(app)
    assert app.button(key="stage-present").disabled
    app.button(key="stage-examples").click().run()
    assert not app.exception
    assert order() == list(recorded())


def test_star_on_compare_puts_the_comparison_on_the_stage_and_takes_it_off(open_page):
    app = open_page("compare.py")
    app.button(key="star").click().run()
    assert order() == [RECORD.id]
    assert app.button(key="star").label == "Unstar"
    app.button(key="star").click().run()
    assert order() == []


def test_prompts_starred_on_flows_come_with_their_notes(open_page):
    prompt = read_measurement(DEMO)[1][0].prompt
    Store().star("demo", prompt.id, "a good one")
    app = open_page("stage.py")
    app.button(key="stage-stars").click().run()
    Store().star("demo", prompt.id, None)
    assert not app.exception
    (step,) = Store().stage().steps
    assert (step.comparison.prompt, step.note) == (prompt.text, "a good one")


def test_steps_are_moved_and_removed_and_removing_is_undone(open_page, staged):
    app = open_page("stage.py")
    assert app.button(key="stage-earlier-a").disabled
    assert app.button(key="stage-later-c").disabled
    app.button(key="stage-earlier-c").click().run()
    assert order() == ["a", "c", "b"]
    app.button(key="stage-remove-c").click().run()
    assert order() == ["a", "b"]
    assert "Step 2 is removed" in shown(app).replace("\\", "")
    app.button(key="stage-undo").click().run()
    assert order() == ["a", "c", "b"]


def test_title_and_note_are_kept_and_another_tab_does_not_undo_them(open_page, staged):
    app, other = open_page("stage.py"), open_page("stage.py")
    app.text_input(key="stage-title").input("My defence").run()
    app.text_input(key="stage-note-b").input("Ask the room.").run()
    other.button(key="stage-later-a").click().run()
    assert Store().stage().title == "My defence"
    assert Store().stage().steps[0].note == "Ask the room."
    assert other.text_input(key="stage-note-b").value == "Ask the room."


def test_other_tabs_note_survives_a_change_of_view(open_page, staged):
    app, other = open_page("stage.py"), open_page("stage.py")
    app.text_input(key="stage-note-b").input("Ask the room.").run()
    other.segmented_control(key="stage-view-b").set_value("why").run()
    (step,) = (step for step in Store().stage().steps if step.comparison.id == "b")
    assert (step.note, step.view) == ("Ask the room.", "why")


def test_undo_keeps_what_was_starred_since(open_page, staged):
    prompt = read_measurement(DEMO)[1][0].prompt
    Store().star("demo", prompt.id, "")
    app = open_page("stage.py")
    app.button(key="stage-stars").click().run()
    Store().change_stage(lambda stage: stage.add(Step(replace(SMALL, id="new"))))
    app.button(key="stage-undo").click().run()
    Store().star("demo", prompt.id, None)
    assert order() == ["a", "b", "c", "new"]


def test_stage_that_cannot_be_read_is_a_sentence_with_a_way_out(open_page, staged):
    with Store()._connect() as connection:
        connection.execute("UPDATE stage SET document = 'broken'")
    compare = open_page("compare.py")
    assert not compare.exception
    assert compare.button(key="star").disabled
    app = open_page("stage.py")
    assert not app.exception
    assert "is not a stage" in app.error[0].value.replace("\\", "")
    app.button(key="stage-empty").click().run()
    assert order() == []


def test_a_file_takes_the_place_of_the_list_and_can_be_undone(open_page, staged):
    app = open_page("stage.py")
    other = Stage("From a file", (Step(replace(SMALL, id="z")),))
    app.file_uploader[0].upload("other.json", other.to_json().encode(), "application/json").run()
    assert not app.exception
    assert Store().stage() == other
    app.button(key="stage-undo").click().run()
    assert order() == ["a", "b", "c"]


def test_a_bad_file_is_a_sentence_and_changes_nothing(open_page, staged):
    app = open_page("stage.py")
    text = staged.to_json().replace('"sample": 0', '"sample": "x"', 1)
    app.file_uploader[0].upload("bad.json", text.encode(), "application/json").run()
    assert not app.exception
    assert "step 1 is damaged" in app.error[0].value.replace("\\", "")
    assert order() == ["a", "b", "c"]


def test_export_and_report_hold_the_whole_stage(open_page, staged):
    app = open_page("stage.py")
    assert not app.exception
    assert [button.label for button in app.get("download_button")] == ["Stage file", "HTML report"]
    assert read_stage(staged.to_json()) == staged


def test_presenting_shows_a_step_blurred_and_large_and_keys_turn(open_page, staged):
    app = open_page("stage.py")
    app.button(key="stage-present").click().run()
    assert not app.exception
    assert app.query_params["present"] in ("1", ["1"])
    data = drawn(app)
    assert (data["large"], data["blur"]) == (True, True)
    assert "recorded on" in data["badge"]
    assert "Say a" in shown(app)
    assert app.button(key="stage-Left").disabled
    press(app, "B")
    assert drawn(app)["blur"] is False
    press(app, "Right")
    assert "2 of 3" in shown(app)
    assert drawn(app)["blur"] is True, "every step begins blurred"
    press(app, "PageDown")
    assert "3 of 3" in shown(app)
    assert app.button(key="stage-Right").disabled
    press(app, "Left")
    press(app, "N")
    assert "Say b" not in shown(app)
    press(app, "Esc")
    assert "While presenting" in shown(app)


@pytest.mark.parametrize(("given", "place"), [("2", "2 of 3"), ("99", "3 of 3"), ("0", "1 of 3"), ("<b>", "1 of 3")])
def test_the_address_says_which_step(open_page, staged, given, place):
    assert place in shown(open_page("stage.py", present=given))


def test_live_answers_are_shown_when_they_are_complete(open_page, staged, monkeypatch):
    monkeypatch.setattr(presenting, "PATIENCE", 600.0)
    app = open_page("stage.py", present="1")
    press(app, "L")
    wait(app, lambda app: drawn(app)["badge"] == "live" and not any(column["writing"] for column in drawn(app)["columns"]))
    assert not app.exception
    assert all(column["replies"][0]["score"]["value"] is not None for column in drawn(app)["columns"])
    press(app, "L")
    assert "recorded on" in drawn(app)["badge"]


def test_a_failing_engine_leaves_the_recording_with_a_sentence(open_page, staged, monkeypatch):
    def broken(self, variant):
        raise ModelError("The weights are gone. Restore them.")

    monkeypatch.setattr(Pool, "get", broken)
    app = open_page("stage.py", present="1")
    press(app, "L")
    wait(app, lambda app: "Live did not work" in shown(app))
    assert "The weights are gone" in shown(app).replace("\\", "")
    assert "recorded on" in drawn(app)["badge"]
    assert drawn(app)["columns"][0]["replies"][0]["parts"]
    press(app, "Right")
    assert "Live did not work" not in shown(app)


def test_models_that_do_not_begin_in_time_leave_the_recording(open_page, staged, monkeypatch):
    monkeypatch.setattr(presenting, "PATIENCE", -1.0)
    app = open_page("stage.py", present="1")
    press(app, "L")
    wait(app, lambda app: "Live did not work" in shown(app))
    assert "recorded on" in drawn(app)["badge"]


def test_a_step_that_opens_with_words_records_them_and_shows_them_without_a_model(open_page, staged):
    made = replace(SMALL, id="a", generations=tuple(replace(g, tokens=(300, 301, 302), text="abc") for g in SMALL.generations))
    Store().change_stage(lambda _: Stage("Talk", (Step(made),)))
    app = open_page("stage.py")
    app.segmented_control(key="stage-view-a").set_value("why").run()
    wait(app, lambda _: Store().stage().steps[0].why is not None)
    app = open_page("stage.py", present="1")
    assert not app.exception
    assert [row["id"] for row in drawn(app)["rows"]] == ["it", "ft", "rl"]
    press(app, "W")
    assert "columns" in drawn(app)


def test_the_rehearsal_tells_what_each_step_does(open_page, staged):
    gone = replace(SMALL.variants[2], adapter="/nowhere/adapter")
    Store().change_stage(lambda now: now.add(Step(replace(SMALL, id="d", variants=(*SMALL.variants[:2], gone)))))
    app = open_page("stage.py")
    app.button(key="stage-rehearse").click().run()
    wait(app, lambda app: len(app.dataframe) == 1)
    assert not app.exception
    table = app.dataframe[0].value
    assert table["works"].tolist() == ["live", "live", "live", "recording only"]
    assert "/nowhere/adapter" in table["problems"].iloc[3]
    assert "Every step can be shown; " in app.warning[0].value
    app.button(key="stage-remove-d").click().run()
    assert "The list has changed since" in shown(app)
