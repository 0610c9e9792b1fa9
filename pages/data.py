"""Data: look into a data set, measure models on it, or filter it by toxicity for training."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.data import DATASETS, FORMATS, read_dataset
from detox_core.data.filtering import SIDES, Row, boundary, keep, rows_of, save_rows, saved, saved_folder, text_of
from detox_core.data.reading import Reading
from detox_core.errors import BadInput, DetoxError
from detox_core.export.bibliography import bibtex_of
from detox_core.figures.histogram import score_counts, score_histogram
from detox_core.score.registry import PRESETS
from detox_core.service import Job
from pages.answers import theme
from pages.engine import service
from pages.measuring import show_measuring
from pages.status import show_status
from pages.takeaway import take_away
from pages.text import literal

state = st.session_state
KEEP: dict[str, Any] = {"persist_state": "session"}
SHOWN = 1000  # rows of the preview
CHUNK = 256  # texts scored between two looks at the stop button
TICK = 0.5
LARGEST = 200  # MB of an upload
TWO_DIGITS = st.column_config.NumberColumn(format="%.2f")


@st.cache_data(show_spinner="Reading the data set ...", max_entries=4)
def reading_of(name: str, modified: float) -> Reading:  # noqa: ARG001 - part of the key
    """A data set; read anew when its file was modified."""
    return read_dataset(name)


def names() -> list[str]:
    """What can be picked: the data sets that ship, and those of this computer."""
    return [*DATASETS, *map(str, saved())]


def title(name: str) -> str:
    """A data set in a list."""
    return Path(name).name if name not in DATASETS and Path(name).is_absolute() else name


def pick() -> Reading | None:
    """The data set to look at; says what is wrong with it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Data set",
            names(),
            key="dataset",
            format_func=title,
            accept_new_options=True,
            help=f"Or type a path, or FORMAT:PATH[@SPLIT]. Formats: {', '.join(FORMATS)}.",
            **KEEP,
        )
        with st.popover("Upload", icon=":material/upload:"):
            upload()
    if not state.dataset:
        st.info("Pick a data set, type a path, or upload a file.")
        return None
    path = Path(state.dataset).expanduser()
    try:
        return reading_of(state.dataset, path.stat().st_mtime if path.is_file() else 0.0)
    except (DetoxError, OSError) as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None


def upload() -> None:
    """A file from the visitor's computer becomes a data set of this one."""
    given = st.file_uploader("CSV, TSV, JSON, JSON Lines or Parquet, gzip or not", key="upload", max_upload_size=LARGEST)
    if given is not None and st.button("Keep it on this computer", type="primary"):
        path = saved_folder() / Path(given.name).name
        if path.exists():
            st.error(f"There is a data set {literal(path.name)} already. Rename the file.")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(given.getvalue())
        state.pop("dataset")
        state.picked = str(path)
        st.rerun()


def show_contents(found: Reading) -> None:
    """Rows, problems, first prompts."""
    told = [f"**{len(found.prompts):,} prompts**", f"{len(found.pairs):,} with replies" if found.pairs else "no replies"]
    told += [
        f"{number:,} {what}" for what, number in (("duplicates dropped", found.duplicates), ("rows left out", found.skipped)) if number
    ]
    st.markdown(f"{', '.join(told)}, read as *{found.format}* from {found.rows:,} rows.")
    if found.problems:
        with st.expander(f"{len(found.problems):,} problems by row", expanded=bool(found.skipped)):
            rows = [{"row": problem.row, "problem": problem.sentence} for problem in found.problems]
            st.dataframe(pd.DataFrame(rows), hide_index=True)
    st.dataframe(pd.DataFrame(found.preview(SHOWN)).dropna(axis=1, how="all"), hide_index=True, height=250)
    if len(found.prompts) > SHOWN:
        st.caption(f"The first {SHOWN:,}.")


def scores_of(found: Reading, side: str, scorer: str) -> list[float] | None:
    """The scores of all texts once they are there; until then a button, or progress with a stop."""
    texts = [text_of(row, side) for row in rows_of(found, side)]
    key = (found.source, found.counts["rows"], side, scorer, hash(tuple(texts)))
    kept: dict[tuple, list[float]] = state.setdefault("data-scores", {})
    if key in kept:
        return kept[key]
    running: tuple[tuple, Job] | None = state.get("data-job")
    if running is None or running[0] != key:
        if st.button(f"Score {len(texts):,} texts", type="primary", icon=":material/play_arrow:"):
            state["data-job"] = (key, service().run(lambda _pool, tell, stop: _score(texts, scorer, tell, stop)))
            st.rerun()
        return None
    job = running[1]
    if job.active:
        st.fragment(_watch, run_every=TICK)(job)
        return None
    state.pop("data-job")
    if job.state == "failed":
        (st.info if job.stopping.is_set() else st.error)(literal(job.error or "Scoring failed."))
        return None
    kept.clear()  # of one data set at a time
    kept[key] = job.result
    return kept[key]


