"""Take the README's pictures from the app as it is now: `python docs/tour.py [NAME ...]`. Needs Chromium, as the browser tests do.

The cache is fresh and nothing is arranged: recorded examples are shown as they are, everything else is computed before the camera.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from detox_core.stage.steps import Stage, Step  # noqa: E402
from detox_core.store import Store, recorded  # noqa: E402
from tests.browser.conftest import free_port, serve  # noqa: E402

LONG = 600_000  # milliseconds
WIDE, TALL, PHONE = {"width": 1366, "height": 768}, {"width": 1366, "height": 960}, {"width": 390, "height": 768}


def landing(page: Page, app: str, _phones: str) -> None:
    """The first example, unveiled."""
    page.goto(app)
    page.get_by_text("Blur toxic words").click(timeout=LONG)
    page.mouse.move(0, 0)


def why(page: Page, app: str, phones: str) -> None:
    """The words that the first example's answers hang on."""
    landing(page, app, phones)
    page.get_by_role("radio", name="Why these words").click()
    page.get_by_text("As a matrix").wait_for(timeout=LONG)
    page.get_by_role("radio", name="Why these words").scroll_into_view_if_needed()
    page.locator("[data-testid=stMain]").evaluate("main => main.scrollBy(0, 330)")


def flows(page: Page, app: str, _phones: str) -> None:
    """The demo set."""
    page.goto(app)
    page.get_by_role("link", name="Flows").first.click(timeout=LONG)
    page.locator("[data-testid=stEchartsChart], .stEchartsChart, canvas, svg").first.wait_for(timeout=LONG)


def whatif(page: Page, app: str, phones: str) -> None:
    """The first method that is offered, on the first example's IT."""
    landing(page, app, phones)
    page.get_by_role("radio", name="What if").click()
    page.get_by_role("button", name="Try it").click()
    page.get_by_role("button", name="Keep as a column").wait_for(timeout=LONG)
    page.locator("article").first.scroll_into_view_if_needed()


def stage(page: Page, app: str, _phones: str) -> None:
    """The recorded examples as a stage, the first one revealed."""
    page.goto(f"{app}/stage?present=1")
    page.locator("article").first.wait_for(timeout=LONG)
    page.keyboard.press("b")


def audience(page: Page, _app: str, phones: str) -> None:
    """A phone before its vote, unveiled."""
    page.goto(phones)
    page.get_by_role("button", name="I am 18 or older").click(timeout=LONG)
    page.locator(".picker button").first.click(timeout=LONG)
    page.get_by_role("button", name="I would post C").wait_for(timeout=LONG)
    page.get_by_role("button", name="Show the answers").click()


PICTURES: dict[str, tuple[Callable[[Page, str, str], None], dict[str, int]]] = {
    "compare": (landing, TALL),
    "why": (why, WIDE),
    "flows": (flows, WIDE),
    "whatif": (whatif, TALL),
    "stage": (stage, WIDE),
    "audience": (audience, PHONE),
}


def take(browser: Browser, name: str, app: str, phones: str) -> None:
    """One picture, in a browser context of its own."""
    arrange, viewport = PICTURES[name]
    context = browser.new_context(viewport=viewport, reduced_motion="reduce")  # type: ignore[arg-type]
    page = context.new_page()
    arrange(page, app, phones)
    page.locator("[data-test-script-state=running]").wait_for(state="detached", timeout=LONG)
    page.wait_for_timeout(3000)  # for fonts and charts
    page.screenshot(path=str(ROOT / "docs" / f"{name}.png"))
    context.close()


def main() -> None:
    os.chdir(ROOT)
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        steps = tuple(Step(record) for record in recorded().values())
        Store(Path(folder) / "cache").change_stage(lambda _: Stage("My stage", steps))
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        phones = free_port()
        with serve(Path(folder), phones=phones) as (app, _):
            for name in sys.argv[1:] or PICTURES:
                take(browser, name, app, f"http://127.0.0.1:{phones}/")


if __name__ == "__main__":
    main()
