"""Stage: what will be shown in front of people, in which order; rehearsed, taken along as a file, and presented."""

import time
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.errors import DetoxError
from detox_core.export.report import html_report
from detox_core.measure.measurement import measurements, open_prompt
from detox_core.stage.steps import Stage, Step, read_stage, record_why
from detox_core.store import recorded
from pages.asking import ask
from pages.engine import service, store
from pages.presenting import present, recorded_on
from pages.prompts import DEMO, place
from pages.samples import headline
from pages.text import literal

state = st.session_state
VIEWS = {"answers": "Answers", "why": "Why these words"}
LARGEST = 50  # MB of a stage file
Change = Callable[[Stage], Stage]


def change(how: Change) -> None:
    """Change the stage for good; what was said about the one before is out of date."""
    state.pop("stage_said", None)
    store().change_stage(how)


def undoable(how: Change, done: str, back: Change) -> None:
    """Change the stage and offer the way back."""
    change(how)
    state.stage_said = (done, back)


def head(stage: Stage) -> None:
    """Title, present, and everything that goes in or out."""
    state["stage-title"] = stage.title
    st.text_input("Title", key="stage-title", max_chars=120, on_change=rename)
    nothing = not stage.steps
    with st.container(horizontal=True):
        if st.button("Present", icon=":material/slideshow:", type="primary", shortcut="Ctrl+Enter", disabled=nothing, key="stage-present"):
            st.query_params["present"] = "1"
            st.rerun()
        if st.button("Rehearse", icon=":material/timer:", disabled=nothing, key="stage-rehearse"):
            state.stage_rehearsal = (time.monotonic(), stage)
        name = "".join(letter if letter.isalnum() else "-" for letter in stage.title)[:60].strip("-") or "stage"
        st.download_button(
            "Stage file", stage.to_json, f"{name}.stage.json", "application/json", icon=":material/download:", disabled=nothing
        )
        st.download_button("HTML report", lambda: _report(stage), f"{name}.html", "text/html", icon=":material/download:", disabled=nothing)
        with st.popover("Open a file", icon=":material/upload:"):
            opened = state.get("stage_opened", 0)
            st.file_uploader("A stage file", ["json"], key=f"stage-file-{opened}", max_upload_size=LARGEST, on_change=open_file)
            st.caption("It takes the place of the list below. Texts in it are shown, never run.")
    st.caption(
        "While presenting: arrow keys or a clicker turn, B reveals, W shows which words count, L asks the models live, N hides the note, "
        "Esc leaves; F11 fills the screen. Every step shows its recording; no model and no network are needed."
    )


def rename() -> None:
    """The title was typed."""
    if title := state["stage-title"].strip():
        change(lambda now: Stage(title, now.steps))


def _report(stage: Stage) -> str:
    return html_report(stage.title, [step.comparison for step in stage.steps], [step.note for step in stage.steps])


def open_file() -> None:
    """A stage file was given."""
    given = state.get(f"stage-file-{state.get('stage_opened', 0)}")
    if given is None:
        return
    try:
        read = read_stage(given.getvalue(), given.name)
        before = store().stage()
        undoable(lambda _: read, f"{given.name} is open, {len(read.steps)} steps.", lambda _: before)
        state.stage_opened = state.get("stage_opened", 0) + 1
    except DetoxError as error:
        state.stage_said = (str(error), None)


