"""Compose, Kubernetes and systemd files, checked by schema because they cannot be started here.

The schemas state what the files use of the compose specification and of a Kubernetes Job.
"""

import re
import shutil
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from prefect.settings import get_current_settings
from prefect.utilities.templating import apply_values

import deployments
from deployments.definitions import definitions
from deployments.make_env import environment_file
from deployments.pools import job_template
from deployments.server_environment import SERVER_ENVIRONMENT
from tests import documents

FOLDER = Path(deployments.__file__).parent
TEXTS = {"type": "array", "items": {"type": "string"}}
TEXT = {"type": "string"}
ENVIRONMENT = {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
CONDITIONS = ["service_started", "service_healthy", "service_completed_successfully"]


def closed(**properties):
    return {"type": "object", "properties": properties, "additionalProperties": False}


SERVICE = closed(
    image=TEXT, hostname=TEXT, command=TEXTS, profiles=TEXTS, volumes=TEXTS, security_opt=TEXTS,
    environment=ENVIRONMENT, stop_grace_period={"pattern": r"^\d+s$"},
    build=closed(context=TEXT, dockerfile=TEXT, target={"enum": ["cpu", "gpu"]}),
    restart={"enum": ["unless-stopped"]},
    ports={"type": "array", "items": {"pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
    configs={"type": "array", "items": closed(source=TEXT, target=TEXT)},
    healthcheck=closed(test=TEXTS, interval=TEXT, retries={"type": "integer"}),
    depends_on={"additionalProperties": closed(condition={"enum": CONDITIONS})},
    deploy=closed(resources=closed(reservations=closed(devices={"type": "array", "items": closed(
        driver=TEXT, count={"enum": ["all"]}, capabilities=TEXTS)}))),
)  # fmt: skip
COMPOSE = closed(
    name=TEXT,
    services={"type": "object", "additionalProperties": SERVICE},
    configs={"additionalProperties": closed(content=TEXT)},
    volumes={"type": "object"},
) | {"patternProperties": {"^x-": {}}}

QUANTITIES = {"type": "object", "additionalProperties": {"type": ["string", "integer", "null"]}}
CONTAINER = closed(
    name=TEXT, image=TEXT, imagePullPolicy={"enum": ["IfNotPresent", "Always", "Never"]},
    args={"type": ["array", "string"]}, resources=closed(limits=QUANTITIES, requests=QUANTITIES),
    env={"type": ["array", "object"]}, envFrom={"type": "array"}, volumeMounts={"type": "array"},
)  # fmt: skip
POD = closed(
    restartPolicy={"enum": ["Never"]}, serviceAccountName=TEXT, volumes={"type": "array"},
    containers={"type": "array", "items": CONTAINER, "minItems": 1, "maxItems": 1},
    tolerations={"type": "array"}, terminationGracePeriodSeconds={"type": "integer"},
)  # fmt: skip
JOB = closed(
    apiVersion={"const": "batch/v1"},
    kind={"const": "Job"},
    metadata=closed(labels={"type": "object"}, namespace=TEXT, generateName=TEXT),
    spec=closed(
        backoffLimit={"const": 0}, ttlSecondsAfterFinished={"type": "integer"},
        parallelism={"const": 1}, completions={"const": 1}, template=closed(spec=POD),
    ),
) | {"required": ["apiVersion", "kind", "spec"]}  # fmt: skip


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))


def test_the_compose_file_has_the_right_form_and_ports_on_this_machine_only(compose):
    jsonschema.validate(compose, COMPOSE)
    services = compose["services"]
    assert {"server", "postgres", "redis", "s3", "deploy", "control", "cpu", "gpu0"} <= set(
        services
    )
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)


