"""Answers of listeners: what counts, and what is refused with its reason."""

import json
from pathlib import Path

import pytest

from tasks.panel.answers import read_answers
from tasks.panel.errors import PanelError
from tasks.panel.key import key_text, read_key
from tests.panels import Change, fake_key, listener, write_panel

KEY = fake_key(2)


def refused(tmp_path: Path, change: Change | None = None, *, text: str | None = None) -> PanelError:
    """Return why a changed file is refused, while that of another listener counts."""
    sent = listener(KEY, 1)
    if change:
        change(sent)
    _, files = write_panel(tmp_path, KEY, [sent, listener(KEY, 2)])
    if text is not None:
        Path(files[0]).write_text(text, "utf-8")
    answers, errors = read_answers(files, KEY)
    assert [each.listener for each in answers] == [f"{2:016x}"]
    assert len(errors) == 1
    assert files[0] in str(errors[0])
    assert isinstance(errors[0], PanelError)
    return errors[0]


def test_all_ratings_are_read(tmp_path: Path) -> None:
    sent = [listener(KEY, 1), listener(KEY, 2)]
    _, files = write_panel(tmp_path, KEY, sent)
    answers, errors = read_answers(files, KEY)
    assert errors == []
    assert [each.model_dump()["answers"] for each in answers] == [
        tuple(each["answers"]) for each in sent
    ]


@pytest.mark.parametrize(
    "text", ["", "{", "null", "[]", '{"format": 3}', "[" * 100_000, '{"format": "amnst-panel-key"}']
)
def test_what_is_not_a_file_of_answers_is_refused(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text=text).code in {"bad_answers", "not_answers"}


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, text=json.dumps(listener(KEY, 1))[:-40])
    assert error.code == "bad_answers"
    assert "save the answers again" in str(error)


@pytest.mark.parametrize("score", [-1, 101, 50.5, "50", True, None, 10**400, [50]])
def test_a_rating_outside_the_scale_is_refused(tmp_path: Path, score: object) -> None:
    sound = next(iter(KEY.pairs[0].sounds))
    error = refused(tmp_path, lambda sent: sent["answers"][0]["scores"].update({sound: score}))
    assert error.code == "bad_answers"
    assert sound in str(error)


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    sent = listener(KEY, 1)
    sent["answers"][0]["scores"][next(iter(KEY.pairs[0].sounds))] = float("nan")
    assert refused(tmp_path, text=json.dumps(sent)).code == "bad_answers"


def test_answers_to_another_test_are_foreign(tmp_path: Path) -> None:
    other = fake_key(2, seed=9)
    error = refused(tmp_path, text=json.dumps(listener(other, 1)))
    assert error.code == "foreign_answers"
    assert "--key" in str(error)


def test_a_sound_of_another_test_is_foreign(tmp_path: Path) -> None:
    error = refused(tmp_path, lambda sent: sent["answers"][0]["scores"].update({"ab" * 8: 3}))
    assert error.code == "foreign_answers"


def test_answers_that_lack_a_question_or_a_sound_are_incomplete(tmp_path: Path) -> None:
    error = refused(tmp_path, lambda sent: sent["answers"].pop())
    assert error.code == "incomplete_answers"
    assert "5 of 6" in str(error)
    error = refused(tmp_path, lambda sent: sent["answers"][2]["scores"].popitem())
    assert error.code == "incomplete_answers"


def test_a_question_that_is_answered_twice_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, lambda sent: sent["answers"].append(sent["answers"][0]))
    assert error.code == "bad_answers"


def test_a_listener_counts_once(tmp_path: Path) -> None:
    error = refused(tmp_path, lambda sent: sent.update(version=2))
    assert error.code == "bad_answers"
    _, files = write_panel(tmp_path, KEY, [listener(KEY, 1), listener(KEY, 1)])
    answers, errors = read_answers(files, KEY)
    assert len(answers) == 1
    assert [(each.code, files[0] in str(each)) for each in errors] == [("duplicate_listener", True)]


def test_a_file_that_is_missing_or_huge_stops_no_other(tmp_path: Path) -> None:
    _, files = write_panel(tmp_path, KEY, [listener(KEY, 1)])
    huge = tmp_path / "huge.json"
    huge.write_bytes(b" " * (4 << 20) + b"{}")
    answers, errors = read_answers([str(tmp_path / "gone.json"), str(huge), *files], KEY)
    assert len(answers) == 1
    assert [each.code for each in errors] == ["not_found", "too_big"]


def test_a_name_cannot_command_the_terminal(tmp_path: Path) -> None:
    hostile = "\x1b[2J\x07An\u202ena\udcff\n" + "x" * 200
    _, files = write_panel(tmp_path, KEY, [listener(KEY, 1, name="\x1b[2J\x07An\u202ena\n")])
    (answers,), _ = read_answers(files, KEY)
    assert answers.shown_name == f"[2JAnna ({1:016x})"
    long = answers.model_copy(update={"name": hostile})
    assert len(long.shown_name) < 100
    assert long.shown_name.encode()


def test_a_key_is_read_as_it_was_written(tmp_path: Path) -> None:
    place, _ = write_panel(tmp_path, KEY, [])
    assert read_key(str(place)) == KEY


def test_a_missing_foreign_or_changed_key_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "key.json"
    with pytest.raises(PanelError, match="--key") as caught:
        read_key(str(place))
    assert caught.value.code == "no_key"
    changed = json.loads(key_text(KEY))
    changed["pairs"][0]["sounds"].popitem()
    for text in ("", "{}", json.dumps(listener(KEY, 1)), json.dumps(changed)):
        place.write_text(text, "utf-8")
        with pytest.raises(PanelError, match="key") as caught:
            read_key(str(place))
        assert caught.value.code == "bad_key"
