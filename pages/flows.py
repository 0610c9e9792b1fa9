"""Flows: what becomes of many prompts' toxicity from one model to the others, and the prompts behind every flow."""

import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from detox_core.errors import BadInput
from detox_core.export.bibliography import bibtex_of
from detox_core.figures.flows import flow_chart, nodes_of
from detox_core.measure.flow import HOW, behind, by_prompt, changed, paired, read_replies, ribbons, search, wide
from detox_core.measure.measurement import Settings, measurements, read_settings
from detox_core.types import BUCKETS
from pages.answers import theme
from pages.engine import store
from pages.prompts import DEMO, place, show_prompts
from pages.takeaway import take_away
from pages.text import literal

state = st.session_state
KEEP: dict[str, Any] = {"persist_state": "session"}
EVERY = "all"
CLASSES = {EVERY: "all prompts", "toxic": "toxic prompts", "harmless": "harmless prompts", "P>.5": "prompts the scorer calls toxic"}
PAPER = (BUCKETS[0][1], BUCKETS[1][1])


@st.cache_resource(show_spinner="Reading the replies ...", max_entries=4)  # not cache_data: no copy of 300,000 rows at every click
def replies(path: str, modified: float) -> tuple[Settings, pd.DataFrame]:  # noqa: ARG001 - part of the key
    """A measurement as a table; read anew when the file was modified."""
    return read_replies(Path(path))


@st.cache_resource(show_spinner=False, max_entries=16)
def scores_of(path: str, modified: float, scorer: str, how: str) -> pd.DataFrame:
    """One score per prompt and model."""
    return wide(replies(path, modified)[1], scorer, how)


def choices() -> dict[str, str]:
    """What can be looked at: path -> name; the recorded demo set, then this computer's own measurements."""
    found = {str(path): _title(path) for path in measurements()}
    return {**({str(DEMO): _title(DEMO)} if DEMO.is_file() else {}), **found}


def _title(path: Path) -> str:
    try:
        settings = read_settings(path)
    except BadInput:
        return f"{path.parent.name} (cannot be read)"
    models = ", ".join(variant.label for variant in settings.variants)
    kind = ", recorded" if path == DEMO else ""
    return f"{settings.source or Path(settings.dataset).name}: {settings.prompts:,} prompts, {models}{kind}"


def pick() -> tuple[str, Settings, pd.DataFrame] | None:
    """The measurement to look at; says why where there is none."""
    known = choices()
    if not known:
        st.info("Nothing is measured yet. Start with: python -m detox_core measure --dataset demo --variants it,ft,rl")
        return None
    if state.get("measurement") not in known:
        state.measurement = next(iter(known))
    path = st.selectbox("Measurement", list(known), key="measurement", format_func=lambda name: known[name], on_change=forget, **KEEP)
    try:
        settings, frame = replies(path, Path(path).stat().st_mtime)
    except (BadInput, OSError) as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None
    if frame.empty:
        st.info("This measurement has no replies yet. Come back when the first are written.")
        return None
    return path, settings, frame


def forget() -> None:
    """Other replies are shown: what was picked among the old ones is no more."""
    for name in ("ribbon", "prompt"):
        state.pop(name, None)


def columns(settings: Settings) -> tuple[str, str, str] | None:
    """Left, middle and right variant."""
    names = [variant.id for variant in settings.variants]
    labels = {variant.id: variant.label for variant in settings.variants}
    if len(names) < 2:
        st.info("Flows need at least two models; this measurement has one. Its replies are in the table below.")
        return None
    middle = "it" if "it" in names else names[0]
    rest = [name for name in names if name != middle]
    defaults = {"middle": middle, "left": rest[0], "right": rest[min(1, len(rest) - 1)]}
    for key, value in defaults.items():
        if state.get(key) not in names:
            state[key] = value
    told = {"left": "Left", "middle": "Before", "right": "Right"}
    for key, name in told.items():
        st.selectbox(name, names, key=key, format_func=lambda name: labels[name], on_change=forget, width=130, **KEEP)
    if state.middle in (state.left, state.right):
        st.warning("Before is the same model as one of the others. Choose another one.")
        return None
    return state.left, state.middle, state.right


