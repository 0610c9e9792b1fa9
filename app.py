"""`streamlit run app.py`: frame and navigation, nothing else."""

from pathlib import Path

import streamlit as st

PICTURES = Path(__file__).parent / "pages"

st.set_page_config(page_icon=str(PICTURES / "icon.svg"), layout="wide")  # first: else the browser asks the network for a page's icon
st.logo(str(PICTURES / "logo.svg"), size="large")

page = st.navigation(
    [
        st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:", default=True),
        st.Page("pages/flows.py", title="Flows", icon=":material/waves:"),
        st.Page("pages/data.py", title="Data", icon=":material/table_view:"),
        st.Page("pages/train.py", title="Train", icon=":material/model_training:"),
        st.Page("pages/stage.py", title="Stage", icon=":material/slideshow:"),
        st.Page("pages/results.py", title="Results", icon=":material/insights:"),
        st.Page("pages/settings.py", title="Settings", icon=":material/settings:"),
    ],
    position="top",
)
st.set_page_config(page_title=f"{page.title} \N{MIDDLE DOT} Detox Lens")
st.html(PICTURES / "frame.css")
st.html(f"<style>:root {{ color-scheme: {st.context.theme.type or 'light'}; }}</style>")  # lists and popovers are outside the themed part
with st.container(key="title"):
    st.title(page.title, anchor=False)  # heard, not seen: the navigation shows it
page.run()
