import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nst_core.analysis import load_analysis
from nst_core.blend import blend
from tasks.blend import BlendJob, blend_ambiences
from tasks.caching import Workspace, artefact
from tasks.files import sha256_file
from tasks.invert import invert_pair
from tasks.mels import compute_mels
from tasks.results import success
from tasks.row import ManifestRow
from tasks.transfer import transfer_pair
from tasks.upload import UploadJob, upload_pair


def test_a_blend_is_rendered_and_told_of_with_all_its_ambiences(
    rendered: Workspace, pair: UploadJob, sounds: Path, made: Callable[[], list[str]]
) -> None:
    rain, wind_path = pair.render.transfer.ambience, sounds / "wind.wav"
    wind = dataclasses.replace(rain, uri=str(wind_path), sha256=sha256_file(wind_path))
    job = BlendJob(parts=(rain, wind), shares=(0.75, 0.25))
    transfer = dataclasses.replace(pair.render.transfer, ambience=job)
    blended = dataclasses.replace(pair, render=dataclasses.replace(pair.render, transfer=transfer))
    compute_mels.fn(wind, rendered)
    blend_ambiences.fn(job, rendered, "blended")
    transfer_pair.fn(transfer, rendered, "blended")
    invert_pair(blended.render, rendered)
    upload_pair(blended, rendered)
    assert made() == ["mels", "blend", "transfer", "audio"]
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
