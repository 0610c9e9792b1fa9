"""Train: start a training run, follow it, compare it with others, and use what came out."""

import io
import json
import zipfile
from dataclasses import asdict, fields
from typing import Any

import pandas as pd
import psutil
import streamlit as st

from detox_core.data import DATASETS, read_dataset
from detox_core.data.filtering import saved
from detox_core.errors import BadInput, DetoxError
from detox_core.figures.training import metric_chart
from detox_core.models.variants import list_variants
from detox_core.score.registry import PRESETS as SCORERS
from detox_core.train.progress import ADAPTER, METRICS, PROBED, read_lines
from detox_core.train.spec import METHODS, TrainSpec, spec_from
from pages.answers import theme
from pages.measuring import duration, follow, progress
from pages.text import literal
from training_jobs import jobs
from training_jobs.jobs import Run

state = st.session_state
KEEP: dict[str, Any] = {"persist_state": "session"}
LABELS = {"smoke": "Try it: 20 steps", "small": "Small: 300 steps", "long": "Long: 3,000 steps"}
NUMBERS = ("steps", "batch", "rank", "max_length", "seed", "probe_every")
REINFORCE = ("samples", "max_new_tokens")


def form() -> TrainSpec | None:
    """Four choices first, the rest folded away; says what is wrong with them."""
    presets = jobs.presets()
    known = list_variants()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        method = st.segmented_control(
            "Method", list(METHODS), key="t-method", default="sft", required=True, format_func=lambda name: METHODS[name].label, **KEEP
        )
        base = st.selectbox("Start from", list(known), key="t-base", format_func=lambda name: known[name].label, width=160, **KEEP)
        sets = [name for name in [*DATASETS, *map(str, saved())] if name != "demo-heldout"]
        start = sets.index("counter-narratives")
        data = st.selectbox(
            "Data", sets, start, key="t-data", format_func=lambda name: name.rsplit("/", 1)[-1], accept_new_options=True, width=240, **KEEP
        )
        preset = st.segmented_control(
            "Size", list(presets), key="t-preset", default="smoke", required=True, format_func=lambda name: LABELS.get(name, name), **KEEP
        )
    st.caption(METHODS[method].about)
    suggested = free_name(f"{METHODS[method].label} {preset}")
    name = st.text_input("Name", suggested, key=f"t-name-{suggested}", max_chars=60, width=320)
    given: dict[str, Any] = {"name": name, "method": method, "base": base, "data": data, **presets[preset]}
    with st.expander("More settings"):
        given |= advanced(method, given)
    try:
        return spec_from(given)
    except BadInput as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None


def free_name(name: str) -> str:
    """The name, numbered where it is taken by a model or a run."""
    taken = {variant.label for variant in list_variants().values()} | {str(run.spec.get("name")) for run in jobs.runs("train")}
    return next(given for number in range(1, 1000) if (given := f"{name} {number}" if number > 1 else name) not in taken)


def advanced(method: str, given: dict[str, Any]) -> dict[str, Any]:
    """Everything else; what the preset says is the start."""
    defaults = {known.name: given.get(known.name, known.default) for known in fields(TrainSpec)}
    names = [*NUMBERS, *(REINFORCE if METHODS[method].needs == "prompts" else ())]
    found: dict[str, Any] = {}
    key = f"{method}-{state.get('t-preset')}"
    with st.container(horizontal=True):
        for name in names:
            found[name] = st.number_input(name.replace("_", " "), value=int(defaults[name]), step=1, key=f"t-{name}-{key}", width=130)
        rate = METHODS[method].rate
        found["learning_rate"] = st.number_input("learning rate", value=rate, format="%.1e", step=rate / 10, key=f"t-rate-{key}", width=150)
        if method != "sft":
            help_ = "How dear it is to move away from the starting point."
            found["beta"] = st.number_input("beta (weight of the KL)", value=0.1, step=0.05, key=f"t-beta-{key}", width=180, help=help_)
    if METHODS[method].needs == "prompts":
        chosen = st.multiselect("Reward: not toxic by", list(SCORERS), ["local"], key="t-scorers", format_func=lambda s: SCORERS[s].label)
        found["scorers"] = {scorer: 1 / len(chosen) for scorer in chosen}
    return found


def preflight(spec: TrainSpec) -> str | None:
    """What the run will take, and why it cannot start, if so."""
    lines, reason = [], None
    try:
        reading = read_dataset(spec.data)
        rows = len(reading.prompts) if METHODS[spec.method].needs == "prompts" else len(reading.pairs)
        if METHODS[spec.method].needs == "pairs":
            rows = sum(bool(pair.rejected) for pair in reading.pairs)
        if not rows:
            reason = f"{spec.data} has no {METHODS[spec.method].needs}, which {METHODS[spec.method].label} needs."
        used = min(rows, spec.rows or rows)
        passes = spec.steps * spec.batch / max(1, used) / (spec.samples if METHODS[spec.method].needs == "prompts" else 1)
        lines.append(f"{used:,} of {rows:,} usable rows, each seen {passes:.1f} times")
    except DetoxError as error:
        reason = str(error)
    like = [run for run in jobs.runs("train") if run.state == "done" and run.spec.get("method") == spec.method and run.seconds]
    like = [run for run in like if run.spec.get("base") == spec.base] or like
    if like:
        pace = like[0].seconds / max(1, like[0].total) * (spec.batch / like[0].spec.get("batch", 8))
        lines.append(f"about {duration(pace * spec.steps)} at the pace of {like[0].spec.get('name')}")
    free = psutil.virtual_memory().available / 2**30
    disk = psutil.disk_usage(str(jobs.runs_folder().parent if jobs.runs_folder().parent.exists() else ".")).free / 2**30
    lines.append(f"{free:.1f} GiB of memory and {disk:.0f} GiB of disk are free")
    if disk < 1:
        reason = "Less than 1 GiB of disk is free."
    if spec.name in {variant.label for variant in list_variants().values()}:
        reason = f"There is a model called {spec.name} already. Choose another name."
    if waiting := sum(run.active for run in jobs.runs()):
        lines.append(f"it will wait for {waiting} run{'s' if waiting > 1 else ''} before it")
    st.caption(literal(" · ".join(lines)))
    return reason


