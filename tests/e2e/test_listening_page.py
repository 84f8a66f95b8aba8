"""The listening page in headless Chromium: play, switch, filter, sort, and names that attack."""

import functools
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from nst_core.audio.writing import write_audio
from tests.e2e.browser import page as new_page
from tests.listening import AMBIENCE_S, RESULT_S, FakeCatalogue, fake_catalogue
from tests.sounds import noise

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

Open = Callable[[Path | str], Page]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> FakeCatalogue:
    return fake_catalogue(tmp_path_factory.mktemp("catalogue"), 60, n_failed=2)


@pytest.fixture
def browser() -> Iterator[tuple[Page, list[str]]]:
    """A page of a browser, and the errors and refusals that it has met."""
    troubles: list[str] = []
    with new_page() as page:
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda line: line.type == "error" and troubles.append(line.text))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        yield page, troubles


@pytest.fixture
def visit(browser: tuple[Page, list[str]]) -> Iterator[Open]:
    """Function that opens a page; the test fails if the page meets an error."""
    page, troubles = browser

    def go(place: Path | str) -> Page:
        page.goto(place.as_uri() if isinstance(place, Path) else place)
        return page

    yield go
    assert troubles == []


def sounds(page: Page) -> dict[str, Any]:
    """State of the player: the chosen sound, and each sound's own position and volume."""
    state: dict[str, Any] = page.evaluate(
        """() => ({
          chosen: PLAYER.active.key, playing: PLAYER.isPlaying, position: PLAYER.position,
          heard: PLAYER.tracks.filter((each) => !each.audio.paused).map((each) => each.key),
          ...Object.fromEntries(PLAYER.tracks.map((each) =>
            [each.key, {at: each.audio.currentTime, volume: each.audio.volume}])),
        })"""
    )
    return state


def names(page: Page) -> list[str]:
    return page.locator("#table .id").all_inner_texts()


def choose(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=False).locator("visible=true").first.click()


def wait_for(page: Page, condition: str) -> None:
    deadline = time.monotonic() + 15  # page.wait_for_function needs eval, which the page forbids
    while not page.evaluate(f"() => {condition}"):
        assert time.monotonic() < deadline, f"{condition} never came true: {sounds(page)}"
        time.sleep(0.03)


def test_a_pair_plays_and_its_cursor_runs(catalogue: FakeCatalogue, visit: Open) -> None:
    page = visit(catalogue.write())
    page.get_by_role("button", name="Play").click()
    wait_for(page, "PLAYER.position > 0.3")
    assert sounds(page)["heard"] == ["result"]
    cursor = page.locator(".cursor").last
    before = cursor.bounding_box()
    wait_for(page, "PLAYER.position > 1")
    after = cursor.bounding_box()
    assert before is not None
    assert after is not None
    assert after["x"] > before["x"]
    page.get_by_role("button", name="Pause").click()
    assert sounds(page)["heard"] == []


def test_keys_switch_between_the_sounds_at_one_position(
    catalogue: FakeCatalogue, visit: Open
) -> None:
    page = visit(catalogue.write())
    page.keyboard.press("Space")
    wait_for(page, "PLAYER.position > 0.2")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    wait_for(page, "PLAYER.position > 4.2")
    page.keyboard.press("2")
    wait_for(page, "PLAYER.heard.key === 'music'")
    state = sounds(page)
    assert state["heard"] == ["music"]
    assert 4.2 < state["position"] < 5.5
    assert state["music"]["at"] == pytest.approx(1.0 + state["position"], abs=0.1), "start_s is 1"
    page.keyboard.press("1")
    wait_for(page, "PLAYER.heard.key === 'ambience'")
    state = sounds(page)
    assert state["ambience"]["at"] == pytest.approx(state["position"] % AMBIENCE_S, abs=0.1)
    page.keyboard.press("3")
    wait_for(page, "PLAYER.heard.key === 'result'")
    assert sounds(page)["heard"] == ["result"]
    wait_for(page, "!PLAYER.isPlaying")  # its end
    assert sounds(page)["position"] == pytest.approx(0, abs=0.05)


def test_an_ambience_is_repeated_as_long_as_the_result_lasts(
    catalogue: FakeCatalogue, visit: Open
) -> None:
    page = visit(catalogue.write())
    page.keyboard.press("1")
    page.keyboard.press("Space")
    wait_for(page, f"PLAYER.position > {AMBIENCE_S + 0.5}")
    assert sounds(page)["ambience"]["at"] < AMBIENCE_S
    assert sounds(page)["position"] < RESULT_S


