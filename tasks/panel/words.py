"""Result of a listening test as text and as JSON."""

import json
from typing import Any

from nst_core.metrics.ratings import Mean
from tasks.panel.scoring import Comparison, Counted, PanelResult


def as_text(result: PanelResult) -> str:
    """Return tables for a terminal."""
    n_out = len({each.listener for each in result.left_out})
    lines = [
        f"{_counted(len(result.key.pairs), 'pair')}, {_counted(len(result.listeners), 'listener')}"
        + (f", {n_out} left out" if n_out else "")
    ]
    lines += [
        f"left out: {each.listener}: rated the hidden reference below 90 in {each.n_missed} of "
        f"{_counted(each.n_pairs, 'pair')}: {each.question.title}"
        for each in result.left_out
    ]
    if not result.listeners:
        lines.append("nobody is left, so there is nothing to count; ask more listeners")
    for counted in result.questions:
        lines += ["", *_table(counted, result.key.conditions)]
    if result.listeners:
        lines += [
            "",
            "Ratings go from 0 (bad) to 100 (excellent); a listener's mean is one value.",
            "p: Wilcoxon's signed-rank test; corrected: by Holm, for all tests of a question.",
        ]
    if 0 < len(result.listeners) < 6:
        lines.append("With fewer than six listeners, no p value can be below 0.05.")
    return "\n".join(lines) + "\n"


def _counted(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _table(counted: Counted, titles: dict[str, str]) -> list[str]:
    rows = sorted(counted.conditions, key=lambda each: -each.mean.mean)
    width = max(map(len, titles.values()))
    head = [counted.question.title, f"  {'':{width}}   mean   95 % interval"]
    means = [
        f"  {titles[each.name]:{width}}  {each.mean.mean:5.1f}   {_interval(each.mean)}"
        for each in rows
    ]
    return [*head, *means, *(_compared(each, titles) for each in counted.comparisons)]


def _compared(each: Comparison, titles: dict[str, str]) -> str:
    return (
        f"  {titles[each.ours]} minus {titles[each.other]}: {each.difference.mean:+.1f} "
        f"({_interval(each.difference)}), p {each.p:.3g}, corrected {each.corrected_p:.3g}"
    )


def _interval(mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return "one listener"
    return f"{mean.low:.1f} to {mean.high:.1f}"


def as_json(result: PanelResult) -> str:
    """Return the same as one JSON object, with each pair's means."""
    value: dict[str, Any] = {
        "panel": result.key.panel,
        "algorithm_version": result.key.algorithm_version,
        "n_pairs": len(result.key.pairs),
        "listeners": list(result.listeners),
        "left_out": [
            {
                "listener": each.listener,
                "question": each.question.name,
                "n_missed": each.n_missed,
                "n_pairs": each.n_pairs,
            }
            for each in result.left_out
        ],
        "questions": {
            counted.question.name: {
                "conditions": {
                    each.name: {**each.mean._asdict(), "pairs": each.of_pairs}
                    for each in counted.conditions
                },
                "comparisons": [
                    {
                        "ours": each.ours,
                        "other": each.other,
                        **each.difference._asdict(),
                        "p": each.p,
                        "corrected_p": each.corrected_p,
                    }
                    for each in counted.comparisons
                ],
            }
            for counted in result.questions
        },
    }
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
