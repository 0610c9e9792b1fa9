"""Compare: type a prompt, see IT, FT and RL answer side by side, with scores."""

import json
from functools import partial
from typing import Any

import streamlit as st

from detox_core.errors import DetoxError
from detox_core.export.bibliography import bibtex
from detox_core.export.report import html_card, made
from detox_core.figures.strip import scores_frame
from detox_core.models.variants import DEFAULT, default_columns, get_variants, larger_family, list_variants
from detox_core.request import MAX_CHARACTERS, Request, new_comparison
from detox_core.score.registry import PRESETS
from detox_core.service import Job
from detox_core.stage.steps import Step
from detox_core.store import recorded
from detox_core.types import Comparison, Decoding
from pages.answers import progress, show_answers
from pages.asking import phase_of
from pages.engine import service, store
from pages.measuring import TYPED
from pages.samples import headline
from pages.takeaway import take_away
from pages.text import literal
from pages.whatif import with_what_if
from pages.why import show_views

state = st.session_state
TICK = 0.2  # seconds between looks at a running job
DEFAULTS = {
    "seed": 0,
    "temperature": Decoding().temperature,
    "length": 60,
    "samples": 1,
    "columns": default_columns(),
    "scorer": "local",
    "top_p": Decoding().top_p,
    "blur": True,
}


def show(comparison_id: str) -> None:
    """Make a stored comparison the shown one, and put it into the address."""
    st.query_params["x"] = state.shown = comparison_id


def open_record(comparison_id: str) -> None:
    """A comparison was picked: whatever is running for this visitor ends."""
    if job := state.pop("job", None):
        service().stop(job)
    state.problem = None
    state.chip = comparison_id if comparison_id in recorded() else None
    show(comparison_id)


def shown_record() -> Comparison | None:
    """The comparison of the address; without one, the first recorded example."""
    if "x" not in st.query_params and "shown" in state:
        show(state.shown)  # back from another page, which has another address
    wanted = st.query_params.get("x")
    if wanted:
        found = store().load(wanted)
        if found:
            return found
        st.warning(f"There is no comparison {literal(wanted)} on this computer. It may be deleted, or made elsewhere. Here is an example.")
    return next(iter(recorded().values()), None)


def pick_example() -> None:
    """A chip was clicked."""
    if state.chip:
        open_record(state.chip)


def start() -> None:
    """Generate was pressed: check, then queue."""
    state.problem = None
    try:
        decoding = Decoding(state.seed, state.temperature, state.top_p, state.length, state.samples)
        request = Request(state.prompt, get_variants(state.columns, research=state.get("research")), decoding, state.scorer)
        new_comparison(request)
    except DetoxError as error:
        state.problem = str(error)
        return
    state.chip = None
    if not state.get("blur_chosen"):
        state.blur = False  # on by default for the examples only: a person knows what they typed
    state.job = service().submit(request)


def stop() -> None:
    """Stop was pressed."""
    if "job" in state:
        service().stop(state.job)


