"""What the next daemon needs to know: runs, records, definitions, changes with their causes.

SQLite in write-ahead mode (https://sqlite.org/wal.html), `synchronous = NORMAL`: what is committed
survives the death of the daemon at any moment; a power cut may take the last commits, never the
consistency. Writes of one turn of the event loop share a commit, except the intent to spawn, which
is committed before the fork.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from supervisor_lite.bus import Change
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

_RUN_COLUMNS = (
    "run, name, intended, pid, boot, start, inode, spawned, ended, code, signal, reason,"
    " maxrss, utime, stime, last_words"
)


_CHANGE_FIELDS = tuple(f.name for f in fields(Change))


_dump = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run, as far as it is known. Times are wall-clock seconds since the epoch."""

    run: int
    name: str
    intended: float
    pid: int | None = None
    boot: str | None = None
    start: int | None = None
    inode: int | None = None
    spawned: float | None = None
    ended: float | None = None
    code: int | None = None
    signal: str | None = None
    reason: str | None = None
    maxrss: int | None = None
    utime: float | None = None
    stime: float | None = None
    last_words: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """What was last known of a process: its record and definition as JSON objects."""

    name: str
    record: dict[str, Any]
    definition: dict[str, Any]


class Journal:
    """The journal of one state directory. One daemon at a time has it open."""

    def __init__(
        self, database: sqlite3.Connection, path: str, complain: Callable[[str], None]
    ) -> None:
        self._db = database
        self._complain = complain
        self.path = path
        self.instance = self._get("instance")
        """Random name of this state directory: part of every run's identity."""
        self._serial = self._last("changes")
        self._run = self._last("runs")
        self._open = False
        self._failing = False

    def _get(self, key: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0])

    def same_world(self, world: str) -> bool:
        """Was the journal last used in this boot and pid namespace? From now on it is."""
        row = self._db.execute("SELECT value FROM meta WHERE key = 'world'").fetchone()
        if row is not None and row[0] == world:
            return True
        self._write("INSERT OR REPLACE INTO meta VALUES ('world', ?)", (world,))
        return row is None

    def skip_to(self, run: int) -> None:
        """Never give out this run id or one below it."""
        self._run = max(self._run, run)

    def _last(self, table: str) -> int:
        query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        row = self._db.execute(query, (table,)).fetchone()
        return int(row[0]) if row else 0

    # Writing. A disk that fails does not stop the daemon: it is said once, and tried again.

    def _write(self, sql: str, values: tuple[object, ...]) -> int:
        """Return the number of rows that were written."""
        try:
            if not self._open:
                self._db.execute("BEGIN IMMEDIATE")
                self._open = True
            return self._db.execute(sql, values).rowcount
        except sqlite3.Error as error:
            self._failed(error)
            return 0

    def commit(self) -> None:
        """Make everything written so far survive our death."""
        if not self._open:
            return
        self._open = False
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(error)
        else:
            if self._failing:
                self._failing = False
                self._complain(f'the journal "{self.path}" can be written again')

    def _failed(self, error: sqlite3.Error) -> None:
        self._open = False
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        if not self._failing:
            self._failing = True
            self._complain(f'cannot write the journal "{self.path}": {error}')

    def intend(self, name: str) -> int:
        """Return a new run id for a spawn that is about to happen; committed on return."""
        self._run += 1
        self._write(
            "INSERT INTO runs (run, name, intended) VALUES (?, ?, ?)",
            (self._run, name, time.time()),
        )
        self.commit()
        return self._run

    def spawned(self, run: int, pid: int, boot: str, start: int, inode: int) -> None:
        """The run has a process, and this is which."""
        self._write(
            "UPDATE runs SET pid = ?, boot = ?, start = ?, inode = ?, spawned = ? WHERE run = ?",
            (pid, boot, start, inode, time.time(), run),
        )

    def found(
        self, run: int, name: str, pid: int, boot: str, start: int, inode: int, spawned: float
    ) -> None:
        """A run is alive whose process, or which itself, had not been written down."""
        self._write(
            "INSERT INTO runs (run, name, intended, pid, boot, start, inode, spawned)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET pid = excluded.pid,"
            " boot = excluded.boot, start = excluded.start, inode = excluded.inode,"
            " spawned = excluded.spawned",
            (run, name, spawned, pid, boot, start, inode, spawned),
        )

    def ended(
        self,
        run: int,
        *,
        code: int | None,
        signal: str | None,
        reason: str,
        usage: tuple[int, float, float] | None = None,
        last_words: str = "",
    ) -> None:
        """The run is over. `usage`: maxrss in bytes, user and system seconds."""
        self._write(
            "UPDATE runs SET ended = ?, code = ?, signal = ?, reason = ?,"
            " maxrss = ?, utime = ?, stime = ?, last_words = ? WHERE run = ?",
            (time.time(), code, signal, reason, *(usage or (None,) * 3), last_words or None, run),
        )

    def define(self, name: str, record: dict[str, Any], definition: str) -> None:
        """Keep what is known of a process; `definition` is JSON, ready-made by the caller."""
        self._write(
            "INSERT OR REPLACE INTO processes VALUES (?, ?, ?)", (name, _dump(record), definition)
        )

    def remember(self, name: str, record: dict[str, Any]) -> bool:
        """Keep the record of a process whose definition is kept; False if it is not after all."""
        sql = "UPDATE processes SET record = ? WHERE name = ?"
        return self._write(sql, (_dump(record), name)) > 0

    def forget(self, name: str) -> None:
        """The process is not defined any more."""
        self._write("DELETE FROM processes WHERE name = ?", (name,))

    def forget_all(self) -> None:
        """An orderly end: the next daemon starts from the configuration alone."""
        self._write("DELETE FROM processes", ())

    def next_serial(self) -> int:
        """Return the serial of the next change."""
        self._serial += 1
        return self._serial

    def change(self, change: Change) -> None:
        """Keep a published change."""
        values = {name: getattr(change, name) for name in _CHANGE_FIELDS}
        self._write(
            "INSERT INTO changes VALUES (?, ?, ?, ?)",
            (change.serial, change.time, change.name, _dump(values)),
        )

    def trim(self, *, age: float, count: int) -> None:
        """Forget runs that ended, and changes, beyond `count` rows or older than `age` seconds."""
        before = time.time() - age
        self._write(
            "DELETE FROM runs WHERE ended IS NOT NULL AND (ended < ? OR run <="
            " (SELECT run FROM runs ORDER BY run DESC LIMIT 1 OFFSET ?))",
            (before, count),
        )
        self._write(
            "DELETE FROM changes WHERE time < ? OR serial <="
            " (SELECT serial FROM changes ORDER BY serial DESC LIMIT 1 OFFSET ?)",
            (before, count),
        )
        self.commit()

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self._db.close()

    # Reading.

    def open_runs(self) -> list[RunRow]:
        """Return the runs that have not ended, as far as anybody wrote down."""
        return self._runs("WHERE ended IS NULL ORDER BY run", ())

    def run(self, number: int) -> RunRow | None:
        """Return one run, or None if it was never written or is forgotten."""
        found = self._runs("WHERE run = ?", (number,))
        return found[0] if found else None

    def runs(self, names: list[str] | None, limit: int) -> list[RunRow]:
        """Return the latest runs, the newest first."""
        if names is None:
            return self._runs("ORDER BY run DESC LIMIT ?", (limit,))
        marks = ",".join("?" * len(names))
        return self._runs(f"WHERE name IN ({marks}) ORDER BY run DESC LIMIT ?", (*names, limit))

    def _runs(self, where: str, values: tuple[object, ...]) -> list[RunRow]:
        columns = _RUN_COLUMNS.replace(" ", "").split(",")
        rows = self._db.execute(f"SELECT {_RUN_COLUMNS} FROM runs {where}", values)
        return [RunRow(**dict(zip(columns, row, strict=True))) for row in rows]

    def processes(self) -> Iterator[ProcessRow]:
        """Yield what is known of every process."""
        for name, record, definition in self._db.execute("SELECT * FROM processes"):
            yield ProcessRow(name, json.loads(record), json.loads(definition))

    def changes(
        self, *, names: list[str] | None = None, after: int | None = None, limit: int = 100
    ) -> list[Change]:
        """Return changes, the oldest first: those after a serial, or else the latest ones."""
        where, values = [], list[object]()
        if names is not None:
            where.append(f"name IN ({','.join('?' * len(names))})")
            values.extend(names)
        if after is not None:
            where.append("serial > ?")
            values.append(after)
        clause = f"WHERE {' AND '.join(where)}" if where else ""
        order = "ASC" if after is not None else "DESC"
        rows = self._db.execute(
            f"SELECT change FROM changes {clause} ORDER BY serial {order} LIMIT ?",
            (*values, limit),
        ).fetchall()
        found = [Change(**json.loads(row[0])) for row in rows]
        return found if after is not None else found[::-1]


