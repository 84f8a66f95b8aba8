"""A person at the Prefect UI in a real browser, and a hostile page in the same browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    # Newer Chromium asks the person before a page of the internet may call this machine. Others
    # do not, and a person may agree, so the server must be safe by itself.
    "--disable-features=LocalNetworkAccessChecks",
)


@contextmanager
def page(*flags: str) -> Iterator[Page]:
    """A fresh page of a headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, *flags])
        try:
            yield browser.new_page(viewport={"width": 1400, "height": 900})
        finally:
            browser.close()


def log_in(page: Page, ui: str, login: str) -> None:
    """Give the UI the login that it asks for."""
    page.goto(ui)
    field = page.get_by_placeholder("admin:pass")
    field.wait_for(timeout=120_000)
    field.fill(login)
    with page.expect_response(
        lambda answer: answer.url.endswith("/admin/version") and answer.ok, timeout=60_000
    ):
        field.press("Enter")
    page.wait_for_url(re.compile("/dashboard"), timeout=60_000)


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


_ATTACK = """
async ([api, command]) => {
  const seen = {}, json = {"Content-Type": "application/json"};
  const attempt = async (name, path, options = {}) => {
    try {
      const answer = await fetch(api + path, options);
      const text = await answer.text();
      seen[name] = answer.type === "opaque" ? "opaque" : answer.status;
      return answer.ok && text ? JSON.parse(text) : null;
    } catch (error) {
      seen[name] = error.name;
      return null;
    }
  };
  await attempt("read", "/admin/settings");
  await attempt("read without CORS", "/admin/settings", {mode: "no-cors"});
  const token = await attempt("token", "/csrf-token?client=page");
  const headers = token
    ? {...json, "Prefect-Csrf-Client": "page", "Prefect-Csrf-Token": token.token} : json;
  const flow = JSON.stringify({name: "hostile"});
  const made = await attempt("flow", "/flows/", {method: "POST", headers, body: flow});
  const run = JSON.stringify({
    flow_id: made ? made.id : "00000000-0000-0000-0000-000000000000",
    work_pool_name: "gpu",
    job_variables: {command},
    state: {type: "SCHEDULED"},
  });
  await attempt("run", "/flow_runs/", {method: "POST", headers, body: run});
  await attempt("simple run", "/flow_runs/", {method: "POST", body: run});
  await attempt("run without CORS", "/flow_runs/", {method: "POST", mode: "no-cors", body: run});
  return seen;
}
"""


def attack(page: Page, place: str, api: str, command: str) -> dict[str, Any]:
    """Return what a hostile page gets when it reads a Prefect API and tries to run a command.

    Parameters
    ----------
    place
        The page's own URL.
    """
    page.route(place, lambda route: route.fulfill(content_type="text/html", body="<p>Hello</p>"))
    page.goto(place)
    seen: dict[str, Any] = page.evaluate(_ATTACK, [api, command])
    return seen
