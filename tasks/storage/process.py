"""Identify a process, so that other processes on its machine can see whether it has ended."""

import contextlib
import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process on a machine.

    Attributes
    ----------
    pid
        Process id, which another process may get later.
    birth
        Start time in clock ticks of the machine; empty if unknown.
    machine
        Boot and PID namespace in which the id is unique.
    """

    pid: int
    birth: str
    machine: str

    def is_here(self) -> bool:
        """Return whether it runs on this machine, and not in another container."""
        return self.machine == _machine() and not self.has_ended()

    def has_ended(self) -> bool:
        """Return whether it has certainly ended; always False for other machines."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            pass  # another user's
        state, birth = _state(self.pid)
        return state in {"Z", "X"} or bool(birth and self.birth and birth != self.birth)


def this_process() -> Process:
    """Return the current process."""
    return Process(pid=os.getpid(), birth=_state(os.getpid())[1], machine=_machine())


def _state(pid: int) -> tuple[str, str]:
    """Return the letter of a process's state and its start time; empty if /proc has none."""
    with contextlib.suppress(OSError, IndexError):
        # The second field is the program's name, which may contain spaces and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    return "", ""


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116  # a link to no file
    except OSError:
        return socket.gethostname()
