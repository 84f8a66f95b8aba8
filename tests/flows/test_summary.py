"""Keys of a catalogue's artifacts, which an operator reads in the UI."""

import pytest

from flows.requests import RenderRequest
from flows.summary import artifact_key


@pytest.mark.parametrize(
    ("manifest", "key"),
    [
        ("/in/Night 3.csv", "night-3-report"),
        ("s3://b/Böen & Stürme.csv", "boen-sturme-report"),
        ("/in/夜.csv", "catalogue-report"),
    ],
)
def test_a_key_begins_with_the_manifests_name(manifest, key):
    request = RenderRequest(manifest=manifest, output="/out")
    assert artifact_key(request, "report") == key
