"""Train: start a training run, follow it, compare it with others, and use what came out."""

import streamlit as st

from pages.measuring import follow, progress
from pages.text import literal
from pages.training_form import form, preflight, start
from pages.training_look import look
from pages.training_runs import show_runs
from training_jobs import jobs
from training_jobs.jobs import Run


def live(run: Run) -> None:
    """One working run: how far, its numbers, its probes, its log."""
    with st.container(border=True):
        progress(run, run.spec["name"])
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Stop and save", key=f"t-stop-{run.id}", icon=":material/stop:", on_click=jobs.stop, args=(run,))
            if run.memory:
                st.caption(f"It holds {run.memory / 2**30:.1f} GiB of memory.")
        look(run)
        with st.expander("Log"):
            st.code(jobs.tail(run.folder) or "nothing yet", language=None)


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
