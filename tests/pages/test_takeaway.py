"""Every view can be taken away; what is behind the buttons is made without Streamlit, as it is when they are clicked."""

import re
import time

import pytest
import streamlit as st

from detox_core.store import recorded
from pages.prompts import DEMO

BEGINS = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG", "html": b"<!doctype html>", "bib": b"@misc", "json": b"{", "tex": b"% needs"}


@pytest.fixture
def offered(monkeypatch):
    """Name of every file offered so far, and what makes it."""
    found = {}
    usual = st.download_button

    def remember(label, data, file_name=None, *rest, **options):
        found[file_name] = data
        return usual(label, data, file_name, *rest, **options)

    monkeypatch.setattr(st, "download_button", remember)
    return found


def contents(made) -> bytes:
    data = made()
    return data.encode() if isinstance(data, str) else data


def check(offered, *names: str) -> None:
    """The files are offered, and each is what its ending says."""
    for name in names:
        begin = BEGINS.get(name.rpartition(".")[2], b"")
        assert contents(offered[f"detox-lens-{name}"]).startswith(begin), name


def test_comparison(open_page, offered):
    name = next(iter(recorded()))
    app = open_page("compare.py", x=name)
    assert not app.exception
    check(offered, *(f"{name}.{ending}" for ending in ("pdf", "svg", "png", "csv", "tex", "html", "json", "bib")))
    assert "smollm2" in contents(offered[f"detox-lens-{name}.bib"]).decode()
    assert re.search(r"label{tab:", contents(offered[f"detox-lens-{name}.tex"]).decode())


def test_flows(open_page, offered):
    assert DEMO.is_file()
    app = open_page("flows.py")
    assert not app.exception
    check(offered, *(f"flows.{ending}" for ending in ("pdf", "svg", "png", "csv", "tex", "bib")))
    assert "python -m detox" in contents(offered["detox-lens-flows.tex"]).decode()


def test_results_and_methods(open_page, offered):
    app = open_page("results.py")
    assert not app.exception
    for name in ("relative", "events-relative", "interventions"):
        check(offered, f"{name}.pdf", f"{name}.csv", f"{name}.tex", f"{name}.bib")
    check(offered, "toxic-prompts.tex", "harmless-prompts.csv", "claims.tex", "claims.bib", "published.csv")
    assert b"suau2024whispering" in contents(offered["detox-lens-interventions.bib"])


def test_the_figure_is_the_chosen_one(open_page, offered):
    app = open_page("results.py")
    first = contents(offered["detox-lens-relative.svg"])
    which = app.selectbox(key="take-relative-which")
    which.set_value(which.options[1]).run()
    assert not app.exception
    second = contents(offered["detox-lens-relative.svg"])
    assert which.options[0].encode() in first
    assert which.options[1].encode() in second


def test_nothing_is_drawn_before_a_click(open_page, offered, monkeypatch):
    import detox_core.export.charts

    drawn = []
    monkeypatch.setattr(detox_core.export.charts, "picture", lambda *_: drawn.append(1) or b"")
    app = open_page("results.py")
    assert not app.exception
    assert not drawn
    offered["detox-lens-relative.pdf"]()
    assert drawn


def finished(app, job):
    deadline = time.monotonic() + 180
    while job in app.session_state and time.monotonic() < deadline:
        time.sleep(0.2)
        app.run()
    return app.run()


def test_views_of_a_comparison(open_page, offered, generate):
    app = open_page("compare.py")
    app.number_input(key="length").set_value(8)
    generate(app, "Women can't drive.")
    app.session_state["view"] = "why"
    finished(app.run(), "explanations_job")
    assert not app.exception
    check(offered, "why.pdf", "why.svg", "why.csv", "why.bib")
    assert b"drive" in contents(offered["detox-lens-why.svg"])
    figures = app.selectbox(key="take-why-which").options
    assert [name for name in figures if name.startswith("Matrix of")] == ["Matrix of IT", "Matrix of FT", "Matrix of RL"]
    for name in figures:
        app.selectbox(key="take-why-which").set_value(name).run()
        check(offered, "why.svg")
    app.session_state["view"] = "uncertainty"
    finished(app.run(), "explanations_job")
    check(offered, "steps.pdf", "steps.csv", "steps.tex")
    app.session_state["view"] = "whatif"
    app.run()
    app.button(key="what_if_try").click().run()
    finished(app, "what_ifs_job")
    check(offered, "what-if.pdf", "what-if.tex", "what-if.bib")
    assert not app.exception
