"""A training run in a real browser: it outlives the tab and the server, stops, and goes on."""

import os
import re
import signal

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from tests.browser.conftest import pick_first_row, serve

LONG = 240_000


def at_train(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Train").click(timeout=LONG)
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible(timeout=LONG)


def step(page: Page) -> int:
    """How far the run says it is."""
    told = page.get_by_text(re.compile(r"training, [\d,]+ of 200 steps"))
    expect(told.first).to_be_visible(timeout=LONG)
    return int(re.search(r"training, ([\d,]+) of", told.first.inner_text())[1].replace(",", ""))


def test_a_run_outlives_tab_and_server_stops_and_goes_on(page, browser, tmp_path):
    with serve(tmp_path) as (address, server):
        at_train(page, address)
        page.get_by_text("More settings").click()
        page.get_by_role("spinbutton", name="steps", exact=True).fill("200")
        page.keyboard.press("Enter")
        expect(page.get_by_text("each seen 4.0 times")).to_be_visible(timeout=LONG)
        page.get_by_role("button", name="Start", exact=True).click()
        first = step(page)
        page.reload()
        page.get_by_role("link", name="Train").click(timeout=LONG)
        assert step(page) >= first
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    with serve(tmp_path) as (address, _):
        at_train(page, address)
        before = step(page)
        page.get_by_role("button", name="Stop and save").click()
        expect(page.get_by_role("button", name="Stop and save")).to_be_hidden(timeout=LONG)
        pick_first_row(page, "Go on")
        page.get_by_role("button", name="Go on").click(timeout=LONG)
        assert step(page) >= before
        page.get_by_role("button", name="Stop and save").click()
        expect(page.get_by_role("button", name="Stop and save")).to_be_hidden(timeout=LONG)
