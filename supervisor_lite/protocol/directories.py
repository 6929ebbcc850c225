"""Which of the default directories belong to which configuration; shared by daemon and client.

The first configuration that a daemon of a user runs with has the plain ones, such as
/var/lib/supervisor-lite, and says so in a note there. Another one has its own, with a mark at the
end of their names: /var/lib/supervisor-lite-shop-1f0c23aa. So both can run side by side.
On the hot path of `slctl`: one small file is read.
"""

from __future__ import annotations

import os

from supervisor_lite.protocol import quick_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAIN = "supervisor.toml"
"""What a directory is read from, if it has this file; without, all its *.toml are read."""

NOTE = "daemon.json"
OWN_FILES = (
    "supervisor.lock", "journal.db", "journal.db-wal", "journal.db-shm", "run-ids",
    "instance", NOTE,
)  # fmt: skip
"""What a daemon keeps in its directories besides socket and pid file: no log goes there."""

_MAX_NAME = 24
"""Characters of the project's name that are in the mark."""


def read_owner(directory: str) -> dict[str, Any]:
    """Return what the note in a directory says: configuration, pid, socket; or nothing."""
    try:
        fd = os.open(
            f"{directory}/{NOTE}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
        try:
            data = os.read(fd, 65536)
        finally:
            os.close(fd)
        note = quick_json.loads(data)
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}


def absolute(path: str) -> str:
    """Return the absolute path of a configuration, as whoever typed it sees it.

    With the shell's idea of the current directory: a deployment moves links that lead there.
    """
    if os.path.isabs(path):
        return os.path.normpath(path)
    here = os.environ.get("PWD", "")
    try:
        if not os.path.isabs(here) or not os.path.samefile(here, "."):
            here = os.getcwd()
    except OSError:
        here = os.getcwd()
    return os.path.normpath(os.path.join(here, path))


def main_file(config: str) -> str:
    """Return what is read of a configuration that was named: of a directory its main file."""
    main = os.path.join(config, MAIN)
    return main if os.path.lexists(main) else config


def same(one: str, other: str) -> bool:
    """Are these the same configuration?"""
    one, other = main_file(one), main_file(other)
    if one == other:
        return True
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):  # what is no path is no configuration either
        return False


def mark(config: str) -> str:
    """Return what the names of a configuration's own directories end with."""
    from binascii import crc32

    folder = os.path.basename(config if os.path.isdir(config) else os.path.dirname(config))
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in folder)
    return f"-{name[:_MAX_NAME] or 'root'}-{crc32(os.fsencode(config)):08x}"


def suffix(plain: str, config: str | None, usual: list[str]) -> str:
    """Return what a default directory's name ends with for a configuration: nothing, or its mark.

    `config` is an absolute path; `usual` are the places where a configuration is found from
    everywhere.
    """
    if config is None:
        return ""
    owner = str(read_owner(plain).get("configuration") or "")
    folder, name = os.path.split(config)
    # A daemon of a version that knew no main files was given the directory.
    names = (config, folder) if name == MAIN else (config,)
    if owner in names:
        return ""
    for each in names:
        own = mark(each)
        if read_owner(plain + own).get("configuration") in names:
            return own
    own = mark(config)
    if owner:
        return own if os.path.exists(owner) and not same(owner, config) else ""
    if config in usual or _is_used(plain):
        return ""  # by a daemon from before there were notes
    return own if any(map(os.path.isfile, usual)) else ""


def _is_used(directory: str) -> bool:
    names = ("supervisor.lock", "supervisor.sock", "journal.db")
    return any(os.path.lexists(f"{directory}/{name}") for name in names)
