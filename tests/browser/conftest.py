"""The real app in headless Chromium; skipped, with the reason, where there is no browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium from the system."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this computer: install the package chromium, or name the program in CHROMIUM")
    from playwright.sync_api import sync_playwright

    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=options)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """The app on a free port, with a cache of its own and no network for models."""
    with serve(tmp_path_factory.mktemp("app")) as (url, _):
        yield url


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serve(folder: Path, phones: int | None = None) -> Iterator[tuple[str, subprocess.Popen]]:
    """The app with its cache in `folder`, if wanted with the phones' page on a port: the app's address and the process."""
    port = free_port()
    environment = {**os.environ, "DETOX_CACHE": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    with (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
        if phones:
            command = [sys.executable, "audience.py", "--port", str(phones), "--app-port", str(port)]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health", server, folder / "log")
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.terminate()
        server.wait(10)


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    """Until an address answers; fails with what the server wrote."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    pytest.fail(f"the app did not start:\n{log.read_text()}")


def pick_first_row(page: Any, leads_to: str) -> None:
    """Tick the first row of the last table until a button appears; its cells are drawn on a canvas, which may still move."""
    from playwright.sync_api import TimeoutError as NotYet

    table = page.locator("[data-testid=stDataFrame]").last
    button = page.get_by_role("button", name=leads_to)
    for _ in range(12):
        table.scroll_into_view_if_needed()
        page.wait_for_timeout(500)  # for the scrolling to end
        box = table.bounding_box()
        page.mouse.click(box["x"] + 14, box["y"] + 52)
        with suppress(NotYet):
            button.first.wait_for(timeout=20_000)
            return
    pytest.fail(f"no row could be picked: {leads_to} did not appear")


@pytest.fixture
def page(browser):
    """A fresh browser context that records what it asked the network for."""
    context = browser.new_context(viewport={"width": 1366, "height": 768})
    made = context.new_page()
    made.requested = []
    made.on("request", lambda request: made.requested.append(request.url))
    yield made
    context.close()
