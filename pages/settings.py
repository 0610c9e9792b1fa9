"""Settings: the models and scorers, their place in memory and on disk, and whether everything works offline."""

from pathlib import Path

import pandas as pd
import streamlit as st

from detox_core.demo import SCHEME, locate
from detox_core.doctor import offline_checks
from detox_core.errors import DetoxError
from detox_core.models.templates import TEMPLATES
from detox_core.models.variants import list_variants, own_variants, remove_variant, save_variant
from detox_core.score.registry import PRESETS
from detox_core.types import Variant
from pages.engine import service
from pages.inviting import show_audience
from pages.text import literal

state = st.session_state


def show_offline() -> None:
    """Whether the app works without a network."""
    checks = offline_checks()
    missing = [check for check in checks if not check["ok"]]
    if missing:
        st.error("Not everything is on this computer: " + ", ".join(check["what"] for check in missing), icon=":material/cloud_off:")
    else:
        st.success("Offline-ready: everything the embedded family needs is on this computer.", icon=":material/check_circle:")
    with st.expander("Details", expanded=bool(missing)):
        st.dataframe(
            pd.DataFrame([{"part": c["what"], "state": "ok" if c["ok"] else "missing", "detail": c["detail"]} for c in checks]),
            hide_index=True,
        )


def show_variants() -> None:
    """Every variant that can be a column."""
    rows = [
        {
            "id": variant.id,
            "column": variant.label,
            "base model": _short(variant.base),
            "adapter": _short(variant.adapter),
            "on disk": _size(variant),
            "format": variant.template or "the tokenizer's",
            "about": variant.about,
        }
        for variant in list_variants().values()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True)


def _short(source: str | None) -> str:
    if source is None:
        return "none"
    return Path(source).name if Path(source).is_absolute() else source


def _size(variant: Variant) -> str:
    source = variant.adapter or variant.base
    folder = locate(source)
    if not folder.is_dir():
        return "from the Hub" if source.count("/") == 1 and not source.startswith(("/", ".", SCHEME)) else "missing"
    return f"{sum(path.stat().st_size for path in folder.glob('*.safetensors')) / 1e6:.1f} MB"


def show_memory() -> None:
    """What is loaded now; the page asks again every two seconds."""
    if job := state.get("job"):
        job.watch()  # its visitor is here, not gone
    loaded = service().memory()
    if not loaded:
        st.caption("No model is loaded." if service().ready else "The embedded family is being loaded ...")
        return
    rows = [
        {"model": _short(m["model"]), "memory": f"{m['mib']:.0f} MiB", "adapters": m["adapters"], "where, and why": m["choice"]}
        for m in loaded
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True)


def add() -> None:
    """Add was pressed."""
    try:
        save_variant(
            Variant(
                id=state.new_id.strip(),
                label=state.new_id.strip(),
                base=state.new_base.strip(),
                adapter=state.new_adapter.strip() or None,
                template=None if state.new_template == "the tokenizer's own" else state.new_template,
                dtype=state.new_dtype,
                quantization=None if state.new_quantization == "none" else state.new_quantization,
                about="Added on this computer.",
            )
        )
        state.notice = (
            "success",
            f"{literal(state.new_id.strip())} can now be picked on Compare: More, Columns. It is loaded when it is first used.",
        )
    except DetoxError as error:
        state.notice = ("error", literal(str(error)))


def add_form() -> None:
    """A model of one's own, from a folder or the Hub."""
    with st.form("add", border=True):
        left, right = st.columns(2)  # pairs row by row, so that a narrow screen keeps their order
        left.text_input("Name", key="new_id", placeholder="pythia", help="Small letters, digits, '-', '_' and '.'.")
        right.text_input("Base model", key="new_base", placeholder="folder, or Hub id such as EleutherAI/pythia-70m")
        left, right = st.columns(2)
        left.text_input("LoRA adapter", key="new_adapter", placeholder="folder or Hub id; empty for the base itself")
        right.selectbox("Chat format", ["the tokenizer's own", *TEMPLATES], key="new_template")
        left, right = st.columns(2)
        left.selectbox("Precision", ["auto", "float32", "bfloat16", "float16"], key="new_dtype")
        right.selectbox("Quantization (bitsandbytes)", ["none", "8bit", "4bit"], key="new_quantization")
        st.caption("Only safetensors weights are read, and no code that comes with a model is run.")
        st.form_submit_button("Add", on_click=add, icon=":material/add:")
    if notice := state.pop("notice", None):
        getattr(st, notice[0])(notice[1])
    mine = own_variants()
    if mine:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox("Forget a model", mine, key="forget", width=260)
            st.button("Forget", on_click=remove_variant, args=(chosen,), icon=":material/delete:", help="Its files stay where they are.")


def show_scorers() -> None:
    """The scorers one can choose from."""
    rows = [
        {"scorer": p.label, "works offline": "yes" if p.offline else "after a download or with a key", "about": p.about}
        for p in PRESETS.values()
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True)


def main() -> None:
    show_offline()
    st.header("Models")
    show_variants()
    st.header("In memory")
    st.fragment(show_memory, run_every=2.0)()
    st.button(
        "Unload all models and scorers",
        on_click=service().free,
        help="Frees the memory; the next comparison loads what it needs.",
        icon=":material/eject:",
    )
    show_audience()
    st.header("Research switch")
    st.toggle(
        "Allow interventions that make a model more toxic",
        key="research",
        help="Negative strengths and un-alignment, under What if on Compare. Off by default.",
        persist_state="session",
    )
    st.header("Add a model")
    add_form()
    st.header("Scorers")
    show_scorers()


main()
