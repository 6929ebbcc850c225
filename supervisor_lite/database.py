"""The journal's file: opened, checked, made anew; set aside if it is corrupt."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable

from supervisor_lite.errors import StartupError

SCHEMA = 1

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
  run INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  intended REAL NOT NULL,
  pid INTEGER, boot TEXT, start INTEGER, inode INTEGER,
  spawned REAL, ended REAL,
  code INTEGER, signal TEXT, reason TEXT,
  maxrss INTEGER, utime REAL, stime REAL,
  last_words TEXT
);
CREATE INDEX runs_by_name ON runs (name, run);
CREATE INDEX runs_open ON runs (run) WHERE ended IS NULL;
CREATE TABLE processes (
  name TEXT PRIMARY KEY, record TEXT NOT NULL, definition TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE changes (
  serial INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, name TEXT NOT NULL,
  change TEXT NOT NULL
);
CREATE INDEX changes_by_name ON changes (name, serial);
"""

_NOT_CORRUPT = frozenset(
    (sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
     sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
)  # fmt: skip
"""Errors that are about the disk or the permissions, not about what the file holds."""


def open_database(path: str, complain: Callable[[str], None]) -> sqlite3.Connection:
    """Open or make the database at `path`; its table `meta` says which state directory this is.

    The random name of the state directory is also kept in a file of its own beside it: if the
    journal is lost, the runs that carry that name in their environment are still ours.

    One that is corrupt is set aside, reported through `complain`, and a new one begun. Raises
    StartupError if it was written by a newer version, or cannot be written.
    """
    try:
        return _open(path)
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_CORRUPT:
            raise StartupError(f'cannot open the journal "{path}": {error}') from error
        aside = f"{path}.corrupt-{int(time.time())}"
        os.replace(path, aside)
        for suffix in ("-wal", "-shm"):
            if os.path.exists(path + suffix):
                os.replace(path + suffix, aside + suffix)
        complain(f'the journal "{path}" is unusable ({error}); it was set aside as "{aside}"')
        return _open(path)


def _open(path: str) -> sqlite3.Connection:
    beside = os.path.join(os.path.dirname(path), "instance")
    database = sqlite3.connect(path, isolation_level=None, cached_statements=64)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -512")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            raise StartupError(
                f'cannot use the journal "{path}": it was written by a newer version'
                f" (schema {version}, this one knows {SCHEMA})"
            )
        if version == 0:
            _make(database, _read_instance(beside))
        check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise sqlite3.DatabaseError(check)
        sql = "SELECT value FROM meta WHERE key = 'instance'"
        instance = str(database.execute(sql).fetchone()[0])
    except BaseException:
        database.close()
        raise
    if _read_instance(beside) != instance:
        with open(beside, "w", encoding="utf-8") as file:
            file.write(instance + "\n")
    return database


def _make(database: sqlite3.Connection, instance: str | None) -> None:
    """Make the tables. In place of a lost journal: with run ids that it cannot have given out."""
    first = "" if instance is None else (
        f"INSERT INTO sqlite_sequence VALUES ('runs', {int(time.time())});"
        f" INSERT INTO sqlite_sequence VALUES ('changes', {int(time.time())});"
    )  # fmt: skip
    name = instance or os.urandom(16).hex()
    database.executescript(
        f"BEGIN; {_TABLES} {first} INSERT INTO meta VALUES ('instance', '{name}');"
        f" PRAGMA user_version = {SCHEMA}; COMMIT;"
    )


def _read_instance(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            name = file.read(64).strip()
    except (OSError, ValueError):
        return None
    return name if len(name) == 32 and name.isalnum() else None
