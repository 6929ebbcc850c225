"""Who has taken the place of a main process that has ended: the new master of a server.

nginx, gunicorn and unicorn replace themselves without losing a connection (SIGUSR2, then SIGQUIT
to the old one): the old master executes the new one as its child, hands the sockets over, and ends.
What is left of its run then is no leftover but the program itself.

It is known by one of two things, and by nothing else, because workers that have lost their master
look the same:

*The pid file* that the program writes, if its definition names it (`pidfile`). gunicorn has the
new master in a file of this name with ".2" at its end until it has noticed that it is the master.

*What these three say themselves*: the title that their masters have instead of a command line, or
the pid of the old master in GUNICORN_PID, which gunicorn passes on. A worker is only forked, and a
new master is executed; its parent is the old one, so it is an orphan by now. If there are two of
them, nobody is taken.

Only who is proved to be of the run is looked at (`Descendants.proves`). What a file or a process
says is believed of root, of the daemon's user and of the program's: a worker that has become
somebody else gives itself any title, and would keep the real master from being started again.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from supervisor_lite.files import open_regular
from supervisor_lite.host.kernel_files import read_start
from supervisor_lite.host.procfs import Stat, read_variable, real_uid

_MAX_PIDFILE = 64
_SUFFIXES = ("", ".2")
_OLD_MASTER = "GUNICORN_PID"
_TITLES = (b"nginx: master process", b"unicorn master", b"gunicorn: master")
_MAX_TITLE = 64
"""Bytes: a command line is as long as its process says."""


def successor(
    old: int, members: Collection[Stat], pidfile: str | None, users: Collection[int]
) -> Stat | None:
    """Return who of these is the main process now, after the one with the pid `old`.

    `users` are those whose word is believed: ours and the program's.
    """
    if pidfile is not None:
        for suffix in _SUFFIXES:
            found = _by_file(pidfile + suffix, members, users)
            if found is not None:
                return found
    pids = {member.pid for member in members}
    heirs = [s for s in members if s.ppid not in pids and _is_next_master(s, old, users)]
    return heirs[0] if len(heirs) == 1 else None


def _by_file(path: str, members: Collection[Stat], users: Collection[int]) -> Stat | None:
    """Return who of these is named in a file, if it is written by root or one of these users."""
    try:
        fd = open_regular(path)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        word = os.read(fd, _MAX_PIDFILE).strip()
    except OSError:
        return None
    finally:
        os.close(fd)
    for member in members:
        if word == str(member.pid).encode():
            return member if status.st_uid in (0, *users) else None
    return None


def _is_next_master(process: Stat, old: int, users: Collection[int]) -> bool:
    """Is a process the master that was executed by the one with this pid?"""
    if process.only_forked or real_uid(process.pid) not in (0, *users):
        return False
    if read_variable(process.pid, _OLD_MASTER) == str(old):
        return True
    try:
        return read_start(f"/proc/{process.pid}/cmdline", _MAX_TITLE).startswith(_TITLES)
    except OSError:
        return False
