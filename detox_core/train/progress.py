"""The files in which a training run tells how it goes. Standard library only."""

import json
from pathlib import Path
from typing import Any

ADAPTER, METRICS, PROBED, WARNED = "adapter", "metrics.jsonl", "probes.jsonl", "warnings.jsonl"  # in the folder of a run


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Add one dictionary as a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Metrics or probes of a run, one dictionary a line; a line that is being written is left out. After a resume the last word on a
    step counts."""
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1] if line]
    return sorted({row["step"]: row for row in rows}.values(), key=lambda row: row["step"])
