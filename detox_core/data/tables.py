"""Files as numbered rows: CSV, TSV, JSON, JSON Lines and Parquet, gzip or not, with the traps of files found in the wild."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from detox_core.errors import BadInput

Row = tuple[int, dict[str, Any]]
LFS = b"version https://git-lfs.github.com/spec/"
GZIP, PARQUET, ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
DELIMITERS, NONE = ",;\t", "\x1f"
LONGEST_CELL = 2**24  # characters; the module's own limit of 2**17 refuses long documents


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a row, or with the whole file where `row` is None.

    Attributes:
        row: as a spreadsheet counts for CSV and TSV (the header is row 1), the line for JSON Lines, else the position from 1.
        file: set where several files were read together.
    """

    row: int | None
    sentence: str
    file: str = ""

    def __str__(self) -> str:
        where = " ".join(([self.file] if self.file else []) + ([f"row {self.row}"] if self.row else []))
        return f"{where or 'the file'} {self.sentence}"


@dataclass(frozen=True)
class Table:
    """Rows of one file.

    Attributes:
        source: path or Hub id, for messages.
        columns: in order of first appearance.
        rows: number and cells; cells of CSV and TSV are text, those of the others any JSON value.
        broken: rows that could not be read; each has a problem.
        json_lines: whether the file is JSON Lines.
    """

    source: str
    columns: tuple[str, ...]
    rows: list[Row]
    problems: list[Problem] = field(default_factory=list)
    broken: int = 0
    json_lines: bool = False


