"""What the figures of a result mean, in words."""

from collections.abc import Mapping

from nst_core.config.gates import GATES

_ALIKE = "its inputs are too alike to tell how much of the tune is left"
_TUNE = ((0.7, "the tune is clear"), (GATES["content"], "the tune is there"),
         (0.35, "the tune is faint"))  # fmt: skip
_GRAIN = ((0.75, "it is full of the ambience's texture"),
          (GATES["texture"], "it has the ambience's texture"),
          (0.3, "it has a little of the ambience's texture"))  # fmt: skip
_IDENTITY = ((0.5, "it sounds like the ambience"),
             (0.25, "it sounds partly like the ambience"))  # fmt: skip


def in_words(figures: Mapping[str, float | None], strength: float) -> str:
    """Say what a listener can expect of a result.

    Parameters
    ----------
    figures
        Those of `nst_core.metrics.scores.Metrics`; content and identity are None if the inputs
        are alike.
    strength
        Of the result, 0 to 1: below 1, part of the music itself is meant to remain.
    """
    if strength == 0:
        return "this is the music itself"
    told = [_tune(figures), _grain(figures), _identity(figures), _carrier(figures, strength)]
    return "; ".join(each for each in told if each)


AS_MEANT = "as meant"


def verdict(figures: Mapping[str, float | None], strength: float) -> str:
    """Return `AS_MEANT`, or `doubt` about a result."""
    return doubt(figures, strength) or AS_MEANT


def doubt(figures: Mapping[str, float | None], strength: float) -> str:
    """Say what about a result is not as its strength asks; empty if it sounds as meant.

    The tune must be there, and the ambience's texture as far as the strength asks. Only at
    strength 1 must nothing of the music itself remain.
    """
    if strength == 0:
        return ""
    if not _reaches(figures, "content", GATES["content"]):
        return _tune(figures)
    if not _reaches(figures, "texture", GATES["texture"] * strength):
        return _grain(figures)
    return "" if strength < 1 or _is_new(figures) else _carrier(figures, strength)


def _reaches(figures: Mapping[str, float | None], name: str, least: float) -> bool:
    value = figures[name]
    return value is not None and value >= least


def _tune(figures: Mapping[str, float | None]) -> str:
    if figures["content"] is None:
        return _ALIKE
    return _first(_TUNE, figures["content"], "the tune is lost")


def _grain(figures: Mapping[str, float | None]) -> str:
    return _first(_GRAIN, figures["texture"], "it has hardly any of the ambience's texture")


def _identity(figures: Mapping[str, float | None]) -> str:
    value = figures.get("identity")
    if value is None:
        return ""
    return _first(_IDENTITY, value, "it sounds like the music's own instruments")


def _is_new(figures: Mapping[str, float | None]) -> bool:
    return all(_reaches(figures, name, GATES[name]) for name in ("carrier_db", "follow"))


def _first(steps: tuple[tuple[float, str], ...], value: float | None, otherwise: str) -> str:
    known = float("nan") if value is None else value
    return next((words for least, words in steps if known >= least), otherwise)


def _carrier(figures: Mapping[str, float | None], strength: float) -> str:
    if _is_new(figures):
        return "it is more than a mix of the two"
    if strength < 1:
        return f"part of the music itself remains, as expected at a strength of {strength:g}"
    return "it is close to a mix of the two"
