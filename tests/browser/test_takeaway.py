"""What is taken away: downloads of the real app, and the HTML pages in a browser without a network."""

from dataclasses import replace
from pathlib import Path

from playwright.sync_api import expect

from detox_core.export.report import html_card, html_report
from detox_core.store import recorded
from detox_core.types import Generation, Score

LONG = 60_000
HOSTILE = (
    '<img src="https://example.org/x.png" onerror="document.title=\'broken\'"><script>document.title="broken"</script>'
    '</style><iframe src="https://example.org"></iframe><svg onload="document.title=\'broken\'"></svg>'
)


def hostile_page(build) -> str:
    example = next(iter(recorded().values()))
    variants = tuple(replace(variant, label=HOSTILE, about=HOSTILE) for variant in example.variants)
    reply = Generation(variants[0].id, 0, HOSTILE, score=Score(0.9, HOSTILE, HOSTILE))
    errors = {variants[1].id: HOSTILE}
    return build(replace(example, id=HOSTILE, prompt=HOSTILE, prompt_spans=(), variants=variants, generations=(reply,), errors=errors))


def open_offline(page, path: Path, contents: str) -> None:
    path.write_text(contents, encoding="utf-8")
    page.context.set_offline(True)
    page.goto(path.as_uri())


def test_hostile_card_and_report_run_no_script_and_ask_for_nothing(page, tmp_path):
    builds = {"card": html_card, "report": lambda one: html_report(HOSTILE, [one, one], [HOSTILE])}
    for name, build in builds.items():
        path = tmp_path / f"{name}.html"
        open_offline(page, path, hostile_page(build))
        page.wait_for_timeout(300)
        assert page.title() != "broken"
        assert page.locator("img, script, iframe, svg").count() == 0
        assert "<img src=" in page.locator("main").inner_text()
    assert {url.rpartition("/")[2] for url in page.requested} == {"card.html", "report.html"}


def test_report_can_be_read_on_a_phone_in_the_dark_and_on_paper(browser, tmp_path):
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    open_offline(page, tmp_path / "report.html", html_report("My defence", list(recorded().values()), ["Mind the second column."]))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("navigation").get_by_role("link").nth(2).click()
    expect(page.locator("#step-3 > h2")).to_be_in_viewport()
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    context.close()


def test_a_comparison_is_taken_away_as_pdf_and_bibtex(page, address):
    page.goto(address)
    expect(page.locator(".card")).to_have_count(3, timeout=LONG)
    page.wait_for_timeout(1000)  # for the page to have its full height: a popover stays where it was opened
    page.get_by_role("button", name="Take away").first.click()
    for label, ending, begin in (("PDF", "pdf", b"%PDF"), ("BibTeX", "bib", b"@misc")):
        with page.expect_download(timeout=LONG) as started:
            page.get_by_role("button", name=label, exact=True).click()
        assert started.value.suggested_filename.endswith(f".{ending}")
        assert Path(started.value.path()).read_bytes().startswith(begin)