def said() -> None:
    """What the last click did, with the way back; or what is wrong."""
    sentence, back = state.get("stage_said") or ("", None)
    if not sentence:
        return
    if back is None:
        st.error(literal(sentence), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(literal(sentence), icon=":material/info:")
        st.button("Undo", icon=":material/undo:", on_click=change, args=(back,), key="stage-undo")


def empty() -> None:
    """Nothing is on the stage yet."""
    st.info("The stage is empty. Open a comparison on Compare and press Star, or start from what is recorded.", icon=":material/star:")
    with st.container(horizontal=True):
        st.button(
            "Make a stage of the recorded examples", type="primary", on_click=take_examples, disabled=not recorded(), key="stage-examples"
        )
        if st.button("Go to Compare", icon=":material/compare_arrows:"):
            st.switch_page("pages/compare.py")


def take_examples() -> None:
    """The recorded examples become steps."""
    change(lambda stage: _with(stage, [Step(record) for record in recorded().values()]))


def _with(stage: Stage, steps: list[Step]) -> Stage:
    for step in steps:
        stage = stage.add(step)
    return stage


def stars() -> list[tuple[Path, str, str]]:
    """Prompts starred on Flows: measurement, prompt, note."""
    return [(path, prompt, note) for path in [DEMO, *measurements()] for prompt, note in store().stars(place(str(path))).items()]


def take_stars() -> None:
    """The starred prompts become steps, with their notes."""
    before, steps, problems = store().stage(), [], []
    for path, prompt, note in stars():
        try:
            steps.append(Step(open_prompt(path, prompt), note))
        except DetoxError as error:
            problems.append(str(error))
    added = [step.comparison.id for step in steps if before.place(step.comparison.id) is None]
    undoable(lambda stage: _with(stage, steps), "What is starred on Flows is on the stage.", lambda now: reduce(Stage.remove, added, now))
    if problems:
        state.stage_said = (problems[0], None)


def show_step(stage: Stage, number: int, step: Step) -> None:
    """One step of the list: what it is, what to say, how it opens, and its place."""
    one = step.comparison
    with st.container(border=True, key=f"stage-step-{one.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{number}. {literal(one.prompt[:200])}**", width="stretch")
            place_buttons(stage, number, step)
        st.caption(f"{literal(headline(one) or 'One column.')} Recorded on {recorded_on(step)}.")
        if missing := step.unrecorded():
            st.warning(literal(f"No answer of {', '.join(missing)} is recorded; that column will be empty."), icon=":material/warning:")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            # Another tab may have changed them; what is typed here is kept before it is shown.
            state[f"stage-note-{one.id}"], state[f"stage-view-{one.id}"] = step.note, step.view
            note, view = (one.id, "note"), (one.id, "view")
            st.text_input("Note", key=f"stage-note-{one.id}", placeholder="what to say", max_chars=500, on_change=edit, args=note)
            words = "The words an answer hangs on are recorded when this is chosen; from then on W shows them, too."
            st.segmented_control(
                "Opens with",
                list(VIEWS),
                key=f"stage-view-{one.id}",
                format_func=VIEWS.__getitem__,
                required=True,
                help=words,
                on_change=edit,
                args=view,
            )


def place_buttons(stage: Stage, number: int, step: Step) -> None:
    """Earlier, later, off the stage."""
    name = step.comparison.id
    for label, icon, by, off in (("Earlier", "upward", -1, number == 1), ("Later", "downward", 1, number == len(stage.steps))):
        st.button(
            label,
            icon=f":material/arrow_{icon}:",
            disabled=off,
            on_click=change,
            args=(lambda now, by=by: now.move(name, by),),
            key=f"stage-{label.lower()}-{name}",
            type="tertiary",
        )
    back = (lambda now: now.remove(name), f"Step {number} is removed.", lambda now: now.add(step, number - 1))
    st.button("Remove", icon=":material/delete:", on_click=undoable, args=back, key=f"stage-remove-{name}", type="tertiary")


def edit(comparison_id: str, field: str) -> None:
    """Note or view of a step was changed; the other may be another tab's."""
    value = state[f"stage-{field}-{comparison_id}"]
    change(lambda now: now.change(comparison_id, **{field: value}))


def explain(stage: Stage) -> None:
    """Record which words count, for the first step that opens with that and does not have it yet."""
    lacking = next((step for step in stage.steps if step.view == "why" and step.why is None), None)
    if lacking is None:
        return
    one = lacking.comparison
    st.caption(literal(f"Recording which words count: {one.prompt[:80]}"))

    def task(pool: Any, on_phase: Any, stop: Any) -> Any:
        from detox_core.explain.why import why

        return record_why(why(one, pool.get, None, on_phase, stop))

    found = ask("stage_whys", one.id, lambda: task, 1)
    if found:
        change(lambda now: now.change(one.id, why=found))
        st.rerun()


def rehearsal(stage: Stage) -> None:
    """The rehearsal that was asked for: its progress, then its table."""
    if "stage_rehearsal" not in state:
        return
    asked, rehearsed = state.stage_rehearsal
    research = bool(state.get("research"))

    def task(pool: Any, on_phase: Any, stop: Any) -> Any:
        from detox_core.stage.rehearse import rehearse

        return rehearse(rehearsed, pool, on_phase, stop, research=research)

    found = ask("stage_rehearsals", asked, lambda: task, 1)
    if found is None:
        return
    problems = sum(bool(step.problems) for step in found.steps)
    told = f"Loading took {found.load:.1f} s." if found.load >= 1 else "The models were loaded already."
    if not found.passed:
        st.error(f"Not every step can be shown. {told}", icon=":material/error:")
    elif problems:
        st.warning(f"Every step can be shown; {problems} of {len(found.steps)} have problems. {told}", icon=":material/warning:")
    else:
        st.success(f"Every step can be shown, live and from its recording. {told}", icon=":material/check_circle:")
    st.dataframe(pd.DataFrame(found.table()), hide_index=True)
    if [step.comparison for step in rehearsed.steps] != [step.comparison for step in stage.steps]:
        st.caption("The list has changed since. Rehearse it again.")
    st.caption("The command `python -m detox_core rehearse current` does the same and never asks the network.")


def show_list(stage: Stage) -> None:
    """The stage as its presenter prepares it."""
    head(stage)
    said()
    if stars():
        st.button("Add what is starred on Flows", icon=":material/star:", on_click=take_stars, key="stage-stars")
    if not stage.steps:
        empty()
        return
    rehearsal(stage)
    explain(stage)
    for number, step in enumerate(stage.steps, start=1):
        show_step(stage, number, step)


def main() -> None:
    try:
        stage = store().stage()
    except DetoxError as error:
        st.error(literal(str(error)), icon=":material/error:")
        st.button("Begin with an empty stage", on_click=store().empty_stage, icon=":material/delete:", key="stage-empty")
        return
    if "present" in st.query_params and stage.steps:
        wanted = st.query_params["present"][:6]
        present(stage, min(max(1, int(wanted) if wanted.isdecimal() else 1), len(stage.steps)))
    else:
        show_list(stage)
    service()


main()
