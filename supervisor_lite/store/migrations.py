"""The schema of the journal: one function a step, from an empty file to the current version.

A new journal is made by the same steps as an old one is brought up to date by, so there is one
place where each table and column is defined. A step that has been released is frozen: it says what
that version of the schema was, so it uses nothing of the package that may change later.

All steps that are missing run in one transaction of the caller's. A daemon that is killed in the
middle, or a disk that is full, leaves the file as it was, and the next daemon begins again.

The version stands in `PRAGMA user_version` (https://sqlite.org/pragma.html#pragma_user_version).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable


def _tables(database: sqlite3.Connection) -> None:
    """Schema 1, the first: runs, what is known of each process, changes of state."""
    for statement in (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE runs ("
        " run INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, intended REAL NOT NULL,"
        " pid INTEGER, boot TEXT, start INTEGER, inode INTEGER, spawned REAL, ended REAL,"
        " code INTEGER, signal TEXT, reason TEXT, maxrss INTEGER, utime REAL, stime REAL,"
        " last_words TEXT)",
        "CREATE INDEX runs_by_name ON runs (name, run)",
        "CREATE INDEX runs_open ON runs (run) WHERE ended IS NULL",
        "CREATE TABLE processes ("
        " name TEXT PRIMARY KEY, record TEXT NOT NULL, definition TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE changes ("
        " serial INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, name TEXT NOT NULL,"
        " change TEXT NOT NULL)",
        "CREATE INDEX changes_by_name ON changes (name, serial)",
    ):
        database.execute(statement)


def _causes(database: sqlite3.Connection) -> None:
    """Schema 2: causes, notes and errors are data, no longer sentences."""
    database.execute("ALTER TABLE runs RENAME COLUMN reason TO cause")
    filled = " OR ".join(f"EXISTS (SELECT 1 FROM {each})" for each in _WITH_SENTENCES)
    if database.execute(f"SELECT {filled}").fetchone()[0]:
        # Only an upgrade needs this, no start with a new journal.
        from supervisor_lite.store.old_sentences import convert

        convert(database)


_WITH_SENTENCES = ("runs", "changes", "processes")


STEPS: tuple[Callable[[sqlite3.Connection], None], ...] = (_tables, _causes)
"""The n-th step makes schema n out of schema n - 1; schema 0 is an empty file."""

SCHEMA = len(STEPS)
"""The version that this package reads and writes."""


def migrate(database: sqlite3.Connection, version: int) -> None:
    """Bring a database from schema `version` to the current one, in the caller's transaction.

    Raises sqlite3.Error if the disk does not take it; the caller has to roll back.
    """
    for step in STEPS[version:]:
        step(database)
    database.execute(f"PRAGMA user_version = {SCHEMA}")
