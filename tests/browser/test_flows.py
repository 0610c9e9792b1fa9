"""Flows and Train in a real browser: from a ribbon to its prompts to Compare, and from Start to a new column."""

import contextlib
import re

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import pick_first_row

LONG = 240_000


def opened(page: Page, address: str, name: str) -> None:
    page.goto(address)
    expect(page.locator("article[data-variant$=rl]").get_by_role("meter")).to_be_visible(timeout=LONG)
    page.get_by_role("link", name=name).click()


def biggest_ribbon(page: Page) -> tuple[float, float]:
    """A point inside the ribbon with the largest box; ribbons are the half transparent paths of the drawing."""
    path = page.locator("svg path[fill-opacity]")
    expect(path.first).to_be_visible(timeout=LONG)
    boxes = [box for box in (path.nth(at).bounding_box() for at in range(path.count())) if box]
    box = max(boxes, key=lambda box: box["width"] * box["height"])
    return box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.75


def click_ribbon_until(page: Page, chosen: Locator) -> None:
    """Again if need be: while the page is still being laid out, the ribbon may have moved before the click came."""
    for _ in range(8):
        page.mouse.click(*biggest_ribbon(page))
        with contextlib.suppress(AssertionError):
            expect(chosen).to_be_visible(timeout=LONG // 8)
            break
    expect(chosen).to_be_visible()


def test_a_ribbon_leads_to_its_prompts_and_a_prompt_to_compare(page, address):
    opened(page, address, "Flows")
    expect(page.get_by_text("got worse").first).to_be_visible(timeout=LONG)
    heading = page.locator("h2").filter(has_text="prompts:")
    click_ribbon_until(page, heading.filter(has_text="→"))
    count = int(re.match(r"([\d,]+) prompts", heading.inner_text())[1].replace(",", ""))
    assert 0 < count < 330
    pick_first_row(page, "Open in Compare")
    page.get_by_role("button", name="Open in Compare").click(timeout=LONG)
    expect(page).to_have_url(re.compile(r"\?x=[0-9a-f]{10}$"), timeout=LONG)
    expect(page.locator("article[data-variant$=rl]")).to_be_visible(timeout=LONG)


def test_a_started_run_ends_as_a_column(page, address):
    opened(page, address, "Train")
    page.get_by_role("button", name="Start", exact=True).click(timeout=LONG)
    expect(page.get_by_role("button", name="Stop and save")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Open in Compare").click(timeout=LONG)
    page.get_by_role("button", name="More").click(timeout=LONG)
    expect(page.get_by_text("SFT smoke").first).to_be_visible(timeout=LONG)
