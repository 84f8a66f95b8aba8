"""What happens to the files of a bucket, between two runs or within one, heals in the same run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from flows.progress import Listener, listening
from flows.render_catalog import render_catalog
from flows.requests import RenderRequest
from tasks.storage import s3
from tests.flows.test_healing import CUT, EMPTY, FLIP, REPLACE, SWAP, damaged
from tests.servers import new_bucket

pytestmark = [pytest.mark.slow, pytest.mark.server]


@dataclass
class Remote:
    """A catalogue whose store and output are in a bucket."""

    bucket: str
    manifest: Path
    model: Path
    scratch: Path

    def render(self) -> Any:
        request = RenderRequest(
            manifest=str(self.manifest), output=f"{self.bucket}/out", model=str(self.model)
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AMNST_STORE_URI", f"{self.bucket}/store")
            patch.setenv("AMNST_SCRATCH", str(self.scratch))
            return render_catalog(request, return_state=True)

    def files(self, folder: str, suffix: str = "") -> dict[str, bytes]:
        """Return the content of the files below a folder of the bucket."""
        client = s3.client()
        client.invalidate_cache()
        names = client.find(f"{self.bucket}/{folder}")
        return {name: client.cat_file(name) for name in sorted(names) if name.endswith(suffix)}

    def outputs(self) -> dict[str, bytes]:
        found = self.files("out", ".wav").items()
        return {name.rpartition("/")[2]: data for name, data in found}

    def elsewhere(self) -> "Remote":
        """Return the same catalogue in another bucket."""
        return replace(self, bucket=new_bucket())

    def damage(self, files: dict[str, bytes], how: str) -> None:
        names = list(files)
        for number, (name, data) in enumerate(files.items()):
            other = files[names[number - 1]]
            s3.client().pipe_file(name, damaged(data, how, other, seed=number))


def artefacts(remote: Remote) -> dict[str, bytes]:
    return remote.files("store/objects")


def records(remote: Remote) -> dict[str, bytes]:
    return remote.files("store/results")


def published(remote: Remote) -> dict[str, bytes]:
    return remote.files("out", ".wav")


def provenance(remote: Remote) -> dict[str, bytes]:
    return remote.files("out", ".wav.json")


@pytest.fixture
def remote(s3_server, make_catalogue, tmp_path: Path) -> Remote:
    local = make_catalogue(tmp_path / "local")
    return Remote(new_bucket(), local.write(), local.model, tmp_path / "scratch")


def test_every_damage_between_two_runs_heals_in_the_second(remote: Remote) -> None:
    assert remote.render().is_completed()
    before = remote.outputs()
    assert len(before) == 3
    kinds: tuple[Callable[[Remote], dict[str, bytes]], ...] = (
        artefacts, records, published, provenance,
    )  # fmt: skip
    for which in kinds:
        for how in (FLIP, CUT, EMPTY, SWAP, REPLACE):
            if which is artefacts:  # they are only read if something must be made again
                s3.client().rm(f"{remote.bucket}/out", recursive=True)
            remote.damage(which(remote), how)
            state = remote.render()
            assert state.is_completed(), (which, how, state.message)
            assert remote.outputs() == before, (which, how)


class Saboteur(Listener):
    """Listener that damages files of the bucket once, as soon as there are some."""

    def __init__(self, remote: Remote, which: Callable[[Remote], dict[str, bytes]]) -> None:
        self._remote, self._which = remote, which
        self.n_damaged = 0

    def at_work(self, name: str) -> None:
        del name
        self._strike()

    def pair(self, name: str, status: str, reason: str) -> None:
        del name, status, reason
        self._strike()

    def _strike(self) -> None:
        if not self.n_damaged:
            files = self._which(self._remote)
            self._remote.damage(files, FLIP)
            self.n_damaged = len(files)


def assert_as_without_damage(remote: Remote) -> None:
    unharmed = remote.elsewhere()
    assert unharmed.render().is_completed()
    made = remote.outputs()
    assert len(made) == 3
    assert made == unharmed.outputs()


@pytest.mark.parametrize("which", [artefacts, records])
def test_damage_within_a_run_heals_in_the_same_run(
    remote: Remote, which: Callable[[Remote], dict[str, bytes]]
) -> None:
    saboteur = Saboteur(remote, which)
    with listening(saboteur):
        state = remote.render()
    assert state.is_completed(), state.message
    assert saboteur.n_damaged
    assert_as_without_damage(remote)


def test_a_provenance_damaged_within_a_run_heals_in_the_next(remote: Remote) -> None:
    saboteur = Saboteur(remote, provenance)
    with listening(saboteur):
        assert remote.render().is_completed()
    assert saboteur.n_damaged
    assert remote.render().is_completed()
    assert_as_without_damage(remote)