def _score(texts: list[str], scorer: str, tell: Any, stop: Any) -> list[float]:
    from detox_core.score import get_scorer

    judge, values = get_scorer(scorer), []
    for at in range(0, len(texts), CHUNK):
        if stop.is_set():
            raise InterruptedError
        values += [score.value for score in judge.score(texts[at : at + CHUNK])]
        tell(f"{len(values)} of {len(texts)}")
    return values


def _watch(job: Job) -> None:
    job.watch()
    done, _, total = job.phase.partition(" of ")
    share = int(done) / int(total) if total else 0.0
    told = f"{job.phase} texts scored" if total else "Waiting for the engine ..."
    st.progress(share, told)
    show_status(told, "scoring", seen=False)
    if st.button("Stop", icon=":material/stop:", key="stop-scoring"):
        service().stop(job)
    if not job.active:
        st.rerun(scope="app")


def show_filter(found: Reading) -> None:
    """Scores of a data set, a threshold, and what it keeps."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.selectbox(
            "Score", list(SIDES) if found.pairs else ["prompt"], format_func=lambda name: SIDES[name], key="side", width=160
        )
        scorer = st.selectbox("Scorer", list(PRESETS), format_func=lambda name: PRESETS[name].label, key="data-scorer", width=240, **KEEP)
    scores = scores_of(found, side, scorer)
    if scores is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        threshold = st.slider("Threshold", 0.0, 1.0, 0.5, 0.01, key="threshold", width=380)
        inverse = st.toggle("Inverse: keep what is above", key="inverse", help="Training on toxic text alone, to teach what to avoid.")
    kept = keep(scores, threshold, inverse)
    unscored = sum(math.isnan(score) for score in scores)
    st.markdown(
        f"**{sum(kept):,} of {len(kept):,} rows stay ({sum(kept) / len(kept):.1%}).**"
        + (f" {unscored:,} could not be scored and are dropped." if unscored else "")
    )
    st.plotly_chart(
        score_histogram(scores, threshold, inverse, theme()),
        alt=f"Histogram of {len(scores):,} scores; {sum(kept):,} rows are kept at the threshold {threshold:.2f}.",
        config={"displayModeBar": False},
    )
    with st.expander("As a table"):
        st.dataframe(score_counts(scores, kept), hide_index=True, column_config=dict.fromkeys(("from", "to"), TWO_DIGITS))
    rows = rows_of(found, side)
    take_away(
        "scores",
        figure=partial(score_histogram, scores, threshold, inverse),
        table=lambda: pd.DataFrame({"text": [text_of(row, side) for row in rows], "score": scores, "stays": kept}),
        caption=f"Scores of {title(state.dataset)} by the scorer {scorer}; {sum(kept):,} rows stay at the threshold {threshold:.2f}.",
        cite=partial(bibtex_of, (), (scorer,), [found.format, "filter"]),
    )
    near = boundary(scores, threshold)
    st.caption("Nearest to the threshold, where it decides:")
    table = [{"stays": kept[index], "score": scores[index], "text": text_of(rows[index], side)} for index in near]
    st.dataframe(pd.DataFrame(table), hide_index=True, column_config={"score": st.column_config.NumberColumn(format="%.3f")})
    keep_form(found, [(row, score) for row, score, stays in zip(rows, scores, kept, strict=True) if stays], side)


def keep_form(found: Reading, kept: list[tuple[Row, float]], side: str) -> None:
    """Save what the filter keeps as a data set."""
    with st.form("keep", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name of the filtered set", placeholder="for example mild-replies", width=300)
        pressed = st.form_submit_button("Save", icon=":material/save:")
    if not pressed:
        return
    made = {"from": state.dataset, "read_as": found.format, "side": side, "scorer": state["data-scorer"]}
    made |= {"threshold": state.threshold, "inverse": state.inverse}
    try:
        path = save_rows(name.strip(), [row for row, _ in kept], [score for _, score in kept], made)
    except BadInput as error:
        st.error(literal(str(error)), icon=":material/error:")
        return
    st.success(f"Saved {len(kept):,} rows as {literal(path.name)}. It can be measured here and used for training.")


def main() -> None:
    if picked := state.pop("picked", None):
        state.dataset = picked
    st.caption("Look into a data set, measure models on it, or filter it by toxicity. Nothing leaves this computer.")
    found = pick()
    if found is None:
        return
    show_contents(found)
    st.header("Measure models on it")
    show_measuring(state.dataset, len(found.prompts))
    st.header("Filter it by toxicity")
    show_filter(found)


main()
