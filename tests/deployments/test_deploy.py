"""`amnst deploy` on a real server: it creates everything once and keeps the operator's changes."""

import json

import pytest
from prefect.automations import AutomationCore
from prefect.client.schemas.actions import (
    DeploymentScheduleUpdate,
    DeploymentUpdate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from deployments.changes import Change, DeployError
from deployments.definitions import definitions
from deployments.deploy import deploy
from deployments.pools import ensure_pool, job_template, open_choices, open_template
from nst_core import __version__
from tests.command_line import main


def changed(changes):
    return [change for change in changes if change.action != "keep"]


def set_by_hand(client, automation, **fields):
    content = automation.model_dump(exclude={"id", "owner_resource"}) | fields
    client.update_automation(automation.id, AutomationCore(**content))


def test_the_first_call_creates_everything(first_changes):
    assert {change.action for change in first_changes} == {"create"}
    kinds = [change.kind for change in first_changes]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "work pool": 2, "deployment": 5, "schedule": 2, "automation": 3,
    }  # fmt: skip


def test_the_second_call_changes_nothing(deployed):
    assert changed(deploy(deployed, definitions())) == []


def test_the_command_says_that_nothing_changes(deployed, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["deploy"])
    assert caught.value.code == 0
    out, err = capsys.readouterr()
    assert "deployment render-shard/render-rows: unchanged" in out
    assert err == "nothing to change\n"


def test_a_dry_run_creates_nothing(deployed):
    other = definitions()[0].model_copy(update={"name": "other"})
    assert Change("deployment", "render-catalog/other", "create") in list(
        deploy(deployed, [other], dry_run=True)
    )
    with pytest.raises(ObjectNotFound):
        deployed.read_deployment_by_name("render-catalog/other")


def test_a_dry_run_updates_nothing_and_lists_the_updates(deployed):
    found = deployed.read_deployment_by_name("render-shard/render-rows")
    deployed.update_deployment(found.id, DeploymentUpdate(version="0.0.1"))
    (change,) = changed(deploy(deployed, definitions(), dry_run=True))
    assert change.sentence(dry_run=True) == (
        "deployment render-shard/render-rows: would be updated (version)"
    )
    assert deployed.read_deployment_by_name("render-shard/render-rows").version == "0.0.1"
    assert changed(deploy(deployed, definitions())) == [change]
    assert deployed.read_deployment_by_name("render-shard/render-rows").version == __version__


@pytest.fixture
def retired(deployed):
    """A deployment of ours, with a trigger, that is no longer defined."""
    trigger = definitions()[0].triggers[0] | {"name": "retired-trigger"}
    old = definitions()[0].model_copy(update={"name": "retired", "triggers": (trigger,)})
    list(deploy(deployed, [*definitions(), old]))
    return old.full_name


def test_a_deployment_that_is_no_longer_defined_is_removed_with_its_trigger(deployed, retired):
    gone = Change("deployment", retired, "remove")
    assert changed(deploy(deployed, definitions(), dry_run=True)) == [gone]
    assert gone.sentence(dry_run=True) == f"deployment {retired}: would be removed"
    assert deployed.read_deployment_by_name(retired)
    assert deployed.read_automations_by_name("retired-trigger")
    assert changed(deploy(deployed, definitions())) == [gone]
    with pytest.raises(ObjectNotFound):
        deployed.read_deployment_by_name(retired)
    assert deployed.read_automations_by_name("retired-trigger") == []
    assert changed(deploy(deployed, definitions())) == []


def test_a_deployment_that_an_operator_made_of_our_flows_stays(deployed):
    flow_id = deployed.create_flow_from_name("render-catalog")
    made = deployed.create_deployment(
        flow_id, "weekly", tags=["amnst"], description="Every Monday."
    )
    assert changed(deploy(deployed, definitions())) == []
    deployed.delete_deployment(made)


def test_what_differs_is_updated_and_nothing_else(deployed):
    found = deployed.read_deployment_by_name("watch-inbox/render-new-manifests")
    assert found.global_concurrency_limit.limit == 1
    deployed.update_deployment(
        found.id, DeploymentUpdate(concurrency_limit=3, tags=["mine"], entrypoint="x.y")
    )
    (change,) = changed(deploy(deployed, definitions()))
    assert set(change.fields) == {"concurrency_limit", "tags", "entrypoint"}
    again = deployed.read_deployment_by_name("watch-inbox/render-new-manifests")
    assert again.global_concurrency_limit.limit == 1
    assert again.tags == ["amnst"]
    assert again.job_variables == found.job_variables


def test_a_schedule_that_was_switched_on_stays_on(deployed):
    found = deployed.read_deployment_by_name("render-catalog/nightly")
    (schedule,) = found.schedules
    assert not schedule.active
    request = {"request": {"manifest": "s3://b/m.csv", "output": "s3://b/out"}}
    on = DeploymentScheduleUpdate(active=True, parameters=request)
    deployed._client.patch(
        f"/deployments/{found.id}/schedules/{schedule.id}",
        json=on.model_dump(mode="json", exclude_unset=True),
    )
    deployed.update_deployment(found.id, DeploymentUpdate(version="0.0.1"))
    assert len(changed(deploy(deployed, definitions()))) == 1
    (schedule,) = deployed.read_deployment_by_name("render-catalog/nightly").schedules
    assert schedule.active
    assert schedule.parameters == request


@pytest.mark.parametrize("name", ["amnst-lost-runs", "amnst-manifest-created"])
def test_an_automation_is_repaired_and_one_switched_off_stays_off(deployed, name):
    (found,) = deployed.read_automations_by_name(name)
    set_by_hand(deployed, found, description="mine", enabled=False)
    (change,) = changed(deploy(deployed, definitions()))
    assert change == Change("automation", name, "update", ("description",))
    (again,) = deployed.read_automations_by_name(name)
    assert again.description == found.description
    assert not again.enabled
    set_by_hand(deployed, again, enabled=True)


