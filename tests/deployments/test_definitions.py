"""prefect.yaml names only existing things, and Prefect reads it as we do."""

import io
from pathlib import Path

import prefect.cli.deploy._config as prefect_deploy
import pytest
from prefect.flows import Flow
from prefect.utilities.callables import parameter_schema
from rich.console import Console

import deployments
from deployments.definitions import definitions, heartbeat_s
from flows.server.connection import CATALOG_DEPLOYMENT
from flows.server.environment import prepare_prefect
from nst_core.config import PRESETS, SUBTYPES

FILE = Path(deployments.__file__).with_name("prefect.yaml")


@pytest.fixture(scope="module")
def names():
    return {each.full_name: each for each in definitions()}


def test_every_flow_has_its_deployments(names):
    assert set(names) == {
        "render-catalog/render-manifest",
        "render-catalog/nightly",
        "render-shard/render-rows",
        "watch-inbox/render-new-manifests",
        "train-classifier/train",
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


RENDERING = ["render-catalog/render-manifest", "watch-inbox/render-new-manifests"]


@pytest.fixture(params=[*RENDERING, "train-classifier/train"])
def form(names, request):
    """Return the properties of a deployment's parameters as the UI gets them, by name."""
    schema = parameter_schema(names[request.param].flow()).model_dump()
    return {
        name: field
        for each in schema["definitions"].values()
        for name, field in each["properties"].items()
    }


def test_every_field_of_a_form_has_a_title_and_help(form):
    for name, field in form.items():
        assert field["title"][0].isupper(), name
        assert "$ref" in field or field.get("description"), name


def test_every_number_of_a_form_has_its_range(form):
    for name, field in form.items():
        for number in field.get("anyOf", [field]):
            if number.get("type") in {"integer", "number"}:
                assert "minimum" in number, name
                assert "maximum" in number or name == "limit", name


@pytest.mark.parametrize("form", RENDERING, indirect=True)
def test_a_field_with_few_values_is_a_list(form):
    assert form["preset"]["enum"] == list(PRESETS)
    assert form["format"]["enum"] == list(SUBTYPES)
    chosen, none = form["subtype"]["anyOf"]
    assert set(chosen["enum"]) == {name for names in SUBTYPES.values() for name in names}
    assert none == {"type": "null"}


@pytest.mark.parametrize("form", ["train-classifier/train"], indirect=True)
def test_the_kind_of_a_network_is_chosen_from_a_list(form):
    assert form["kind"]["enum"] == ["1d", "2d"]


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