def open_journal(path: str, complain: Callable[[str], None]) -> Journal:
    """Open or make the journal at `path`.

    The random name of the state directory is also kept in a file of its own beside it: if the
    journal is lost, the runs that carry that name in their environment are still ours.

    One that is corrupt is set aside, reported through `complain`, and a new one begun. Raises
    StartupError if it was written by a newer version, or cannot be written.
    """
    try:
        return _open(path, complain)
    except sqlite3.OperationalError as error:
        raise StartupError(f'cannot open the journal "{path}": {error}') from error
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        aside = f"{path}.corrupt-{int(time.time())}"
        os.replace(path, aside)
        for suffix in ("-wal", "-shm"):
            if os.path.exists(path + suffix):
                os.replace(path + suffix, aside + suffix)
        complain(f'the journal "{path}" is unusable ({error}); it was set aside as "{aside}"')
        return _open(path, complain)


def _open(path: str, complain: Callable[[str], None]) -> Journal:
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
        journal = Journal(database, path, complain)
    except BaseException:
        database.close()
        raise
    if _read_instance(beside) != journal.instance:
        with open(beside, "w", encoding="ascii") as file:
            file.write(journal.instance + "\n")
    return journal


def _make(database: sqlite3.Connection, instance: str | None) -> None:
    """Make the tables. In place of a lost journal: with run ids that it cannot have given out."""
    first = "" if instance is None else (
        f"INSERT INTO sqlite_sequence VALUES ('runs', {int(time.time())});"
        f" INSERT INTO sqlite_sequence VALUES ('changes', {int(time.time())});"
    )  # fmt: skip
    name = instance or uuid.uuid4().hex
    database.executescript(
        f"BEGIN; {_TABLES} {first} INSERT INTO meta VALUES ('instance', '{name}');"
        f" PRAGMA user_version = {SCHEMA}; COMMIT;"
    )


def _read_instance(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            name = file.read(64).strip()
    except OSError:
        return None
    return name if len(name) == 32 and name.isalnum() else None