def test_every_secret_of_compose_is_created_each_time_and_none_is_in_the_file(compose):
    text = (FOLDER / "compose.yaml").read_text("utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text))
    first, second = (dict(line.split("=") for line in environment_file().split()) for _ in range(2))
    assert set(first) == asked
    assert not set(first.values()) & set(second.values())
    assert all(len(secret) >= 20 for secret in first.values())
    ignored = (FOLDER.parent / ".gitignore").read_text("utf-8").splitlines()
    assert "deployments/.env" in ignored


def test_the_compose_server_asks_for_a_password_which_its_clients_have(compose):
    server = compose["services"]["server"]["environment"]
    asked = server["PREFECT_SERVER_API_AUTH_STRING"]
    assert asked.startswith("amnst:${AMNST_AUTH_PASSWORD")
    for name in ("server", "deploy", "control", "gpu0"):
        assert compose["services"][name]["environment"]["PREFECT_API_AUTH_STRING"] == asked


def test_the_compose_server_serves_the_names_that_its_clients_use_and_no_others(compose):
    """It always serves this machine's own names."""
    command = compose["services"]["server"]["command"]
    assert command[:3] == ["python", "-m", "flows.server_process.guarded"]
    allowed = {name for option, name in pairwise(command) if option == "--allow-host"}
    urls = {
        service["environment"]["PREFECT_API_URL"]
        for service in compose["services"].values()
        if "PREFECT_API_URL" in service.get("environment", {})
    }
    assert {urlsplit(url).netloc for url in urls} == allowed


def test_the_units_server_asks_for_a_login_and_is_the_guarded_one():
    unit = (FOLDER / "systemd/amnst-server.service").read_text("utf-8")
    assert 'ExecStartPre=/bin/sh -c \'test -n "$$PREFECT_SERVER_API_AUTH_STRING" ||' in unit
    assert (
        "ExecStart=/opt/amnst/bin/python -m flows.server_process.guarded --host 127.0.0.1" in unit
    )


@pytest.mark.parametrize("unit", [path.name for path in (FOLDER / "systemd").iterdir()])
def test_what_a_unit_keeps_is_for_its_user_alone(unit):
    text = (FOLDER / "systemd" / unit).read_text("utf-8")
    assert "StateDirectoryMode=0700" in text
    assert "CacheDirectoryMode=0700" in text


def test_helm_asks_for_the_login_of_one_secret_on_both_sides():
    def values(name):
        return yaml.safe_load((FOLDER / f"kubernetes/{name}-values.yaml").read_text("utf-8"))

    expected = {"enabled": True, "existingSecret": "amnst-auth"}
    assert values("server")["server"]["basicAuth"] == expected
    assert values("worker")["worker"]["selfHostedServerApiConfig"]["basicAuth"] == expected


def server_settings(kind):
    """The environment that a way to run the server gives it."""
    if kind == "compose":
        file = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
        return file["services"]["server"]["environment"]
    if kind == "helm":
        file = yaml.safe_load((FOLDER / "kubernetes/server-values.yaml").read_text("utf-8"))
        return {each["name"]: each["value"] for each in file["global"]["prefect"]["env"]}
    unit = (FOLDER / "systemd/amnst-server.service").read_text("utf-8")
    return dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE))


