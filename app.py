"""`streamlit run app.py`: frame and navigation, nothing else."""

from pathlib import Path

import streamlit as st

PICTURES = Path(__file__).parent / "pages"

st.set_page_config(page_title="Detox Lens", page_icon=str(PICTURES / "icon.svg"), layout="wide")
st.logo(str(PICTURES / "logo.svg"), size="large")

page = st.navigation(
    [
        st.Page("pages/compare.py", title="Compare", icon=":material/compare_arrows:", default=True),
        st.Page("pages/flows.py", title="Flows", icon=":material/waves:"),
        st.Page("pages/data.py", title="Data", icon=":material/table_view:"),
        st.Page("pages/train.py", title="Train", icon=":material/model_training:"),
        st.Page("pages/results.py", title="Results", icon=":material/insights:"),
        st.Page("pages/settings.py", title="Settings", icon=":material/settings:"),
    ],
    position="top",
)
page.run()
