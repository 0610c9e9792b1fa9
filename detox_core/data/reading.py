"""What a reader hands back, and how rows become it: nothing is left out without being counted or named."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from detox_core.data.tables import Problem, Table
from detox_core.errors import BadInput
from detox_core.types import Prompt

LABELS = {True: "toxic", False: "harmless", None: ""}


class NoSuchSplit(BadInput):
    """The file can be read, but none of its rows is in the wanted split."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt and an answer to it.

    Attributes:
        id: of the row it comes from.
        antecedents: all earlier turns of the dialogue, oldest first.
        rejected: an answer that was judged worse, for preference training; empty = the format has none.
        part, target: as in `Prompt`.
        dialogue: which dialogue it is taken from; a dialogue never belongs to two parts.
    """

    id: str
    prompt: str
    reply: str
    antecedents: tuple[str, ...] = ()
    rejected: str = ""
    part: str = ""
    target: str = ""
    dialogue: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """A data set as it was read.

    Attributes:
        format: key of `FORMATS`.
        source: file, folder or Hub id.
        rows: rows in the file, whatever became of them.
        prompts: each text once.
        pairs: prompts with replies, where the format has replies.
        problems: what was found wrong, by row.
        duplicates: rows that repeat an earlier one and were dropped.
        skipped: rows that could not be read; each has a problem.
        left_out: rows outside the wanted split.
        columns: role -> column, where columns were mapped.
    """

    format: str
    source: str
    rows: int
    prompts: tuple[Prompt, ...]
    pairs: tuple[Pair, ...] = ()
    problems: tuple[Problem, ...] = ()
    duplicates: int = 0
    skipped: int = 0
    left_out: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows there were and what became of them."""
        sizes = {"rows": self.rows, "prompts": len(self.prompts), "pairs": len(self.pairs)}
        return {**sizes, "duplicates": self.duplicates, "skipped": self.skipped, "left_out": self.left_out}

    @property
    def parts(self) -> dict[str, int]:
        """Prompts per part, largest first."""
        return dict(Counter(prompt.part for prompt in self.prompts if prompt.part).most_common())

    def preview(self, size: int = 3) -> list[dict[str, Any]]:
        """The first prompts with their first reply, as plain rows."""
        replies: dict[str, str] = {}
        for pair in self.pairs:
            replies.setdefault(pair.prompt, pair.reply)
        return [
            {"id": p.id, "text": p.text, "reply": replies.get(p.text), "toxic": p.toxic, "target": p.target, "part": p.part}
            for p in self.prompts[:size]
        ]


class Gathering:
    """Turns rows into a `Reading`: repeated rows are kept once, unusable ones refused by number.

    Args:
        split: only rows whose part, target or label (`toxic`, `harmless`) is called so, whatever the case.
    """

    def __init__(self, format: str, table: Table, split: str | None = None, columns: Mapping[str, str] | None = None) -> None:
        self.format, self.table, self.split, self.columns = format, table, split, columns or {}
        self.asked = split  # a reader that filters by itself sets only this
        self.problems, self.skipped = list(table.problems), table.broken
        self.duplicates = self.left_out = 0
        self._prompts: dict[str, tuple[int, Prompt]] = {}
        self._pairs: list[Pair] = []
        self._ids: set[str] = set()
        self._seen: set[Any] = set()
        self._known: Counter[str] = Counter()

    def note(self, row: int | None, sentence: str) -> None:
        """Name something odd about a row that is kept; None = about the whole file."""
        self.problems.append(Problem(row, sentence))

    def refuse(self, row: int, sentence: str) -> None:
        """Leave a row out and say why."""
        self.note(row, f"{sentence}; left out")
        self.skipped += 1

    def reply(self, row: int, value: Any) -> tuple[str, ...]:
        """The reply of a row for `add`; an empty one is noted."""
        text = plain(value)
        if not text.strip():
            self.note(row, "has no reply; its prompt is kept")
        return (text,) if text.strip() else ()

    def add(
        self,
        row: int,
        text: Any,
        replies: Sequence[str] = (),
        *,
        id: Any = None,
        toxic: bool | None = None,
        target: Any = "",
        part: Any = "",
        antecedents: tuple[str, ...] = (),
        rejected: str = "",
        dialogue: str = "",
    ) -> None:
        """Take one row: its prompt, and one pair for each reply."""
        if isinstance(text, dict | list):
            return self.refuse(row, f"has {'fields' if isinstance(text, dict) else 'a list'} where a text is expected")
        text, target, part = plain(text), plain(target), plain(part)
        if not text.strip():
            return self.refuse(row, "has no text")
        self._known.update({name for name in (part, target, LABELS[toxic]) if name})
        if self.split is not None and self.split.lower() not in {part.lower(), target.lower(), LABELS[toxic]} - {""}:
            self.left_out += 1
            return None
        first, known = self._prompts.get(text.strip(), (row, None))
        if known and known.toxic != toxic:
            self.note(row, f"has the text of row {first} with another label; the first one counts")
        key = (dialogue, antecedents, text.strip(), tuple(replies), rejected)
        if key in self._seen:
            self.duplicates += 1
            return None
        self._seen.add(key)
        name = plain(id) or str(row)
        if known is None:
            name = self._unique(row, name)
            self._prompts[text.strip()] = (row, Prompt(name, text, toxic, part, target))
        names = (name if at == 1 else f"{name}-{at}" for at in range(1, len(replies) + 1))
        self._pairs += [Pair(n, text, r, antecedents, rejected, part, target, dialogue) for n, r in zip(names, replies, strict=True)]
        return None

    def _unique(self, row: int, name: str) -> str:
        if name in self._ids:
            self.note(row, f"has the id {name!r} of another row; called {name}-row-{row} here")
            name = f"{name}-row-{row}"
        self._ids.add(name)
        return name

    def done(self) -> Reading:
        """What was gathered.

        Raises:
            BadInput: no prompt at all, with the reason.
        """
        if not self._prompts and self.left_out:
            known = ", ".join(name for name, _ in self._known.most_common(20))
            raise NoSuchSplit(f"{self.table.source} has no row called {self.asked!r}. Known: {known or 'none, it has no splits'}.")
        if not self._prompts:
            first = f" The first of {len(self.problems)} problems: {self.problems[0]}." if self.problems else ""
            raise BadInput(f"{self.table.source} holds no prompts.{first}")
        return Reading(
            self.format,
            self.table.source,
            len(self.table.rows) + self.table.broken,
            tuple(prompt for _, prompt in self._prompts.values()),
            tuple(self._pairs),
            tuple(sorted(self.problems, key=lambda problem: problem.row or 0)),
            self.duplicates,
            self.skipped,
            self.left_out,
            self.columns,
        )


def plain(value: Any) -> str:
    """A cell as text; null and NaN become empty."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
