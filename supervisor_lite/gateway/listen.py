"""The sockets of the gateway: Unix sockets with their mode from the first instant, and TCP."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from supervisor_lite import users
from supervisor_lite.errors import StartupError
from supervisor_lite.model.settings import GatewaySettings
from supervisor_lite.sockets import (
    NO_IPV6,
    bind_unix,
    inode_of,
    listen_everywhere,
    listen_tcp,
    unlink_same,
)

_BACKLOG = 256


@dataclass(frozen=True, slots=True)
class Listening:
    """The sockets, and which files are theirs."""

    sockets: list[socket.socket]
    files: dict[str, tuple[int, int]]
    """Path -> device and inode."""

    def remove_files(self) -> None:
        """Take our Unix sockets away, if they are still ours and we may."""
        for path, inode in self.files.items():
            unlink_same(path, inode)


def bind(settings: GatewaySettings) -> Listening:
    """Return a listening socket for each address. Raises StartupError; then none is open."""
    with contextlib.ExitStack() as stack:
        sockets: list[socket.socket] = []
        for url in settings.listen:
            try:
                bound = list(_bind(url, settings))
            except OSError as error:
                reason = error.strerror or str(error)
                raise StartupError(f"cannot listen on {url}: {reason}") from error
            for sock in bound:
                stack.callback(sock.close)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setblocking(False)
            sockets += bound
        stack.pop_all()
    paths = [url.removeprefix("unix://") for url in settings.listen if url.startswith("unix://")]
    return Listening(sockets, {path: inode for path in paths if (inode := inode_of(path))})


def _bind(url: str, settings: GatewaySettings) -> Iterator[socket.socket]:
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        owner = users.owner_ids(settings.socket_owner, settings.socket_group, (-1, -1))
        yield bind_unix(path, settings.socket_mode, owner, _BACKLOG)
        return
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    if host == "::":
        yield listen_everywhere(port, _BACKLOG)
        return
    seen = set()
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in found:
        if address not in seen:
            seen.add(address)
            try:
                yield listen_tcp(family, address, _BACKLOG, only_ipv6=True)
            except OSError as error:
                if error.errno not in NO_IPV6 or len(seen) == 1:
                    raise


def become(user: str | None) -> bool:
    """Give up root for this user; tell whether there was anything to give up.

    Everything must be loaded by then: that user may not be able to read where Python lives.
    Raises StartupError.
    """
    if user is None or os.geteuid() != 0:
        return False
    try:
        users.become(users.find_user(user))
    except (KeyError, OSError) as error:
        raise StartupError(f'cannot become the user "{user}": {error}') from error
    return True
