"""Chromium for tests of pages: the system's own, driven by Playwright, which would otherwise bring its own.

A page fails its test when its console holds an error, when a script of it throws, or when it asks any other
host than this machine. What a test expects of these it adds to ``expected``.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request, Route

    from tests.system.live import Live

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SCREENSHOTS = os.environ.get("CAIXIN_SCREENSHOTS")
"""Folder that ``picture`` writes into; without it no picture is taken."""

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
_HERE = ("127.0.0.1", "localhost", "::1")


# Not for longer than a module: as long as Playwright runs, its thread has a running loop, and nothing else
# there can have one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one Chromium for all tests of a module."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH: install it (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield running
        running.close()


@pytest.fixture
def expected() -> list[str]:
    """Return the list of patterns of problems that this test brings about on purpose; it may be added to."""
    return []


@pytest.fixture
def new_page(browser: Browser, expected: list[str]) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page in its own context; it takes what ``Browser.new_context`` takes."""
    problems: list[str] = []
    contexts = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **options})
        contexts.append(context)
        context.set_default_timeout(15_000)

        def only_here(route: Route, request: Request) -> None:
            host = urlsplit(request.url).hostname
            if host in _HERE:
                route.continue_()
            else:
                problems.append(f"a request to another host: {request.url}")
                route.abort()

        context.route("**/*", only_here)
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                problems.append(f"console: {message.text}") if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: problems.append(f"script: {error}"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [
        problem for problem in problems if not any(re.search(pattern, problem) for pattern in expected)
    ] == []


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """Open one page, 1280 pixels wide, in English."""
    return new_page()


def sign_in(page: Page, live: Live, token: str | None) -> None:
    """Make a page's context that of somebody in a live Airflow; None: of nobody."""
    # A whole Airflow answers there, beside its scheduler and other tests.
    page.context.set_default_timeout(60_000)
    if token is not None:
        page.context.add_cookies([{"name": "_token", "value": token, "url": live.api.url}])


def until(page: Page, expression: str) -> None:
    """Wait until an expression holds; ``Page.wait_for_function`` would need what a strict policy forbids."""
    deadline = time.monotonic() + 60
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"not within 60 s: {expression}"
        page.wait_for_timeout(50)


def picture(page: Page, name: str) -> None:
    """Take a picture of what is shown, to be looked at, where ``CAIXIN_SCREENSHOTS`` names a folder."""
    if SCREENSHOTS:
        folder = Path(SCREENSHOTS)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png")
