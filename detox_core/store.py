"""Everything remembered between sessions: comparisons and stars in SQLite under `cache/`. Imports no torch."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from detox_core.demo import RECORDED
from detox_core.models.variants import cache_folder
from detox_core.types import Comparison


class Store:
    """Comparisons by id. Safe for several threads and processes (WAL; one connection per call)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or cache_folder()) / "detox.sqlite3"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._connect() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS comparison (id TEXT PRIMARY KEY, created TEXT NOT NULL, record TEXT NOT NULL)")
            connection.execute("CREATE TABLE IF NOT EXISTS star (place TEXT, prompt TEXT, note TEXT NOT NULL, PRIMARY KEY (place, prompt))")

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

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=10)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def recorded() -> dict[str, Comparison]:
    """The recorded examples, in the order of their chips. Made by `python -m training_jobs.recipes.record`."""
    return _read(RECORDED / "examples.json")


@cache
def _read(path: Path) -> dict[str, Comparison]:
    if not path.is_file():
        return {}
    return {data["id"]: Comparison.from_dict(data) for data in json.loads(path.read_text(encoding="utf-8"))}
