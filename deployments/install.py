"""``python -m deployments.install LOCK``: install what a lock file pins into this Python.

On its own pip says nothing for minutes, or writes hundreds of lines. This program gives it a few
packages at a time and prints its progress every few seconds. Installed packages stay even if a
later one fails, so the same command continues from there. It needs only the standard library and
pip.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# Every environment has pip, and pip itself reads markers with this class.
from pip._vendor.packaging.requirements import Requirement

_PER_CALL = 16
"""Packages per call of pip: an interruption loses at most these."""
_ALONE = "tensorflow"
"""Package that gets the first call for itself: it has two thirds of all bytes."""
_LINE_S, _REDRAWN_S = 5.0, 0.5
_USAGE, _INTERRUPTED = 2, 130
_PIP = (
    *(sys.executable, "-m", "pip", "install", "--no-input", "--no-deps", "--require-hashes"),
    *("--no-compile", "--progress-bar", "off", "--disable-pip-version-check"),
)
# Compile at the end and on all cores; pip would use one core. Without this step, and with
# PYTHONDONTWRITEBYTECODE set, nothing would ever be compiled, and every process would start seconds
# later.
_COMPILE = (sys.executable, "-W", "ignore", "-m", "compileall", "-j", "0")

CONTENTS = {
    "requirements.lock": ("what amnst needs to run", 920, 3200),
    "requirements-dev.lock": ("the tools for tests, checks and documentation", 165, 505),
}
"""Purpose of each lock file, and the megabytes that it adds to the download and on disk.