def settings_row(settings: Settings, frame: pd.DataFrame) -> tuple[str, str, tuple[float, float]]:
    """Scorer, which score of a prompt, bounds of the buckets."""
    scorers = list(settings.scorers)
    if state.get("flow-scorer") not in scorers:
        state["flow-scorer"] = scorers[0]
    if len(scorers) > 1:
        st.selectbox("Scorer", scorers, key="flow-scorer", width=140, on_change=forget, **KEEP)
    if frame["sample"].max() > 0:
        st.selectbox("A prompt counts by", list(HOW), key="how", format_func=lambda name: HOW[name], width=220, on_change=forget, **KEEP)
    with st.popover("Buckets", icon=":material/straighten:"):
        bounds = st.slider("low ends and high begins at", 0.0, 1.0, PAPER, 0.01, key="bounds", on_change=forget, **KEEP)
        st.caption("The paper's buckets: low below 0.33, high above 0.66.")
    return state["flow-scorer"], state.get("how", "first"), bounds


def filters(path: str, frame: pd.DataFrame) -> pd.Index:
    """Ids of the prompts to look at."""
    prompts = by_prompt(frame)
    kept = prompts.index
    with st.popover("Filter", icon=":material/filter_alt:"):
        chosen = st.selectbox("Prompts", list(CLASSES), key="class", format_func=lambda name: CLASSES[name], on_change=forget, **KEEP)
        wanted = {"toxic": prompts["toxic"].eq(True), "harmless": prompts["toxic"].eq(False), "P>.5": prompts["prompt_score"] > 0.5}
        if chosen in wanted:
            kept = kept[wanted[chosen]]
        for field, label in (("part", "Part of the data set"), ("target", "Whom it is about")):
            known = sorted(set(prompts[field]) - {""})
            if known:
                some = st.multiselect(label, known, key=f"filter-{field}", on_change=forget, **KEEP)
                kept = kept[prompts.loc[kept, field].isin(some)] if some else kept
        st.toggle("Only prompts that changed bucket", key="moved", on_change=forget, **KEEP)
        if st.toggle("Only starred prompts", key="starred", on_change=forget, **KEEP):
            kept = kept[kept.isin(list(store().stars(place(path))))]
    words = st.text_input("Search", key="words", placeholder="prompts and replies", icon=":material/search:", on_change=forget, **KEEP)
    return kept[kept.isin(search(frame, words))] if words.strip() else kept


def on_chart(found: pd.DataFrame, three: tuple[str, str, str]) -> None:
    """A ribbon or a bucket was clicked."""
    selected = state.flow["selection"]["selected"]
    state.pop("prompt", None)
    if not selected or not selected[0]["data_indices"]:
        state.pop("ribbon", None)
        return
    index = selected[0]["data_indices"][0]
    if selected[0]["data_type"] == "edge":
        row = found.iloc[index]
        state.ribbon = (row["from"], row["after"], row["to"])
    else:
        at, bucket = nodes_of(found, three)[index]
        state.ribbon = (bucket, None, None) if at == 1 else (None, three[at], bucket)


def on_row(found: pd.DataFrame) -> None:
    """A row of the table of ribbons was picked."""
    rows = state["ribbon-table"]["selection"]["rows"]
    state.pop("prompt", None)
    state.pop("ribbon", None)
    if rows:
        row = found.iloc[rows[0]]
        state.ribbon = (row["from"], row["after"], row["to"])


def show_flows(scores: pd.DataFrame, three: tuple[str, str, str], bounds: tuple[float, float], settings: Settings, scorer: str) -> None:
    """The diagram, what it says in words, and its table."""
    left, middle, right = three
    labels = {variant.id: variant.label for variant in settings.variants}
    sides = list(dict.fromkeys((left, right)))
    found = ribbons(scores, middle, sides, bounds)
    if found.empty:
        st.info("No prompt matches. Clear the search or the filter.")
        return
    shown = three if left != right else ("", middle, right)
    words = [told(scores, middle, side, labels, bounds) for side in sides]
    wide_side, narrow_side = st.columns((2, 1), gap="medium")
    with wide_side:
        st.echarts_chart(
            flow_chart(found, shown, {"": "", **labels}, theme()),
            height=380,
            key="flow",
            on_select=lambda: on_chart(found, shown),
            renderer="svg",
            alt=" ".join([*words, "The table has every flow."]),
        )
    with narrow_side:
        for sentence in words:
            st.markdown(sentence)
        st.caption(
            "Better and worse: in a lower or higher bucket than before. Change of the mean score with its 95 % interval; p: McNemar's "
            "exact test of whether as many prompts turned from toxic (above 0.5) to not toxic as the other way. Prompts that are not "
            "scored for both models do not count here; the diagram shows them in grey."
        )
        table = found.assign(before=found["before"].map(labels), after=found["after"].map(labels))
        take_flows(partial(printed, found, shown, {"": "", **labels}), table, bounds, settings, scorer)
    with st.expander("Every flow as a table (pick a row to see its prompts)"):
        st.dataframe(
            table,
            hide_index=True,
            key="ribbon-table",
            on_select=lambda: on_row(found),
            selection_mode="single-row",
            column_config={"share": st.column_config.NumberColumn("share of its bucket", format="percent")},
        )


