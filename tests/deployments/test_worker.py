"""Command and environment of a worker: its device, its name, its threads."""

import json
import os
import platform
import subprocess

import pytest
from prefect.settings import Settings
from prefect.states import AwaitingRetry

from deployments.local_server import Address, server_environment
from deployments.worker import Worker, host_and_version
from nst_core import __version__


def test_a_workers_name_says_machine_device_and_version():
    name = Worker(pool="gpu", device="1").full_name
    assert name == f"{platform.node()}-gpu1-{__version__}"


def test_a_shard_has_a_worker_to_itself_and_catalogues_share_one():
    assert "--limit 1 " in " ".join(Worker(pool="gpu").command()) + " "
    assert "--limit 8 " in " ".join(Worker(pool="control").command()) + " "


def test_runs_see_the_workers_device_only():
    environment = Worker(pool="gpu", device="1", threads=3).environment({"HOME": "/h"})
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert environment["AMNST_N_THREADS"] == "3"
    assert environment["MALLOC_ARENA_MAX"] == "2"
    assert environment["HOME"] == "/h"


def test_a_worker_without_a_device_leaves_the_choice_to_the_environment():
    inherited = {"CUDA_VISIBLE_DEVICES": "2", "AMNST_N_THREADS": "5"}
    environment = Worker(pool="gpu").environment(inherited)
    assert {name: environment[name] for name in inherited} == inherited


def test_a_catalogue_takes_no_memory_of_a_gpu():
    environment = Worker(pool="control").environment({"CUDA_VISIBLE_DEVICES": "0"})
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


def test_a_workers_health_page_is_local_by_default():
    host = "PREFECT_WORKER_WEBSERVER_HOST"
    assert Worker(pool="gpu").environment({})[host] == "127.0.0.1"
    assert Worker(pool="gpu").environment({host: "0.0.0.0"})[host] == "0.0.0.0"


def test_neither_a_worker_nor_the_server_sends_telemetry():
    assert Worker(pool="gpu").environment({})["DO_NOT_TRACK"] == "1"
    assert server_environment(Address(4200), {})["DO_NOT_TRACK"] == "1"


def test_on_one_machine_no_run_becomes_late(monkeypatch):
    """SQLite would lock out all but one of the runs that are marked concurrently."""
    for name, value in server_environment(Address(4200), {}).items():
        monkeypatch.setenv(name, value)
    assert not Settings().server.services.late_runs.enabled


