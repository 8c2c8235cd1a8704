"""A browser for the pages that people look at: the system's Chromium, led by Playwright.

Chromium comes from the system, as its libraries and fonts do; what `playwright install` fetches
is not needed.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.services import ServiceMissing
from tests.services.environment import clean_env

PATIENCE = 60_000  # milliseconds that a page may take to show something
_QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
          "--disable-background-networking", "--disable-component-update")  # fmt: skip
# Prefect 3.8 and MLflow 3.17 choose by what they stored: dark, and pages for chats, at first.
_STORED = """\
if (self.origin !== "null" && location.protocol.startsWith("http")) {
    localStorage.setItem("color-scheme", '"light"');
    localStorage.setItem("mlflow.workflowType_v1", '"machine_learning"');
    localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", "true");
    localStorage.setItem("mlflow.assistant.panelOpen_v1", "false");
}
"""


@contextmanager
def open_browser(root: Path, *arguments: str) -> Iterator[Browser]:
    """A headless Chromium whose home is `root`, until the end of the block."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise ServiceMissing("chromium", how="run tests/services/install.sh, or install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[*_QUIET, *arguments], env=dict(clean_env(root))
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def new_page(browser: Browser, *, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """A light page in a profile of its own."""
    with browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="light", locale="en-GB"
    ) as context:
        context.add_init_script(_STORED)
        context.set_default_timeout(PATIENCE)
        yield context.new_page()
