"""Problems of a manifest, cell by cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nst_core.errors import NSTError

MAX_MESSAGES = 100


@dataclass(frozen=True)
class RowProblem:
    """A cell that breaks a rule; `column` is empty when the problem is not in a single cell.

    `given` contains the row's inputs and own columns as the file has them, as far as known.
    """

    line: int
    id: str
    column: str
    value: str
    rule: str
    code: str
    given: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        value = self.value if len(self.value) <= 200 else f"{self.value[:197]}..."
        cell = (f', column "{self.column}"' if self.column else "") + (
            f', value "{value}"' if value else ""
        )
        return f"line {self.line}{cell}: {self.rule}"


class ManifestError(NSTError):
    """A manifest that must not be rendered; `problems` lists the cells that break a rule."""

    def __init__(
        self, message: str, *, code: str = "bad_manifest", problems: Sequence[RowProblem] = ()
    ) -> None:
        super().__init__(message, code=code)
        self.problems = tuple(problems)


def refusal(problems: Sequence[RowProblem], source: str = "") -> ManifestError:
    """Return the error that lists the first hundred problems of the file `source`."""
    lines = [
        f"{source}: {problem}" if source else str(problem) for problem in problems[:MAX_MESSAGES]
    ]
    if len(problems) > MAX_MESSAGES:
        lines.append(f"and {len(problems) - MAX_MESSAGES} more")
    codes = {problem.code for problem in problems}
    code = codes.pop() if len(codes) == 1 else "bad_manifest"
    return ManifestError("\n".join(lines), code=code, problems=problems)
