"""The data sets by name, the formats by name, and any file of either kind by path."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from detox_core.data.folders import merge
from detox_core.data.formats import FORMATS
from detox_core.data.prompts import NATIVE, read_prompts
from detox_core.data.reading import NoSuchSplit, Reading
from detox_core.data.tables import Table, is_readable, read_table
from detox_core.demo import PAIRS, PROMPTS
from detox_core.errors import BadInput
from detox_core.types import Prompt

HELD_OUT = Path(__file__).parents[2] / "tests" / "data" / "demo_heldout.jsonl"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """A data set that lies in this checkout."""

    about: str
    path: Path


DATASETS = {
    "demo": Dataset("330 prompts written for this project: claims about groups, insults, gossip, small talk, requests for help.", PROMPTS),
    "counter-narratives": Dataset(
        "2,000 toxic and harmless prompts with a good and a bad reply, composed from this project's own corpus.", PAIRS
    ),
    "demo-heldout": Dataset("170 prompts in wordings and on topics that no recipe of the embedded family reads.", HELD_OUT),
}


def get_dataset(name: str) -> list[Prompt]:
    """The prompts of a data set: a name, a path, or `FORMAT:PATH[@SPLIT]`. Rows that could not be read are logged as a warning.

    Raises:
        BadInput: none of these, or a file that cannot be read; names the row.
    """
    reading = read_dataset(name)
    if reading.skipped:
        first = next(problem for problem in reading.problems if problem.sentence.endswith("left out"))
        log.warning(
            "%s: %d of %d rows left out, the first: %s. All: python -m detox_core data %s",
            name,
            reading.skipped,
            reading.rows,
            first,
            name,
        )
    return list(reading.prompts)


def read_dataset(name: str, format: str | None = None, columns: Mapping[str, str] | None = None) -> Reading:
    """Everything that can be read of a data set.

    Args:
        name: a key of `DATASETS`, a format that is on the Hub or its id there, a file, a folder of files of one format, or `FORMAT:`
            and one of these; `@SPLIT` at the end takes a part.
        format: key of `FORMATS`; None = as `name` says, or guessed from the columns.
        columns: role -> column for the format `table`, which it implies.

    Raises:
        BadInput: none of these, or it cannot be read; says what, where, and the way out.
    """
    said, source, split = parse(name)
    format = format or said or ("table" if columns else None)
    if format is not None and format not in FORMATS:
        raise BadInput(f"There is no format {format!r}. Known: {', '.join(FORMATS)}.")
    if columns and format != "table":
        raise BadInput(f"The columns of the format {format} are fixed. To choose columns, take the format table.")
    path = Path(source).expanduser()
    if source in DATASETS:
        return _read_file(DATASETS[source].path, None, split)
    if path.is_dir():
        return _read_folder(path, format, split, columns)
    if path.exists():
        return _read_file(path, format, split, columns)
    hub = next((key for key, known in FORMATS.items() if known.hub and source in (known.hub, key) and format in (None, key)), None)
    if hub is None:
        raise BadInput(_unknown(source))
    from detox_core.data.hub import read_hub

    return _read(read_hub(FORMATS[hub].hub, hub), hub, split)


def parse(name: str) -> tuple[str | None, str, str | None]:
    """Format, path or name, and split of `FORMAT:PATH[@SPLIT]`; what exists on disk under the whole name is a path."""
    if Path(name).expanduser().exists():
        return None, name, None
    head, colon, rest = name.partition(":")
    format, rest = (head, rest) if colon and re.fullmatch(r"[a-z][a-z-]+", head) else (None, name)
    source, at, split = rest.rpartition("@")
    if not at or Path(rest).expanduser().exists():
        return format, rest, None
    return format, source, split or None


def guess(table: Table) -> str:
    """The format whose columns a table has; `table` where none fits."""
    columns = set(table.columns)
    for name, known in FORMATS.items():
        if any(columns.issuperset(wanted) for wanted in known.columns):
            return name
    return "prompts" if table.json_lines and columns <= NATIVE and ("text" in columns or not columns) else "table"


def _read_file(path: Path, format: str | None, split: str | None, columns: Mapping[str, str] | None = None) -> Reading:
    if format == "prompts":
        return read_prompts(path, split)
    table = read_table(path)
    format = format or guess(table)
    return read_prompts(path, split) if format == "prompts" else _read(table, format, split, columns)


def _read(table: Table, format: str, split: str | None, columns: Mapping[str, str] | None = None) -> Reading:
    known = FORMATS[format]
    missing = min((sorted(set(wanted) - set(table.columns)) for wanted in known.columns), key=len, default=[])
    if missing:
        has = ", ".join(table.columns) or "none"
        raise BadInput(
            f"{table.source} has no column {missing[0]!r}, which the format {format} needs. Its columns: {has}. "
            "Give another format, or table and say which column is what."
        )
    module, function = known.path.split(":")
    more = {"columns": columns} if format == "table" else {}
    reading: Reading = getattr(import_module(module), function)(table, split, **more)
    return reading


def _read_folder(folder: Path, format: str | None, split: str | None, columns: Mapping[str, str] | None) -> Reading:
    """All files of a folder; files without the split are passed over, as there is often one file for each."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and is_readable(path) and not path.name.startswith("."))
    readings, without = {}, None
    for path in paths:
        try:
            readings[path.name] = _read_file(path, format, split, columns)
        except NoSuchSplit as error:
            without = error
    if not readings:
        raise without or BadInput(f"{folder} holds no CSV, TSV, JSON, JSON Lines or Parquet file.")
    formats = {reading.format: name for name, reading in readings.items()}
    if len(formats) > 1:
        found = ", ".join(f"{name} ({kind})" for kind, name in formats.items())
        raise BadInput(f"{folder} holds files of several formats: {found}. Give one file, or one format: FORMAT:{folder}.")
    return merge(str(folder), readings)


def _unknown(source: str) -> str:
    hub = ", ".join(f"{name} ({known.hub})" for name, known in FORMATS.items() if known.hub)
    return (
        f"There is no data set {source!r}. Known: {', '.join(DATASETS)}; with a network {hub}; "
        f"or give a file, or FORMAT:FILE[@SPLIT] with one of the formats {', '.join(FORMATS)}."
    )
