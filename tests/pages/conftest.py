"""Pages run whole, on the real embedded family."""

import sys
import time
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def open_page():
    """Open a page of the app in a fresh session; the engine is shared by all tests, the store is new."""

    def open_(page: str, **query: str) -> AppTest:
        # Page modules that hold no state of their own, but remember the cache folder of an earlier test.
        st.cache_resource.clear()
        for name in [name for name in sys.modules if name.split(".")[0] == "pages"]:
            del sys.modules[name]
        app = AppTest.from_file(str(ROOT / "pages" / page), default_timeout=60)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return open_


@pytest.fixture
def generate():
    """Press Generate and look until the answers are complete."""

    def generate_(app: AppTest, prompt: str) -> AppTest:
        app.text_area(key="prompt").input(prompt)
        app.button(key="generate").click().run()
        deadline = time.monotonic() + 120
        while "job" in app.session_state and time.monotonic() < deadline:
            time.sleep(0.2)
            app.run()
        return app

    return generate_
