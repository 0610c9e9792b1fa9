"""Everything remembered between sessions: comparisons, stars and votes in SQLite under `cache/`. Imports no torch."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path

from detox_core.demo import RECORDED
from detox_core.models.variants import cache_folder
from detox_core.stage.steps import Stage, read_stage
from detox_core.types import Comparison, Vote

CURRENT = "current"  # the only name of a stage so far; files have the others


class Store:
    """Comparisons by id. Safe for several threads and processes (WAL; one connection per call)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or cache_folder()) / "detox.sqlite3"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS comparison (id TEXT PRIMARY KEY, created TEXT NOT NULL, record TEXT NOT NULL)")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS vote (visitor TEXT, ballot TEXT, prompt TEXT, variant TEXT NOT NULL, letter TEXT NOT NULL, "
                "created TEXT NOT NULL, PRIMARY KEY (visitor, ballot))"
            )
            connection.execute("CREATE TABLE IF NOT EXISTS star (place TEXT, prompt TEXT, note TEXT NOT NULL, PRIMARY KEY (place, prompt))")
            connection.execute("CREATE TABLE IF NOT EXISTS stage (name TEXT PRIMARY KEY, document TEXT NOT NULL)")

    def save(self, comparison: Comparison) -> None:
        """Remember a comparison; the same id is replaced."""
        row = (comparison.id, comparison.created, json.dumps(comparison.to_dict()))
        with self._connect() as connection:
            connection.execute("INSERT OR REPLACE INTO comparison VALUES (?, ?, ?)", row)

    def load(self, comparison_id: str) -> Comparison | None:
        """A comparison by id: remembered, or one of the recorded examples; None if there is none."""
        with self._connect() as connection:
            row = connection.execute("SELECT record FROM comparison WHERE id = ?", (comparison_id,)).fetchone()
        if row:
            return Comparison.from_dict(json.loads(row[0]))
        return recorded().get(comparison_id)

    def star(self, place: str, prompt: str, note: str | None) -> None:
        """Mark a prompt of a measurement, with a note (may be empty); None takes the mark away.

        Args:
            place: which measurement.
            prompt: the prompt's id.
        """
        with self._connect() as connection:
            if note is None:
                connection.execute("DELETE FROM star WHERE place = ? AND prompt = ?", (place, prompt))
            else:
                connection.execute("INSERT OR REPLACE INTO star VALUES (?, ?, ?)", (place, prompt, note))

    def stars(self, place: str) -> dict[str, str]:
        """Ids of the marked prompts of a measurement, with their notes."""
        with self._connect() as connection:
            return dict(connection.execute("SELECT prompt, note FROM star WHERE place = ? ORDER BY rowid", (place,)).fetchall())

    def stage(self) -> Stage:
        """The presenter's current stage; an empty one if there is none."""
        with self._connect() as connection:
            return _stage(connection)

    def change_stage(self, change: Callable[[Stage], Stage]) -> Stage:
        """Replace the current stage by what `change` makes of it; two at once follow one another."""
        with self._connect() as connection:
            connection.execute("BEGIN IMMEDIATE")
            changed = change(_stage(connection))
            connection.execute("INSERT OR REPLACE INTO stage VALUES (?, ?)", (CURRENT, changed.to_json()))
        return changed

    def empty_stage(self) -> None:
        """Begin anew with an empty stage, whatever is there now, even if it cannot be read."""
        with self._connect() as connection:
            connection.execute("DELETE FROM stage")

    def vote(self, vote: Vote) -> bool:
        """Remember a vote; False = this visitor has voted on that ballot already, and the first vote stands."""
        with self._connect() as connection:
            row = (vote.visitor, vote.ballot, vote.prompt, vote.variant, vote.letter, vote.created)
            return connection.execute("INSERT OR IGNORE INTO vote VALUES (?, ?, ?, ?, ?, ?)", row).rowcount == 1

    def votes(self) -> list[Vote]:
        """All votes, oldest first."""
        with self._connect() as connection:
            return [Vote(*row) for row in connection.execute("SELECT * FROM vote ORDER BY rowid")]

    def forget_votes(self) -> None:
        """Delete all votes, and the prompts that were kept with them."""
        with self._connect() as connection:
            connection.execute("DELETE FROM vote")

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def _stage(connection: sqlite3.Connection) -> Stage:
    row = connection.execute("SELECT document FROM stage WHERE name = ?", (CURRENT,)).fetchone()
    return _read_stage(row[0]) if row else Stage()


@lru_cache(maxsize=2)  # a page asks at every click
def _read_stage(document: str) -> Stage:
    return read_stage(document, "The stage under cache/")


def recorded() -> dict[str, Comparison]:
    """The recorded examples, in the order of their chips. Made by `python -m training_jobs.recipes.record`."""
    return _read(RECORDED / "examples.json")


@cache
def _read(path: Path) -> dict[str, Comparison]:
    if not path.is_file():
        return {}
    return {data["id"]: Comparison.from_dict(data) for data in json.loads(path.read_text(encoding="utf-8"))}
