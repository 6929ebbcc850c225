"""The sockets of the gateway: Unix sockets with their mode from the first instant, and TCP."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from supervisor_lite.errors import StartupError
from supervisor_lite.model.settings import GatewaySettings
from supervisor_lite.unix_socket import bind_unix

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
            with contextlib.suppress(OSError):
                if _inode(path) == inode:
                    os.unlink(path)


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
                sock.setblocking(False)
            sockets += bound
        stack.pop_all()
    paths = [url.removeprefix("unix://") for url in settings.listen if url.startswith("unix://")]
    return Listening(sockets, {path: _inode(path) for path in paths})


def _inode(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _bind(url: str, settings: GatewaySettings) -> Iterator[socket.socket]:
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        yield bind_unix(path, settings.socket_mode, _owner(settings), _BACKLOG)
        return
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    everywhere = host == "::"
    seen = set()
    for family, kind, _, _, place in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        if place not in seen:
            seen.add(place)
            try:
                yield _bind_tcp(family, kind, place, everywhere)
            except OSError as error:
                if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) or not (
                    everywhere or len(seen) > 1
                ):
                    raise
                if everywhere:  # a machine without IPv6
                    yield _bind_tcp(socket.AF_INET, kind, ("0.0.0.0", port), False)


def _bind_tcp(family: int, kind: int, place: tuple[object, ...], everywhere: bool) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if everywhere else 1)
        sock.bind(place)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _owner(settings: GatewaySettings) -> tuple[int, int]:
    owner, group = settings.socket_owner, settings.socket_group
    uid = gid = -1
    if owner is not None:
        uid = int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid
    if group is not None:
        gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    return uid, gid


def become(user: str) -> None:
    """Give up root for this user. Raises StartupError."""
    try:
        entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except (KeyError, OSError) as error:
        raise StartupError(f'cannot become the user "{user}": {error}') from error