def test_all_sounds_are_as_loud_as_the_quietest(catalogue: FakeCatalogue, visit: Open) -> None:
    page = visit(catalogue.write())
    facts = catalogue.results[0].facts
    levels = {name: facts[f"{name}_lufs"] for name in ("music", "ambience")}
    levels["result"] = facts["loudness_lufs"]
    state = sounds(page)
    for name, level in levels.items():
        wanted = 10 ** ((min(levels.values()) - level) / 20)
        assert state[name]["volume"] == pytest.approx(wanted, abs=1e-3), name
    page.get_by_label("at the same loudness").uncheck()
    assert {sounds(page)[name]["volume"] for name in levels} == {1}


def test_arrows_go_from_pair_to_pair_within_the_table(
    catalogue: FakeCatalogue, visit: Open
) -> None:
    page = visit(catalogue.write())
    choose(page, names(page)[2])
    page.keyboard.press("ArrowDown")
    expect(page.locator("#pair-title")).to_have_text(catalogue.results[3].id)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#pair-title")).to_have_text(catalogue.results[1].id)
    assert page.url.endswith(f"#pair={catalogue.results[1].id}")


def test_the_table_is_filtered_by_words_state_and_choice(
    catalogue: FakeCatalogue, visit: Open
) -> None:
    page = visit(catalogue.write())
    expect(page.get_by_role("status").first).to_have_text("1 to 50 of 60 pairs")
    page.get_by_label("Find pairs").fill("rain FOLK")
    assert names(page) == [r.id for r in catalogue.results if "rain__folk" in r.id]
    page.get_by_label("Any strength").select_option(label="0.50")
    wanted = [r.id for r in catalogue.results if r.facts.get("strength") == 0.5]
    assert names(page) == [name for name in wanted if "rain__folk" in name]
    page.get_by_label("Find pairs").fill("")
    page.get_by_label("Any strength").select_option(label="Any strength")
    page.locator("#states").get_by_role("button", name="failed").click()
    assert names(page) == [r.id for r in catalogue.results if r.status == "failed"]
    page.get_by_label("Find pairs").fill("nothing is called this")
    expect(page.get_by_text("No pair fits the filter.")).to_be_visible()


def test_the_table_is_sorted_both_ways_and_keeps_rows_without_a_value_last(
    catalogue: FakeCatalogue, visit: Open
) -> None:
    page = visit(catalogue.write())
    figures = {r.id: round(r.facts.get("content", -1), 4) for r in catalogue.results}
    for sign, order in ((1, "ascending"), (-1, "descending")):
        page.get_by_role("button", name="Melody").click()
        expect(page.locator("[aria-sort]:not([aria-sort=none])")).to_have_attribute(
            "aria-sort", order
        )
        shown = [sign * figures[name] for name in names(page)]
        assert len(shown) == 50
        assert shown == sorted(shown)
    page.get_by_role("button", name="Later").click()
    assert names(page)[-2:] == [r.id for r in catalogue.results[-2:]], "the failed rows"


def test_a_failed_pair_says_why_and_what_to_do(catalogue: FakeCatalogue, visit: Open) -> None:
    page = visit(catalogue.write())
    choose(page, catalogue.results[-1].id)
    panel = page.get_by_role("complementary", name="Pair")
    expect(panel).to_contain_text("use a longer clip")
    expect(panel).to_contain_text("run the same command again")
    assert panel.get_by_role("button", name="Play").count() == 0


def test_a_point_of_the_picture_leads_to_its_pair(catalogue: FakeCatalogue, visit: Open) -> None:
    page = visit(catalogue.write())
    assert page.locator(".point").count() == 58
    point = page.locator(".point.look").last
    name = point.locator("title").text_content() or ""
    point.click()
    expect(page.locator("#pair-title")).to_have_text(name.partition(":")[0])
    expect(page.locator("#pair-title")).to_be_focused()


def test_nothing_moves_while_the_page_opens(catalogue: FakeCatalogue, visit: Open) -> None:
    page = visit(catalogue.write())
    page.wait_for_timeout(300)
    shift = page.evaluate(
        """() => new Promise((resolve) => {
          let sum = 0;
          const add = (list) => list.getEntries().forEach((each) => { sum += each.value; });
          new PerformanceObserver(add).observe({type: "layout-shift", buffered: true});
          setTimeout(() => resolve(sum), 200);
        })"""
    )
    assert shift == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("width", [320, 400, 700, 1000, 1400])
