"""What the next daemon needs to know: runs, records, definitions, changes with their causes.

Writes of one iteration of the event loop share a commit, except the intent to spawn, which is
committed before the fork. No write raises: a disk that fails must not stop what runs (database.py);
whether everything was written is what `commit` returns.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from supervisor_lite.model.cause import Cause
from supervisor_lite.model.change import Change
from supervisor_lite.model.known_configuration import KnownConfiguration
from supervisor_lite.model.program import Program
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.model.world import World
from supervisor_lite.store.codec import encode, encode_short, to_text
from supervisor_lite.store.database import Database, open_database
from supervisor_lite.store.history import History
from supervisor_lite.store.history_clock import since_boot
from supervisor_lite.store.instance import InstanceFiles
from supervisor_lite.store.operation_log import OperationLog
from supervisor_lite.store.retention import Retention
from supervisor_lite.store.run_ids import HIGHEST_RUN, RunIds
from supervisor_lite.store.unsent_signals import UnsentSignals
from supervisor_lite.store.unused_groups import UnusedGroups

_TRIM_EVERY = 256
"""Changes after which what is too old is forgotten: no timer is needed for that."""


class Journal:
    """The journal of one state directory. One daemon at a time has it open."""

    def __init__(
        self,
        database: Database,
        warn: Callable[[str], None],
        ids: RunIds | None = None,
        names: InstanceFiles | None = None,
        now: Callable[[], float] = time.time,
        passed: Callable[[], float] = since_boot,
    ) -> None:
        """`now` is the wall clock by which everything is dated; `passed` shows real time."""
        self._database = database
        self._now = now
        self._passed = passed
        self.path = database.path
        self.history = History(database, self._write_pending, warn)
        """What it tells of what was written."""
        self.operations = OperationLog(database, self.commit, warn)
        """What has begun and is not done."""
        self.unsent_signals = UnsentSignals(database)
        """What is about to be sent."""
        self.unused_groups = UnusedGroups(database)
        self.instance = self._meta("instance") or ""
        """Random name of this state directory: part of every run's identity."""
        self._serial = self._last("changes")
        self._ids = ids
        self._names = names
        self._run = max(self._last("runs"), ids.last if ids is not None else 0)
        self.highest_run = self._given_out()
        """No run that an earlier daemon has begun can have a higher id."""
        self._defined: dict[str, Program] = {}
        """The definitions that are in the file, as far as they were written by us."""
        self._pending: list[Change] = []
        """Changes that are written with the next commit: no spawn has to wait for them."""
        self._retention: Retention | None = None
        self._until_trim = _TRIM_EVERY

    def _meta(self, key: str) -> str | None:
        rows = self._database.select("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def _last(self, table: str) -> int:
        """Return the highest number that a table has ever had, as far as it can be one."""
        rows = self._database.select("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
        if rows and type(rows[0][0]) is int and 0 <= rows[0][0] <= HIGHEST_RUN:
            return int(rows[0][0])
        return self._highest_in(table)

    def write_name(self) -> None:
        """Have the files beside it hold its name again, if they are gone. Raises OSError."""
        if self._names is not None:
            self._names.write(self.instance)

    def _highest_in(self, table: str) -> int:
        sql = f"SELECT max(rowid) FROM {table} WHERE rowid BETWEEN 0 AND ?"
        return int(self._database.select(sql, (HIGHEST_RUN,))[0][0] or 0)

    def _given_out(self) -> int:
        """Return the highest run id that can have been given out.

        A journal that was made in place of a lost one has skipped many; then the file knows more.
        """
        if self._ids is None or not self._ids.last:
            return self._run
        return max(self._ids.possible, self._highest_in("runs"))

    def last_world(self) -> World | None:
        """Return where the last daemon was; None if there was none."""
        text = self._meta("world")
        return World.parse(text) if text is not None else None

    def enter(self, world: World) -> None:
        """Note that this is where we are."""
        if self._meta("world") != str(world):
            self._database.write("INSERT OR REPLACE INTO meta VALUES ('world', ?)", (str(world),))

    def keep_configuration(self, known: KnownConfiguration) -> None:
        """Keep the configuration that is in force, unless it is there already."""
        text = to_text(encode(known))
        if self._meta("configuration") != text:
            sql = "INSERT OR REPLACE INTO meta VALUES ('configuration', ?)"
            self._database.write(sql, (text,))

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
        usage: tuple[int | None, float, float] | None = None,
        last_words: str = "",
    ) -> None:
        """The run is over. `usage`: maxrss in bytes or None, user and system seconds."""
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
        self.unsent_signals.forget_all()
        self.unused_groups.forget_all()
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

    def amend_change(self, change: Change) -> None:
        """Keep a change that was added as it is now, under the same serial."""
        self._write_pending()
        values = (to_text(encode_short(change)), change.serial)
        self._database.write("UPDATE changes SET change = ? WHERE serial = ?", values)

    def _write_pending(self) -> None:
        pending, self._pending = self._pending, []
        self._until_trim -= len(pending)
        for change in pending:
            values = (change.serial, change.time, change.name, to_text(encode_short(change)))
            self._database.write("INSERT INTO changes VALUES (?, ?, ?, ?)", values)

    # Commits.

    def commit(self) -> bool:
        """Make everything written so far survive our death; False if some of it is lost."""
        self._write_pending()
        if self._until_trim <= 0 and self._retention is not None:
            self._trim(self._retention)
        return self._commit()

    def _commit(self) -> bool:
        self.unused_groups.write()
        if self._database.commit():
            self.unused_groups.on_committed()
            return True
        self._defined.clear()  # which of them are in the file is not known any more
        return False

    def set_retention(self, *, age: float, count: int) -> None:
        """Forget changes and ended runs older than `age` seconds or before the last `count`.

        At once, and from now on every so many changes.
        """
        self._write_pending()
        self._retention = Retention(self._database, self._now, self._passed, age, count)
        self._trim(self._retention)
        self._commit()

    def _trim(self, retention: Retention) -> None:
        self._until_trim = _TRIM_EVERY
        retention.trim(self._serial, self._run)

    def close(self) -> None:
        """Commit and close the file; what is too old by now goes, as far as time is counted."""
        self._until_trim = 0
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
    passed: Callable[[], float] = since_boot,
) -> Journal:
    """Open or make the journal at `path`; what the operator should know is told to `warn`.

    `runtime_dir` keeps a copy of its name, for when all beside it is lost; with the id of this
    `boot`, the run ids that were given out are kept outside it as well. Raises StartupError if it
    was written by a newer version, or cannot be opened.
    """
    database = open_database(path, warn, runtime_dir)
    ids = None if boot is None else RunIds(f"{os.path.dirname(path)}/run-ids", boot)
    return Journal(database, warn, ids, InstanceFiles(path, runtime_dir), now, passed)
