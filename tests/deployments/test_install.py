"""The first command of a new user: what it installs, what it prints, and how it continues."""

import hashlib
import importlib.metadata
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import zipfile
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from hatchling.build import build_editable

from deployments.install import CONTENTS, read_lock
from tests.servers import PATIENCE_S

ROOT = Path(__file__).parents[2]
AWKWARD = "ä & b c"
FIRST_CALL = 16
NAMES = [f"package-{number:02}" for number in range(20)]


class Index:
    """Wheels, and the environment in which pip finds only these."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
            "PYTHONPATH": str(ROOT),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": folder.as_uri(),
        }

    def add(self, name):
        """Make a wheel; its line of a lock file."""
        module = name.replace("-", "_")
        info = f"{module}-1.0.dist-info"
        files = {
            f"{module}.py": "there = True\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files[f"{info}/RECORD"] = "".join(f"{each},,\n" for each in (*files, f"{info}/RECORD"))
        wheel = self.folder / f"{module}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        return f"{name}==1.0 \\\n    --hash=sha256:{digest}\n"

    @contextmanager
    def without(self, name):
        """Serve all packages but one, for a while."""
        wheel = self.folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
        hidden = wheel.rename(wheel.with_suffix(".hidden"))
        try:
            yield
        finally:
            hidden.rename(wheel)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return Index(tmp_path_factory.mktemp("index"))


@pytest.fixture(scope="module")
def lock(index, tmp_path_factory):
    """Twenty packages, and one for another system."""
    lines = [index.add(name) for name in NAMES]
    other = index.add("elsewhere").replace("1.0", "1.0 ; sys_platform == 'win32'", 1)
    file = tmp_path_factory.mktemp("lock") / "requirements.lock"
    file.write_text("# pins\n" + "".join([*lines, other]), "utf-8")
    return file


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A virtual environment with only pip, in a folder with an awkward name."""
    folder = tmp_path_factory.mktemp("empty") / AWKWARD
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=PATIENCE_S)
    return folder


