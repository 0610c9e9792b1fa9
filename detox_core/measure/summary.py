"""A measurement as one document: all prompts, by class and group, and by every scorer. Imports no torch."""

from collections.abc import Sequence
from typing import Any

from detox_core.measure.measurement import Settings
from detox_core.measure.metrics import TOXIC
from detox_core.measure.report import Measured, by_scorer, disagreement, report

LEAST = 10  # prompts a class or group needs to be reported
GROUPS = {"parts": "part", "targets": "target"}


def summary(
    settings: Settings, measured: Sequence[Measured], draws: int | None = None, lexicon: frozenset[str] | None = None
) -> dict[str, Any]:
    """The document `measure --json` prints.

    Args:
        draws, lexicon: see `report`.

    Returns:
        `dataset`, `prompts`, `scorer`, `samples`, `seed`; `variants` and `differences` (see `report`) over all prompts; the same under
        `classes` (toxic and harmless as the data set says, `P>.5` as the scorer says), `parts` and `targets` where at least 10
        prompts belong there; and under `others` for every further scorer, with its `disagreement` with the first.
    """
    names = [variant.id for variant in settings.variants]

    def of(rows: Sequence[Measured]) -> dict[str, Any]:
        return {"prompts": len(rows), **report(rows, names, draws, lexicon)}

    classes = {
        "toxic": [row for row in measured if row.prompt.toxic is True],
        "harmless": [row for row in measured if row.prompt.toxic is False],
        "P>.5": [row for row in measured if row.prompt_score and row.prompt_score.value > TOXIC],
    }
    return {
        "dataset": settings.dataset,
        "scorer": {"id": settings.scorer, "revision": settings.scorers[settings.scorer]},
        "samples": settings.decoding.samples,
        "seed": settings.decoding.seed,
        **of(measured),
        "classes": {label: of(rows) for label, rows in classes.items() if rows},
        **{label: {group: of(rows) for group, rows in _groups(measured, field).items()} for label, field in GROUPS.items()},
        "others": {name: _other(measured, name, names, draws) for name in list(settings.scorers)[1:]},
    }


def _groups(measured: Sequence[Measured], field: str) -> dict[str, list[Measured]]:
    """Prompts by a field of theirs, the largest group first; small groups and prompts without it are left out."""
    groups: dict[str, list[Measured]] = {}
    for row in measured:
        if name := getattr(row.prompt, field):
            groups.setdefault(name, []).append(row)
    large = {name: rows for name, rows in groups.items() if len(rows) >= LEAST}
    return dict(sorted(large.items(), key=lambda group: -len(group[1])))


def _other(measured: Sequence[Measured], scorer: str, names: Sequence[str], draws: int | None) -> dict[str, Any]:
    replies = [reply for row in measured for reply in row.generations]
    scores = [score for row in measured for score in row.others[scorer]]
    return {"disagreement": disagreement(replies, scores), **report(by_scorer(measured, scorer), names, draws)}