Measured on Linux with an x86-64 processor. `tests/deployments/test_install.py` checks the last.
"""


@dataclass(frozen=True)
class Pin:
    """Package of a lock file: its name, version and marker, and its lines with the hashes."""

    requirement: Requirement
    text: str

    def is_installed(self) -> bool:
        """Return whether exactly this version is installed."""
        try:
            found = version(self.requirement.name)
        except PackageNotFoundError:
            return False
        return self.requirement.specifier.contains(found, prereleases=True)


def read_lock(lock: Path) -> list[Pin]:
    """Return what a lock file pins for this Python and this system."""
    texts = re.findall(r"^\w.*\n(?:[ \t].*\n)*", lock.read_text("utf-8"), re.MULTILINE)
    pins = [Pin(Requirement(text.partition("\\\n")[0].strip()), text) for text in texts]
    return [pin for pin in pins if not (marker := pin.requirement.marker) or marker.evaluate()]


class Installation:
    """Installation of a lock file's packages into the environment.

    Parameters
    ----------
    pins
        All packages of the lock file.
    folder
        Folder for ``install.log``, the output of pip's last call.
    """

    def __init__(self, pins: Sequence[Pin], folder: Path) -> None:
        self._site = Path(sysconfig.get_paths()["purelib"])
        self._remove_remains()
        self.missing = [pin for pin in pins if not pin.is_installed()]
        self._n_pins, self._n_installed = len(pins), len(pins) - len(self.missing)
        self.log = folder / "install.log"
        self._scratch = folder / "install.tmp"  # not in /tmp, which is memory on many machines
        self._redraws = sys.stdout.isatty()
        self._began = time.monotonic()

    def _remove_remains(self) -> None:
        """Remove traces of interrupted installations: pip writes RECORD last."""
        for info in self._site.glob("*.dist-info"):
            if not (info / "RECORD").exists():
                shutil.rmtree(info)

    def run(self) -> int:
        """Install what is missing; stop where pip fails, and return its exit code."""
        shutil.rmtree(self._scratch, ignore_errors=True)  # of a run that was killed
        self._scratch.mkdir()
        try:
            for pins in self._steps():
                if code := self._run_pip(pins):
                    return code
                self._n_installed += len(pins)
            # Ignore its exit code: a library may contain files for another Python version.
            self._run([*_COMPILE, self._site], self._compiling)
            self._show("done")
            return 0
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
            if self._redraws:
                say("")

    def _steps(self) -> Iterator[Sequence[Pin]]:
        """Yield the missing packages in groups, one for each call of pip."""
        others = [pin for pin in self.missing if pin.requirement.name != _ALONE]
        if len(others) < len(self.missing):
            yield [pin for pin in self.missing if pin not in others]
        for first in range(0, len(others), _PER_CALL):
            yield others[first : first + _PER_CALL]

    def _run_pip(self, pins: Sequence[Pin]) -> int:
        chosen = self._scratch / "chosen.lock"
        chosen.write_text("".join(pin.text for pin in pins), "utf-8")
        names = [pin.requirement.name for pin in pins]
        what = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        return self._run([*_PIP, "--requirement", chosen], lambda: self._installing(what))

    def _run(self, command: Sequence[str | Path], doing: Callable[[], str]) -> int:
        """Run a program to its end and keep showing its progress."""
        with self.log.open("wb") as log:
            process = subprocess.Popen(  # noqa: S603  # of this Python
                command,
                env={**os.environ, "TMPDIR": str(self._scratch)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            while True:
                self._show(doing())
                with suppress(subprocess.TimeoutExpired):
                    return process.wait(_REDRAWN_S if self._redraws else _LINE_S)
        finally:
            process.terminate()  # if we are interrupted; the next run removes the remains
            process.wait()

    def _installing(self, what: str) -> str:
        """Return what pip is doing, judged by its output and its files."""
        said = self.said()
        if said[-1].startswith("WARNING: Retrying"):  # a server that does not answer
            return said[-1]
        if any(line.startswith("Installing collected packages") for line in said):
            return f"unpacking {what}"
        return f"downloading {what}, {self._downloaded_mb():.0f} MB"

    def _compiling(self) -> str:
        n_files = sum(line.startswith("Compiling") for line in self.said())
        return f"compiling their Python files, {n_files}"

    def _show(self, doing: str) -> None:
        seconds = time.monotonic() - self._began
        line = f"{seconds:5.0f} s  {self._n_installed} of {self._n_pins} packages; {doing}"
        if self._redraws:
            line = "\r\033[K" + line[: shutil.get_terminal_size().columns - 1]
        say(line, end="" if self._redraws else "\n")

    def _downloaded_mb(self) -> float:
        """Return the megabytes that pip has downloaded and not yet installed."""
        n_bytes = 0
        for folder, _, names in os.walk(self._scratch):
            for name in names if "pip-unpack" in folder else ():  # the others are copies
                with suppress(FileNotFoundError):  # pip has just moved it
                    n_bytes += Path(folder, name).stat().st_size
        return n_bytes / 1e6

    def said(self) -> list[str]:
        """Return the output lines of the current or last program."""
        return self.log.read_text("utf-8", "replace").splitlines() or [""]


def say(text: str, *, end: str = "\n") -> None:
    """Write to the terminal, or to CI's log, at once."""
    sys.stdout.write(text + end)
    sys.stdout.flush()


def main(lock: Path) -> int:
    """Install what a lock file pins, show the progress, and return the exit code."""
    if sys.prefix == sys.base_prefix:
        say(f"{sys.executable} is not the Python of a virtual environment; `make demo` creates one")
        return _USAGE
    installation = Installation(read_lock(lock), Path(sys.prefix))
    purpose, download_mb, disk_mb = CONTENTS[lock.name]
    if n_missing := len(installation.missing):
        say(
            f"installing {purpose}: {n_missing} packages of {lock}, "
            f"about {download_mb} MB to download and {disk_mb} MB on disk"
        )
    try:
        code = installation.run()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    else:
        if code:
            errors = [line for line in installation.said() if line.startswith("ERROR")]
            say("\n".join(errors or installation.said()[-5:]))
    if code:
        say(
            "not everything is installed; run the same command to continue. "
            f"The output of pip is in {installation.log}"
        )
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
