"""A second run renders what is missing or has changed, and nothing else."""

from collections import Counter

import pytest


def test_a_second_run_renders_nothing(rendered):
    before = rendered.made()
    state = rendered.render()
    assert state.is_completed()
    assert state.message == "3 pairs: 0 rendered, 3 already done"
    assert set(rendered.statuses().values()) == {"cached"}
    assert (rendered.made(), rendered.work) == (before, [])


def test_a_changed_strength_renders_only_its_row_and_transfers_nothing(rendered):
    before = rendered.made()
    first, *others = rendered.rows
    rendered.rows = [{**first, "strength": "1"}, *others]
    rendered.render()
    after = rendered.made()
    assert rendered.work == ["picture", "audio"]
    assert rendered.statuses() == {
        "rain-folk": "ok", "fire-folk": "cached", "rain-rock": "cached",
    }  # fmt: skip
    assert {name for name in after if after[name] != before[name]} == {"rain-folk.wav"}


def test_another_model_renders_every_row_again(rendered, finished, make_model):
    rendered.model = make_model(4)
    rendered.render()
    assert set(rendered.statuses().values()) == {"ok"}
    assert Counter(rendered.work) == {"transfer": 3, "picture": 3, "audio": 3}
    assert not set(rendered.report()["sha256"]) & set(finished.report()["sha256"])


def test_a_deleted_output_is_restored_without_rendering(rendered):
    before = rendered.made()
    lost = rendered.output / "fire-folk.wav"
    content = lost.read_bytes()
    lost.unlink()
    rendered.render()
    after = rendered.made()
    assert lost.read_bytes() == content
    assert rendered.work == []
    assert {name for name in after if after[name] != before[name]} == {"fire-folk.wav"}


@pytest.mark.parametrize("stage", ["transfer", "audio"])
def test_only_a_deleted_record_is_written_again(rendered, stage):
    before, records = rendered.made(), rendered.records(stage)
    next(iter(records)).unlink()
    rendered.render()
    assert rendered.work == [stage]
    assert rendered.records(stage) == records
    assert rendered.made() == before  # the same bytes are not written again


def test_only_a_deleted_artefact_is_computed_again(rendered):
    before = rendered.objects()
    audio = next(path for path in before if path.suffix == ".wav")
    audio.unlink()
    rendered.render()
    assert rendered.work == ["audio"]
    assert rendered.objects() == before


def test_force_makes_everything_again_to_the_same_bytes(rendered, finished):
    rendered.render(force=True)
    assert set(rendered.statuses().values()) == {"ok"}
    assert Counter(rendered.work) == {"transfer": 3, "audio": 3}
    assert list(rendered.report()["sha256"]) == list(finished.report()["sha256"])


@pytest.mark.parametrize(
    ("options", "asked"),
    [({"only": ("fire-folk",)}, {"fire-folk"}), ({"limit": 2}, {"rain-folk", "fire-folk"})],
)
def test_rows_not_asked_for_are_skipped(rendered, options, asked):
    state = rendered.render(force=True, **options)
    assert state.is_completed()
    assert Counter(rendered.work)["audio"] == len(asked)
    assert {name for name, status in rendered.statuses().items() if status == "ok"} == asked
    assert set(rendered.statuses().values()) == {"ok", "skipped"}
