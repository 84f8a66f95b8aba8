"""The page of a listening test in headless Chromium: listen, rate, and send the answers back."""

import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from nst_core.audio.alike import write_alike
from tasks.panel.answers import read_answers
from tasks.panel.key import Key
from tasks.panel.page.writing import Trial, render_page
from tasks.panel.scoring import score
from tests.e2e.browser import page as new_page
from tests.panels import TASTE, fake_key
from tests.sounds import SR, noise, tone

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

SOUND_S = 3.0


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Key]:
    """A test of two pairs: its page, and its key."""
    folder = tmp_path_factory.mktemp("panel")
    (folder / "sounds").mkdir()
    key, rng = fake_key(2), np.random.default_rng(1)
    trials = []
    for number, pair in enumerate(key.pairs):
        music, ambience = f"{number:016x}", f"{number + 8:016x}"
        for name in (music, ambience, *pair.sounds):
            y = tone(rng.uniform(200, 800), SOUND_S) + 0.3 * noise(SOUND_S)
            write_alike(folder / "sounds" / f"{name}.flac", y, SR, -23.0, rng)
        trials.append(Trial(pair.pair, music, ambience, tuple(sorted(pair.sounds))))
    page = folder / "index.html"
    page.write_bytes(render_page(trials, panel=key.panel, licence="Apache-2.0"))
    return page, key


@pytest.fixture
def page(panel: tuple[Path, Key]) -> Iterator[Page]:
    """The opened page; the test fails if the page meets an error."""
    troubles: list[str] = []
    with new_page() as found:
        found.on("pageerror", lambda error: troubles.append(str(error)))
        found.on("console", lambda line: line.type == "error" and troubles.append(line.text))
        found.goto(panel[0].as_uri())
        yield found
    assert troubles == []


def wait_for(page: Page, condition: str) -> None:
    deadline = time.monotonic() + 15  # page.wait_for_function needs eval, which the page forbids
    while not page.evaluate(f"() => Boolean({condition})"):
        assert time.monotonic() < deadline, f"{condition} never came true"
        time.sleep(0.03)


def start(page: Page) -> None:
    page.get_by_role("button", name="Start", exact=True).click()


def heard(page: Page, letter: str) -> None:
    """Play a sound by its key, and wait until it is heard."""
    page.keyboard.press(letter)
    index = ord(letter.upper()) - 65
    wait_for(page, f"DECK.heard && DECK.heard.name === trialAt(STATE.at).sounds[{index}]")


def hidden_conditions(page: Page, key: Key) -> list[str]:
    """Return the condition of each letter of the shown trial, which only the key tells."""
    trial: dict[str, Any] = page.evaluate("() => trialAt(STATE.at)")
    sounds = next(pair.sounds for pair in key.pairs if pair.pair == trial["pair"])
    return [sounds[name] for name in trial["sounds"]]


def rate_all(page: Page, key: Key) -> None:
    """Answer the shown question as the taste of the tests says."""
    question = page.evaluate("() => questionAt(STATE.at)")
    for index, condition in enumerate(hidden_conditions(page, key)):
        letter = "ABCDEFGH"[index]
        heard(page, letter)
        slider = page.get_by_label(f"Rating of sound {letter}")
        expect(slider).to_be_focused()
        slider.fill(str(round(TASTE[question][condition])))
    page.get_by_role("button", name="Next").or_(page.get_by_role("button", name="Finish")).click()


def test_a_listener_rates_everything_and_the_saved_file_counts(
    panel: tuple[Path, Key], page: Page, tmp_path: Path
) -> None:
    key = panel[1]
    page.get_by_label("Your name").fill("Ann </script><b>")
    page.get_by_label("You listen with").select_option("headphones")
    start(page)
    for step in range(6):
        expect(
            page.get_by_text(f"Pair {step // 3 + 1} of 2, question {step % 3 + 1} of 3")
        ).to_be_visible()
        rate_all(page, key)
    page.get_by_label("Anything you want to say").fill("nice")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save my answers").click()
    place = tmp_path / saved.value.suggested_filename
    saved.value.save_as(place)
    sent = json.loads(place.read_text("utf-8"))
    assert (sent["name"], sent["headphones"], sent["comment"]) == (
        "Ann </script><b>", "headphones", "nice",
    )  # fmt: skip
    assert sent["started_at"] < sent["finished_at"]
    assert page.get_by_label("Answers as text").input_value() == place.read_text("utf-8")
    answers, refused = read_answers([str(place)], key)
    assert refused == []
    for question in score(answers, key).questions:
        for condition in question.conditions:
            assert condition.mean.mean == TASTE[question.question.name][condition.name]


