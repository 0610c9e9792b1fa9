"""The training runs that have ended: look into one, compare several, use what came out."""

import json
from dataclasses import asdict
from functools import partial

import pandas as pd
import streamlit as st

from detox_core.errors import DetoxError
from detox_core.export.bibliography import bibtex_of
from detox_core.figures.training import metric_chart
from detox_core.models.variants import default_columns
from detox_core.train.export import push, zipped
from detox_core.train.progress import METRICS, PROBED, read_lines
from detox_core.train.spec import METHODS
from detox_core.types import Decoding
from pages.answers import theme
from pages.engine import store
from pages.measuring import duration, follow
from pages.measuring import show_run as show_measuring
from pages.takeaway import take_away
from pages.text import literal
from pages.training_form import clone
from pages.training_look import look
from training_jobs import jobs
from training_jobs.jobs import Run

state = st.session_state
PLACE = "training runs"  # under which their stars are kept
SHOWN = 5  # ended measurements


def show_runs() -> None:
    """All runs that have ended; one to look into, or two to compare."""
    ended = [run for run in jobs.runs("train") if not run.active]
    st.header("Runs")
    if not ended:
        st.info("No run has ended yet. Start one above: the smallest takes about half a minute on two cores.")
        return
    stars = store().stars(PLACE)
    ended.sort(key=lambda run: run.id not in stars)
    rows = [
        {
            "★": run.id in stars,
            "name": run.spec.get("name"),
            "state": run.state,
            "method": METHODS[run.spec["method"]].label if run.spec.get("method") in METHODS else "",
            "from": run.spec.get("base"),
            "data": str(run.spec.get("data", "")).rsplit("/", 1)[-1],
            "steps": run.done,
            "toxicity of probes": _probed(run),
            "took": duration(run.seconds) if run.seconds else "",
            "id": run.id,
        }
        for run in ended
    ]
    shown = st.dataframe(pd.DataFrame(rows), hide_index=True, key="t-runs", on_select="rerun", selection_mode="multi-row")
    chosen = [ended[at] for at in shown["selection"]["rows"] if at < len(ended)]
    if not chosen and state.get("t-run") in {run.id for run in ended}:
        chosen = [run for run in ended if run.id == state["t-run"]]
    if len(chosen) == 1:
        show_run(chosen[0])
    elif chosen:
        compare_runs(chosen)
    else:
        st.caption("Pick a run to look into it, or several to compare them.")


def _probed(run: Run) -> str:
    found = read_lines(run.folder / PROBED)
    means = [pd.Series([probe["toxicity"] for probe in row["probes"]], dtype=float).mean() for row in (found[:1] + found[-1:])]
    return " → ".join(f"{mean:.2f}" for mean in means)


def show_run(run: Run) -> None:
    """One ended run."""
    with st.container(border=True):
        st.markdown(f"**{literal(str(run.spec.get('name')))}** · {run.state}")
        if run.error:
            st.error(literal(run.error), icon=":material/error:")
            st.code(jobs.tail(run.folder) or "The log is empty.", language=None)
        with st.container(horizontal=True):
            if run.state == "done":
                use(run)
            else:
                st.button("Go on", icon=":material/play_arrow:", key="t-resume", on_click=go_on, args=(run,))
            keep(run)
        follow("measure", lambda found: show_measuring(found) if run.id in found.spec.get("variants", []) else None, SHOWN)
        look(run)
        with st.expander("Settings"):
            st.code(json.dumps({key: value for key, value in run.spec.items() if key != "kind"}, indent=1), language="json")


def go_on(run: Run) -> None:
    """Go on was pressed; the run is shown again when it has ended."""
    jobs.resume(run)
    state["t-run"] = run.id


def use(run: Run) -> None:
    """What can be done with a finished adapter."""
    if st.button("Open in Compare", type="primary", icon=":material/compare_arrows:", key="t-open"):
        state.columns = [*dict.fromkeys([*state.get("columns", default_columns()), run.id])]
        st.switch_page("pages/compare.py")
    help_ = "Answers the demo set with the model it started from and with this one; its flows can then be opened here."
    st.button("Measure for Flows", icon=":material/waves:", key="t-measure", on_click=measure, args=(run,), help=help_)
    st.download_button(
        "Adapter (zip)", lambda: zipped(run.folder, run.spec), f"{run.id}.zip", "application/zip", icon=":material/download:"
    )
    with st.popover("To the Hub", icon=":material/cloud_upload:"):
        repository = st.text_input("Repository", placeholder="owner/name", key=f"t-hub-{run.id}")
        token = st.text_input(
            "Token", type="password", key=f"t-token-{run.id}", help="Empty = the one that `hf auth login` keeps. It is not stored."
        )
        if st.button("Upload privately", key="t-push", disabled=not repository):
            try:
                with st.spinner("Uploading"):
                    st.success(f"It is at {push(run.folder, run.spec, repository, token)}")
            except DetoxError as error:
                st.error(literal(str(error)))


def keep(run: Run) -> None:
    """Star, clone, delete."""
    starred = run.id in store().stars(PLACE)
    label, icon, note = ("Unstar", ":material/star:", None) if starred else ("Star", ":material/star_outline:", "")
    st.button(label, icon=icon, key="t-star", on_click=store().star, args=(PLACE, run.id, note), help="Starred runs come first.")
    st.button(
        "Clone", icon=":material/content_copy:", key="t-clone", on_click=clone, args=(run.spec,), help="Its settings, in the form above."
    )
    if st.button("Delete", icon=":material/delete:", key="t-delete", help="Moves it to cache/trash."):
        jobs.delete(run)
        state.pop("t-run", None)
        st.rerun()


def measure(run: Run) -> None:
    """Queue a measurement of a run's adapter beside what it started from."""
    settings = {"dataset": "demo", "variants": [run.spec.get("base", "it"), run.id], "scorers": ["local", "second"]}
    jobs.submit("measure", {**settings, "decoding": asdict(Decoding()), "limit": None}, f"measure-{run.spec.get('name')}")


def compare_runs(chosen: list[Run]) -> None:
    """Curves over each other, and the settings that differ."""
    frames = {f"{run.spec['name']} ({run.id})": pd.DataFrame(read_lines(run.folder / METRICS)) for run in chosen}
    names = [name for name in ("loss", "reward", "kl") if all(name in frame for frame in frames.values())]
    for column, name in zip(st.columns(max(1, len(names))), names, strict=True):
        ends = ", ".join(f"{label} {frame[name].dropna().iloc[-1]:.3g}" for label, frame in frames.items() if frame[name].notna().any())
        alt = f"{name} by step of {len(chosen)} runs. At the end: {ends}."
        column.plotly_chart(metric_chart(frames, name, theme()), key=f"compare-{name}", alt=alt)
    everything = pd.concat([frame.assign(run=label) for label, frame in frames.items()])
    if names:
        with st.expander("As a table"):
            st.dataframe(everything[["run", "step", *names]].dropna(how="all", subset=names), hide_index=True)
    take_away(
        "runs",
        figure={name: partial(metric_chart, frames, name) for name in names} or None,
        table=lambda: everything,
        caption=f"{len(chosen)} training runs, step by step.",
        cite=partial(bibtex_of, (), (), [str(run.spec.get("method", "")) for run in chosen]),
    )
    settings = pd.DataFrame({run.id: {key: str(value) for key, value in run.spec.items()} for run in chosen})
    differ = settings[settings.nunique(axis=1, dropna=False) > 1]
    st.caption("Settings that differ:")
    st.dataframe(differ)
