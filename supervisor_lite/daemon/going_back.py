"""Back to the version before, when the one that was executed in its place cannot serve.

`--check` finds out whether a new version can be loaded and can read the configuration, not whether
it can take over. So what the old version has handed over (handover.py) is kept until the new one
serves: if that fails before, by whatever error, it executes the code that ran until then, of which
the old version has kept a copy (kept_code.py). Same pid, same children, same open socket: clients
wait a moment longer, and `slctl upgrade` says what has happened.

A journal that is of an older schema is copied before it is migrated, and the copy put back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import sys
from typing import Any

from supervisor_lite import __version__

START = (
    "import sys; sys.path[:] = [sys.argv.pop(1), *filter(None, sys.path)];"
    " from supervisor_lite.__main__ import main; sys.exit(main())"
)
"""Runs the daemon of a directory, whatever else is in the path of modules.

With -c, Python looks first where we are, and others may have put files there: not there then.
"""

_TOO_LONG = 40.0
"""Seconds until a new version that neither serves nor fails is given up."""


class _Kept:
    """What is needed to go back."""

    def __init__(self, values: dict[str, Any], variable: str) -> None:
        self.values = values
        self.variable = variable
        self.environment = dict(os.environ)
        self.directory = os.getcwd()
        self.blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        """The signals that the old version has left blocked."""
        self.journal = ""
        """The journal of which there is a copy."""
        fds = [values["socket"], *values["locks"], *values["held"]]
        self.copies: dict[int, int] = {}
        for fd in fds:
            self.copies[fd] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


_kept: _Kept | None = None


def prepare(values: dict[str, Any], variable: str) -> None:
    """Keep what the old version has handed over, if it has said how to go back to it."""
    global _kept
    if not values.get("fallback"):
        return
    with contextlib.suppress(OSError):  # without descriptors to spare there is no way back
        _kept = _Kept(values, variable)
        signal.signal(signal.SIGALRM, _too_late)
        signal.setitimer(signal.ITIMER_REAL, _TOO_LONG)
        watch_clock()


def watch_clock() -> None:
    """Let the time be up while we try; signals that mean nothing else may have been blocked."""
    if _kept is not None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGALRM,))


def _too_late(number: int, frame: object) -> None:
    raise TimeoutError(f"it did not serve within {_TOO_LONG:g} s")


def is_possible() -> bool:
    """Can we go back?"""
    return _kept is not None


def keep_journal(path: str, schema: int) -> None:
    """Copy the journal if it is about to be migrated. Never raises."""
    if _kept is None or not os.path.exists(path):
        return
    with contextlib.suppress(sqlite3.Error, OSError):
        with contextlib.closing(sqlite3.connect(path)) as journal:
            (version,) = journal.execute("PRAGMA user_version").fetchone()
            if version in (0, schema):
                return
            _remove(_copy_of(path))
            with contextlib.closing(sqlite3.connect(_copy_of(path))) as copy:
                journal.backup(copy)
        _kept.journal = path


def succeeded() -> None:
    """We serve: there is no way back any more."""
    global _kept
    kept, _kept = _kept, None
    if kept is None:
        return
    _stop_clock()
    for fd in kept.copies.values():
        os.close(fd)
    if kept.journal:
        _remove(_copy_of(kept.journal))


def go_back(reason: str) -> None:
    """Become the version before. Returns only if that is not possible."""
    global _kept
    kept, _kept = _kept, None
    if kept is None:
        return
    fallback, copies = kept.values["fallback"], kept.copies
    with contextlib.suppress(OSError, ValueError):
        _stop_clock()
        values = {
            **kept.values,
            "socket": copies[kept.values["socket"]],
            "locks": [copies[fd] for fd in kept.values["locks"]],
            "held": [copies[fd] for fd in kept.values["held"]],
            "fallback": None,
            "failed": {"version": __version__, "reason": reason},
        }
        memory = os.memfd_create("handover", 0)
        os.write(memory, json.dumps(values).encode())
        for fd in copies.values():
            os.set_inheritable(fd, True)
        if kept.journal:
            _put_back(kept.journal)
        signal.pthread_sigmask(signal.SIG_SETMASK, kept.blocked)
        os.chdir(kept.directory)
        command = [sys.executable, "-c", START, fallback["code"], *sys.argv[1:]]
        os.execve(command[0], command, {**kept.environment, kept.variable: str(memory)})


def _stop_clock() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM,))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _put_back(journal: str) -> None:
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(journal + suffix)
    os.replace(_copy_of(journal), journal)


def _copy_of(journal: str) -> str:
    return f"{journal}.before-upgrade"


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
