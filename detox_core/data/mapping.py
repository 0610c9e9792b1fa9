"""Any table a person has: which column is what is proposed from names and contents, and can be said."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from detox_core.data.reading import Gathering, Reading, plain
from detox_core.data.tables import Table
from detox_core.errors import BadInput

# Role -> column names, the likeliest first; compared in lower case without blanks and signs.
_WORDS = {
    "text": """text prompt prompts sentence comment commenttext tweet post question hatespeech instruction input query message
        context utterance content""",
    "reply": "reply response responses completion answer output counternarrative counterspeech chosen continuation generation",
    "rejected": "rejected",
    "toxic": "toxic istoxic toxicity label labels hate hateful offensive offensiveyn unsafe class toxicityscore",
    "target": "target targets group targetgroup targetgroups targetminority identity minority",
    "id": "id promptid commentid uid uuid idx index",
    "split": "split part subset fold partition set",
}
NAMES = {role: words.split() for role, words in _WORDS.items()}
YES = {"1", "true", "yes", "y", "t", "toxic", "hate", "hateful", "offensive", "unsafe", "bad"}
NO = {"0", "false", "no", "n", "f", "neutral", "normal", "safe", "clean", "harmless", "ok"}
NO |= {f"{negation}{word}" for negation in ("not", "non", "no") for word in ("toxic", "hate", "hateful", "offensive", "bad")}
THRESHOLD = 0.5
NUMBER = re.compile(r"[\d.,+-]+")
LOOKED_AT = 1000  # rows that a proposal is made from


def propose(table: Table) -> dict[str, str]:
    """Role -> column, for the roles that were recognised. A column called so but with other contents is not taken.

    Without a known name, the text is the column with the longest cells that hold more than one word.
    """
    found: dict[str, str] = {}
    seen = [row for _, row in table.rows[:LOOKED_AT]]
    nests = Counter(column for row in seen for column, value in row.items() if isinstance(value, dict | list))
    nested = {column for column, times in nests.items() if times > len(seen) / 2}
    cells = {column: [plain(row.get(column)) for row in seen] for column in table.columns}
    columns = {_bare(column): column for column in reversed(table.columns)}
    for role, names in NAMES.items():
        for name in names:
            column = columns.get(name)
            if column and column not in found.values() and _fits(role, cells[column]) and (role == "target" or column not in nested):
                found[role] = column
                break
    if "text" not in found:
        wordy = {
            column: _length(values) for column, values in cells.items() if column not in {*found.values(), *nested} and _is_prose(values)
        }
        if wordy:
            found["text"] = max(wordy, key=lambda column: wordy[column])
    if "toxic" not in found:
        rest = [column for column in table.columns if column not in found.values() and _is_label(cells[column])]
        if len(rest) == 1:
            found["toxic"] = rest[0]
    return {role: found[role] for role in NAMES if role in found}


def read_mapped(table: Table, split: str | None = None, columns: Mapping[str, str] | None = None) -> Reading:
    """Prompts, and pairs where there is a reply, from any table.

    Args:
        columns: role -> column; says or corrects what `propose` would take. An empty column means that there is none.

    Raises:
        BadInput: no column with texts, an unknown role or column, no prompts, or an unknown split.
    """
    roles = {role: column for role, column in {**propose(table), **_said(table, columns or {})}.items() if column}
    if "text" not in roles:
        known = ", ".join(table.columns) or "none"
        raise BadInput(f"{table.source} has no column that looks like prompts. Its columns: {known}. Say which: text=COLUMN.")
    gathering = Gathering("table", table, split, roles)
    for number, row in table.rows:
        cells = {role: row.get(column) for role, column in roles.items()}
        replies = gathering.reply(number, cells["reply"]) if "reply" in roles and plain(cells["text"]).strip() else ()
        gathering.add(
            number,
            cells["text"],
            replies,
            id=cells.get("id"),
            toxic=_toxic(gathering, number, cells.get("toxic")),
            target=_listed(cells.get("target")),
            part=cells.get("split"),
            rejected=plain(cells.get("rejected")) if replies else "",
        )
    return gathering.done()


def _said(table: Table, columns: Mapping[str, str]) -> Mapping[str, str]:
    for role, column in columns.items():
        if role not in NAMES:
            raise BadInput(f"{role!r} is no role of a column. Known: {', '.join(NAMES)}.")
        if column and column not in table.columns:
            raise BadInput(f"{table.source} has no column {column!r} to take as {role}. Its columns: {', '.join(table.columns) or 'none'}.")
    return columns


def _toxic(gathering: Gathering, number: int, value: Any) -> bool | None:
    text = plain(value).strip()
    label = truth(text)
    if label is None and text:
        gathering.note(number, f"has the label {text!r}, which is neither yes nor no nor a number from 0 to 1; read as unknown")
    return label


def _listed(value: Any) -> str:
    """Several targets as words with commas, be they a list or a list written as text."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        value = [part.strip(" '\"") for part in value[1:-1].split(",")]
    return ", ".join(map(plain, value)) if isinstance(value, list) else plain(value)


def truth(cell: str) -> bool | None:
    """What a cell says about toxicity: a yes or no in many words, or a number in [0, 1], toxic above 0.5; None = neither."""
    word = _bare(cell)
    try:
        number = float(cell)
    except ValueError:
        return True if word in YES else False if word in NO else None
    return number > THRESHOLD if 0 <= number <= 1 else None


def _fits(role: str, cells: list[str]) -> bool:
    """Whether the contents of a column allow its role; an empty column has none."""
    filled = [cell for cell in cells if cell.strip()]
    if not filled:
        return not cells
    if role == "toxic":
        return _is_label(cells)
    return role != "text" or not all(NUMBER.fullmatch(cell.strip()) for cell in filled)  # "input" may be a measurement


def _is_label(cells: list[str]) -> bool:
    """Whether nearly all filled cells say yes or no. Typing errors are reported by row; a third number means another scale."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    odd = [cell for cell in filled if truth(cell) is None]
    return len(odd) <= 0.2 * len(filled) and bool(filled) and not any(NUMBER.fullmatch(cell) for cell in odd)


def _is_prose(cells: list[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and sum(" " in cell.strip() for cell in filled) > len(filled) / 2


def _length(cells: list[str]) -> float:
    return sum(map(len, cells)) / len(cells)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
