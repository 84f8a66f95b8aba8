"""An interrupted catalogue keeps what is finished, and its report says so."""

from tests.listeners import Recorder

SHORT = {"id": "short", "ambience": "short.wav", "music": "folk.wav"}


def temporary_files(folder):
    return [path for path in folder.rglob("*") if path.name.startswith(".tmp-")]


def interrupt_at_the_second_row(catalogue):
    def interrupt():
        if len(catalogue.listener.pairs_finished()) == 2:
            raise KeyboardInterrupt

    catalogue.listener = Recorder(interrupt)
    return catalogue.render()


def test_an_interruption_keeps_every_finished_row(make_catalogue, tmp_path, finished):
    catalogue = make_catalogue(tmp_path / "interrupted")
    catalogue.rows = [finished.rows[0]]
    catalogue.render()
    catalogue.rows = [finished.rows[0], SHORT, finished.rows[1]]

    interrupt_at_the_second_row(catalogue)
    assert list(catalogue.statuses().values())[:2] == ["cached", "failed"]


def test_an_interruption_leaves_a_report_and_no_partial_file(make_catalogue, tmp_path, finished):
    catalogue = make_catalogue(tmp_path / "interrupted")

    state = interrupt_at_the_second_row(catalogue)
    assert state.is_cancelled()
    assert "failed" not in state.message
    statuses = list(catalogue.statuses().values())
    assert statuses[:2] == ["ok", "ok"]
    assert statuses[2] == ("ok" if (catalogue.output / "rain-rock.wav").exists() else "not_run")
    assert list(catalogue.report()["music"]) == [
        str(catalogue.root / "inputs" / row["music"]) for row in catalogue.rows
    ]
    assert temporary_files(catalogue.root) == []
    for path in catalogue.output.glob("*.wav"):
        assert path.read_bytes() == (finished.output / path.name).read_bytes()
    catalogue.listener = None
    assert catalogue.render().is_completed()
    assert catalogue.statuses()["rain-folk"] == "cached"
