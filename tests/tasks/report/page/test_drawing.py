from pathlib import Path

import pytest

from tasks.report.page.drawing import draw_missing
from tasks.report.page.places import picture_name
from tasks.report.tables import read_report
from tests.listening import FakeCatalogue, fake_catalogue


@pytest.fixture
def catalogue(tmp_path: Path) -> FakeCatalogue:
    made = fake_catalogue(tmp_path, 4)
    made.write()
    return made


def drawn(catalogue: FakeCatalogue) -> dict[str, str]:
    table = read_report(str(catalogue.output))
    return dict(draw_missing(table, catalogue.workspace, str(catalogue.output)))


def test_only_missing_pictures_are_drawn(catalogue: FakeCatalogue) -> None:
    assert drawn(catalogue) == {}
    first = catalogue.results[0]
    picture = catalogue.output / picture_name(first.sha256)
    size = picture.stat().st_size
    picture.unlink()
    assert drawn(catalogue) == {first.id: ""}
    assert picture.stat().st_size == pytest.approx(size, rel=0.1), "much the same picture"


def test_a_blend_is_drawn_as_one_ambience(catalogue: FakeCatalogue) -> None:
    facts = [result.facts for result in catalogue.results[:2]]
    places = [each["ambience"] for each in facts]
    hashes = [each["ambience_sha256"] for each in facts]
    facts[0]["ambience"] = f"{places[0]}*2 + {places[1]}"
    facts[0]["ambience_sha256"] = " + ".join(hashes)
    catalogue.write()
    picture = catalogue.output / picture_name(catalogue.results[0].sha256)
    picture.unlink()
    assert drawn(catalogue) == {catalogue.results[0].id: ""}
    assert picture.is_file()


def test_a_sound_that_is_gone_or_was_changed_is_named(catalogue: FakeCatalogue) -> None:
    first, second = catalogue.results[:2]
    for result in (first, second):
        (catalogue.output / picture_name(result.sha256)).unlink()
    Path(first.facts["ambience"]).unlink()
    Path(second.output).write_bytes(Path(catalogue.results[2].output).read_bytes())
    problems = drawn(catalogue)
    assert first.facts["ambience"] in problems[first.id]
    assert second.output in problems[second.id]