def start(spec: TrainSpec) -> None:
    """Start was pressed."""
    state["t-run"] = jobs.submit("train", asdict(spec), spec.name).id


def live(run: Run) -> None:
    """One working run: how far, its numbers, its probes, its log."""
    with st.container(border=True):
        progress(run, run.spec["name"])
        st.button("Stop and save", key=f"t-stop-{run.id}", icon=":material/stop:", on_click=jobs.stop, args=(run,))
        numbers(run)
        probes(run)
        with st.expander("Log"):
            st.code(jobs.tail(run.folder) or "nothing yet", language=None)


def numbers(run: Run) -> None:
    """The run's metrics as a chart."""
    frame = pd.DataFrame(read_lines(run.folder / METRICS))
    names = [name for name in ("reward", "loss", "kl", "entropy", "rewards/margins", "mean_token_accuracy") if name in frame]
    if frame.empty or not names:
        st.caption("Its numbers appear after the first steps.")
        return
    for column, name in zip(st.columns(min(3, len(names))), names, strict=False):
        last = frame[name].dropna().iloc[-1]
        chart = metric_chart({run.spec["name"]: frame}, name, theme())
        column.plotly_chart(
            chart, key=f"chart-{run.id}-{name}", alt=f"{name} by step; the last value is {last:.3g}.", config={"displayModeBar": False}
        )


def probes(run: Run) -> None:
    """What the probe prompts were answered before, and now."""
    found = read_lines(run.folder / PROBED)
    if not found:
        return
    first, last = found[0], found[-1]
    rows = [
        {
            "prompt": before["prompt"],
            "before": before["reply"],
            "toxicity": before["toxicity"],
            "now": now["reply"],
            "toxicity now": now["toxicity"],
        }
        for before, now in zip(first["probes"], last["probes"], strict=True)
    ]
    st.caption(f"Probe prompts, greedy: before training and at step {last['step']:,}")
    bar = st.column_config.ProgressColumn(format="%.2f", min_value=0, max_value=1)
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"probes-{run.id}", column_config={"toxicity": bar, "toxicity now": bar})


def show_runs() -> None:
    """All runs that have ended; one to look into, or two to compare."""
    ended = [run for run in jobs.runs("train") if not run.active]
    st.subheader("Runs")
    if not ended:
        st.info("No run has ended yet. Start one above: the smallest takes about half a minute on two cores.")
        return
    rows = [
        {
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
                if st.button("Open in Compare", type="primary", icon=":material/compare_arrows:", key="t-open"):
                    state.columns = [*dict.fromkeys([*state.get("columns", ["it", "ft", "rl"]), run.id])]
                    st.switch_page("pages/compare.py")
                st.download_button("Adapter (zip)", lambda: _zipped(run), f"{run.id}.zip", "application/zip", icon=":material/download:")
            else:
                st.button("Go on", icon=":material/play_arrow:", key="t-resume", on_click=jobs.resume, args=(run,))
            if st.button("Delete", icon=":material/delete:", key="t-delete", help="Moves it to cache/trash."):
                jobs.delete(run)
                state.pop("t-run", None)
                st.rerun()
        numbers(run)
        probes(run)
        with st.expander("Settings"):
            st.code(json.dumps({key: value for key, value in run.spec.items() if key != "kind"}, indent=1), language="json")


def _zipped(run: Run) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((run.folder / ADAPTER).iterdir()):
            archive.write(path, path.name)
        archive.writestr("spec.json", json.dumps(run.spec, indent=1))
    return buffer.getvalue()


def compare_runs(chosen: list[Run]) -> None:
    """Curves over each other, and the settings that differ."""
    frames = {f"{run.spec['name']} ({run.id})": pd.DataFrame(read_lines(run.folder / METRICS)) for run in chosen}
    names = [name for name in ("loss", "reward", "kl") if all(name in frame for frame in frames.values())]
    for column, name in zip(st.columns(max(1, len(names))), names, strict=True):
        column.plotly_chart(metric_chart(frames, name, theme()), key=f"compare-{name}", alt=f"{name} by step of {len(chosen)} runs.")
    settings = pd.DataFrame({run.id: {key: str(value) for key, value in run.spec.items()} for run in chosen})
    differ = settings[settings.nunique(axis=1, dropna=False) > 1]
    st.caption("Settings that differ:")
    st.dataframe(differ)


def main() -> None:
    st.caption("Train a small adapter on top of a model. It goes on when this page is closed, and becomes a column in Compare.")
    spec = form()
    if spec:
        with st.expander("The same by command"):
            st.code("python -m detox_core train spec.yaml --wait", language="bash")
            st.code(spec.to_yaml(), language="yaml")
        reason = preflight(spec)
        if reason:
            st.warning(literal(f"It cannot start: {reason}"), icon=":material/block:")
        st.button("Start", type="primary", icon=":material/play_arrow:", disabled=bool(reason), on_click=start, args=(spec,), key="t-start")
    follow("train", live)
    show_runs()


main()
