"""A phone and the presenter, each in a real browser, on one model."""

import re
import socket
from urllib.parse import urlparse

import httpx
import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import free_port, serve

LONG = 240_000


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The addresses of the app and of the phones' page, from `python audience.py`."""
    port = free_port()
    with serve(tmp_path_factory.mktemp("audience"), phones=port) as (app, _):
        yield app, f"http://127.0.0.1:{port}/"


@pytest.fixture
def phone(browser: Browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    made = context.new_page()
    made.requested, made.complaints = [], []
    made.on("request", lambda request: made.requested.append(request.url))
    made.on("console", lambda message: made.complaints.append(message.text) if message.type == "error" else None)
    yield made
    context.close()


def go_in(phone: Page) -> None:
    phone.get_by_role("button", name="I am 18 or older").click(timeout=LONG)
    expect(phone.locator(".picker button").first).to_be_visible(timeout=LONG)


def vote(phone: Page, letter: str) -> None:
    phone.get_by_role("button", name=f"I would post {letter}").click(timeout=LONG)
    expect(phone.get_by_text(re.compile(rf"You would post {letter}: (IT|FT|RL)\."))).to_be_visible(timeout=LONG)


def test_phone_from_the_gate_to_the_reveal(both, phone):
    phone.goto(both[1])
    expect(phone.get_by_text("This page shows toxic language")).to_be_visible(timeout=LONG)
    expect(phone.locator(".picker")).to_be_hidden()
    go_in(phone)  # without loading again: a page that leaves breaks its own stream off, and says so on the console
    phone.locator(".picker button").first.click()
    expect(phone.get_by_role("button", name="I would post C")).to_be_visible(timeout=LONG)
    expect(phone.locator(".card")).to_have_count(3)
    expect(phone.locator(".card .words").first).to_have_css("filter", "blur(6px)")
    expect(phone.locator("mark, .meter")).to_have_count(0)
    phone.get_by_role("button", name="Show the answers").click()
    expect(phone.locator(".card .words").first).to_have_css("filter", "none")
    assert phone.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    vote(phone, "B")
    assert sorted(phone.locator(".card .label").all_inner_texts()) == ["FT", "IT", "RL"]
    expect(phone.get_by_role("meter")).to_have_count(3)
    phone.get_by_role("button", name="Another prompt").click()
    phone.locator(".picker button").first.click()
    expect(phone.get_by_text("your vote")).to_be_visible(timeout=LONG)
    expect(phone.locator(".vote")).to_have_count(0)
    assert {urlparse(url).hostname for url in phone.requested if url.startswith(("http", "ws"))} == {"127.0.0.1"}
    assert phone.complaints == []


def test_presenter_allows_own_prompts_and_sees_the_votes(both, phone, page):
    phone.goto(both[1])
    go_in(phone)
    expect(phone.get_by_label("Or type your own")).to_be_hidden()
    page.goto(both[0])
    page.get_by_role("link", name="Settings").first.click(timeout=LONG)
    expect(page.get_by_alt_text("QR code of http")).to_be_visible(timeout=LONG)
    page.get_by_text("Visitors may type prompts of their own").click()
    own = phone.get_by_label("Or type your own")
    expect(own).to_be_visible(timeout=LONG)
    own.fill("<img src=x onerror=\"document.title='hacked'\"> **b**")
    phone.get_by_role("button", name="Ask", exact=True).click()
    vote(phone, "A")
    expect(phone.locator(".asked")).to_have_text("<img src=x onerror=\"document.title='hacked'\"> **b**")
    expect(phone).not_to_have_title("hacked")
    page.get_by_role("link", name="Results").first.click()
    expect(page.get_by_text("What the audience would post")).to_be_visible(timeout=LONG)
    expect(page.get_by_text(re.compile(r"voted once on each prompt: \d+ votes? of"))).to_be_visible(timeout=LONG)


def test_app_itself_listens_to_this_computer_only(both):
    assert httpx.get(f"{both[0]}/_stcore/health").status_code == 200
    assert httpx.get(f"{both[1]}_stcore/health").status_code == 404
    other = "127.0.0.2"  # loopback too, but not the address that the app is bound to
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect((other, urlparse(both[0]).port))
    with socket.socket() as probe:
        probe.connect((other, urlparse(both[1]).port))
