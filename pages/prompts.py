"""The prompts behind a flow: their table, one of them in full, stars and notes, and the way to Compare."""

from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from detox_core.data.filtering import save_rows
from detox_core.data.reading import Pair
from detox_core.demo import RECORDED
from detox_core.errors import DetoxError
from detox_core.export.tables import csv
from detox_core.measure.flow import by_prompt, score_column
from detox_core.measure.measurement import Settings, open_prompt
from pages.engine import store
from pages.text import literal

state = st.session_state
DEMO = RECORDED / "demo.jsonl"
SHOWN = 2000  # rows of the table; the download has all


def place(path: str) -> str:
    """The name under which stars are kept."""
    return "demo" if Path(path) == DEMO else Path(path).parent.name


def show_prompts(path: str, settings: Settings, frame: pd.DataFrame, scores: pd.DataFrame, scorer: str, ids: pd.Index, what: str) -> None:
    """The prompts of the picked flow, and one of them in full."""
    st.markdown(f"## {len(ids):,} prompts: {what}")
    if ids.empty:
        st.info("No prompt matches. Clear the search or the filter.")
        return
    labels = {variant.id: variant.label for variant in settings.variants}
    stars = store().stars(place(path))
    prompts = by_prompt(frame)
    table = prompts.loc[ids, ["prompt"]].join(scores.loc[ids].rename(columns=labels)).assign(starred=[name in stars for name in ids])
    spread = table[list(labels.values())]
    order = (spread.max(axis=1) - spread.min(axis=1)).sort_values(ascending=False, kind="stable").index
    table = table.loc[order]
    bars = {label: st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1) for label in labels.values()}
    shown = st.dataframe(
        table.head(SHOWN),
        hide_index=True,
        key=f"prompts-{hash(tuple(order[:SHOWN]))}",
        on_select="rerun",
        selection_mode="single-row",
        height=min(36 * (len(table) + 1) + 2, 330),
        column_config={"prompt": st.column_config.TextColumn(width="large"), "starred": st.column_config.CheckboxColumn("★"), **bars},
    )
    if len(table) > SHOWN:
        st.caption(f"The {SHOWN:,} with the largest differences; the download has all.")
    rows = shown["selection"]["rows"]
    with st.container(horizontal=True):
        whole = partial(_csv, frame, ids, stars)
        st.download_button("Prompts and replies (CSV)", whole, "prompts.csv", "text/csv", icon=":material/download:")
        kept = prompts.loc[prompts.index.isin(stars)].assign(note=lambda part: part.index.map(stars))
        if len(kept):
            st.download_button("Stars and notes (CSV)", csv(kept.reset_index()), "stars.csv", "text/csv", icon=":material/star:")
            with st.popover("Train on the stars", icon=":material/model_training:"):
                as_data(frame, scorer, list(stars), path)
    if rows:
        show_prompt(path, settings, frame, scorer, order[rows[0]])
    else:
        st.caption("Pick a row to read the replies, star the prompt, or open it in Compare.")


def as_data(frame: pd.DataFrame, scorer: str, starred: list[str], path: str) -> None:
    """The starred prompts as a data set for the Train page."""
    st.caption("Each starred prompt with the least toxic of its replies; the most toxic one is the reply to avoid (DPO, KTO).")
    name = st.text_input("Name", "stars", key="stars-name", max_chars=40)
    if st.button("Make a data set", type="primary", key="stars-save"):
        pairs, scores = pairs_of(frame, score_column(scorer), starred)
        try:
            made = save_rows(name, pairs, scores, {"of": path, "scorer": scorer, "what": "starred prompts"})
        except DetoxError as error:
            st.error(literal(str(error)))
            return
        st.success(f"It is {literal(made.name)} on the page Train.")


def pairs_of(frame: pd.DataFrame, column: str, starred: list[str]) -> tuple[list[Pair], list[float]]:
    """Best and worst scored reply to each prompt, and the best one's score; prompts without a scored reply are left out."""
    pairs, scores = [], []
    for prompt, mine in frame[frame["id"].isin(starred)].dropna(subset=column).sort_values(column, kind="stable").groupby("id", sort=False):
        best, worst = mine.iloc[0], mine.iloc[-1]
        rejected = worst["reply"] if worst["reply"] != best["reply"] else ""
        pairs.append(Pair(str(prompt), best["prompt"], best["reply"], rejected=rejected))
        scores.append(float(best[column]))
    return pairs, scores


def _csv(frame: pd.DataFrame, ids: pd.Index, stars: dict[str, str]) -> str:
    mine = frame[frame["id"].isin(ids)]
    return csv(mine.assign(starred=mine["id"].isin(stars), note=mine["id"].map(stars)))


def show_prompt(path: str, settings: Settings, frame: pd.DataFrame, scorer: str, prompt: str) -> None:
    """One prompt with the first reply of every model."""
    mine = frame[frame["id"] == prompt]
    labels = {variant.id: variant.label for variant in settings.variants}
    with st.container(border=True):
        st.markdown(f"**{literal(mine['prompt'].iloc[0])}**")
        first = mine[mine["sample"] == 0]
        for column, (_, row) in zip(st.columns(len(first)), first.iterrows(), strict=True):
            value = row[score_column(scorer)]
            column.caption(f"{literal(labels[row['variant']])} · {'not scored' if pd.isna(value) else f'{value:.2f}'}")
            column.markdown(literal(row["reply"]) or "*empty*")
        if mine["sample"].max() > 0:
            st.caption(f"The first of {mine['sample'].max() + 1} replies of each model; Compare shows all.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if st.button("Open in Compare", icon=":material/compare_arrows:", type="primary", key="open"):
                open_in_compare(path, prompt)
            stars = store().stars(place(path))
            note = st.text_input("Note", stars.get(prompt, ""), key=f"note-{prompt}", placeholder="why it is worth remembering")
            starred = prompt in stars
            if st.button("Keep note" if starred and note != stars[prompt] else "Unstar" if starred else "Star", icon=":material/star:"):
                store().star(place(path), prompt, None if starred and note == stars[prompt] else note)
                st.rerun()


def open_in_compare(path: str, prompt: str) -> None:
    """Show a measured prompt as a comparison."""
    try:
        record = open_prompt(Path(path), prompt)
    except DetoxError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return
    store().save(record)
    state.shown = record.id
    state.chip = None
    st.switch_page("pages/compare.py", query_params={"x": record.id})