class Environment:
    """A copy of the empty environment, and the packages installed there."""

    def __init__(self, folder, index):
        self.folder, self.index = folder, index

    @property
    def site(self):
        (found,) = self.folder.glob("lib/python*/site-packages")
        return found

    def command(self, lock):
        return [self.folder / "bin/python", "-m", "deployments.install", lock]

    def install(self, lock):
        return subprocess.run(
            self.command(lock), env=self.index.environment, capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    def names(self):
        found = importlib.metadata.distributions(path=[str(self.site)])
        return sorted({each.metadata["Name"] for each in found} & {*NAMES, "elsewhere"})


@pytest.fixture
def environment(empty, index, tmp_path):
    shutil.copytree(empty, tmp_path / AWKWARD, symlinks=True)
    return Environment(tmp_path / AWKWARD, index)


def test_an_installation_announces_its_size_and_shows_its_progress(environment, lock):
    done = environment.install(lock)
    assert done.returncode == 0, done.stdout
    first, *lines = done.stdout.splitlines()
    assert "20 packages" in first
    assert "MB to download" in first
    assert "MB on disk" in first
    assert " 0 of 20 packages; downloading package-00 to package-15" in lines[0]
    assert any(" 16 of 20 packages" in line for line in lines)
    assert lines[-1].endswith("20 of 20 packages; done")
    assert environment.names() == NAMES
    assert len(list(environment.site.glob("__pycache__/package_*.pyc"))) == len(NAMES)
    assert not (environment.folder / "install.tmp").exists()


def test_what_is_installed_is_not_installed_again(environment, lock):
    environment.install(lock)
    module = environment.site / "package_07.py"
    before = module.stat().st_mtime_ns
    done = environment.install(lock)
    assert done.returncode == 0
    assert "downloading" not in done.stdout
    assert module.stat().st_mtime_ns == before


def test_a_failed_installation_is_explained_and_the_same_command_continues(
    environment, lock, index
):
    last = NAMES[-1]
    with index.without(last):
        failed = environment.install(lock)
    assert failed.returncode != 0
    assert f"No matching distribution found for {last}==1.0" in failed.stdout
    assert "run the same command to continue" in failed.stdout
    assert environment.names() == NAMES[:FIRST_CALL]
    again = environment.install(lock)
    assert again.returncode == 0, again.stdout
    assert "installing what amnst needs to run: 4 packages" in again.stdout
    assert "package-00" not in again.stdout
    assert environment.names() == NAMES


def test_a_package_that_was_cut_off_is_installed_again(environment, lock):
    environment.install(lock)
    info = environment.site / "package_03-1.0.dist-info"
    (info / "RECORD").unlink()  # pip writes it last
    (environment.site / "package_03.py").unlink()
    done = environment.install(lock)
    assert "1 packages of" in done.stdout
    assert (environment.site / "package_03.py").is_file()
    assert (info / "RECORD").is_file()


def test_an_interrupted_installation_ends_pip_and_says_how_to_continue(environment, lock):
    silent = socket.create_server(("127.0.0.1", 0))  # an index that never answers, so pip waits
    slow = {
        **{k: v for k, v in environment.index.environment.items() if not k.startswith("PIP_")},
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/simple",
    }
    process = subprocess.Popen(
        environment.command(lock), env=slow, text=True,
        stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    with silent, process:
        assert "20 packages" in process.stdout.readline()
        assert "0 of 20" in process.stdout.readline()  # pip is running
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(60) == 130
    assert "run the same command to continue" in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody of its group is left
    assert environment.install(lock).returncode == 0
    assert environment.names() == NAMES


def test_a_package_with_other_content_is_refused(environment, lock, tmp_path):
    forged = tmp_path / "requirements.lock"
    text = lock.read_text("utf-8")
    at = text.index("sha256:") + len("sha256:")
    forged.write_text(text[:at] + "0" * 64 + text[at + 64 :], "utf-8")
    done = environment.install(forged)
    assert done.returncode != 0
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stdout
    assert environment.names() == []


def test_the_systems_own_python_is_left_alone(lock):
    command = [sys._base_executable, "-m", "deployments.install", lock]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not the Python of a virtual environment" in done.stdout


def dry_run(target, folder):
    """The commands of a target where nothing is installed."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder)
    return subprocess.run(
        ["make", "--dry-run", target], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("target", ["test", "test-faults", "check", "fmt", "bench", "bench-sound"])
def test_the_demo_installs_the_runtime_and_all_else_adds_the_tools(target, tmp_path):
    assert "requirements-dev.lock" not in dry_run("demo", tmp_path)
    assert "install requirements.lock" in dry_run("demo", tmp_path)
    commands = dry_run(target, tmp_path)
    assert commands.index("install requirements.lock") < commands.index("requirements-dev.lock")


def test_the_demo_starts_in_a_folder_with_a_space_an_umlaut_and_an_ampersand(tmp_path):
    folder = tmp_path / AWKWARD
    bin_folder = folder / ".venv/bin"
    bin_folder.mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, folder)
    amnst = bin_folder / "amnst"  # prints its environment and arguments
    amnst.write_text('#!/bin/sh\necho "home=$PREFECT_HOME" "$@"\n')
    amnst.chmod(0o755)
    for installed in (".runtime", ".tools", ".ready"):
        (folder / ".venv" / installed).touch()
    done = subprocess.run(["make", "demo"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"home={folder}/demo/prefect demo demo\n" in done.stdout


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "there-is-no-such-locale"])
def test_python_starts_in_any_locale_from_any_path(locale, tmp_path, monkeypatch):
    checkout, site = tmp_path / AWKWARD, tmp_path / "site"
    packages = ("nst_core", "tasks", "flows", "deployments")
    for name in ("pyproject.toml", "README.md", "LICENSE", *(f"{p}/__init__.py" for p in packages)):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    monkeypatch.chdir(checkout)
    with zipfile.ZipFile(tmp_path / build_editable(str(tmp_path))) as wheel:
        wheel.extractall(site)
    # As the interpreter does when it starts, before anything could be caught.
    code = f"""
import site, sys
sys.path = [{str(site)!r}, *sys.path, {sysconfig.get_paths()["purelib"]!r}]
site.addsitedir({str(site)!r})
import flows
assert flows.__file__ == {str(checkout / "flows/__init__.py")!r}, flows.__file__
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "LC_ALL": locale}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("lock", list(CONTENTS))
def test_the_announced_size_is_the_real_one(lock):
    pins = read_lock(ROOT / lock)
    if not all(pin.is_installed() for pin in pins):
        pytest.skip("this environment holds other packages than the lock file")
    if lock != "requirements.lock":
        runtime = {pin.requirement.name for pin in read_lock(ROOT / "requirements.lock")}
        pins = [pin for pin in pins if pin.requirement.name not in runtime]
    n_bytes = sum(disk_bytes(pin.requirement.name) for pin in pins)
    _, _, announced_mb = CONTENTS[lock]
    assert n_bytes / 1e6 == pytest.approx(announced_mb, rel=0.15)


def disk_bytes(name):
    """Bytes of a package's files, and of what they are compiled to."""
    files = {Path(each.locate()) for each in importlib.metadata.distribution(name).files}
    files |= {Path(cache_from_source(path)) for path in files if path.suffix == ".py"}
    return sum(path.stat().st_size for path in files if path.is_file())
