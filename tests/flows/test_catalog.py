"""A catalogue before it is rendered: what it reads from its manifest, and from where."""

import pytest

from flows.catalog import accepted_manifest, handing_over, open_catalog
from flows.requests import RenderRequest
from tasks.manifest.problems import ManifestError
from tasks.running.workspace import Workspace


@pytest.fixture
def request_of(tmp_path):
    def write(name, *rows):
        for each in ("rain.wav", "tune.wav"):
            (tmp_path / each).touch()
        manifest = tmp_path / f"{name}.csv"
        manifest.write_text("\n".join(["id,ambience,music,output,enabled,strength", *rows]) + "\n")
        return RenderRequest(
            manifest=str(manifest), output=str(tmp_path), skip_invalid=True, max_in_flight=1
        )

    return write


@pytest.fixture
def workspace(tmp_path):
    return Workspace(str(tmp_path / "store"), str(tmp_path / "scratch"))


def test_an_accepted_manifest_that_is_handed_over_is_not_read_again(
    request_of, workspace, tmp_path
):
    request = request_of("one", "a,rain.wav,tune.wav,a.wav,,")
    accepted = accepted_manifest(request)
    (tmp_path / "one.csv").unlink()
    with handing_over(request, accepted):
        assert [row.output for row in open_catalog(request, workspace).rows] == ["a.wav"]
        other = request_of("two", "b,rain.wav,tune.wav,b.wav,,")
        assert [row.output for row in open_catalog(other, workspace).rows] == ["b.wav"]
    with pytest.raises(ManifestError, match="does not exist"):
        open_catalog(request, workspace)


def test_rows_that_cannot_be_rendered_are_reported_and_are_in_no_shard(request_of, workspace):
    catalog = open_catalog(
        request_of(
            "many",
            "good,rain.wav,tune.wav,good.wav,,",
            "in,rain.wav,tune.wav,tune.wav,,",
            "off,rain.wav,tune.wav,off.wav,false,",
            "loud,rain.wav,tune.wav,loud.wav,,7",
        ),
        workspace,
    )
    results = {each.line: each for each in catalog.results_without_rendering()}
    told = {line: (each.status, each.error_code) for line, each in results.items()}
    assert told == {
        3: ("failed", "output_is_input"), 4: ("skipped", ""), 5: ("invalid", "bad_value"),
    }  # fmt: skip
    assert catalog.n_asked == 3
    ((shard, rows),) = catalog.shards("run")
    assert [row.output for row in rows] == ["good.wav"]
    assert (shard.first, shard.stop) == (0, 1)
