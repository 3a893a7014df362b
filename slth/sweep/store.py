"""Where results live: one SQLite file, written by one process, a commit per result."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from slth.errors import BadInput
from slth.sweep.worker import Outcome

APPLICATION_ID = 0x534C5448
"""Marks a file as a store of ours, in SQLite's own header field ("SLTH")."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, sweep TEXT NOT NULL, params TEXT NOT NULL,
    result TEXT, error TEXT, traceback TEXT, seconds REAL NOT NULL
) WITHOUT ROWID
"""


class Stored(NamedTuple):
    """One row: the JSON of a result, or the error of a cell that failed."""

    result: str | None
    error: str | None
    seconds: float


class Store:
    """An open store; a context manager.

    A kill at any moment leaves every committed result and nothing of the one being written; a
    power cut may cost the last few results, never the file.  (A write-ahead log without a flush
    per commit: flushing took 18 ms a result.)  One machine writes a store, but several processes
    may.  Raises ``BadInput`` where the file cannot be written or is not a store.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        allowed, remedy = "a folder that can be written", "pass another path"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput("store", f"{path} ({error.strerror})", allowed, remedy) from error
        if path.is_dir():
            raise BadInput("store", f"{path} (a folder)", "a file", "pass the file's own name")
        try:
            self.database = sqlite3.connect(path, timeout=30.0)
            self._open()
        except sqlite3.OperationalError as error:
            raise BadInput("store", f"{path} ({error})", allowed, remedy) from error
        except sqlite3.DatabaseError as error:
            raise BadInput(
                "store",
                f"{path} ({error})",
                "a store of sweeps",
                "move the file away and run again",
            ) from error

    def _open(self) -> None:
        (mark,) = self.database.execute("PRAGMA application_id").fetchone()
        (tables,) = self.database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if mark != APPLICATION_ID and (mark or tables):
            raise sqlite3.DatabaseError("some other program's database")
        (sound,) = self.database.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise sqlite3.DatabaseError(f"damaged: {sound}")
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = NORMAL")
        # One transaction: a kill between the mark and the table leaves neither.
        with self.database:
            self.database.execute("BEGIN IMMEDIATE")
            self.database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.database.execute(SCHEMA)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def put(self, key: str, sweep: str, params: str, outcome: Outcome) -> None:
        """Commit one outcome; a failure never replaces a result."""
        row = (
            key,
            sweep,
            params,
            outcome.result,
            outcome.error,
            outcome.traceback,
            outcome.seconds,
        )
        with self.database:
            self.database.execute(
                "INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                "result = excluded.result, error = excluded.error, "
                "traceback = excluded.traceback, seconds = excluded.seconds "
                "WHERE cells.result IS NULL",
                row,
            )

    def get(self, keys: Iterable[str]) -> dict[str, Stored]:
        """What is stored of ``keys``; one that is missing has not ended yet."""
        found = {}
        for key in keys:
            row = self.database.execute(
                "SELECT result, error, seconds FROM cells WHERE key = ?", (key,)
            ).fetchone()
            if row is not None:
                found[key] = Stored(*row)
        return found

    def traceback(self, key: str) -> str | None:
        """The traceback of a cell that failed."""
        row = self.database.execute("SELECT traceback FROM cells WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]