def test_a_pool_of_another_type_is_refused(deployed):
    with pytest.raises(DeployError, match="control is of type process, not docker; pass --pool-ty"):
        next(deploy(deployed, definitions(), pool_type="docker", image="amnst:cpu"))


def test_a_pool_that_another_deploy_creates_in_between_is_kept(deployed, monkeypatch):
    looked, read = set(), deployed.read_work_pool

    def read_too_early(name):
        if name not in looked:
            looked.add(name)
            raise ObjectNotFound(None)
        return read(name)

    monkeypatch.setattr(deployed, "read_work_pool", read_too_early)
    template = job_template("gpu", "process", definitions())
    change, _ = ensure_pool(deployed, "gpu", "process", template, dry_run=False)
    assert change.action == "keep"
    looked.clear()
    with pytest.raises(DeployError, match="is of type process, not docker"):
        ensure_pool(deployed, "gpu", "docker", template, dry_run=False)


def test_pools_of_containers_need_an_image(deployed):
    with pytest.raises(DeployError, match="need a container image with amnst; pass --image"):
        next(deploy(deployed, definitions(), pool_type="kubernetes"))


@pytest.mark.parametrize("pool_type", ["docker", "kubernetes"])
def test_the_server_takes_the_job_templates_of_container_pools(deployed, pool_type):
    for name in ("control", "gpu"):
        pool = WorkPoolCreate(
            name=f"{pool_type}-{name}",
            type=pool_type,
            base_job_template=job_template(name, pool_type, definitions(), image="amnst:cpu"),
        )
        assert deployed.create_work_pool(pool).type == pool_type
        assert '"image": "amnst:cpu"' in json.dumps(pool.base_job_template["job_configuration"])
        assert open_choices(pool.base_job_template) == []


def test_on_kubernetes_only_a_shard_requests_a_gpu(deployed):
    for name, asks in (("gpu", True), ("control", False)):
        template = job_template(name, "kubernetes", definitions())
        assert ("nvidia.com/gpu" in json.dumps(template)) == asks


OVERRIDES = [
    {"command": "touch /tmp/owned"},
    {"env": {"LD_PRELOAD": "/tmp/owned.so"}},
    {"env": {"AMNST_SHARD_DEPLOYMENT": "other/deployment"}},
    {"env.PYTHONPATH": "/tmp"},
    {"image": "other"},
    {"working_dir": "/tmp"},
    {"anything": 1},
]


@pytest.mark.parametrize("variables", OVERRIDES, ids=lambda each: next(iter(each)))
@pytest.mark.parametrize("name", ["render-catalog/render-manifest", "render-shard/render-rows"])
def test_no_run_can_choose_its_command(deployed, name, variables):
    """A run without a deployment is left to the worker: test_worker.py."""
    deployment = deployed.read_deployment_by_name(name)
    with pytest.raises(PrefectHTTPStatusError, match="Validation failed"):
        deployed.create_flow_run_from_deployment(deployment.id, job_variables=variables)
    plain = {"enforce_parameter_schema": False}  # it has no parameters
    made = deployed.request("POST", f"/deployments/{deployment.id}/create_flow_run", json=plain)
    with pytest.raises(PrefectHTTPStatusError, match="Validation failed"):
        deployed.update_flow_run(made.json()["id"], job_variables=variables)
    deployed.delete_flow_run(made.json()["id"])


@pytest.fixture
def template_of_gpu(deployed):
    """Function that gives the pool gpu a template; after the test it has ours again."""
    ours = deployed.read_work_pool("gpu").base_job_template

    def give(template):
        deployed.update_work_pool("gpu", WorkPoolUpdate(base_job_template=template))

    yield give
    give(ours)


@pytest.mark.parametrize("before", ["Prefect's", "ours"])
def test_an_unedited_open_template_is_closed(deployed, template_of_gpu, before):
    ours = job_template("gpu", "process", definitions())
    earlier = job_template("gpu", "process", definitions()[:1])
    template_of_gpu(open_template("gpu", "process") if before == "Prefect's" else earlier)
    expected = Change("work pool", "gpu", "update", ("base_job_template",))
    assert changed(deploy(deployed, definitions(), dry_run=True)) == [expected]
    assert deployed.read_work_pool("gpu").base_job_template != ours
    assert changed(deploy(deployed, definitions())) == [expected]
    assert deployed.read_work_pool("gpu").base_job_template == ours


@pytest.mark.parametrize("before", ["Prefect's", "ours"])
def test_a_template_that_an_operator_has_edited_stays(deployed, template_of_gpu, before):
    ours = job_template("gpu", "process", definitions())
    edited = open_template("gpu", "process") if before == "Prefect's" else ours
    edited["job_configuration"]["stream_output"] = False
    template_of_gpu(edited)
    assert changed(deploy(deployed, definitions())) == []
    assert deployed.read_work_pool("gpu").base_job_template == edited


def test_a_template_that_leaves_the_image_to_the_deployments_gets_it_from_them(
    deployed, template_of_gpu
):
    """An earlier version's template, which an operator may have edited, does so."""
    edited = job_template("gpu", "process", definitions())
    edited["variables"]["properties"]["image"] = {"type": "string"}
    template_of_gpu(edited)
    images = {}
    list(deploy(deployed, definitions(), image="amnst:gpu"))
    for each in definitions():
        found = deployed.read_deployment_by_name(each.full_name)
        images.setdefault(each.work_pool.name, set()).add(found.job_variables.get("image"))
    assert images == {"gpu": {"amnst:gpu"}, "control": {None}}
    list(deploy(deployed, definitions()))