def prompt_box() -> None:
    """Prompt, Generate and Stop, the visible settings, and the examples."""
    job = state.get("job")
    busy = job is not None and job.active
    st.text_area(
        "Prompt",
        key="prompt",
        height=80,
        placeholder="Type something toxic (or not) and press Ctrl+Enter",
        help=f"At most {MAX_CHARACTERS:,} characters; how much a model reads depends on the model.",
        persist_state="session",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            "Generate", type="primary", icon=":material/play_arrow:", shortcut="Ctrl+Enter", on_click=start, disabled=busy, key="generate"
        )
        st.button("Stop", icon=":material/stop:", shortcut="Esc", on_click=stop, disabled=not busy, key="stop")
        settings()
    if state.get("problem"):
        st.error(literal(state.problem), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
        if examples := list(recorded()):
            st.pills("Recorded examples", examples, key="chip", on_change=pick_example, format_func=title, wrap=True)
        blurred = "Hover over a word, or reach it with Tab, to read it."
        st.toggle(
            "Blur toxic words",
            key="blur",
            on_change=lambda: state.update(blur_chosen=True),
            help=blurred,
            width="content",
            persist_state="session",
        )


def title(name: str) -> str:
    """The text of an example's chip."""
    return name.replace("-", " ").capitalize()


def pick_family() -> None:
    """The other family was picked."""
    if state.family:
        state.columns = families()[state.family]


def families() -> dict[str, list[str]]:
    """Size -> the paper's three."""
    return {"135M": [member.id for member in larger_family()][:3], "7M": list(DEFAULT)}


def settings() -> None:
    """What shapes the next answer; always in sight, because it belongs to every result."""
    keep: dict[str, Any] = {"persist_state": "session"}
    if larger_family():
        state.family = next((size for size, ids in families().items() if ids == state.columns), None)
        sizes = "135M: SmolLM2, tuned here; fluent, some seconds an answer. 7M: trained from scratch; instant, simpler English."
        st.segmented_control("Models", list(families()), key="family", on_change=pick_family, help=sizes)
    st.number_input("Seed", 0, 2**31 - 1, key="seed", width=110, help="The same seed gives the same text.", **keep)
    st.number_input("Temperature", 0.0, 2.0, key="temperature", step=0.1, width=130, help="0 = always the most probable token.", **keep)
    st.number_input("Length", 1, 256, key="length", width=110, help="At most this many tokens per reply.", **keep)
    st.segmented_control("Samples", (1, 5, 25), key="samples", required=True, help="Replies per model.", **keep)
    with st.popover("More", icon=":material/tune:"):
        known = list_variants()
        labels = {name: variant.label for name, variant in known.items()}
        offered = [*known, *(name for name in state.columns if name not in known)]
        said = {"accept_new_options": True, "help": TYPED, **keep}
        st.multiselect("Columns", offered, key="columns", format_func=lambda name: labels.get(name, name), **said)
        st.caption("A column with another base model is loaded as a second model and answers after the others.")
        st.selectbox("Scorer", list(PRESETS), key="scorer", format_func=scorer_label, accept_new_options=True, **keep)
        st.caption("Or type the Hub id or folder of any classifier. Scores of different scorers are not comparable.")
        st.slider(
            "top-p", 0.05, 1.0, key="top_p", step=0.05, help="Sample only from the likeliest tokens with this total probability.", **keep
        )


def scorer_label(name: str) -> str:
    """A preset's label; anything else as it was typed."""
    return PRESETS[name].label if name in PRESETS else name


def show_job(job: Job) -> None:
    """A running or waiting job, redrawn until it ends."""
    job.watch()
    place = service().position(job)
    if place:
        st.info(f"You are number {place + 1} in line. Others are being served first.", icon=":material/hourglass_top:")
    elif job.active and job.phase == "waiting":
        st.info("Loading the models; this happens once and takes a few seconds.", icon=":material/hourglass_top:")
    elif job.active:
        how_far = progress(job.comparison) if job.comparison and job.phase == "writing" else ""
        st.caption(literal(f"{phase_of(job)} ... {how_far}"))
    if job.comparison:
        show_answers(job.comparison, blur=state.blur, writing=job.active, key="answers-live")
    if not job.active:
        st.rerun(scope="app")


def finish(job: Job) -> None:
    """A job ended: remember it, or say why not."""
    state.pop("job")
    if job.state == "failed" or job.comparison is None:
        state.problem = job.error
        return
    state.history = [(job.comparison.id, job.comparison.prompt[:60]), *state.get("history", [])][:30]
    show(job.comparison.id)


def star(record: Comparison) -> None:
    """Star was pressed: onto the stage, or off it."""
    state.pop("stage_said", None)  # its way back would take this step off again
    store().change_stage(lambda stage: stage.add(Step(record)) if stage.place(record.id) is None else stage.remove(record.id))


def printed(record: Comparison) -> Any:
    """The comparison as a figure for print."""
    from detox_core.export.comparison import comparison_figure

    return comparison_figure(record)


def as_json(record: Comparison) -> str:
    """The comparison as it is stored."""
    return json.dumps(record.to_dict(), indent=1)


def star_button(record: Comparison) -> None:
    """Onto the stage, or off it."""
    try:
        starred, readable = store().stage().place(record.id) is not None, True
        told = "Takes it off the stage." if starred else "Puts it on the stage, to be shown in front of people."
    except DetoxError as error:
        starred, readable, told = False, False, str(error)
    label, icon = "Unstar" if starred else "Star", ":material/star:"
    st.button(label, icon=icon, shortcut="S", on_click=star, args=(record,), key="star", help=told, disabled=not readable)


def show_record(record: Comparison) -> None:
    """A finished comparison with everything that can be done with it."""
    st.markdown(f"## {literal(headline(record) or 'The answers')}")
    show_answers(with_what_if(record), blur=state.blur, badge="recorded, hand-picked" if record.id in recorded() else "")
    decoding = record.decoding
    how = "greedy" if decoding.temperature == 0 else f"temperature {decoding.temperature:g}, top-p {decoding.top_p:g}"
    revision = record.prompt_score.revision if record.prompt_score else ""
    st.caption(
        f"Seed {decoding.seed}, {how}, at most {decoding.max_new_tokens} tokens. Scorer: {literal(record.scorer)} ({revision}). "
        "A score is the estimated probability that a rater would call the text toxic, not how severe it is. Made "
        f"{record.created.replace('T', ' ').replace('+00:00', ' UTC')}."
    )
    show_views(record)
    with st.container(horizontal=True, vertical_alignment="center"):
        star_button(record)
        take_away(
            record.id,
            figure=partial(printed, record),
            table=partial(scores_frame, record),
            caption=f"Replies to: {record.prompt} {made(record)}",
            cite=partial(bibtex, record),
            more={("HTML card", "html"): partial(html_card, record), ("JSON", "json"): partial(as_json, record)},
        )
        with st.popover("Link", icon=":material/link:"):
            st.code(f"{(st.context.url or '').split('?')[0]}?x={record.id}", language=None)
            st.caption("Opens this comparison on this computer. The prompt is not part of the link.")
        with st.popover("History", icon=":material/history:", disabled=not state.get("history")):
            for number, (comparison_id, prompt) in enumerate(state.get("history", [])):
                st.button(literal(prompt), key=f"past-{number}", on_click=open_record, args=(comparison_id,), type="tertiary")


def main() -> None:
    for key, value in DEFAULTS.items():
        state.setdefault(key, value)
    st.caption("This page shows toxic language, on purpose: it is about what models say and how training changes it.")
    if "job" in state and not state.job.active:
        finish(state.job)
    prompt_box()
    if job := state.get("job"):
        st.fragment(show_job, run_every=TICK)(job)
    elif record := shown_record():
        show_record(record)
    else:
        st.info("No recorded example is installed. Type a prompt above and press Ctrl+Enter.")
    service()


main()