def test_the_page_is_never_wider_than_the_window(
    catalogue: FakeCatalogue, visit: Open, width: int
) -> None:
    page = visit(catalogue.write())
    page.set_viewport_size({"width": width, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= width
    if width >= 1000:
        table, panel = page.locator("#pairs").bounding_box(), page.locator("#pair").bounding_box()
        assert table is not None
        assert panel is not None
        assert table["x"] + table["width"] < panel["x"]


def test_on_a_phone_the_pair_opens_over_the_table_and_closes(
    catalogue: FakeCatalogue, visit: Open
) -> None:
    page = visit(catalogue.write())
    page.set_viewport_size({"width": 400, "height": 800})
    panel = page.get_by_role("complementary", name="Pair")
    expect(panel).to_be_hidden()
    choose(page, names(page)[1])
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("[aria-current] .pick")).to_be_focused()


@pytest.mark.parametrize("inputs", ["previews", "none"])
def test_inputs_are_played_from_where_the_setting_says(
    catalogue: FakeCatalogue, visit: Open, inputs: str
) -> None:
    page = visit(catalogue.write(inputs=inputs))
    assert page.get_by_text("not linked").count() == 2, "there are no previews"
    page.keyboard.press("2")
    assert sounds(page)["chosen"] == "result"


class WholeFiles(http.server.SimpleHTTPRequestHandler):
    """Python's own server, which knows no byte ranges, without its log."""

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_sends_only_whole_files_can_be_listened_to(
    tmp_path: Path, visit: Open
) -> None:
    catalogue = fake_catalogue(tmp_path, 2, n_failed=0)
    long = Path(catalogue.results[0].output)  # Chromium keeps all of a small file by itself
    long.unlink()
    write_audio(long, np.resize(noise(5.0), (60 * 44_100, 2)), 44_100, format="wav")
    catalogue.write()
    handler = functools.partial(WholeFiles, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = visit(f"http://127.0.0.1:{server.server_port}/night/index.html")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        wait_for(page, "PLAYER.position > 3.9 && PLAYER.active.audio.currentTime > 3.9")
        page.keyboard.press("Space")
        page.keyboard.press("2")
        wait_for(page, "PLAYER.heard.key === 'music' && PLAYER.position > 4.5")
        server.shutdown()


HOSTILE = (
    """</script><script>document.title="hacked"</script>"""
    """"><img src=x onerror=alert(1)>'\n&amp;"""
)


def test_names_that_attack_are_only_text(
    tmp_path: Path, browser: tuple[Page, list[str]], visit: Open
) -> None:
    catalogue = fake_catalogue(tmp_path, 4, n_failed=1)
    file = """rain <script>alert("1")</script> '#?%\n:é.wav""".replace("/", "|")
    rain = Path(catalogue.results[0].facts["ambience"])
    hostile = rain.rename(rain.with_name(file))
    facts = {**catalogue.results[0].facts, "ambience": str(hostile), "preset": HOSTILE}
    output = Path(catalogue.results[0].output)
    moved = output.rename(output.with_name("a:javascript <b>\n'\"#.wav"))
    catalogue.results[0] = replace(catalogue.results[0], id=HOSTILE, facts=facts, output=str(moved))
    catalogue.results[-1] = replace(
        catalogue.results[-1],
        id="",
        status="invalid",
        error=HOSTILE,
        facts={"music": "javascript:alert(1)"},
    )
    page = visit(catalogue.write())
    assert page.locator("#pair-title").text_content() == HOSTILE
    page.keyboard.press("Space")
    wait_for(page, "PLAYER.position > 0.2")
    page.keyboard.press("1")
    wait_for(page, "PLAYER.heard.key === 'ambience'")
    choose(page, "line 5")
    assert page.locator(".reason").text_content() == HOSTILE
    assert page.title() == "night: listen"
    assert page.locator("img, script[src], iframe").count() == 0
    links = page.locator("a[href]").evaluate_all("(all) => all.map((each) => each.href)")
    assert not [link for link in links if not link.startswith("file:///")]


def test_no_script_but_the_page_s_own_runs(
    catalogue: FakeCatalogue, browser: tuple[Page, list[str]]
) -> None:
    page, troubles = browser
    written = catalogue.write()
    attacked = written.with_name("attacked.html")
    attack = "<script>document.title = 'hacked'</script></body>"
    attacked.write_text(written.read_text("utf-8").replace("</body>", attack), "utf-8")
    page.goto(attacked.as_uri())
    assert page.title() == "night: listen"
    assert "Content Security Policy" in troubles[0]
