"""The main paths of Compare, in a real browser."""

import re
from urllib.parse import urlparse

import pytest

pytest.importorskip("playwright")
from playwright.sync_api import Page, expect

LONG = 120_000  # milliseconds; generous, because nothing here is about speed


def card(page: Page, variant: str):
    return page.locator(f"article[data-variant$={variant}]")


def answer(page: Page, variant: str):
    return card(page, variant).locator(".words").first


def ready(page: Page, url: str) -> None:
    page.goto(url)
    expect(card(page, "rl").get_by_role("meter")).to_be_visible(timeout=LONG)


def ask(page: Page, prompt: str, **settings: str) -> None:
    for label, value in settings.items():
        box = page.get_by_label(label, exact=True)
        box.fill(value)
        box.press("Enter")
    box = page.get_by_label("Prompt", exact=True)
    box.fill(prompt)
    box.press("Control+Enter")


def done(page: Page) -> None:
    expect(page).to_have_url(re.compile(r"x=[0-9a-f]{10}$"), timeout=LONG)
    expect(page.get_by_role("button", name="Take away").first).to_be_visible(timeout=LONG)


def test_landing_shows_three_scored_answers(page, address):
    ready(page, address)
    for variant in ("it", "ft", "rl"):
        expect(answer(page, variant)).not_to_be_empty()
        expect(card(page, variant).get_by_role("meter")).to_be_visible()


def test_chip_swaps_everything(page, address):
    ready(page, address)
    before = answer(page, "it").inner_text()
    page.get_by_role("radio", name="Everyday").click()
    expect(answer(page, "it")).not_to_have_text(before)
    expect(page).to_have_url(re.compile(r"x=everyday"))


def test_own_prompt_streams_into_all_columns(page, address):
    ready(page, address)
    page.evaluate("""() => {
        window.lengths = [];
        const shadow = () => [...document.querySelectorAll('*')].map(e => e.shadowRoot).find(r => r && r.querySelector('article'));
        window.watcher = setInterval(() => {
            const words = shadow()?.querySelector("article[data-variant$=it] .words.caret");
            if (words) window.lengths.push(words.textContent.length);
        }, 30);
    }""")
    page.get_by_role("radio", name="25").click()  # long enough to watch on any machine
    ask(page, "Old people are slow and useless.", Length="60")
    done(page)
    seen = set(page.evaluate("window.lengths"))
    assert len(seen) >= 2, "the text grew while it was written"
    for variant in ("it", "ft", "rl"):
        expect(card(page, variant)).to_contain_text("tokens/s")


def test_stop_keeps_the_partial_text(page, address):
    ready(page, address)
    page.get_by_role("radio", name="25").click()
    ask(page, "Tell me everything about immigrants.", Length="200")
    expect(card(page, "it").locator(".caret")).not_to_be_empty(timeout=LONG)
    page.keyboard.press("Escape")
    done(page)
    expect(page.locator("article .foot", has_text="stopped").first).to_be_visible()


def test_blur_covers_toxic_words_and_can_be_lifted(page, address):
    ready(page, address)
    toxic = page.locator(".columns mark").first
    expect(toxic).to_have_css("filter", "blur(5px)")
    page.get_by_text("Blur toxic words").click()
    expect(toxic).to_have_css("filter", "none")


def test_link_opens_the_same_answers_in_a_new_context(page, browser, address):
    ready(page, address)
    ask(page, "Teenagers are lazy.", Length="20")
    done(page)
    texts = [answer(page, variant).inner_text() for variant in ("it", "ft", "rl")]
    other = browser.new_context().new_page()
    ready(other, page.url)
    assert [answer(other, variant).inner_text() for variant in ("it", "ft", "rl")] == texts
    other.context.close()


def test_two_visitors_at_once_get_their_own_answers(page, browser, address):
    other = browser.new_context().new_page()
    for visitor in (page, other):
        ready(visitor, address)
    ask(page, "Teachers are overpaid.", Length="30")
    ask(other, "My cat likes boxes.", Length="30")
    for visitor, prompt in ((page, "Teachers are overpaid."), (other, "My cat likes boxes.")):
        done(visitor)
        expect(visitor.locator(".prompt .words")).to_have_text(prompt)
    other.context.close()


@pytest.mark.parametrize(
    "prompt", ["<img src=x onerror=\"document.title='hacked'\"> :red[x] **b** $x$", "\N{GRINNING FACE} \u05e9\u05dc\u05d5\u05dd"]
)
def test_markup_and_foreign_letters_are_shown_literally(page, address, prompt):
    ready(page, address)
    ask(page, prompt, Length="10")
    done(page)
    expect(page.locator(".prompt .words")).to_have_text(prompt)
    expect(page).not_to_have_title("hacked")


def test_empty_prompt_is_a_sentence(page, address):
    ready(page, address)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("The prompt is empty")).to_be_visible()


def test_nothing_outside_this_computer_is_asked(page, address):
    ready(page, address)
    ask(page, "Hello there.", Length="5")
    done(page)
    page.get_by_role("link", name="Settings").first.click()
    expect(page.get_by_text("Offline-ready")).to_be_visible(timeout=LONG)
    hosts = {urlparse(url).hostname for url in page.requested if url.startswith(("http", "ws"))}
    assert hosts == {"127.0.0.1"}


@pytest.mark.parametrize(("width", "height"), [(1366, 768), (390, 844)])
def test_no_sideways_scrolling(page, address, width, height):
    page.set_viewport_size({"width": width, "height": height})
    ready(page, address)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_picking_an_answer_word_says_what_it_hangs_on_and_blur_covers_it(page, address):
    ready(page, address)
    page.get_by_role("radio", name="Why these words").click()
    row = page.locator(".row[data-variant$=it]")
    expect(row.locator(".said")).to_contain_text("lies on the prompt", timeout=LONG)
    expect(row.locator(".answer .blurred").first).to_have_css("filter", "blur(5px)")
    before = row.locator(".said").inner_text()
    row.locator(".answer .word").last.press("Enter")
    expect(row.locator(".said")).not_to_have_text(before)
    row.locator(".answer .word").last.press("ArrowLeft")
    expect(row.locator(".answer .picked")).to_have_count(1)


def test_all_models_on_one_answer_can_be_subtracted(page, address):
    ready(page, address)
    page.get_by_role("radio", name="Why these words").click()
    expect(page.locator(".row[data-variant$=rl]")).to_be_visible(timeout=LONG)
    page.get_by_role("combobox", name="Explain").click()
    page.get_by_role("option", name="The answer of IT").click()
    expect(page.locator(".row[data-variant$=ft] .answer")).to_have_text(
        page.locator(".row[data-variant$=it] .answer").inner_text(), timeout=LONG
    )
    page.get_by_text("Difference to the first model").click()
    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator(".row[data-variant$=ft] b")).to_have_text(re.compile(r"FT.* \u2212 IT"))


def test_an_intervention_answers_beside_the_others_and_its_strength_is_moved(page, address):
    ready(page, address)
    ask(page, "Women can't drive.", Length="20")
    done(page)
    page.get_by_role("radio", name="What if").click()
    page.get_by_role("button", name="Try it").click()
    expect(page.get_by_text("KL from the plain model")).to_be_visible(timeout=LONG)
    changed = page.locator("article[data-variant='it+self-reminder:1']")
    expect(changed.get_by_role("meter")).to_be_visible()
    page.get_by_role("slider").press("ArrowLeft")
    expect(changed).to_have_count(0)
    page.get_by_role("radio", name="Answers").click()
    expect(page.locator("article[data-variant]")).to_have_count(3)
