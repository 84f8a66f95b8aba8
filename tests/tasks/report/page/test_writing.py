import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks.report.html import as_data
from tasks.report.page.places import picture_name
from tasks.report.page.writing import render_page, write_page
from tasks.report.parts import CATALOG, report_run, result_log, results_so_far
from tasks.report.results import RowResult
from tasks.report.tables import read_report, report_table, write_report
from tasks.running.workspace import Workspace
from tasks.storage.errors import StorageError
from tasks.storage.files import read_bytes, write_bytes
from tasks.storage.uris import join

HOSTILE = "</script><script>x</script><!-- ]]> \u2028\u2029 &lt; '\" \n \udcff é"


class Elements(HTMLParser):
    """All elements of a page, and the text of its scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inside = ""
        self.texts: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.inside = tag
        if tag in self.texts:
            self.texts[tag].append("")
        if tag == "meta" and ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        if self.inside in self.texts:
            self.texts[self.inside][-1] += data

    def handle_endtag(self, _tag: str) -> None:
        self.inside = ""


def of(page: Path) -> Elements:
    return Elements(page.read_text("utf-8"))


def test_data_cannot_leave_its_element() -> None:
    text = as_data({"id": HOSTILE})
    assert not re.search(r"[<>&\u2028\u2029]", text)
    assert text.isascii()
    assert json.loads(text) == {"id": HOSTILE}


def test_a_hostile_page_has_the_elements_of_a_tame_one() -> None:
    def page(text: str) -> Elements:
        row = {"id": text, "state": "failed", "error": text}
        return Elements(render_page([row], title=text, n_rows=1, run_id=text).decode("utf-8"))

    tame, hostile = page("tame"), page(HOSTILE)
    assert hostile.tags == tame.tags
    assert json.loads(hostile.texts["script"][0])["columns"]["id"] == [HOSTILE]


def test_the_policy_allows_the_page_s_own_script_and_style_and_no_other() -> None:
    elements = Elements(render_page([], title="t", n_rows=0).decode("utf-8"))
    for name, text in (
        ("script", elements.texts["script"][1]),
        ("style", elements.texts["style"][0]),
    ):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in elements.policy
    assert "default-src 'none'" in elements.policy
    assert "unsafe" not in elements.policy


def test_the_page_refers_to_nothing_on_the_web(workspace: Workspace, tmp_path: Path) -> None:
    page = write_page(report_table([]), workspace, str(tmp_path / "out"), inputs="links")
    text = Path(page).read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "://" not in text


def test_a_page_is_made_from_the_report_and_the_folder(
    workspace: Workspace, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    made = RowResult(line=2, id="a", status="skipped")
    write_report([made], workspace, str(output), run_id="run-1")
    page = write_page(read_report(str(output)), workspace, str(output), inputs="links")
    found = json.loads(of(Path(page)).texts["script"][0])
    assert (found["title"], found["run_id"], found["n_rows"]) == ("out", "run-1", 1)
    assert found["n_asked"] is None
    assert found["columns"]["state"] == ["skipped"]


def test_a_page_appears_only_if_the_run_still_has_its_folder(
    workspace: Workspace, tmp_path: Path
) -> None:
    def lost() -> None:
        raise StorageError(str(tmp_path), "write", "it was lost", code="lease_lost")

    with pytest.raises(StorageError, match="lost"):
        write_page(report_table([]), workspace, str(tmp_path), inputs="links", before=lost)
    assert not (tmp_path / "index.html").exists()


def test_the_page_of_a_running_catalogue_shows_what_its_shards_have_reported(
    workspace: Workspace, tmp_path: Path
) -> None:
    for name, line in (("shard-000000", 2), ("shard-000002", 3)):
        with result_log(workspace) as log:
            log.add(RowResult(line=line, id=f"row-{line}", status="not_run"))
            log.publish("run-1", name)
    table = report_table(results_so_far(workspace, "run-1"), "run-1")
    page = write_page(table, workspace, str(tmp_path / "out"), inputs="links", n_asked=5)
    found = json.loads(of(Path(page)).texts["script"][0])
    assert found["columns"]["id"] == ["row-2", "row-3"]
    assert found["n_asked"] == 5


def test_the_report_of_a_run_has_a_page(workspace: Workspace, tmp_path: Path) -> None:
    with result_log(workspace) as log:
        log.add(RowResult(line=2, id="a", status="failed", error="it is too short"))
        log.publish("run-1", CATALOG)
    report_run(workspace, "run-1", str(tmp_path / "out"))
    assert "it is too short" in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_a_page_finds_its_parts_in_a_folder_and_in_a_bucket(
    workspace: Workspace, root_uri: str
) -> None:
    output, sha256 = join(root_uri, "night"), "ab" * 32
    write_bytes(join(output, picture_name(sha256)), b"a picture")
    figures = {"content": 0.8, "texture": 0.7, "carrier_db": 5.0, "follow": 0.5, "strength": 0.7}
    inputs = {"ambience": join(root_uri, "in/rain.wav"), "music": "s3://elsewhere/tune.wav"}
    hashes = {"ambience_sha256": "c" * 64, "music_sha256": "d" * 64, "duration_s": 3.0}
    made = RowResult(
        line=2,
        id="a",
        status="ok",
        output=join(output, "a.wav"),
        sha256=sha256,
        facts={**figures, **inputs, **hashes},
    )
    write_report([made], workspace, output)
    page = write_page(read_report(output), workspace, output, inputs="links")
    assert page == join(output, "index.html")
    text = read_bytes(page).decode("utf-8")
    columns = json.loads(Elements(text).texts["script"][0])["columns"]
    assert columns["picture"] == [picture_name(sha256)]
    assert columns["result_url"] == ["a.wav"]
    assert columns["ambience_url"] == ["../in/rain.wav"]
    assert columns["music_url"] == [""]
