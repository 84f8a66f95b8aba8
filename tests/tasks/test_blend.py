import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nst_core.transfer.analysis import load_analysis
from nst_core.transfer.blending import blend
from tasks.blend import blend_ambiences
from tasks.invert import invert_pair
from tasks.jobs.pair import BlendJob, PairJob
from tasks.manifest.row import ManifestRow
from tasks.mels import compute_mels
from tasks.report.results import success
from tasks.running.caching import artefact
from tasks.running.workspace import Workspace
from tasks.storage.files import sha256_file
from tasks.transfer import transfer_pair
from tasks.upload import upload_pair


def test_a_blend_is_rendered_and_reported_with_all_its_ambiences(
    rendered: Workspace, pair: PairJob, sounds: Path, made: Callable[[], list[str]]
) -> None:
    rain, wind_path = pair.ambience, sounds / "wind.wav"
    wind = dataclasses.replace(rain, uri=str(wind_path), sha256=sha256_file(wind_path))
    job = BlendJob(parts=(rain, wind), shares=(0.75, 0.25))
    blended = dataclasses.replace(pair, ambience=job)
    compute_mels.fn(wind, rendered)
    blend_ambiences.fn(job, rendered)
    transfer_pair.fn(blended, rendered)
    invert_pair(blended, rendered)
    upload_pair(blended, rendered)
    assert made() == ["mels", "blend", "transfer", "picture", "audio"]
    with (
        artefact(job, rendered) as path,
        artefact(rain, rendered) as a,
        artefact(wind, rendered) as b,
    ):
        expected = blend([load_analysis(a), load_analysis(b)], (0.75, 0.25), rain.mel)
        np.testing.assert_array_equal(load_analysis(path).y, expected.y)
    facts = json.loads(Path(blended.provenance_uri).read_text())
    assert [(each["sha256"], each["share"]) for each in facts["ambience"]] == [
        (rain.sha256, 0.75),
        (wind.sha256, 0.25),
    ]
    cell = f"{rain.uri}*3 + {wind.uri}"
    row = ManifestRow(line=2, id="blended", ambience=cell, music="/in/t.wav", output="b.wav")
    told = success(row, blended, rendered, "ok").facts
    assert told["ambience"] == cell
    assert told["ambience_sha256"] == f"{rain.sha256} + {wind.sha256}"
