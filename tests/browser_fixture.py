"""A real browser for tests: the system's Chromium, else Playwright's own; the tests are skipped where there is none."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def launch_chromium(playwright: "Playwright") -> "Browser":
    """Return a Chromium without a window; raises playwright's Error where there is none."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=program, args=arguments)


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """One Chromium without a window, for the session."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            chromium = launch_chromium(playwright)
        except Error as error:
            pytest.skip(
                f"no Chromium on this machine: install one, or run `playwright install chromium` ({error.name})"
            )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    """A page in a session of its own, of the size of a small laptop's screen."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()
