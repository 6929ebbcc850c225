"""The sockets on which the daemon listens for a program."""

from __future__ import annotations

from typing import NamedTuple


class ListenSocket(NamedTuple):
    """A socket on which the daemon listens for a program."""

    listen: str
    """`tcp://127.0.0.1:8000`, `tcp://[::1]:8000`, `tcp://*:8000` or `unix:///path`."""
    name: str = ""
    """Its name in LISTEN_FDNAMES; empty: that of the program."""
    mode: int = 0o660
    """Permissions of a Unix socket."""
    owner: str | None = None
    """Owner of a Unix socket; None: the program's user."""
    group: str | None = None
    """Group of a Unix socket; None: the first group of the program's user."""
    backlog: int = 4096
    """Connections that may wait to be accepted; the kernel has a limit of its own."""
