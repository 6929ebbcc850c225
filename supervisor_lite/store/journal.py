"""What the next daemon needs to know: runs, records, definitions, changes with their causes.

Writes of one iteration of the event loop share a commit, except the intent to spawn, which is
committed before the fork. No write raises: a disk that fails must not stop what runs (database.py);
whether everything was written is what `commit` returns.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from supervisor_lite.model.cause import Cause
from supervisor_lite.model.change import Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.store.codec import encode, encode_short, to_text
from supervisor_lite.store.database import Database, open_database
from supervisor_lite.store.history import History
from supervisor_lite.store.operation_log import OperationLog
from supervisor_lite.store.run_ids import RunIds

_TRIM_EVERY = 256
"""Changes after which what is too old is forgotten: no timer is needed for that."""


class _Retention(NamedTuple):
    """How much is kept of what is over."""

    age: float
    """Seconds."""
    number: int
    """Of changes, and of runs."""


class Journal:
    """The journal of one state directory. One daemon at a time has it open."""

    def __init__(
        self,
        database: Database,
        warn: Callable[[str], None],
        ids: RunIds | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` is the wall clock by which everything is dated and forgotten."""
        self._database = database
        self._now = now
        self.path = database.path
        self.history = History(database, self._write_pending, warn)
        """What it tells of what was written."""
        self.operations = OperationLog(database, self.commit, warn)
        """What has begun and is not done."""
        self.instance = self._meta("instance") or ""
        """Random name of this state directory: part of every run's identity."""
        self._serial = self._last("changes")
        self._ids = ids
        self._run = max(self._last("runs"), ids.last if ids is not None else 0)
        self._defined: dict[str, Program] = {}
        """The definitions that are in the file, as far as they were written by us."""
        self._pending: list[Change] = []
        """Changes that are written with the next commit: no spawn has to wait for them."""
        self._retention: _Retention | None = None
        self._until_trim = _TRIM_EVERY

    def _meta(self, key: str) -> str | None:
        rows = self._database.select("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def _last(self, table: str) -> int:
        rows = self._database.select("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        return int(rows[0][0]) if rows else 0

    def enter(self, world: str) -> bool:
        """Note that this boot and pid namespace is where we are; was the last daemon there, too?"""
        before = self._meta("world")
        if before != world:
            self._database.write("INSERT OR REPLACE INTO meta VALUES ('world', ?)", (world,))
        return before in (None, world)

    # Runs.

    def skip_to(self, run: int) -> None:
        """Never give out this run id or one below it."""
        self._run = max(self._run, run)

    def reserve_runs(self, names: Sequence[str]) -> range:
        """Return new run ids for spawns that are about to happen; committed on return."""
        first = self._run + 1
        self._run += len(names)
        if self._ids is not None:
            self._ids.reserve(self._run)
        now = self._now()
        for run, name in enumerate(names, first):
            sql = "INSERT INTO runs (run, name, intended) VALUES (?, ?, ?)"
            self._database.write(sql, (run, name, now))
        self._commit()
        return range(first, first + len(names))

    def record_spawn(
        self, run: int, pid: int, boot: str, start: int, inode: int, when: float | None = None
    ) -> None:
        """The run has a process, and this is which; `when` it began, if not now."""
        self._database.write(
            "UPDATE runs SET pid = ?, boot = ?, start = ?, inode = ?, spawned = ? WHERE run = ?",
            (pid, boot, start, inode, self._now() if when is None else when, run),
        )

    def record_found(
        self, run: int, name: str, pid: int, boot: str, start: int, inode: int, spawned: float
    ) -> None:
        """A run is alive whose process, or which itself, had not been written down."""
        self._database.write(
            "INSERT INTO runs (run, name, intended, pid, boot, start, inode, spawned)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO UPDATE SET pid = excluded.pid,"
            " boot = excluded.boot, start = excluded.start, inode = excluded.inode,"
            " spawned = excluded.spawned",
            (run, name, spawned, pid, boot, start, inode, spawned),
        )

    def record_replacement(self, run: int, pid: int, boot: str, start: int, inode: int) -> None:
        """The run goes on, and this is its main process now; `spawned` stays when it began."""
        self._database.write(
            "UPDATE runs SET pid = ?, boot = ?, start = ?, inode = ? WHERE run = ?",
            (pid, boot, start, inode, run),
        )

    def record_end(
        self,
        run: int,
        cause: Cause,
        *,
        usage: tuple[int, float, float] | None = None,
        last_words: str = "",
    ) -> None:
        """The run is over. `usage`: maxrss in bytes, user and system seconds."""
        code, signal = (cause.exit.code, cause.exit.signal) if cause.exit else (None, None)
        text, used = to_text(encode(cause)), usage or (None,) * 3
        self._database.write(
            "UPDATE runs SET ended = ?, code = ?, signal = ?, cause = ?,"
            " maxrss = ?, utime = ?, stime = ?, last_words = ? WHERE run = ?",
            (self._now(), code, signal, text, *used, last_words or None, run),
        )

    # Processes.

    def remember(self, process: StoredProcess) -> None:
        """Keep what is known of a process; its definition is only written if it is another one."""
        record = encode(process.record)
        record["since"], record["started"] = process.since, process.started
        if self._defined.get(process.name) is process.program:
            sql = "UPDATE processes SET record = ? WHERE name = ?"
            self._database.write(sql, (to_text(record), process.name))
            return
        self._database.write(
            "INSERT OR REPLACE INTO processes VALUES (?, ?, ?)",
            (process.name, to_text(record), to_text(encode(process.program))),
        )
        self._defined[process.name] = process.program

    def forget(self, name: str) -> None:
        """The process is not defined any more."""
        self._database.write("DELETE FROM processes WHERE name = ?", (name,))
        self._defined.pop(name, None)

    def forget_all(self) -> None:
        """An orderly end: the next daemon starts from the configuration alone."""
        self._database.write("DELETE FROM processes")
        self.operations.forget_all()
        self._defined.clear()

    # Changes.

    @property
    def serial(self) -> int:
        """The serial of the latest change."""
        return self._serial

    def next_serial(self) -> int:
        """Return the serial of the next change."""
        self._serial += 1
        return self._serial

    def add_change(self, change: Change) -> None:
        """Keep a published change, from the next commit on."""
        self._pending.append(change)

    def _write_pending(self) -> None:
        pending, self._pending = self._pending, []
        self._until_trim -= len(pending)
        for change in pending:
            self._database.write(
                "INSERT INTO changes VALUES (?, ?, ?, ?)",
                (change.serial, change.time, change.name, to_text(encode_short(change))),
            )

    # Commits.

    def commit(self) -> bool:
        """Make everything written so far survive our death; False if some of it is lost."""
        self._write_pending()
        if self._until_trim <= 0 and self._retention is not None:
            self._trim(self._retention)
        return self._commit()

    def _commit(self) -> bool:
        if self._database.commit():
            return True
        self._defined.clear()  # which of them are in the file is not known any more
        return False

    def set_retention(self, *, age: float, count: int) -> None:
        """Forget changes and ended runs older than `age` seconds or before the last `count`.

        At once, and from now on every so many changes.
        """
        self._retention = _Retention(age, count)
        self._write_pending()
        self._trim(self._retention)
        self._commit()

    def _trim(self, kept: _Retention) -> None:
        """Delete from the old end: what it costs depends on what goes, not on what stays."""
        self._until_trim = _TRIM_EVERY
        before = self._now() - kept.age
        self._database.write(
            "DELETE FROM changes WHERE serial < max(?1, coalesce("
            "(SELECT serial FROM changes WHERE time >= ?2 ORDER BY serial LIMIT 1), ?3))",
            (self._serial - kept.number + 1, before, self._serial + 1),
        )
        # A run that is alive stays, and one that ended lately, however long ago it began.
        self._database.write(
            "DELETE FROM runs WHERE run < max(?1, coalesce("
            "(SELECT run FROM runs WHERE intended >= ?2 ORDER BY run LIMIT 1), ?3))"
            " AND ended IS NOT NULL AND (ended < ?2 OR run < ?1)",
            (self._run - kept.number + 1, before, self._run + 1),
        )

    def close(self) -> None:
        """Commit and close the file."""
        self.commit()
        self._database.close()
        if self._ids is not None:
            self._ids.close()


def open_journal(
    path: str,
    warn: Callable[[str], None],
    *,
    runtime_dir: str | None = None,
    boot: str | None = None,
    now: Callable[[], float] = time.time,
) -> Journal:
    """Open or make the journal at `path`; what the operator should know is told to `warn`.

    `runtime_dir` keeps a copy of its name, for when all beside it is lost; with the id of this
    `boot`, the run ids that were given out are kept outside it as well. Raises StartupError if it
    was written by a newer version, or cannot be opened.
    """
    database = open_database(path, warn, runtime_dir)
    ids = None if boot is None else RunIds(f"{os.path.dirname(path)}/run-ids", boot)
    return Journal(database, warn, ids, now)
