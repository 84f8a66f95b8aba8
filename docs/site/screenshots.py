"""Screenshot of the demo's listening page, taken with Chromium.

`make media` runs this module after `make demo`. Without Chromium the picture stays as it is.
"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from docs.site.media import shrink

DOCS = Path(__file__).parents[1]
PAGE = DOCS.parent / "demo" / "output" / "index.html"
CHROMIUM = Path("/usr/bin/chromium")


def take(page: Path, picture: Path) -> None:
    """Open a listening page, choose its first pair and save what is seen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            tab = browser.new_page(viewport={"width": 1200, "height": 800})
            tab.goto(page.resolve().as_uri())
            tab.wait_for_timeout(1_500)  # the page draws
            tab.screenshot(path=picture)
            shrink(picture)
        finally:
            browser.close()


if __name__ == "__main__":
    if not CHROMIUM.exists():
        sys.exit(f"{CHROMIUM} is not here; docs/images/listening-page.png stays as it is")
    take(PAGE, DOCS / "images" / "listening-page.png")
