"""Compare: type a prompt, see IT, FT and RL answer side by side, with scores."""

import json

import streamlit as st

from detox_core.card import html_card
from detox_core.errors import DetoxError
from detox_core.models.variants import DEFAULT, get_variants, list_variants
from detox_core.request import MAX_CHARACTERS, Request, new_comparison
from detox_core.score.registry import PRESETS
from detox_core.service import Job
from detox_core.store import recorded
from detox_core.types import Comparison, Decoding
from pages.answers import show_answers
from pages.engine import service, store
from pages.samples import headline, show_samples

state = st.session_state
TICK = 0.2  # seconds between looks at a running job


def open_record(comparison_id: str) -> None:
    """Show a stored comparison, and put it into the address."""
    st.query_params["x"] = comparison_id
    state.pop("job", None)


def shown_record() -> Comparison | None:
    """The comparison of the address; without one, the first recorded example."""
    wanted = st.query_params.get("x")
    if wanted:
        found = store().load(wanted)
        if found:
            return found
        st.warning(f"There is no comparison {wanted!r} on this computer. It may have been deleted, or made elsewhere. Showing an example.")
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
        request = Request(state.prompt, get_variants(state.columns), decoding, state.scorer)
        new_comparison(request)
    except DetoxError as error:
        state.problem = str(error)
        return
    state.chip = None
    state.job = service().submit(request)


def stop() -> None:
    """Stop was pressed."""
    if "job" in state:
        state.job.stop()


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
        st.number_input("Seed", 0, 2**31 - 1, key="seed", width=110, help="The same seed gives the same text.", persist_state="session")
        st.number_input(
            "Temperature",
            0.0,
            2.0,
            key="temperature",
            step=0.1,
            width=130,
            help="0 = always the most probable word.",
            persist_state="session",
        )
        st.number_input("Length", 1, 256, key="length", width=110, help="At most this many tokens per reply.", persist_state="session")
        st.segmented_control("Samples", (1, 5, 25), key="samples", required=True, persist_state="session", help="Replies per model.")
        with st.popover("More", icon=":material/tune:"):
            known = list_variants()
            st.multiselect(
                "Columns",
                list(known),
                key="columns",
                format_func=lambda name: known[name].label if name in known else name,
                persist_state="session",
            )
            st.selectbox("Scorer", list(PRESETS), key="scorer", format_func=lambda name: PRESETS[name].label, persist_state="session")
            st.caption("Scores of different scorers are not comparable. All but the local one need a download or a key.")
            st.slider(
                "top-p", 0.05, 1.0, key="top_p", step=0.05, help="Sample only from the most probable words with this total probability."
            )
        st.toggle("Blur toxic words", key="blur", help="Hover over or tab to a word to read it.", persist_state="session")
    examples = list(recorded())
    if examples:
        st.pills(
            "Recorded examples", examples, key="chip", on_change=pick_example, format_func=lambda name: name.replace("-", " ").capitalize()
        )


def show_job(job: Job) -> None:
    """A running or waiting job, redrawn until it ends."""
    job.watch()
    place = service().position(job)
    if place:
        st.info(f"You are number {place + 1} in line. Others are being served first.", icon=":material/hourglass_top:")
    elif job.active and job.comparison is None:
        st.info("Loading the models; this happens once and takes a few seconds.", icon=":material/hourglass_top:")
    if job.comparison:
        st.caption(f"{job.phase.capitalize()} ..." if job.active else "Done.")
        show_answers(job.comparison, blur=state.blur, writing=job.active, key="answers-live")
    if not job.active:
        st.rerun(scope="app")


def finish(job: Job) -> None:
    """A job ended: remember it, or say why not."""
    state.pop("job")
    if job.state == "failed" or job.comparison is None:
        state.problem = job.error
        return
    state.history = [job.comparison.id, *state.get("history", [])][:30]
    st.query_params["x"] = job.comparison.id


def show_record(record: Comparison) -> None:
    """A finished comparison with everything that can be done with it."""
    example = record.id in recorded()
    if sentence := headline(record):
        st.markdown(f"#### {sentence}")
    show_answers(record, blur=state.blur, badge="recorded example" if example else "")
    decoding = record.decoding
    how = "greedy" if decoding.temperature == 0 else f"temperature {decoding.temperature:g}, top-p {decoding.top_p:g}"
    revision = record.prompt_score.revision if record.prompt_score else ""
    st.caption(
        f"Seed {decoding.seed}, {how}, at most {decoding.max_new_tokens} tokens. Scorer: {record.scorer} ({revision}). "
        "A score is the estimated probability that a rater would call the text toxic, not how severe it is. Made "
        f"{record.created.replace('T', ' ').replace('+00:00', ' UTC')}."
    )
    show_samples(record)
    with st.container(horizontal=True):
        st.download_button(
            "JSON", json.dumps(record.to_dict(), indent=1), f"detox-{record.id}.json", "application/json", icon=":material/download:"
        )
        st.download_button("HTML card", lambda: html_card(record), f"detox-{record.id}.html", "text/html", icon=":material/download:")
        with st.popover("Link", icon=":material/link:"):
            st.code(f"{st.context.url or ''}?x={record.id}", language=None)
            st.caption("Opens this comparison on this computer. The prompt is not part of the link.")
        with st.popover("History", icon=":material/history:", disabled=not state.get("history")):
            for number, comparison_id in enumerate(state.get("history", [])):
                past = store().load(comparison_id)
                if past:
                    st.button(
                        past.prompt[:60].replace("\n", " ").translate(LITERAL),
                        key=f"past-{number}",
                        on_click=open_record,
                        args=(comparison_id,),
                        type="tertiary",
                    )


LITERAL = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()<>#+-.!|$:~"})  # labels are Markdown


def main() -> None:
    for key, value in {
        "seed": 0,
        "temperature": 0.8,
        "length": 60,
        "samples": 1,
        "columns": list(DEFAULT),
        "scorer": "local",
        "top_p": 0.95,
        "blur": True,
    }.items():
        state.setdefault(key, value)
    st.caption("This page shows toxic language, on purpose: it is about what models say and how training changes it.")
    if "job" in state and not state.job.active:
        finish(state.job)
    prompt_box()
    if state.get("problem"):
        st.error(state.problem.translate(LITERAL), icon=":material/error:")
    job = state.get("job")
    if job:
        st.fragment(show_job, run_every=TICK)(job)
    elif record := shown_record():
        show_record(record)
    else:
        st.info("No recorded example is installed. Type a prompt above and press Ctrl+Enter.")
    service()


main()
