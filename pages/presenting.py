"""The stage as people see it: one step at a time, in large type, driven by keys. What was recorded always shows; live is a wish."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import streamlit as st

from detox_core.errors import DetoxError
from detox_core.service import Job
from detox_core.stage.steps import Stage, Step
from detox_core.types import Comparison
from pages.answers import show_answers, theme
from pages.engine import service
from pages.heatmap import show_heatmap
from pages.text import literal

state = st.session_state
TICK = 0.2
PATIENCE = 10.0  # seconds until the first word; people do not wait longer for what they can see recorded
STYLE = """<style>
[data-testid=stHeader], [data-testid=stSidebar], .st-key-stage-clicker { display: none; }
[data-testid=stMainBlockContainer] { padding: 2.5vh 2.5vw 0; max-width: none; }
[data-testid=stMainBlockContainer] > div { gap: 1.2vh; }
.st-key-stage-foot { position: fixed; inset: auto 0 0 0; padding: 0.6vh 2.5vw 1.2vh; gap: 0.6vh; background: %s; z-index: 2; }
.st-key-stage-foot p, .st-key-stage-foot kbd, .st-key-stage-foot [data-testid=stIconMaterial], .st-key-stage-said p {
  font-size: max(15px, 2.25vmin) !important; line-height: 1.35; }
.st-key-stage-foot [data-testid=stMarkdownContainer], .st-key-stage-foot p { margin: 0; }
.st-key-stage-note { max-height: 14vh; overflow-y: auto; }
</style>"""


@dataclass
class Live:
    """A step asked once more.

    Attributes:
        of: id of the recorded comparison.
        job: None = it could not even be asked.
        problem: why the recording is shown after all; empty = nothing is wrong so far.
    """

    of: str
    job: Job | None = None
    problem: str = ""
    began: float = field(default_factory=time.monotonic)


def present(stage: Stage, number: int) -> None:
    """Show a step, from 1, and nothing else."""
    step = stage.steps[number - 1]
    st.html(STYLE % st.get_option(f"theme.{theme()}.backgroundColor"))
    foot(stage, step, number)
    asked = _asked(step)
    if asked and asked.job and asked.job.active and not asked.problem:
        st.fragment(_watch, run_every=TICK)(step, asked, asked.job)
        return
    found = asked.job.comparison if asked and asked.job and asked.job.state == "done" and not asked.problem else None
    if found and not found.errors and _begun(found):
        show_answers(found, blur=_blurred(step), badge="live", large=True, key="stage-live")
        return
    if asked:
        _say(f"This is the recording. Live did not work: {_why_not(asked)}")
    _recording(step)


def foot(stage: Stage, step: Step, number: int) -> None:
    """The presenter's note and keys, along the lower edge."""
    last = len(stage.steps)
    with st.container(key="stage-foot"):
        if step.note.strip() and not state.get("stage_quiet"):
            st.container(key="stage-note").markdown(literal(step.note))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            key("Previous", "Left", go, number - 1, disabled=number == 1)
            st.markdown(f"**{number} of {last}**", width="content")
            key("Next", "Right", go, number + 1, disabled=number == last)
            key("Reveal" if _blurred(step) else "Blur", "B", reveal, step)
            key("Answers" if _view(step) == "why" else "Why", "W", turn, step, disabled=step.why is None)
            key("Recording" if _asked(step) else "Live", "L", live, step)
            key("Note", "N", quiet, disabled=not step.note.strip())
            key("Leave", "Esc", leave)
    with st.container(key="stage-clicker"):  # the two keys of a presenter's clicker
        key("Back", "PageUp", go, number - 1, disabled=number == 1)
        key("Forth", "PageDown", go, number + 1, disabled=number == last)


def key(label: str, shortcut: str, act: Callable[..., None], *given: Any, disabled: bool = False) -> None:
    """A button with its key."""
    st.button(label, shortcut=shortcut, on_click=act, args=given, disabled=disabled, type="tertiary", key=f"stage-{shortcut}")


def go(number: int) -> None:
    """Turn to a step: blurred, as it opens, from its recording."""
    drop_live()
    for name in ("stage_revealed", "stage_view"):
        state.pop(name, None)
    st.query_params["present"] = str(number)


def leave() -> None:
    """Back to the list."""
    go(1)
    del st.query_params["present"]


def reveal(step: Step) -> None:
    """Lift the blur of this step, or put it back."""
    state.stage_revealed = None if not _blurred(step) else step.comparison.id


def turn(step: Step) -> None:
    """The other view of this step."""
    state.stage_view = (step.comparison.id, "answers" if _view(step) == "why" else "why")


def quiet() -> None:
    """Hide notes, or show them again."""
    state.stage_quiet = not state.get("stage_quiet")


def live(step: Step) -> None:
    """Ask the models the same once more; if they are asked already, back to the recording."""
    if _asked(step):
        drop_live()
        return
    drop_live()
    state.stage_view = (step.comparison.id, "answers")
    try:
        state.stage_live = Live(step.comparison.id, service().submit(step.request(research=bool(state.get("research")))))
    except DetoxError as error:
        state.stage_live = Live(step.comparison.id, problem=str(error))


def drop_live() -> None:
    """Whatever is asked live ends."""
    asked: Live | None = state.pop("stage_live", None)
    if asked and asked.job:
        service().stop(asked.job)


def _asked(step: Step) -> Live | None:
    asked: Live | None = state.get("stage_live")
    return asked if asked and asked.of == step.comparison.id else None


def _blurred(step: Step) -> bool:
    return state.get("stage_revealed") != step.comparison.id


def _view(step: Step) -> str:
    chosen = state.get("stage_view")
    view = chosen[1] if chosen and chosen[0] == step.comparison.id else step.view
    return view if step.why else "answers"


def _watch(step: Step, asked: Live, job: Job) -> None:
    """Live, as soon as the models write; until then the recording."""
    job.watch()
    if job.comparison and _begun(job.comparison):
        show_answers(job.comparison, blur=_blurred(step), writing=job.active, badge="live", large=True, key="stage-live")
    else:
        before = service().position(job)
        _say(f"Asking the models ({before} others first) ..." if before else f"Asking the models: {job.phase} ...")
        _recording(step)
        if time.monotonic() - asked.began > PATIENCE:
            why = f"the models are busy with {before} others" if before else f"no word after {PATIENCE:.0f} s, still {job.phase}"
            asked.problem = f"{why}."
            service().stop(job)
    if asked.problem or not job.active:
        st.rerun(scope="app")


def _begun(comparison: Comparison) -> bool:
    return any(reply.tokens for reply in comparison.generations)


def _why_not(asked: Live) -> str:
    job = asked.job
    errors = job.comparison.errors if job and job.comparison else {}
    return asked.problem or (job and job.error) or next(iter(errors.values()), "the models wrote nothing.")


def _say(sentence: str) -> None:
    with st.container(key="stage-said"):
        st.markdown(literal(sentence))


def _recording(step: Step) -> None:
    if _view(step) == "why":
        show_heatmap(step.comparison, step.why, theme(), blur=_blurred(step), large=True)
        return
    badge = f"recorded on {recorded_on(step)}"
    show_answers(step.comparison, blur=_blurred(step), badge=badge, large=True, key="stage-answers")


def recorded_on(step: Step) -> str:
    """The day, for example 22 November 2026."""
    try:
        made = datetime.fromisoformat(step.comparison.created)
    except ValueError:
        return "an unknown day"
    return f"{made.day} {made:%B %Y}"