def read_table(path: Path) -> Table:
    """The rows of a file; its format is taken from its ending.

    Raises:
        BadInput: missing, empty, damaged, a Git LFS pointer, an archive, an unknown ending, or not text; says which and the way out.
    """
    data = _content(path)
    ending = _ending(path)
    if data.startswith(PARQUET):
        return _parquet(path, data)
    if ending not in READERS:
        raise BadInput(f"{path} ends in {ending or 'nothing'!r}; readable are {', '.join(READERS)} and .parquet, each also as .gz.")
    text, problems = _decode(path, data, lenient=ending in (".csv", ".tsv"))
    if not text.strip():
        raise BadInput(f"{path} is empty. It holds no prompts.")
    return READERS[ending](path, text, problems)


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, gzip or not, with newlines as \\n.

    Raises:
        BadInput: as `read_table`.
    """
    return _decode(path, _content(path), lenient=False)[0]


def is_readable(path: Path) -> bool:
    """Whether `read_table` knows the ending."""
    return _ending(path) in (*READERS, ".parquet")


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked, once they are known to be data."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}).") from error
    if data.startswith(GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput(f"{path} is a damaged or incomplete gzip file ({error}); fetch it again.") from error
    if data.startswith(LFS):
        size = data.partition(b"\nsize ")[2].split(b"\n")[0].decode(errors="replace")
        raise BadInput(
            f"{path} is a Git LFS pointer, not the data: it only says that the file has {size or 'some'} bytes. "
            "Run `git lfs pull` in its repository, or download the file itself from the web page of the repository."
        )
    if data.startswith(ZIP):
        raise BadInput(f"{path} is a ZIP archive or an Excel workbook. Unpack it, or save the sheet as CSV.")
    if not data:
        raise BadInput(f"{path} is empty. It holds no prompts.")
    return data


def _decode(path: Path, data: bytes, lenient: bool) -> tuple[str, list[Problem]]:
    """The text with newlines as \\n. JSON is UTF-8 by its standard; spreadsheets write other encodings, so they may."""
    problems: list[Problem] = []
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        where = f"byte 0x{data[error.start]:02x} in line {line}"
        if not lenient or encoding == "utf-16":
            name = encoding.removesuffix("-sig").upper()
            raise BadInput(f"{path} cannot be read as {name} text ({where}: {error.reason}). Save it as UTF-8.") from error
        text = data.decode("cp1252", errors="replace")
        problems.append(Problem(None, f"is not UTF-8 ({where}); read as Windows-1252. Check the accents, or save it as UTF-8"))
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise BadInput(f"{path}, line {line} holds a NUL character: it is not a text file, or UTF-16 without its mark. Save it as UTF-8.")
    return text.replace("\r\n", "\n"), problems


def _separated(path: Path, text: str, problems: list[Problem]) -> Table:
    """CSV or TSV; the delimiter is the one most frequent in the header. A single column has none, so its texts may hold any."""
    header = text.lstrip().partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    delimiter = delimiter if delimiter in header else NONE
    try:
        records = _records(text, delimiter, csv.QUOTE_MINIMAL)
    except csv.Error as error:
        if delimiter != "\t":
            raise BadInput(f"{path}, {error}. Close or double the quote marks of this cell.") from error
        records = _records(text, delimiter, csv.QUOTE_NONE)  # tab-separated corpora often hold bare quote marks
    names = [name.strip() for name in records[0][1]]
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise BadInput(f"{path} has two columns called {twice!r}. Rename one.")
    rows, broken = [], 0
    for number, cells in records[1:]:
        if len(cells) > len(names):
            problems.append(Problem(number, f"has {len(cells)} cells for {len(names)} columns; left out"))
            broken += 1
            continue
        if len(cells) < len(names):
            problems.append(Problem(number, f"has {len(cells)} cells for {len(names)} columns; the last are taken as empty"))
        rows.append((number, dict(zip(names, [*cells, *[""] * len(names)], strict=False))))
    if not records[1:]:
        raise BadInput(f"{path} is empty below its header. It holds no prompts.")
    return Table(str(path), tuple(name for name in names if name), rows, problems, broken)


def _records(text: str, delimiter: str, quoting: Any) -> list[tuple[int, list[str]]]:
    """The records that are not blank, numbered from 1.

    Raises:
        csv.Error: quote marks that do not match; begins with the row. The module without `strict` would swallow rows instead.
    """
    csv.field_size_limit(LONGEST_CELL)
    reader, number, records = csv.reader(io.StringIO(text), delimiter=delimiter, quoting=quoting, strict=True), 0, []
    try:
        for number, cells in enumerate(reader, start=1):
            if any(cell.strip() for cell in cells):
                records.append((number, cells))
    except csv.Error as error:
        raise csv.Error(f"row {number + 1} cannot be read ({error})") from error
    return records


def _json_lines(path: Path, text: str, problems: list[Problem]) -> Table:
    rows, broken = [], 0
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 and others are allowed inside a JSON string
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            row, reason = None, f"is not JSON ({error})"
        else:
            reason = "is not a JSON object"
        if isinstance(row, dict):
            rows.append((number, row))
        else:
            problems.append(Problem(number, f"{reason}; left out"))
            broken += 1
    return replace(of_rows(str(path), rows, problems, broken), json_lines=True)


def _json(path: Path, text: str, problems: list[Problem]) -> Table:
    """A list of objects, an object around one, an object of objects, or JSON Lines under the wrong ending."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("{") and _is_json(text.strip().partition("\n")[0]):
            return _json_lines(path, text, problems)
        raise BadInput(f"{path} is not JSON ({error}).") from error
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        if len(lists) == 1:
            document = lists[0]
        elif document and all(isinstance(value, dict) for value in document.values()):
            document = [{"id": key, **value} for key, value in document.items()]
        else:
            document = [document]
    if not isinstance(document, list):
        raise BadInput(f"{path} holds {type(document).__name__} where a list of objects is expected.")
    rows = [(number, row) for number, row in enumerate(document, start=1) if isinstance(row, dict)]
    problems += [Problem(n, "is not a JSON object; left out") for n, row in enumerate(document, start=1) if not isinstance(row, dict)]
    return of_rows(str(path), rows, problems, len(document) - len(rows))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parquet(path: Path, data: bytes) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise BadInput(f"{path} is a damaged Parquet file ({error}); fetch it again.") from error
    return of_rows(str(path), list(enumerate(rows, start=1)))


def of_rows(source: str, rows: Iterable[Row], problems: Iterable[Problem] = (), broken: int = 0) -> Table:
    """A table of rows that are objects already."""
    rows = list(rows)
    return Table(source, tuple(dict.fromkeys(key for _, row in rows for key in row)), rows, list(problems), broken)


READERS: dict[str, Callable[[Path, str, list[Problem]], Table]] = {
    ".csv": _separated,
    ".tsv": _separated,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
}