@pytest.mark.parametrize("kind", ["compose", "helm", "systemd"])
def test_every_server_has_the_same_settings(kind):
    found = server_settings(kind)
    assert {name: found.get(name) for name in SERVER_ENVIRONMENT} == SERVER_ENVIRONMENT
    assert "*" not in found["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]


def test_prefect_knows_and_accepts_every_server_setting(monkeypatch):
    before = get_current_settings().server
    for name, value in SERVER_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    server = type(get_current_settings())().server
    assert server.services.task_run_recorder.batch_size == 100
    assert server.services.task_run_recorder.read_batch_size == 100
    assert server.services.task_run_recorder.flush_interval == 2
    assert server.services.event_persister.batch_size == 200
    assert server.services.pause_expirations.loop_seconds == 60
    assert server.services.cleanup_reconciler.loop_seconds == 30
    assert server.services.late_runs.loop_seconds == 10
    assert server.services.scheduler.recent_deployments_loop_seconds == 10
    assert server.events.retention_period.days == 2 != before.events.retention_period.days
    assert server.services.db_vacuum.enabled_vacuum_types >= {"events", "flow_runs"}
    assert server.services.db_vacuum.retention_period.days == 30
    assert server.api.csrf_protection_enabled


def test_a_gpu_job_asks_for_one_gpu_and_has_the_form_of_a_job():
    template = job_template("gpu", "kubernetes", definitions(), image="amnst:gpu")
    # All that a run requests, except its environment, which is a closed set.
    asked = {"image": "other", "namespace": "other", "env": {"A": "1"}, "command": "x"}
    manifest = apply_values(template["job_configuration"]["job_manifest"], asked)
    jsonschema.validate(manifest, JOB)
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert (container["image"], container["env"]) == ("amnst:gpu", {"A": "1"})
    assert "args" not in container, "the worker's own command"
    assert manifest["metadata"]["namespace"] == "default"


@pytest.mark.parametrize("name", ["server-values", "worker-values"])
def test_helm_values_name_the_locked_prefect(name):
    text = (FOLDER / f"kubernetes/{name}.yaml").read_text("utf-8")
    lock = (FOLDER.parent / "requirements.lock").read_text("utf-8")
    version = re.search(r"^prefect==(\S+)", lock, re.MULTILINE)[1]
    tag = re.search(r"prefectTag: (\S+?)-", text)[1]
    assert tag == version


def pins(lock):
    """The versions of each package in a lock file; there may be one per Python."""
    found = {}
    text = (FOLDER.parent / lock).read_text("utf-8")
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def test_both_lock_files_have_the_same_versions():
    runtime, tools = pins("requirements.lock"), pins("requirements-dev.lock")
    assert len(runtime) > 100
    assert {name: tools.get(name) for name in runtime} == runtime
    assert {"pytest", "ruff", "mypy"} <= set(tools) - set(runtime)


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", ["build", "cluster"]),  # the image's server has messages on Redis
        ("requirements-dev.lock", ["build", "cluster", "dev"]),
    ],
)
def test_a_lock_file_holds_what_the_project_asks_for(lock, extras):
    text = (FOLDER.parent / "pyproject.toml").read_text("utf-8")
    project = tomllib.loads(text)["project"]
    asked = [*project["dependencies"]]
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    locked = pins(lock)
    for each in map(Requirement, asked):
        if each.name != project["name"]:
            versions = locked[canonicalize_name(each.name)]
            assert all(each.specifier.contains(version) for version in versions), each


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_file_has_a_hash_for_every_package_and_no_address(lock):
    text = (FOLDER.parent / lock).read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-(-\w*url|-find-links|i\b|f\b)", text, re.MULTILINE)
    for package in re.split(r"\n(?=\w)", text):
        assert "==" not in package or "--hash=sha256:" in package


def test_the_image_holds_every_package_and_both_targets():
    text = (FOLDER / "Dockerfile").read_text("utf-8")
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text("utf-8"))
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert f"COPY {package} {package}\n" in text
    assert re.findall(r"^FROM \S+ AS (\w+)", text, re.MULTILINE) == ["base", "cpu", "gpu"]
    assert text.count("USER amnst") == 2


def test_the_documented_commands_create_the_login_of_the_units(tmp_path):
    (block,) = (b for b in documents.blocks("docs/operations/access.md") if "openssl" in b.text)
    etc = tmp_path / "amnst"
    subprocess.run(["bash", "-c", block.text.replace("/etc/amnst", str(etc))], check=True)
    file = etc / "amnst.env"
    values = dict(line.split("=", 1) for line in file.read_text("utf-8").splitlines())
    assert file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch("amnst:[0-9a-f]{48}", values["PREFECT_SERVER_API_AUTH_STRING"])
    assert values["PREFECT_API_AUTH_STRING"] == values["PREFECT_SERVER_API_AUTH_STRING"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_accepts_the_units(tmp_path):
    for unit in (FOLDER / "systemd").iterdir():
        # The programs are not installed there: what is checked is the rest.
        text = unit.read_text("utf-8").replace("/opt/amnst/bin/", "/bin/true ")
        name = unit.name.replace("@.", "@0.")
        (tmp_path / name).write_text(text, "utf-8")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", tmp_path / name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        ours = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
        assert not ours, done.stderr
