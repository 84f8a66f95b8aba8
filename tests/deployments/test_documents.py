"""Commands about events in the documentation, run against a server."""

import os
import shutil
import subprocess

import pytest
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import get_current_settings

from tests.documents import blocks
from tests.servers import PATIENCE_S


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_the_lines_for_a_buckets_notification_start_its_catalogue(deployed, address, eventually):
    (text,) = (each.text for each in blocks("docs/how-to/inbox.md") if "curl" in each.text)
    text = text.replace("/night", "/morning")  # another test's catalogue has its name
    login = get_current_settings().api.auth_string
    environment = {**os.environ, "PREFECT_API_URL": address.api}
    if login:
        environment["PREFECT_API_AUTH_STRING"] = login.get_secret_value()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], env=environment, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wanted = {"manifest": "s3://bucket/morning.csv", "output": "s3://bucket/morning"}
    ours = FlowRunFilter(tags=FlowRunFilterTags(all_=["amnst"]))

    def started():
        found = deployed.read_flow_runs(flow_run_filter=ours, sort=FlowRunSort.ID_DESC, limit=50)
        return [run for run in found if run.parameters.get("request") == wanted]

    assert len(eventually(started)) == 1
