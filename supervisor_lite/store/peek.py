"""Look into the journal of a daemon that is gone, before there is another: nothing is written."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from supervisor_lite.errors import OperationFailed
from supervisor_lite.model.known_configuration import KnownConfiguration
from supervisor_lite.model.run import RunRow, StoredProcess
from supervisor_lite.model.world import World
from supervisor_lite.store.codec import decode
from supervisor_lite.store.database import Database
from supervisor_lite.store.history import History
from supervisor_lite.store.migrations import SCHEMA


class Peeked(NamedTuple):
    """What a journal says of the last daemon."""

    configuration: KnownConfiguration
    world: World
    runs: list[RunRow]
    """Those that are open."""
    processes: list[StoredProcess]
    is_pending: bool
    """The daemon died in the middle of an operation."""


def peek(path: str, warn: Callable[[str], None]) -> Peeked | None:
    """Return what a journal of ours says; None if there is none, or it cannot be used.

    One that belongs to somebody else is not looked into.
    """
    with contextlib.suppress(OSError, sqlite3.Error, OperationFailed, ValueError, TypeError):
        if os.lstat(path).st_uid == os.geteuid():
            connection = sqlite3.connect(
                f"file:{_quoted(path)}?mode=rw", uri=True, isolation_level=None
            )
            with contextlib.closing(connection):
                return _read(connection, path, warn)
    return None


def _quoted(path: str) -> str:
    """Return a path as it is written in a URI. Not by urllib, which loads 0.4 MB for it."""
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _read(connection: sqlite3.Connection, path: str, warn: Callable[[str], None]) -> Peeked | None:
    if connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
        return None
    database = Database(connection, path, warn)
    history = History(database, lambda: None, warn)
    meta = dict(database.select("SELECT key, value FROM meta"))
    return Peeked(
        decode(KnownConfiguration, json.loads(meta.get("configuration", ""))),
        World.parse(str(meta.get("world", ""))),
        history.open_runs(),
        list(history.processes()),
        any(str(key).startswith("operation:") for key in meta),
    )