def test_sounds_are_switched_at_one_position(page: Page) -> None:
    start(page)
    heard(page, "A")
    wait_for(page, "DECK.position > 1")
    before = page.evaluate("() => DECK.position")
    heard(page, "D")
    after = page.evaluate("() => DECK.position")
    assert before <= after < before + 1.5
    playing = page.evaluate(
        "() => [...DECK.sounds.values()].filter((each) => !each.audio.paused).length"
    )
    assert playing == 1
    expect(page.get_by_role("button", name="Play sound D")).to_have_attribute(
        "aria-pressed", "true"
    )
    page.keyboard.press("1")
    wait_for(page, "DECK.heard.name === trialAt(STATE.at).music")
    page.keyboard.press("Space")
    assert page.evaluate("() => [...DECK.sounds.values()].every((each) => each.audio.paused)")


def test_the_length_is_shown_before_anything_plays(page: Page) -> None:
    start(page)
    expect(page.locator("#time")).to_have_text("0:00 / 0:03")


def test_nothing_is_skipped(page: Page) -> None:
    start(page)
    heard(page, "B")
    page.get_by_label("Rating of sound B").fill("40")
    page.get_by_label("Rating of sound C").fill("0")
    page.get_by_role("button", name="Next").click()
    told = page.get_by_role("alert")
    expect(told).to_contain_text("Listen to A, C, D, E, F, G, H first.")
    expect(told).to_contain_text("Move the slider of A, D, E, F, G, H.")
    expect(page.get_by_label("Rating of sound A")).to_be_focused()
    expect(page.get_by_text("question 1 of 3")).to_be_visible()


def test_a_slider_says_whether_it_is_rated(page: Page) -> None:
    start(page)
    slider = page.get_by_label("Rating of sound A")
    expect(slider).to_have_attribute("aria-valuetext", "not rated yet")
    slider.click()  # in the middle, where it stands
    expect(slider).to_have_attribute("aria-valuetext", "50, fair")
    slider.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0, bad")
    slider.press("End")
    expect(slider).to_have_attribute("aria-valuetext", "100, excellent")


def test_the_page_goes_on_where_it_was_closed(panel: tuple[Path, Key], page: Page) -> None:
    start(page)
    rate_all(page, panel[1])
    page.get_by_label("Rating of sound B").fill("33")
    order = page.evaluate("() => ORDER")
    page.reload()
    expect(page.get_by_text("Pair 1 of 2, question 2 of 3")).to_be_visible()
    expect(page.get_by_label("Rating of sound B")).to_have_value("33")
    assert page.evaluate("() => ORDER") == order
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_text("question 1 of 3")).to_be_visible()


def test_every_listener_has_another_order_which_follows_from_the_seed(page: Page) -> None:
    orders = page.evaluate("() => [1, 2, 3, 4, 5, 6, 7, 8, 1].map(orderFor).map(JSON.stringify)")
    assert orders[0] == orders[-1]
    assert len(set(orders)) == 8
    # Each sound stands in each place about equally often.
    counts = page.evaluate(
        """() => {
          const counts = {};
          for (let seed = 0; seed < 4000; seed += 1) {
            const { pair } = DATA.trials[0];
            orderFor(seed * 77773).find((each) => each.pair === pair).sounds.forEach((name, at) => {
              counts[`${name} ${at}`] = (counts[`${name} ${at}`] || 0) + 1;
            });
          }
          return Object.values(counts);
        }"""
    )
    assert len(counts) == 64
    assert min(counts) > 400
    assert max(counts) < 600


@pytest.mark.parametrize("width", [320, 400, 700, 1400])
def test_the_page_is_never_wider_than_the_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for go in (-1, 0, 6):
        page.evaluate(f"() => show({go})")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("() => show(0)")
    for button in page.locator(".sound, .next, .plain, .play").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 40, "large enough for a finger"


def test_a_missing_sound_is_told(panel: tuple[Path, Key], tmp_path: Path) -> None:
    (tmp_path / "index.html").write_bytes(panel[0].read_bytes())
    with new_page() as page:
        page.goto((tmp_path / "index.html").as_uri())
        page.get_by_role("button", name="Play the music").click()
        expect(page.locator("#trouble")).to_contain_text("its file is not there")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Python's own server, without its log."""

    def log_message(self, *_: object) -> None:
        pass


def test_it_works_from_a_web_server_as_well(panel: tuple[Path, Key], page: Page) -> None:
    handler = functools.partial(Quiet, directory=panel[0].parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        start(page)
        heard(page, "A")
        wait_for(page, "DECK.position > 0.5")
        heard(page, "B")
        assert page.evaluate("() => DECK.position") > 0.4
        page.goto("about:blank")
        server.shutdown()


def test_no_script_but_the_page_s_own_runs(panel: tuple[Path, Key], tmp_path: Path) -> None:
    attacked = tmp_path / "index.html"
    attack = "<script>document.title = 'hacked'</script></body>"
    attacked.write_text(panel[0].read_text("utf-8").replace("</body>", attack), "utf-8")
    with new_page() as page:
        page.goto(attacked.as_uri())
        assert page.title() == "Listening test"
