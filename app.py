"""`streamlit run app.py`: frame and navigation, nothing else."""

import os

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import streamlit as st

st.set_page_config(page_title="Detox Lens", page_icon=":material/lens_blur:", layout="wide")

page = st.navigation(
    [
        st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:", default=True),
        st.Page("pages/settings.py", title="Settings", icon=":material/settings:"),
    ],
    position="top",
)
page.run()
