"""A person at the Prefect UI, in a real browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@contextmanager
def page() -> Iterator[Page]:
    """A fresh page of a headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser.new_page(viewport={"width": 1400, "height": 900})
        finally:
            browser.close()


def press_retry(page: Page, ui: str, run_id: str, *, picture: Path | None = None) -> None:
    """Open a flow run, press Retry and confirm it."""
    page.goto(f"{ui}/runs/flow-run/{run_id}")
    button = page.get_by_role("button", name=re.compile("^Retry$"))
    button.first.wait_for(timeout=60_000)
    if picture:
        page.wait_for_timeout(3_000)  # the page draws its graph
        page.screenshot(path=picture)
    button.first.click()
    with page.expect_response(lambda answer: answer.url.endswith("/set_state")) as answered:
        page.get_by_role("dialog").get_by_role("button", name=re.compile("Retry")).click()
    assert answered.value.ok
