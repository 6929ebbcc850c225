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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from supervisor_lite.errors import OperationFailed
from supervisor_lite.model.change import Change
from supervisor_lite.model.run import ProcessRow, RunRow
from supervisor_lite.store.database import RunIds, open_database

_TRIM_EVERY = 256
"""Changes after which what is too old is forgotten: no timer is needed for that."""


_RUN_COLUMNS = (
    "run, name, intended, pid, boot, start, inode, spawned, ended, code, signal, reason,"
    " maxrss, utime, stime, last_words"
)


_CHANGE_DEFAULTS = {name: Change._field_defaults.get(name) for name in Change._fields}


_dump = json.JSONEncoder(separators=(",", ":")).encode


def _utf8(value: object) -> object:
    if not isinstance(value, str):
        return value
    return value.encode(errors="backslashreplace").decode()


class Journal:
    """The journal of one state directory. One daemon at a time has it open."""

    def __init__(
        self,
        database: sqlite3.Connection,
        path: str,
        complain: Callable[[str], None],
        ids: RunIds | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` is the wall clock by which everything is dated and forgotten."""
        self._db = database
        self._complain = complain
        self._now = now
        self.path = path
        self.instance = self._get("instance")
        """Random name of this state directory: part of every run's identity."""
        self._serial = self._last("changes")
        self._ids = ids
        self._run = max(self._last("runs"), ids.last if ids is not None else 0)
        self._open = False
        self._failing = False
        self._lost = False
        self._age: float | None = None
        self._count = 0
        self._until_trim = _TRIM_EVERY
        self._pending: list[Change] = []
        """Changes that are written with the next commit: no spawn has to wait for them."""

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
        except UnicodeEncodeError:  # a path that is not UTF-8, in a reason
            return self._write(sql, tuple(map(_utf8, values)))
        except sqlite3.Error as error:
            self._failed(error)
            return 0

    def commit(self) -> bool:
        """Make everything written so far survive our death; False if some of it is lost."""
        self._write_pending()
        if self._until_trim <= 0 and self._age is not None:
            self._trim(self._age, self._count)
        return self._commit()

    def _commit(self) -> bool:
        lost, self._lost = self._lost, False
        if not self._open:
            return not lost
        self._open = False
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(error)
            self._lost = False
            return False
        if self._failing and not lost:
            self._failing = False
            self._complain(f'the journal "{self.path}" can be written again')
        return not lost

    def _failed(self, error: sqlite3.Error) -> None:
        self._open = False
        self._lost = True
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("ROLLBACK")
        if not self._failing:
            self._failing = True
            self._complain(f'cannot write the journal "{self.path}": {error}')

    def intend(self, names: Sequence[str]) -> range:
        """Return new run ids for spawns that are about to happen; committed on return."""
        first = self._run + 1
        self._run += len(names)
        if self._ids is not None:
            self._ids.give(self._run)
        now = self._now()
        for run, name in enumerate(names, first):
            self._write("INSERT INTO runs (run, name, intended) VALUES (?, ?, ?)", (run, name, now))
        self._commit()
        return range(first, first + len(names))

    def spawned(
        self, run: int, pid: int, boot: str, start: int, inode: int, when: float | None = None
    ) -> None:
        """The run has a process, and this is which; `when` it began, if not now."""
        self._write(
            "UPDATE runs SET pid = ?, boot = ?, start = ?, inode = ?, spawned = ? WHERE run = ?",
            (pid, boot, start, inode, self._now() if when is None else when, run),
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
            (self._now(), code, signal, reason, *(usage or (None,) * 3), last_words or None, run),
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

    @property
    def serial(self) -> int:
        """The serial of the latest change."""
        return self._serial

    def next_serial(self) -> int:
        """Return the serial of the next change."""
        self._serial += 1
        return self._serial

    def change(self, change: Change) -> None:
        """Keep a published change, from the next commit on."""
        self._pending.append(change)

    def _write_pending(self) -> None:
        pending, self._pending = self._pending, []
        self._until_trim -= len(pending)
        for change in pending:
            # What has its default is left out: half the bytes.
            values = {
                name: value
                for (name, default), value in zip(_CHANGE_DEFAULTS.items(), change, strict=True)
                if value != default
            }
            self._write(
                "INSERT INTO changes VALUES (?, ?, ?, ?)",
                (change.serial, change.time, change.name, _dump(values)),
            )

    def keep(self, *, age: float, count: int) -> None:
        """Forget changes and ended runs older than `age` seconds or before the last `count`.

        At once, and from now on every so many changes.
        """
        self._age, self._count = age, count
        self._write_pending()
        self._trim(age, count)
        self._commit()

    def _trim(self, age: float, count: int) -> None:
        """Delete from the old end: what it costs depends on what goes, not on what stays."""
        self._until_trim = _TRIM_EVERY
        before = self._now() - age
        self._write(
            "DELETE FROM changes WHERE serial < max(?1, coalesce("
            "(SELECT serial FROM changes WHERE time >= ?2 ORDER BY serial LIMIT 1), ?3))",
            (self._serial - count + 1, before, self._serial + 1),
        )
        # A run that is alive stays, and one that ended lately, however long ago it began.
        self._write(
            "DELETE FROM runs WHERE run < max(?1, coalesce("
            "(SELECT run FROM runs WHERE intended >= ?2 ORDER BY run LIMIT 1), ?3))"
            " AND ended IS NOT NULL AND (ended < ?2 OR run < ?1)",
            (self._run - count + 1, before, self._run + 1),
        )

    def close(self) -> None:
        """Commit and let go of the file."""
        self.commit()
        self._db.close()
        if self._ids is not None:
            self._ids.close()

    # Reading. Raises OperationFailed if the file cannot be read.

    def _select(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise OperationFailed(f'cannot read the journal "{self.path}": {error}') from error

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
        rows = self._select(f"SELECT {_RUN_COLUMNS} FROM runs {where}", values)
        return [RunRow(**dict(zip(columns, row, strict=True))) for row in rows]

    def processes(self) -> Iterator[ProcessRow]:
        """Yield what is known of every process."""
        for name, record, definition in self._select("SELECT * FROM processes", ()):
            try:
                yield ProcessRow(name, json.loads(record), json.loads(definition))
            except ValueError as error:
                self._complain(f"{name}: what the journal knows of it is unusable: {error}")

    def changes(
        self, *, names: list[str] | None = None, after: int | None = None, limit: int = 100
    ) -> list[Change]:
        """Return changes, the oldest first: those after a serial, or else the latest ones."""
        self._write_pending()
        where, values = [], list[object]()
        if names is not None:
            where.append(f"name IN ({','.join('?' * len(names))})")
            values.extend(names)
        if after is not None:
            where.append("serial > ?")
            values.append(after)
        clause = f"WHERE {' AND '.join(where)}" if where else ""
        order = "ASC" if after is not None else "DESC"
        sql = f"SELECT change FROM changes {clause} ORDER BY serial {order} LIMIT ?"
        rows = self._select(sql, (*values, limit))
        found = [change for row in rows if (change := _change(row[0])) is not None]
        return found if after is not None else found[::-1]

    def knows(self, name: str) -> bool:
        """Is there anything about a process of this name, defined or not?"""
        self._write_pending()
        sql = (
            "SELECT EXISTS (SELECT 1 FROM changes WHERE name = ?1)"
            " OR EXISTS (SELECT 1 FROM runs WHERE name = ?1)"
        )
        return bool(self._select(sql, (name,))[0][0])


def _change(text: str) -> Change | None:
    """Return a change that was kept, maybe by another version; None if it is unusable."""
    try:
        values = json.loads(text)
        return Change(**{name: values[name] for name in Change._fields if name in values})
    except (ValueError, TypeError):
        return None


def open_journal(
    path: str,
    complain: Callable[[str], None],
    *,
    runtime_dir: str | None = None,
    boot: str | None = None,
    now: Callable[[], float] = time.time,
) -> Journal:
    """Open or make the journal at `path`.

    `runtime_dir` keeps a copy of its name, for when all beside it is lost; with the id of this
    `boot`, the run ids that were given out are kept outside it as well. One that is corrupt is set
    aside, reported through `complain`, and a new one begun. Raises StartupError if it was written
    by a newer version, or cannot be written.
    """
    database = open_database(path, complain, runtime_dir)
    ids = None if boot is None else RunIds(f"{os.path.dirname(path)}/run-ids", boot)
    return Journal(database, path, complain, ids, now)
