"""The journal's file: opened, checked, made anew; set aside if it is corrupt.

What must outlive it lies in small files beside it: the name of the state directory, which is part
of every run's identity, and the highest run id that was ever given out.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator

from supervisor_lite.errors import StartupError
from supervisor_lite.store.migrations import SCHEMA, migrate

_NOT_CORRUPT = frozenset(
    (sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
     sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN)
)  # fmt: skip
"""Errors that are about the disk or the permissions, not about what the file holds."""


def open_database(
    path: str, complain: Callable[[str], None], runtime_dir: str | None = None
) -> sqlite3.Connection:
    """Open or make the database at `path`; its table `meta` says which state directory this is.

    The random name of the state directory is also kept in a file of its own beside it, and in a
    copy in `runtime_dir`: if the journal or all of the state directory is lost, the runs that carry
    that name in their environment are still ours.

    One that is corrupt is set aside, reported through `complain`, and a new one begun. Raises
    StartupError if it was written by a newer version, or cannot be written.
    """
    name = _Name(path, runtime_dir)
    try:
        return _open(path, name)
    except (sqlite3.DatabaseError, ValueError, TypeError) as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_CORRUPT:
            raise StartupError(f'cannot open the journal "{path}": {error}') from error
        aside = f"{path}.corrupt-{int(time.time())}"
        os.replace(path, aside)
        for suffix in ("-wal", "-shm"):
            if os.path.exists(path + suffix):
                os.replace(path + suffix, aside + suffix)
        complain(f'the journal "{path}" is unusable ({error}); it was set aside as "{aside}"')
        return _open(path, name)


def _open(path: str, name: _Name) -> sqlite3.Connection:
    with contextlib.suppress(OSError):  # SQLite says it better
        # Last words are in it: for our eyes only, whatever the umask is for logs.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
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
            with _transaction(database):
                migrate(database, version)
                _begin(database, name.read())
        check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise sqlite3.DatabaseError(check)
        if 0 < version < SCHEMA:
            with _transaction(database):
                migrate(database, version)
        sql = "SELECT value FROM meta WHERE key = 'instance'"
        instance = str(database.execute(sql).fetchone()[0])
    except BaseException:
        database.close()
        raise
    name.keep(instance)
    return database


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Do everything inside or nothing of it, whatever happens meanwhile."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already
            database.execute("ROLLBACK")
        raise


def _begin(database: sqlite3.Connection, instance: str | None) -> None:
    """Name a new database. In place of a lost one: with run ids that it cannot have given out."""
    if instance is not None:
        for table in ("runs", "changes"):
            database.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, int(time.time())))
    name = instance or os.urandom(16).hex()
    database.execute("INSERT INTO meta VALUES ('instance', ?)", (name,))


class _Name:
    """The random name of a state directory, where it is kept outside the journal."""

    def __init__(self, path: str, runtime_dir: str | None) -> None:
        state_dir = os.path.realpath(os.path.dirname(path))
        self._texts = {os.path.join(state_dir, "instance"): "{name}\n"}
        if runtime_dir is not None:
            # Another state directory that uses this runtime directory later is not the same.
            self._texts[os.path.join(runtime_dir, "instance")] = f"{{name}}\n{state_dir}\n"

    def read(self) -> str | None:
        """Return the name that one of the files holds, None if none does."""
        for path, template in self._texts.items():
            text = _read(path)
            name = text[:32]
            if len(name) == 32 and name.isalnum() and text == template.replace("{name}", name):
                return name
        return None

    def keep(self, name: str) -> None:
        """Have every file hold the name. Raises OSError if that beside the journal cannot be."""
        beside, *copies = self._texts
        _keep(beside, self._texts[beside].replace("{name}", name))
        for path in copies:
            # One less to fall back on, but no reason not to start.
            with contextlib.suppress(OSError):
                _keep(path, self._texts[path].replace("{name}", name))


def _read(path: str) -> str:
    """Return what a small file holds; empty if it is missing, strange or unreadable."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            return file.read(8192).decode()
    except (OSError, ValueError):
        return ""


def _keep(path: str, text: str) -> None:
    """Have a small file hold this, whole or not at all. Raises OSError."""
    if _read(path) == text:
        return
    fresh = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)


_PROMISED = 1000
"""Run ids for which the disk is waited for together."""

HIGHEST_RUN = 1 << 53
"""No run id is above it: JSON numbers are exact up to there."""


class RunIds:
    """The highest run id that was given out, outside the journal, so that none is reused.

    A small file that is written over in place with each id: "LAST PROMISED BOOT". What a daemon has
    written survives its death, so within a boot LAST is exact, whatever became of the journal. A
    power cut may take LAST, but not PROMISED: no id above it is given out before that is on the
    disk (fdatasync(2)).
    """

    def __init__(self, path: str, boot: str) -> None:
        self._boot = boot
        self._promised = 0
        self.last = self._highest(_read(path))
        """The highest that an earlier daemon can have given out; 0 if nothing is known of it."""
        # If it cannot be written, neither can the journal beside it, and that is told there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError:
            self._fd = -1

    def _highest(self, text: str) -> int:
        match text.partition("\n")[0].split():
            case [last, promised, boot] if last.isdecimal() and promised.isdecimal():
                highest = int(last if boot == self._boot else promised)
                return highest if highest <= HIGHEST_RUN else 0
        return 0

    def give(self, run: int) -> None:
        """Note that this id is given out; to be called before it is."""
        sure = run <= self._promised
        if not sure:
            self._promised = run + _PROMISED
        self._write(run, sure=sure)

    def _write(self, run: int, *, sure: bool) -> None:
        self.last = run
        if self._fd < 0:
            return
        line = f"{run:016} {self._promised:016} {self._boot}\n"
        with contextlib.suppress(OSError):  # as above
            os.pwrite(self._fd, line.encode(), 0)
            if not sure:
                os.fdatasync(self._fd)

    def close(self) -> None:
        """Promise nothing more, and let go of the file."""
        if self._fd >= 0:
            self._promised = self.last
            self._write(self.last, sure=True)
            os.close(self._fd)
            self._fd = -1