def test_a_worker_of_serve_ends_in_order_while_its_stdin_is_open():
    command = Worker(pool="gpu").command(end_with_stdin=True)
    command[command.index("worker") :] = ["version"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        code = process.wait(120)
        assert code == 0, process.stderr.read()


SLEEPER = """
import time
from prefect import flow

@flow
def sleeper():
    time.sleep(8)
"""


@pytest.fixture
def sleeping(deployed, tmp_path):
    """A run of a flow that does nothing for some seconds."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    made = deployed.create_deployment(
        deployed.create_flow_from_name("sleeper"),
        "gpu",
        entrypoint="sleeper.py:sleeper",
        path=str(tmp_path),
        work_pool_name="gpu",
    )
    yield deployed.create_flow_run_from_deployment(made)
    deployed.delete_deployment(made)


@pytest.fixture
def working(address, login, tmp_path):
    """A worker of the pool gpu."""
    worker = Worker(pool="gpu", name="sleepless")
    environment = {
        "PREFECT_API_URL": address.api,
        "PREFECT_API_AUTH_STRING": login,
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "SOMEBODYS_TOKEN": "secret",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            worker.command(),
            env=worker.environment({**os.environ, **environment}),
            stdout=log,
            stderr=log,
            cwd=tmp_path,
        )
    yield process
    process.terminate()
    process.wait(60)


def test_a_worker_outlives_a_run_that_is_retried_while_its_process_is_there(
    deployed, sleeping, working, eventually
):
    def run():
        return deployed.read_flow_run(sleeping.id)

    eventually(lambda: run().state_name == "Running")
    deployed.set_flow_run_state(sleeping.id, AwaitingRetry(), force=True)
    eventually(lambda: working.poll() is not None or run().state.is_completed())
    assert working.poll() is None


def test_a_worker_lets_no_run_choose_its_command(deployed, working, eventually, tmp_path):
    """The server does not check the variables of a run without a deployment."""
    owned = tmp_path / "owned"
    answer = deployed.request(
        "POST",
        "/flow_runs/",
        json={
            "flow_id": str(deployed.create_flow_from_name("sleeper")),
            "work_pool_name": "gpu",
            "job_variables": {"command": f"touch {owned}"},
            "state": {"type": "SCHEDULED"},
        },
    )
    run_id = answer.json()["id"]
    state = eventually(
        lambda: (run := deployed.read_flow_run(run_id)).state.is_final() and run.state, 120
    )
    assert state.is_crashed()
    assert "'command' was unexpected" in state.message
    assert not owned.exists()
    deployed.delete_flow_run(run_id)


KEEPER = """
import json
import os
from pathlib import Path
from prefect import flow

@flow
def keeper():
    Path("SEEN").write_text(json.dumps(dict(os.environ)))
"""


def test_a_run_sees_the_variables_that_it_needs_and_no_others(
    deployed, working, eventually, tmp_path, login
):
    (tmp_path / "keeper.py").write_text(KEEPER.replace("SEEN", str(tmp_path / "seen")))
    made = deployed.create_deployment(
        deployed.create_flow_from_name("keeper"),
        "gpu",
        entrypoint="keeper.py:keeper",
        path=str(tmp_path),
        work_pool_name="gpu",
    )
    run = deployed.create_flow_run_from_deployment(made)

    def has_ended():
        return deployed.read_flow_run(run.id).state.is_final()

    eventually(has_ended, 120)
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen["PREFECT_API_AUTH_STRING"] == login
    assert seen["PATH"] == os.environ["PATH"]
    assert "SOMEBODYS_TOKEN" not in seen
    deployed.delete_deployment(made)


def test_a_worker_keeps_the_secrets_of_shell_and_server_from_its_runs():
    kept = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "AWS_SECRET_ACCESS_KEY": "for the store",
        "AMNST_STORE_URI": "s3://b/store",
        "PREFECT_API_AUTH_STRING": "for the server",
        "XLA_FLAGS": "",
        "https_proxy": "http://proxy:3128",
    }
    others = {
        "GITHUB_TOKEN": "1",
        "SSH_AUTH_SOCK": "/run/agent",
        "LD_PRELOAD": "/tmp/any.so",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:password@h/d",
        "PREFECT_API_DATABASE_CONNECTION_URL": "postgresql+asyncpg://u:password@h/d",
        "PREFECT_REDIS_MESSAGING_PASSWORD": "1",
    }
    environment = Worker(pool="gpu").environment({**kept, **others})
    assert {name: environment.get(name) for name in kept} == kept
    assert not set(others) & set(environment)


def test_a_site_can_pass_further_variables_to_its_runs():
    names = {"AMNST_PASS_ENV": "MODULEPATH, SLURM_*"}
    site = {"MODULEPATH": "/m", "SLURM_JOB_ID": "1", "SLURM_GPUS": "2", "OTHER": "3"}
    environment = Worker(pool="gpu").environment({**names, **site})
    assert {name: environment.get(name) for name in site} == {**site, "OTHER": None}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("node-7-gpu0-0.1.0", ("node-7", "0.1.0")),
        ("my-gpu1-box-gpu-cpu0-1.2.3rc1", ("my-gpu1-box", "1.2.3rc1")),
        ("vm-control-0.1.0", ("vm", "0.1.0")),
        ("KubernetesWorker 5f", None),
    ],
)
def test_the_doctor_reads_machine_and_version_from_a_name(name, said):
    assert host_and_version(name) == said