def take_flows(figure: Callable[[], Any], table: pd.DataFrame, bounds: tuple[float, float], settings: Settings, scorer: str) -> None:
    """Diagram and table as files."""
    take_away(
        "flows",
        figure=figure,
        table=lambda: table,
        caption=f"Prompts by toxicity of the reply (scorer {scorer}): low below {bounds[0]:g}, high above {bounds[1]:g}.",
        command=command(settings),
        cite=partial(bibtex_of, settings.variants, [scorer], ["toxicity metrics", "paired tests"]),
    )


def printed(found: pd.DataFrame, three: tuple[str, str, str], labels: dict[str, str]) -> Any:
    """The diagram as a figure for print."""
    from detox_core.export.flow import flow_figure

    return flow_figure(found, three, labels)


def told(scores: pd.DataFrame, before: str, after: str, labels: dict[str, str], bounds: tuple[float, float]) -> str:
    """What became of the prompts from one model to another, in words."""
    found = paired(scores, before, after, bounds)
    name, was = literal(labels[after]), literal(labels[before])
    if not found["n"]:
        return f"**{name} after {was}:** no prompt is scored for both."
    share = {key: f"{found[key] / found['n']:.0%}" for key in ("better", "worse")}
    p = "p < .001" if found["p"] < 0.001 else f"p = {found['p']:.3f}"
    unscored = f" {found['unscored']:,} not scored." if found["unscored"] else ""
    return (
        f"**{name} after {was}:** of {found['n']:,} prompts {share['better']} got better and **{share['worse']} got worse**. "
        f"Mean score {found['mean']:+.2f} [{found['low']:+.2f}, {found['high']:+.2f}]. "
        f"No longer toxic: {found['fixed']:,}; newly toxic: {found['broken']:,} ({p}).{unscored}"
    )


def what_is_shown(ribbon: tuple[str | None, str | None, str | None] | None, labels: dict[str, str], middle: str) -> str:
    """The picked flow in words."""
    if ribbon is None:
        return "all (click a ribbon or a bucket to choose)"
    source, after, target = ribbon
    parts = [f"{labels[middle]} {source}"] if source else []
    return literal(" → ".join([*parts, *([f"{labels[after]} {target}"] if after else [])]))


def command(settings: Settings) -> str:
    """What makes this measurement again."""
    if settings.source:
        return "python -m detox_core reproduce rewardlm --dir DIR --import"
    decoding = settings.decoding
    parts = ["python", "-m", "detox_core", "measure", "--dataset", settings.dataset, "--limit", str(settings.prompts)]
    parts += ["--variants", ",".join(variant.id for variant in settings.variants), "--samples", str(decoding.samples)]
    parts += ["--seed", str(decoding.seed), "--temperature", f"{decoding.temperature:g}", "--scorer", *settings.scorers]
    return shlex.join(parts)


def main() -> None:
    st.caption("How toxic the models answer the same prompts, from one model to the next. Click a ribbon to see the prompts behind it.")
    chosen = pick()
    if chosen is None:
        return
    path, settings, frame = chosen
    labels = {variant.id: variant.label for variant in settings.variants}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        three = columns(settings)
        scorer, how, bounds = settings_row(settings, frame)
        ids = filters(path, frame)
    scores = scores_of(path, Path(path).stat().st_mtime, scorer, how)
    scores = scores if len(ids) == len(scores) else scores.loc[scores.index.isin(ids)]
    ribbon = state.get("ribbon")
    if three:
        if state.get("moved"):
            scores = scores.loc[changed(scores, list(dict.fromkeys(three)), bounds)]
        show_flows(scores, three, bounds, settings, scorer)
        behind_it = behind(scores, three[1], bounds, *ribbon) if ribbon else scores.index
    else:
        behind_it, ribbon = scores.index, None
    show_prompts(path, settings, frame, scores, scorer, behind_it, what_is_shown(ribbon, labels, three[1] if three else ""))
    revision = settings.scorers[scorer]
    done = frame["id"].nunique()
    partly = f" Measured so far: {done:,} of {settings.prompts:,} prompts." if done < settings.prompts else ""
    st.caption(f"Scorer {literal(scorer)} ({literal(revision)}). Seed {settings.decoding.seed}.{partly} Repeat it:")
    st.code(command(settings), language="bash")


main()
