"""prefect.yaml: what it names exists, and Prefect reads it as we do."""

import io
from pathlib import Path

import prefect.cli.deploy._config as prefect_deploy
import pytest
from prefect.flows import Flow
from rich.console import Console

import deployments
from deployments.definitions import definitions, heartbeat_s
from flows.prefect_environment import prepare_prefect
from flows.runs import CATALOG_DEPLOYMENT

FILE = Path(deployments.__file__).with_name("prefect.yaml")


@pytest.fixture(scope="module")
def names():
    return {each.full_name: each for each in definitions()}


def test_every_flow_has_its_deployments(names):
    assert set(names) == {
        "render-catalog/control",
        "render-catalog/nightly",
        "render-shard/gpu",
        "watch-inbox/control",
        "train-classifier/gpu",
    }


def test_entrypoints_are_modules_and_work_in_any_folder(names):
    for each in names.values():
        assert isinstance(each.flow(), Flow)
        assert ":" not in each.entrypoint


def test_catalogues_hand_their_shards_to_a_deployment_that_exists(names):
    for name in (CATALOG_DEPLOYMENT, "render-catalog/nightly"):
        assert names[name].work_pool.job_variables["env"]["AMNST_SHARD_DEPLOYMENT"] in names


def test_no_schedule_is_on():
    schedules = [schedule for each in definitions() for schedule in each.schedules]
    assert [schedule["slug"] for schedule in schedules] == ["nightly", "every-minute"]
    assert not any(schedule["active"] for schedule in schedules)


def test_runs_of_a_deployment_keep_results_as_the_command_line_does(monkeypatch):
    environment = {}
    monkeypatch.setattr("os.environ", environment)
    prepare_prefect(verbose=False)
    for each in definitions():
        given = each.work_pool.job_variables["env"]
        shared = set(given) & set(environment)
        assert {"PREFECT_RESULTS_PERSIST_BY_DEFAULT", "PREFECT_RESULTS_DEFAULT_SERIALIZER"} < shared
        assert {name: given[name] for name in shared} == {
            name: environment[name] for name in shared
        }


def test_every_run_has_a_heartbeat():
    assert heartbeat_s() == 30  # Prefect beats no faster


def test_prefect_itself_reads_the_file(names):
    said = io.StringIO()
    configs, actions = prefect_deploy._load_deploy_configs_and_actions(
        FILE, console=Console(file=said)
    )
    assert said.getvalue() == ""
    assert [config["entrypoint"] for config in configs] == [
        each.entrypoint for each in names.values()
    ]
    assert actions["pull"] == []
