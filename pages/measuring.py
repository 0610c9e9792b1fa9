"""Start, follow and end measurements; each is a process of its own and goes on when the page is closed."""

import shlex
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import streamlit as st

from detox_core.errors import DetoxError
from detox_core.models.variants import DEFAULT, get_variants, list_variants
from detox_core.request import check_decoding
from detox_core.score.registry import PRESETS
from detox_core.types import Decoding
from pages.status import show_status
from pages.text import literal
from training_jobs import jobs
from training_jobs.jobs import Run

state = st.session_state
KEEP: dict[str, Any] = {"persist_state": "session"}
TICK = 1.0  # seconds between looks at a working run
SHOWN = 5  # ended runs
TYPED = "Pick, or type: a folder, a Hub id, or MODEL+METHOD:STRENGTH for an intervention, such as it+aura:0.8."


def show_measuring(dataset: str, prompts: int) -> None:
    """The form, the command that does the same, and the runs."""
    known = list_variants()
    limit = f"m-limit-{dataset}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wide: dict[str, Any] = {"width": 330, **KEEP}
        st.multiselect(
            "Models",
            list(known),
            list(DEFAULT),
            key="m-variants",
            format_func=lambda name: known[name].label if name in known else name,
            accept_new_options=True,
            help=TYPED,
            **wide,
        )
        st.multiselect("Scorers", list(PRESETS), ["local"], key="m-scorers", format_func=lambda name: PRESETS[name].label, **wide)
        st.segmented_control("Replies per prompt", (1, 5, 25), key="m-samples", default=5, required=True, **KEEP)
        st.number_input("Prompts", 1, max(1, prompts), max(1, prompts), key=limit, width=120, help="The first so many.")
        asked = (dataset, state[limit], prompts)
        st.button("Measure", type="primary", icon=":material/speed:", on_click=start, args=asked, key="measure")
    st.caption("The first scorer gives the metrics; a second one shows how much they depend on it. The same by command:")
    st.code(command(dataset, state[limit], prompts), language="bash")
    if state.get("m-problem"):
        st.error(literal(state["m-problem"]), icon=":material/error:")
    follow("measure", show_run, SHOWN)


def command(dataset: str, limit: int, prompts: int) -> str:
    """The same by command."""
    parts = ["python", "-m", "detox_core", "measure", "--dataset", dataset, "--variants", ",".join(state["m-variants"])]
    parts += ["--samples", str(state["m-samples"]), "--scorer", *state["m-scorers"]]
    return shlex.join([*parts, *(["--limit", str(limit)] if limit < prompts else [])])


def start(dataset: str, limit: int, prompts: int) -> None:
    """Measure was pressed: check, then queue."""
    state["m-problem"] = None
    decoding = Decoding(samples=state["m-samples"])
    try:
        check_decoding(decoding)
        get_variants(state["m-variants"])
    except DetoxError as error:
        state["m-problem"] = str(error)
        return
    if not state["m-scorers"]:
        state["m-problem"] = "No scorer is chosen. Pick at least one."
        return
    settings = {"dataset": dataset, "variants": state["m-variants"], "scorers": state["m-scorers"], "decoding": asdict(decoding)}
    jobs.submit("measure", {**settings, "limit": limit if limit < prompts else None}, f"measure-{dataset.rsplit('/', 1)[-1]}")


def watch(kind: str, show: Callable[[Run], None], ended: int = 0) -> None:
    """The working runs of a kind and the last ended ones, looked at again every second while one of them works."""
    found = jobs.runs(kind)
    active = [run for run in found if run.active]
    for run in [*active, *[run for run in found if not run.active][:ended]]:
        show(run)
    was = state.get(f"{kind}-active", 0)
    state[f"{kind}-active"] = len(active)
    if was and len(active) < was:
        st.rerun(scope="app")


def follow(kind: str, show: Callable[[Run], None], ended: int = 0) -> None:
    """`watch`, as often as there is something to see."""
    st.fragment(watch, run_every=TICK if any(run.active for run in jobs.runs(kind)) else None)(kind, show, ended)


def show_run(run: Run) -> None:
    """One run: how it stands, and what can be done with it."""
    with st.container(border=True), st.container(horizontal=True, vertical_alignment="center"):
        models, name = ", ".join(run.spec.get("variants", [])), str(run.spec.get("dataset", "")).rsplit("/", 1)[-1]
        what = f"{name}: {models}, {run.spec.get('decoding', {}).get('samples', 1)} replies per prompt"
        if run.active:
            progress(run, what)
            st.button("Stop and keep", key=f"stop-{run.id}", icon=":material/stop:", on_click=jobs.stop, args=(run,))
            return
        st.markdown(literal(f"{what} · {run.state}" + (f" after {duration(run.seconds)}" if run.seconds else "")))
        if run.state == "done":
            if st.button("See its flows", key=f"open-{run.id}", icon=":material/waves:"):
                state.measurement = str(run.folder / "replies.jsonl")
                st.switch_page("pages/flows.py")
            return
        if run.error:
            st.caption(literal(run.error))
        st.button("Go on", key=f"resume-{run.id}", icon=":material/play_arrow:", on_click=jobs.resume, args=(run,))


def progress(run: Run, what: str) -> None:
    """How far a working run is, and how long it still takes."""
    left = f", {duration(run.left)} left" if run.left is not None else ""
    counted = f", {run.done:,} of {run.total:,} {run.unit}" if run.total else ""
    share = min(1.0, run.done / run.total) if run.total else 0.0
    told = f"{what} · {run.state}: {run.phase}{counted}{left}"
    st.progress(share, literal(told))
    show_status(told, run.id, seen=False)


def duration(seconds: float) -> str:
    """A span of time in the unit that fits it."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
