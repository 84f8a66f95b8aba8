"""An inbox, local and on S3: each manifest is rendered once, however many watchers check it."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.inbox import claim, dropped, finish, refuse, state_of, tell, ticket_of
from tasks.storage.files import publish, read_bytes, read_if_present
from tasks.storage.uris import join


@pytest.fixture(params=["local", "s3"])
def inbox(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "inbox")
    return join(request.getfixturevalue("bucket"), "inbox")


@pytest.fixture
def drop(inbox, tmp_path):
    def put(name, text="ambience,music\n"):
        source = tmp_path / "source"
        source.write_text(text)
        publish(source, join(inbox, name))
        return join(inbox, name)

    return put


def names(inbox, settle_s=0.0, now_s=1e12):
    entries = dropped(inbox, now_s=now_s, settle_s=settle_s)
    return [entry.uri.rpartition("/")[2] for entry in entries]


def test_an_inbox_that_is_not_there_is_empty(inbox):
    assert names(inbox) == []


def test_manifests_are_found_but_not_their_markers(inbox, drop, workspace):
    drop("b.csv")
    drop("note.txt")
    first = ticket_of(drop("a.csv"))
    assert claim(first)
    report = drop("report.txt", "id,status\n")
    finish(first, report, well=True, message="all", workspace=workspace)
    assert names(inbox) == ["a.csv", "b.csv"]


def test_a_manifest_that_has_just_changed_is_left_alone(inbox, drop):
    drop("a.csv")
    (entry,) = dropped(inbox, now_s=1e12, settle_s=0)
    assert names(inbox, settle_s=10, now_s=entry.modified_s + 9) == []
    assert names(inbox, settle_s=10, now_s=entry.modified_s + 10) == ["a.csv"]


def test_of_eight_watchers_one_takes_a_manifest(drop):
    ticket = ticket_of(drop("a.csv"))
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: claim(ticket), range(8))) == [False] * 7 + [True]


def test_a_manifest_with_other_content_is_another_one(drop, workspace):
    ticket = ticket_of(drop("a.csv"))
    assert state_of(ticket) == (None, ticket)
    assert claim(ticket)
    finish(ticket, None, well=False, message="no", workspace=workspace)
    changed = ticket_of(drop("a.csv", "ambience,music\nrain.wav,tune.wav\n"))
    assert changed.idempotency_key != ticket.idempotency_key
    assert state_of(changed) == (None, changed)
    assert claim(changed)
    assert state_of(changed) == ("started", changed)


def test_a_ticket_remembers_its_run(drop, workspace):
    ticket = ticket_of(drop("a.csv"))
    assert claim(ticket)
    begun = replace(ticket, run_id="run-7")
    tell(begun, "started", workspace)
    assert state_of(ticket) == ("started", begun)


def test_report_and_state_are_written_next_to_the_manifest(drop, workspace):
    manifest = drop("a.csv")
    ticket = ticket_of(manifest)
    report = drop("results.txt", "id,status\n")
    finish(ticket, report, well=True, message="12 pairs", workspace=workspace)
    assert read_bytes(f"{manifest}.results.csv") == b"id,status\n"
    assert json.loads(read_bytes(f"{manifest}.done.json"))["message"] == "12 pairs"
    assert state_of(ticket)[0] == "done"


def test_a_failed_manifest_whose_retry_succeeded_is_done(drop, workspace):
    ticket = ticket_of(drop("a.csv"))
    finish(ticket, None, well=False, message="1 of 2", workspace=workspace)
    assert state_of(ticket)[0] == "failed"
    finish(ticket, None, well=True, message="2 pairs", workspace=workspace)
    assert state_of(ticket)[0] == "done"
    assert read_if_present(f"{ticket.manifest}.failed.json") is None


def test_a_broken_manifest_gets_all_its_errors_next_to_it(drop, workspace):
    ticket = ticket_of(drop("a.csv"))
    refuse(ticket, ["line 2: no", "line 3: no"], workspace)
    assert read_bytes(f"{ticket.manifest}.errors.txt") == b"line 2: no\nline 3: no\n"
    state, told = state_of(ticket)
    assert (state, told.message) == ("failed", "not rendered: line 2: no")


def test_a_damaged_marker_is_ignored(drop):
    ticket = ticket_of(drop("a.csv"))
    drop("a.csv.started.json", "{not json")
    assert state_of(ticket) == (None, ticket)
    assert claim(ticket)


def test_one_manifest_in_two_inboxes_is_two(drop, tmp_path):
    ticket = ticket_of(drop("a.csv"))
    other = Path(tmp_path, "other.csv")
    other.write_bytes(read_bytes(ticket.manifest))
    assert ticket_of(str(other)).idempotency_key != ticket.idempotency_key
