"""The journal's file: opened, checked, made anew, migrated; set aside if it is corrupt.

SQLite in write-ahead mode (https://sqlite.org/wal.html), `synchronous = NORMAL`: what is committed
survives the death of the daemon at any moment; a power cut may take the last commits, never the
consistency.

A disk that fails does not stop the daemon: that is reported once, and writing is tried again with
the next commit. If the disk is full when an older schema is to be migrated, the daemon works on a
migrated copy in memory, and the first commit for which there is room writes it to the file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from supervisor_lite.errors import OperationFailed, StartupError
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.store.instance import InstanceFiles
from supervisor_lite.store.migrations import SCHEMA, migrate
from supervisor_lite.store.tables import restore_tables

_NOT_CORRUPT = frozenset(
    (sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
     sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
)  # fmt: skip
"""Errors that are about the disk or the permissions, not about what the file holds."""

_COPY_AGAIN = 10.0
"""Seconds until a journal that is in memory is tried to be written to its file again, if that has
failed though there is room."""


class Database:
    """The journal's file while it is open, with the transaction that is being written."""

    def __init__(
        self, connection: sqlite3.Connection, path: str, warn: Callable[[str], None]
    ) -> None:
        self.path = path
        self._connection = connection
        self._warn = warn
        self._is_failing = False
        """The disk has failed, which was reported, and nothing has been written since."""
        self._has_lost = False
        """Something of what was written since the last commit is lost."""
        self._file: sqlite3.Connection | None = None
        """The file, while `connection` is its migrated copy in memory."""
        self._copy_due = 0.0
        """When that copy may next be tried to be written to the file, in monotonic seconds."""

    def write(self, sql: str, values: Sequence[object] = ()) -> None:
        """Write something with the next commit, which tells if it could not be done."""
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(sql, values)
        except UnicodeEncodeError:  # a path that is not UTF-8, in a reason
            self.write(sql, tuple(map(_utf8, values)))
        except sqlite3.Error as error:
            self._has_lost = True
            self._fail(error)

    def commit(self) -> bool:
        """Make everything written so far survive our death; False if some of it is lost."""
        lost, self._has_lost = self._has_lost, False
        if self._connection.in_transaction:
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                self._fail(error)
                return False
            if not lost:
                self._recover()
        elif self._file is not None:
            self._recover()
        return not lost

    def _fail(self, error: sqlite3.Error) -> None:
        with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already
            self._connection.execute("ROLLBACK")
        if not self._is_failing:
            self._is_failing = True
            self._warn(f'cannot write the journal "{self.path}": {error}')

    def _recover(self) -> None:
        """Something was committed: if the disk had failed, it takes what we write again."""
        if self._is_failing and (self._file is None or self._leave_memory()):
            self._is_failing = False
            self._warn(f'the journal "{self.path}" can be written again')

    # A disk that is full when a migration is due.

    def migrate(self, version: int) -> None:
        """Bring the file to the current schema, or work on a copy in memory until that is possible.

        Raises sqlite3.Error if it is what the file holds that is wrong.
        """
        try:
            _migrate(self._connection, version)
            # Much may have been written: keep no second copy of it in the log.
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            if not _is_about_disk(error):
                raise
            self._work_in_memory(version)
            self._fail(error)

    def _work_in_memory(self, version: int) -> None:
        memory = _connect(":memory:")
        try:
            self._connection.backup(memory)
            _migrate(memory, version)
        except BaseException:
            memory.close()
            raise
        self._connection, self._file = memory, self._connection

    def _leave_memory(self, *, at_once: bool = False) -> bool:
        """Write the copy in memory to the file, whole or not at all, and go on with the file."""
        assert self._file is not None
        if not at_once and (time.monotonic() < self._copy_due or not self._has_room()):
            return False
        self._copy_due = time.monotonic() + _COPY_AGAIN
        try:
            self._connection.backup(self._file)
        except sqlite3.Error:
            return False
        self._connection.close()
        self._connection, self._file = self._file, None
        return True

    def _has_room(self) -> bool:
        """Could the disk take all that is in memory? Cheap enough to be asked at every commit."""
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        try:
            disk = os.statvfs(os.path.dirname(self.path))
        except OSError:
            return True  # the try will tell
        room: int = disk.f_bavail * disk.f_frsize
        return bool(room > pages * size)

    def select(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query. Raises OperationFailed if the file cannot be read."""
        try:
            return self._select(sql, values)
        except sqlite3.Error as error:
            text = f'cannot read the journal "{self.path}": {error}'
            raise OperationFailed(text, ErrorCode.IO_ERROR) from error

    def _select(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) is not None:
                raise
        # Not SQLite's error but Python's: a text that is not UTF-8. The others are.
        self._connection.text_factory = lambda data: data.decode(errors="replace")
        try:
            return self._connection.execute(sql, values).fetchall()
        finally:
            self._connection.text_factory = str

    def close(self) -> None:
        """Commit and close the file."""
        self.commit()
        if self._file is not None and not self._leave_memory(at_once=True):
            self._file.close()
        self._connection.close()


def _utf8(value: object) -> object:
    if not isinstance(value, str):
        return value
    return value.encode(errors="backslashreplace").decode()


def open_database(
    path: str, warn: Callable[[str], None], runtime_dir: str | None = None
) -> Database:
    """Open or make the database at `path`; its table `meta` says which state directory this is.

    The random name of the state directory is also kept in files beside it and in `runtime_dir`.

    A file that is corrupt is set aside, reported through `warn`, and a new one begun. Raises
    StartupError if it was written by a newer version, or cannot be opened.
    """
    files = InstanceFiles(path, runtime_dir)
    try:
        return _open(path, warn, files)
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        if _is_about_disk(error):
            raise StartupError(f'cannot open the journal "{path}": {error}') from error
        aside = f"{path}.corrupt-{int(time.time())}"
        os.replace(path, aside)
        for suffix in ("-wal", "-shm"):
            if os.path.exists(path + suffix):
                os.replace(path + suffix, aside + suffix)
        warn(f'the journal "{path}" is unusable ({error}); it was set aside as "{aside}"')
        return _open(path, warn, files)


def _open(path: str, warn: Callable[[str], None], files: InstanceFiles) -> Database:
    with contextlib.suppress(OSError):  # SQLite says it better
        # Last words are in it: for our eyes only, whatever the umask is for logs.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = _connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA cache_size = -512")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise StartupError(
                f'cannot use the journal "{path}": it was written by a newer version'
                f" (schema {version}, this one knows {SCHEMA})"
            )
        if version == 0:
            _make(connection, files.read())
        (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if check != "ok":
            raise sqlite3.DatabaseError(check)
        database = Database(connection, path, warn)
        if 0 < version < SCHEMA:
            database.migrate(version)
        for lost in restore_tables(connection) if version == SCHEMA else ():
            warn(f'the table "{lost}" of the journal "{path}" was unusable, and is made anew')
        (instance,) = connection.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
        if not (isinstance(instance, str) and len(instance) == 32 and instance.isalnum()):
            raise ValueError(f"its name is {instance!r}")
    except BaseException:
        connection.close()
        raise
    files.write(str(instance))
    return database


def _connect(path: str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, cached_statements=64)


def _is_about_disk(error: Exception) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_CORRUPT


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do everything inside or nothing of it, whatever happens meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already
            connection.execute("ROLLBACK")
        raise


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    with _transaction(connection):
        migrate(connection, version)


def _make(connection: sqlite3.Connection, instance: str | None) -> None:
    """Make the tables. In place of a lost journal: with run ids that it cannot have given out."""
    with _transaction(connection):
        migrate(connection, 0)
        if instance is not None:
            sql, now = "INSERT INTO sqlite_sequence VALUES (?, ?)", int(time.time())
            connection.executemany(sql, [("runs", now), ("changes", now)])
        name = instance or os.urandom(16).hex()
        connection.execute("INSERT INTO meta VALUES ('instance', ?)", (name,))
