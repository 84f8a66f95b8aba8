"""The documentation in headless Chromium: its search from a disk, and its screenshot."""

import subprocess
import sys

import pytest
from PIL import Image

from docs.site.screenshots import take
from tests.documents import ROOT
from tests.e2e.browser import page as new_page
from tests.listening import fake_catalogue

pytestmark = pytest.mark.browser


def test_the_search_finds_a_page_from_a_disk_and_fetches_nothing(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", tmp_path,
         "--config-file", ROOT / "docs" / "site" / "mkdocs.yml"],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    with new_page() as page:
        fetched: list[str] = []
        page.on("request", lambda request: fetched.append(request.url))
        page.goto((tmp_path / "reference" / "manifest.html").as_uri())
        page.get_by_placeholder("Search").click()
        page.keyboard.type("loudness")
        page.get_by_text("matching documents").wait_for()
        page.locator(".md-search-result__link").first.click()
        page.get_by_role("heading", name="Loudness").first.wait_for()
    assert [url for url in fetched if not url.startswith(("file:", "data:", "blob:"))] == []


def test_the_screenshot_shows_a_listening_page(tmp_path):
    page = fake_catalogue(tmp_path, 4).write()
    take(page, tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        assert picture.size == (1200, 800)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20
