"""The presenter's stage, in a real browser, by keys."""

import re
from dataclasses import replace

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

from detox_core.stage.steps import Stage, Step
from detox_core.store import Store, recorded
from tests.browser.conftest import serve

LONG = 120_000  # milliseconds; generous, because nothing here is about speed
SIZES = """() => {
    const main = document.querySelector('[data-testid=stMain]');
    return [main.scrollHeight - main.clientHeight, main.scrollWidth - main.clientWidth,
            document.documentElement.scrollHeight - window.innerHeight, document.documentElement.scrollWidth - window.innerWidth];
}"""
SMALLEST = """() => {
    const found = [];
    const walk = (root) => root.querySelectorAll('*').forEach((element) => {
        if (element.shadowRoot) walk(element.shadowRoot);
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        const box = element.getBoundingClientRect();
        if (own && box.width > 2 && box.height > 2 && element.checkVisibility()) found.push(parseFloat(getComputedStyle(element).fontSize));
    });
    walk(document.querySelector('[data-testid=stMain]'));
    return Math.min(...found);
}"""


@pytest.fixture(scope="module")
def stage_address(tmp_path_factory):
    """The app with a stage: the recorded examples, and one whose last model is gone."""
    folder = tmp_path_factory.mktemp("stage")
    first = next(iter(recorded().values()))
    gone = (*first.variants[:2], replace(first.variants[2], adapter="/nowhere/adapter"))
    steps = [Step(record, "Ask the room first.") for record in recorded().values()]
    Store(folder / "cache").change_stage(lambda _: Stage("Talk", (*steps, Step(replace(first, id="gone", variants=gone)))))
    with serve(folder) as (url, _):
        yield url


def present(page: Page, url: str, step: int = 1) -> None:
    """A step on the screen, as after a reload."""
    page.goto(f"{url}/stage?present={step}")
    expect(page.get_by_text(re.compile(rf"^{step} of "))).to_be_visible(timeout=LONG)
    expect(page.locator("article[data-variant$=rl]")).to_be_visible(timeout=LONG)


def test_two_stars_are_presented_in_order(page, address):
    page.goto(address)
    for number, example in enumerate(("Stereotype", "Everyday")):
        page.get_by_role("radio", name=example).click()
        expect(page).to_have_url(re.compile(f"x={example.lower()}"), timeout=LONG)
        page.get_by_role("button", name=re.compile("^Star")).click()
        expect(page.get_by_role("button", name=re.compile("^Unstar"))).to_be_visible(timeout=LONG), number
    page.get_by_role("link", name="Stage").first.click()
    page.get_by_role("button", name=re.compile("^Present")).click()
    prompt = page.locator(".prompt .words")
    expect(prompt).to_have_text(recorded()["stereotype"].prompt, timeout=LONG)
    page.keyboard.press("ArrowRight")
    expect(prompt).to_have_text(recorded()["everyday"].prompt, timeout=LONG)
    page.keyboard.press("Escape")
    expect(page.get_by_text("While presenting")).to_be_visible(timeout=LONG)


def test_a_step_is_blurred_until_b_whatever_the_mouse_does(page, stage_address):
    present(page, stage_address)
    toxic = page.locator(".columns mark").first
    toxic.hover()
    expect(toxic).to_have_css("filter", re.compile("blur"))
    page.keyboard.press("b")
    expect(toxic).to_have_css("filter", "none", timeout=LONG)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text(re.compile("^2 of "))).to_be_visible(timeout=LONG)
    expect(page.locator(".columns mark").first).to_have_css("filter", re.compile("blur"))


def test_a_clicker_turns_the_pages(page, stage_address):
    present(page, stage_address)
    for pressed, place in (("PageDown", 2), ("PageDown", 3), ("PageUp", 2)):
        page.keyboard.press(pressed)
        expect(page).to_have_url(re.compile(f"present={place}"), timeout=LONG)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_recorded_example_is_clean_on_a_projector(browser, stage_address, scheme):
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, color_scheme=scheme)
    page = context.new_page()
    for step in range(1, len(recorded()) + 1):
        present(page, stage_address, step)
        expect(page.locator("[data-testid=stHeader]")).to_be_hidden()
        page.wait_for_function(f"Math.max(...({SIZES})()) <= 0", timeout=LONG)
        assert page.evaluate(SMALLEST) >= 24, "readable from the back row"
    context.close()


def test_a_small_window_scrolls_up_and_down_only_and_the_end_comes_out(page, stage_address):
    page.set_viewport_size({"width": 390, "height": 844})
    present(page, stage_address)
    assert max(page.evaluate(SIZES)[1::2]) <= 0
    page.locator("article .meter").last.scroll_into_view_if_needed()
    page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 1e6)")
    meter, foot = (page.locator(name).last.bounding_box() for name in ("article .meter", ".st-key-stage-foot"))
    assert meter["y"] + meter["height"] <= foot["y"]


def test_a_model_that_is_gone_is_shown_from_its_recording_with_a_sentence(page, stage_address):
    present(page, stage_address, len(recorded()) + 1)
    text = page.locator("article[data-variant$=rl] .words").first.inner_text()
    page.keyboard.press("l")
    expect(page.get_by_text("This is the recording. Live did not work")).to_be_visible(timeout=LONG)
    expect(page.locator("article[data-variant$=rl] .words").first).to_have_text(text)
    expect(page.locator(".prompt .tag", has_text="recorded on")).to_be_visible()
