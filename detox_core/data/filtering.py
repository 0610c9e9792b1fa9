"""Keep the rows of a data set below a score, or only those above it: the toxicity filter and the inverse filter of Longpre et al. 2023
("A Pretrainer's Guide to Training Data"). Imports no torch."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from detox_core.data.reading import Pair, Reading
from detox_core.errors import BadInput
from detox_core.models.variants import cache_folder
from detox_core.types import Prompt

SIDES = {"prompt": "the prompt", "reply": "the reply"}
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,60}")
Row = Prompt | Pair


def rows_of(reading: Reading, side: str) -> tuple[Row, ...]:
    """What a filter keeps or drops: prompts, or pairs for replies.

    Raises:
        BadInput: replies are wanted and the data set has none.
    """
    if side == "prompt":
        return reading.pairs or reading.prompts
    if not reading.pairs:
        raise BadInput(f"{reading.source} has no replies to filter by. Filter by the prompt.")
    return reading.pairs


def text_of(row: Row, side: str) -> str:
    """The text that is scored."""
    if isinstance(row, Pair):
        return row.prompt if side == "prompt" else row.reply
    return row.text


def keep(scores: Sequence[float], threshold: float, inverse: bool = False) -> list[bool]:
    """Which rows stay: those at or below the threshold, inverse those above it. Unscored ones (NaN) never stay."""
    return [score > threshold if inverse else score <= threshold for score in scores]


def boundary(scores: Sequence[float], threshold: float, count: int = 5) -> list[int]:
    """Rows on both sides nearest to the threshold, lowest score first: where it decides."""
    known = sorted((score, index) for index, score in enumerate(scores) if score == score)
    below = [pair for pair in known if pair[0] <= threshold][-count:]
    above = [pair for pair in known if pair[0] > threshold][:count]
    return [index for _, index in (*below, *above)]


def save_rows(name: str, rows: Sequence[Row], scores: Sequence[float], made: Mapping[str, Any]) -> Path:
    """Write rows as a data set of this computer, one JSON object a line, with how it was made beside it.

    Raises:
        BadInput: nothing is kept, the name is not plain, or it is taken.
    """
    if not rows:
        raise BadInput("The filter keeps nothing. Move the threshold.")
    if not NAME.fullmatch(name):
        raise BadInput(f"{name!r} cannot be a name. Use small letters, digits, '-', '_' and '.'.")
    path = saved_folder() / f"{name}.jsonl"
    if path.exists():
        raise BadInput(f"There is a data set {name!r} already. Choose another name.")
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [{**_plain(row), "score": round(score, 4)} for row, score in zip(rows, scores, strict=True)]
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in written), encoding="utf-8")
    path.with_suffix(".made.json").write_text(json.dumps({**made, "rows": len(rows)}, indent=1), encoding="utf-8")
    temporary.replace(path)
    return path


def saved_folder() -> Path:
    """Where filtered and uploaded data sets of this computer lie."""
    return cache_folder() / "datasets"


def saved() -> list[Path]:
    """Data sets of this computer."""
    return sorted(path for path in saved_folder().glob("*") if path.is_file() and not path.name.endswith((".made.json", ".tmp")))


def _plain(row: Row) -> dict[str, Any]:
    if isinstance(row, Prompt):
        return {key: value for key, value in asdict(row).items() if value not in (None, "")}
    fields = {"id": row.id, "text": row.prompt, "reply": row.reply, "rejected": row.rejected, "target": row.target}
    return {key: value for key, value in fields.items() if value}
