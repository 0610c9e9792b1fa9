"""The command `data`: what is in a file of prompts, before anything is measured on it."""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from detox_core.errors import BadInput

SHOWN = 10  # problems printed; --json has all
WIDTH = 120


def add_commands(command: Callable[[str, Any], argparse.ArgumentParser]) -> None:
    """Register the command with the parser of `cli.py`."""
    sub = command("data", run_data)
    sub.add_argument(
        "source", nargs="?", help="a name, a file or folder, or FORMAT:PATH[@SPLIT]; without it, the names and formats are listed"
    )
    sub.add_argument("--format", help="how to read it (default: recognised by its columns)")
    sub.add_argument(
        "--column", action="append", default=[], metavar="ROLE=COLUMN", help="text, reply, rejected, toxic, target, id or split; repeatable"
    )


def run_data(options: argparse.Namespace) -> tuple[dict, str]:
    """What is in a data set: rows, prompts, splits, problems, three samples."""
    from detox_core.data import read_dataset

    if options.source is None:
        return _list()
    columns = dict(part.split("=", 1) if "=" in part else _no_role(part) for part in options.column)
    reading = read_dataset(options.source, options.format, columns)
    result = {
        "source": reading.source,
        "format": reading.format,
        **reading.counts,
        "columns": dict(reading.columns),
        "splits": reading.parts,
        "problems": [asdict(problem) for problem in reading.problems],
        "samples": reading.preview(),
    }
    lines = [
        f"{reading.source}, read as {reading.format}",
        ", ".join(f"{number} {what.replace('_', ' ')}" for what, number in reading.counts.items()),
    ]
    if reading.columns:
        lines.append("columns: " + ", ".join(f"{role}={column}" for role, column in reading.columns.items()))
    if reading.parts:
        lines.append("splits: " + ", ".join(f"{part} ({number})" for part, number in list(reading.parts.items())[:20]))
    lines += [f"  {problem}" for problem in reading.problems[:SHOWN]]
    if len(reading.problems) > SHOWN:
        lines.append(f"  and {len(reading.problems) - SHOWN} more problems (--json shows all)")
    return result, "\n".join([*lines, *(_sample(row) for row in reading.preview())])


def _no_role(part: str) -> tuple[str, str]:
    raise BadInput(f"--column {part!r} is not ROLE=COLUMN, for example text=comment.")


def _sample(row: dict[str, Any]) -> str:
    label = {True: "toxic", False: "harmless", None: "no label"}[row["toxic"]]
    text = " ".join(row["text"].split())
    reply = "" if row["reply"] is None else "\n    -> " + " ".join(row["reply"].split())[:WIDTH]
    return f"[{', '.join(part for part in (row['id'], label, row['part'], row['target']) if part)}] {text[:WIDTH]}{reply}"


def _list() -> tuple[dict, str]:
    from detox_core.data import DATASETS, FORMATS

    names = {name: {"about": known.about} for name, known in DATASETS.items()}
    formats = {name: {"about": known.about, "licence": known.licence, "hub": known.hub or None} for name, known in FORMATS.items()}
    lines = [f"{name:<13} {known['about']}" for name, known in names.items()]
    lines += [f"{name + ':PATH':<16} {known['about']} [{known['licence']}]" for name, known in formats.items()]
    return {"datasets": names, "formats": formats}, "\n".join(lines)
