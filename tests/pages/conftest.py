"""Pages run whole, on the real embedded family and one engine for all tests."""

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def app_cache(tmp_path_factory):
    """The cache folder of this test server: the engine is made once and keeps its store."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(autouse=True)
def isolated(app_cache, monkeypatch):
    """As in the root, but one folder for all tests here."""
    monkeypatch.setenv("DETOX_CACHE", str(app_cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def open_page():
    """Open a page of the app in a fresh session."""

    def open_(page: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "pages" / page), default_timeout=180)
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
        deadline = time.monotonic() + 400
        while "job" in app.session_state and time.monotonic() < deadline:
            time.sleep(0.2)
            app.run()
        return app.run()  # what was captured may be the run before the page's own rerun

    return generate_
