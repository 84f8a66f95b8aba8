"""What a worker is started with: its device, its name, its threads."""

import platform

import pytest

from deployments.worker import Worker, host_and_version
from nst_core import __version__


def test_a_workers_name_says_machine_device_and_version():
    name = Worker(pool="gpu", device="1").full_name
    assert name == f"{platform.node()}-gpu1-{__version__}"


def test_a_shard_has_its_worker_for_itself_and_catalogues_share_theirs():
    assert "--limit 1 " in " ".join(Worker(pool="gpu").command()) + " "
    assert "--limit 8 " in " ".join(Worker(pool="control").command()) + " "


def test_runs_see_the_workers_device_only():
    environment = Worker(pool="gpu", device="1", threads=3).environment({"HOME": "/h"})
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert environment["AMNST_N_THREADS"] == "3"
    assert environment["HOME"] == "/h"


def test_a_worker_without_a_device_leaves_the_choice_to_the_environment():
    inherited = {"CUDA_VISIBLE_DEVICES": "2", "AMNST_N_THREADS": "5"}
    environment = Worker(pool="gpu").environment(inherited)
    assert {name: environment[name] for name in inherited} == inherited


def test_a_catalogue_takes_no_memory_of_a_gpu():
    environment = Worker(pool="control").environment({"CUDA_VISIBLE_DEVICES": "0"})
    assert environment["CUDA_VISIBLE_DEVICES"] == ""


def test_a_workers_health_page_is_for_its_machine_unless_someone_says_otherwise():
    host = "PREFECT_WORKER_WEBSERVER_HOST"
    assert Worker(pool="gpu").environment({})[host] == "127.0.0.1"
    assert Worker(pool="gpu").environment({host: "0.0.0.0"})[host] == "0.0.0.0"


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
