"""The pages of the app: forms and pictures. No torch, no business logic."""

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

if PagesManager.uses_pages_directory:  # Streamlit's own way with a folder of this name; a page was asked for before app.py had ever run
    PagesManager.uses_pages_directory = False
    st.rerun()  # this time through app.py, with frame and navigation
