"""All errors that this library raises on purpose.

::

    NSTError            anything below; carries a stable ``code``
    +-- ConfigError     a parameter outside its range
    +-- AudioError      an audio file that cannot be used
    +-- DatasetError    a genre dataset that cannot train a classifier
    +-- ModelError      weights that are damaged, foreign or of another architecture
    +-- SignalError     an array that cannot be processed (NaN, empty, wrong shape)

The other packages add their own children: for storage, manifests and shards in ``tasks``, for
the Prefect server in ``flows`` and ``deployments``. A message names the thing, its value, the
rule and the way out.
"""

from pathlib import Path


class NSTError(Exception):
    """A failure with a cause that a user can act on.

    Parameters
    ----------
    message
        The problem: the thing, its value, the rule that it breaks and the way out.
    code
        Stable identifier for results.csv, such as ``"too_short"``.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive BaseException's own pickling,
        # and task runners move exceptions between processes.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[NSTError], args: tuple[object, ...], state: dict[str, object]) -> NSTError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(NSTError):
    """A parameter outside its range.

    Parameters
    ----------
    rule
        Only the rule, such as ``is outside 0..1``, for a report that already shows name and
        value; by default the whole message.
    """

    def __init__(self, message: str, *, rule: str = "", code: str = "bad_config") -> None:
        super().__init__(message, code=code)
        self.rule = rule or message


class AudioError(NSTError):
    """An audio file that cannot be used: its `path`, and the `reason`."""

    def __init__(self, code: str, path: str | Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}", code=code)
        self.path = str(path)
        self.reason = reason


class DatasetError(NSTError):
    """A genre dataset that cannot train a classifier."""


class ModelError(NSTError):
    """Classifier weights that are damaged, foreign or of another architecture."""


class SignalError(NSTError):
    """An array that cannot be processed."""

    def __init__(self, message: str, *, code: str = "bad_signal") -> None:
        super().__init__(message, code=code)
