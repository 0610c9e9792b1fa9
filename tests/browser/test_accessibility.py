"""Everyone can use it: axe, the keyboard alone, a phone's width, less motion; every page and view, light and dark."""

import re
from itertools import pairwise, product

import pytest

pytest.importorskip("playwright")
pytest.importorskip("axe_playwright_python")
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

LONG = 240_000
VIEWS = ("Answers", "Why these words", "Token by token", "What if", "Inside")
PAGES = ("Flows", "Data", "Train", "Stage", "Results", "Settings")
WIDTHS = {1366: 768, 390: 844}
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYTHING = """
    const everything = (root) => [...root.querySelectorAll('*')].flatMap((e) => [e, ...(e.shadowRoot ? everything(e.shadowRoot) : [])]);
    const focused = (e) => (e?.shadowRoot?.activeElement ? focused(e.shadowRoot.activeElement) : e);
"""


def settled(page: Page) -> None:
    """The script has run and the browser has drawn."""
    expect(page.locator("[data-testid=stApp]")).to_have_attribute("data-test-script-state", "notRunning", timeout=LONG)
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0, timeout=LONG)
    page.wait_for_timeout(500)


@pytest.fixture(scope="module")
def visited(browser, address):
    """A visitor of all pages, with a short comparison of the small family."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, color_scheme="light", reduced_motion="reduce")
    page = context.new_page()
    ask(page, address)
    yield page
    context.close()


def ask(page: Page, address: str) -> None:
    """Open Compare and have a short prompt answered."""
    page.goto(address)
    length = page.get_by_label("Length", exact=True)
    length.fill("12")
    length.press("Enter")
    prompt = page.get_by_label("Prompt", exact=True)
    prompt.fill("Old people are stupid and slow.")
    prompt.press("Control+Enter")
    expect(page).to_have_url(re.compile(r"x=[0-9a-f]{10}$"), timeout=LONG)
    settled(page)


def go(page: Page, place: str, theme: str = "light") -> None:
    """Open a page, or a view of Compare with all that it shows; what was asked of the engine is remembered."""
    page.set_viewport_size({"width": 1366, "height": 768})
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.get_by_role("link", name="Compare" if place in VIEWS else place, exact=True).first.click(timeout=LONG)
    expect(page).to_have_title(f"{'Compare' if place in VIEWS else place} \u00b7 Detox Lens", timeout=LONG)
    expect(page.locator("html")).to_have_css("color-scheme", theme, timeout=LONG)  # drawn by the server: it knows of the theme
    settled(page)
    if place not in VIEWS:
        return
    page.get_by_role("radio", name=place, exact=True).click()
    if place == "Why these words":
        expect(page.locator(".row .said").last).to_be_visible(timeout=LONG)
    for name, button, found in (("What if", "Try it", "KL from the plain model"), ("Inside", "Look inside", "How many neurons tell toxic")):
        if place == name:
            settled(page)
            if page.get_by_role("button", name=button).count():
                page.get_by_role("button", name=button).click()
            expect(page.get_by_text(found).first).to_be_visible(timeout=LONG)
    settled(page)


def whole(page: Page, width: int) -> None:
    """A window as high as the page: axe judges the contrast of what is in sight."""
    page.set_viewport_size({"width": width, "height": WIDTHS[width]})
    page.wait_for_timeout(500)
    height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width, "height": min(height + 100, 9000)})
    page.wait_for_timeout(700)


def violations(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": STANDARDS}, "resultTypes": ["violations"]}).response
    return [f"{rule['id']}: {node['html'][:200]}" for rule in found["violations"] for node in rule["nodes"]]


@pytest.mark.parametrize("place", [*VIEWS, *PAGES])
def test_page_has_no_violation_fits_a_phone_and_is_titled_in_order(visited, place):
    for theme, width in product(("light", "dark"), WIDTHS):
        if width == next(iter(WIDTHS)):
            go(visited, place, theme)
        whole(visited, width)
        assert violations(visited) == [], (theme, width)
        wide = "[document.documentElement, document.querySelector('[data-testid=stMain]')].map(e => e.scrollWidth - e.clientWidth)"
        assert visited.evaluate(wide) == [0, 0], width
        assert visited.evaluate(small_targets()) == [], width
    assert visited.locator("html").get_attribute("lang") == "en"
    levels = visited.evaluate(
        f"() => {{{EVERYTHING} return everything(document).map(e => /^H([1-6])$/.exec(e.tagName)?.[1]).filter(Boolean)}}"
    )
    assert levels[0] == "1"
    assert levels.count("1") == 1
    assert all(int(after) - int(before) <= 1 for before, after in pairwise(levels)), levels


def small_targets() -> str:
    """What can be pressed, in sight, and smaller than 24 pixels; words inside a text may be (WCAG 2.5.8, inline)."""
    return f"""() => {{{EVERYTHING}
        const pressed = everything(document.querySelector('[data-testid=stMain]')).filter(e => e.matches('button, a[href], summary'));
        const small = pressed.filter(e => !e.closest('p')).map(e => [e, e.getBoundingClientRect()])
            .filter(([, box]) => box.width && (Math.round(box.width) < 24 || Math.round(box.height) < 24));
        return small.map(([e, box]) => `${{e.ariaLabel ?? e.textContent}} ${{box.width}}x${{box.height}}`);
    }}"""


def test_tab_walks_through_the_page_and_shows_where_it_is(visited):
    go(visited, "Answers")
    visited.get_by_text("Blur toxic words").click()
    settled(visited)
    visited.get_by_test_id("stSkipToContent").focus()
    stops = []
    for _ in range(80):
        visited.keyboard.press("Tab")
        stop = visited.evaluate(f"""() => {{{EVERYTHING}
            const e = focused(document.activeElement);
            const drawn = (style) => parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== 'none';
            const ring = [e, e.closest('label')].some((o) => o && drawn(getComputedStyle(o)));
            return e === document.body ? null : {{ name: `${{e.ariaLabel ?? ''}} ${{e.textContent}}`, tag: e.tagName, ring }};
        }}""")
        if stop is None:
            break
        stops.append(stop)
    else:
        pytest.fail("Tab does not come out of the page")
    assert [stop for stop in stops if not stop["ring"]] == []
    names = " | ".join(stop["name"] for stop in stops)
    for name in ("Prompt", "Generate", "Temperature", "Blur toxic words", "Stereotype", "Answers", "Star"):
        assert name in names
    assert "MARK" in [stop["tag"] for stop in stops], "a blurred word can be read"
    visited.get_by_text("Blur toxic words").click()
    settled(visited)


def test_words_are_picked_by_keys_and_tab_leaves_them(visited):
    go(visited, "Why these words")
    row = visited.locator(".row[data-variant$=it]")
    row.locator(".answer [tabindex='0']").focus()
    picked = row.locator(".answer .picked")
    visited.keyboard.press("Home")
    expect(row.locator(".answer .word").first).to_have_class(re.compile("picked"))
    before = row.locator(".said").inner_text()
    visited.keyboard.press("ArrowRight")
    expect(row.locator(".said")).not_to_have_text(before)
    expect(visited.locator("[role=status]", has_text="Most weight on").last).to_contain_text(row.locator(".said").inner_text())
    visited.keyboard.press("Shift+ArrowRight")
    expect(picked).to_have_count(2)
    visited.keyboard.press("Enter")
    expect(picked).to_have_count(1)
    visited.keyboard.press("Tab")
    expect(visited.locator(".row[data-variant$=ft] :focus")).to_have_count(1)


def test_nothing_moves_for_those_who_asked_for_less_motion(visited):
    go(visited, "Answers")
    moving = visited.evaluate(f"""() => {{{EVERYTHING}
        const long = (times) => times.split(',').some((time) => parseFloat(time) > 0.001);
        return everything(document).flatMap((e) => ['', '::before', '::after'].map((part) => [e, getComputedStyle(e, part)]))
            .filter(([, style]) => long(style.transitionDuration) || (style.animationName !== 'none' && long(style.animationDuration)))
            .map(([e]) => e.outerHTML.slice(0, 120));
    }}""")
    assert moving == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_button_that_cannot_be_pressed_is_still_seen(visited, theme):
    go(visited, "Stage", theme)
    present = visited.get_by_role("button", name="Present")
    expect(present).to_be_disabled()
    color = "e => getComputedStyle(e).color"
    assert present.locator("p").evaluate(color) != visited.get_by_test_id("stApp").evaluate("e => getComputedStyle(e).backgroundColor")


def test_a_wrong_prompt_is_told_beside_the_prompt_and_aloud(visited):
    go(visited, "Answers")
    prompt = visited.get_by_label("Prompt", exact=True)
    prompt.fill(" ")
    prompt.press("Control+Enter")
    told = visited.get_by_role("alert").filter(has_text="The prompt is empty")
    expect(told).to_be_visible(timeout=LONG)
    assert 0 < told.bounding_box()["y"] - prompt.bounding_box()["y"] < 260


def test_a_link_to_a_page_of_a_just_started_app_has_its_navigation(browser, tmp_path):
    from tests.browser.conftest import serve

    with serve(tmp_path) as (address, _):
        page = browser.new_page()
        page.goto(f"{address}/settings")
        expect(page).to_have_title("Settings \u00b7 Detox Lens", timeout=LONG)
        expect(page.get_by_role("link", name="Compare", exact=True)).to_be_visible(timeout=LONG)
        page.close()
