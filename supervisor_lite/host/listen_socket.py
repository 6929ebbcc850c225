"""One socket on which the daemon listens for a program: bound, recognised, or fetched."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat

from supervisor_lite import safe_paths, sockets
from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host import syscalls
from supervisor_lite.model.sockets import ListenSocket
from supervisor_lite.users import owner_ids

LOWEST_SOCKET = 64
"""Our descriptors begin here, so that those of a child, from 3 on, can never be one of them."""


class OpenSocket:
    """A listening socket, and the processes that it is kept for."""

    __slots__ = ("fd", "inode", "path", "users")

    def __init__(self, fd: int, path: str = "", inode: tuple[int, int] | None = None) -> None:
        """`inode` is device and inode of the file of a Unix socket, as we made it."""
        self.fd = fd
        self.path = path
        self.inode = inode
        self.users: set[str] = set()


def known_socket(fd: int, address: str) -> OpenSocket:
    """Return a socket of an earlier daemon."""
    path = unix_path(address)
    return OpenSocket(fd, path, sockets.inode_of(path) if path else None)


def unix_path(address: str) -> str:
    """Return the path of a Unix socket; empty for another one."""
    return address.removeprefix("unix://") if address.startswith("unix://") else ""


def split_tcp(address: str) -> tuple[str, int]:
    """Return host and port of a `tcp://` address; `*` is every address of the machine."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)


def is_listening(fd: int) -> bool:
    """Is this descriptor, which is a socket, one that listens (SO_ACCEPTCONN, socket(7))?"""
    with socket.socket(fileno=os.dup(fd)) as probe:
        return bool(probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def is_at(fd: int, address: str) -> bool:
    """Tell whether a listening socket is the one of this address."""
    with socket.socket(fileno=os.dup(fd)) as probe:
        name = probe.getsockname()
    if path := unix_path(address):
        return bool(name == path)
    if not isinstance(name, tuple) or not address.startswith("tcp://"):
        return False
    host, port = split_tcp(address)
    same = name[0] in ("::", "0.0.0.0") if host == "*" else name[0] == host
    return same and name[1] == port


# Binding.


def bind_socket(wanted: ListenSocket, uid: int, gid: int) -> OpenSocket:
    """Return a new socket that listens. Raises SpawnError."""
    try:
        if path := unix_path(wanted.listen):
            return _bound_unix(path, wanted, uid, gid)
        return OpenSocket(_moved_up(_listen_tcp(wanted)))
    except OSError as error:
        cause = error.strerror or str(error)
        text = f'cannot listen on "{wanted.listen}": {cause}'
        raise SpawnError(text, SpawnErrorCode.SOCKET, wanted.listen) from error


def _moved_up(sock: socket.socket) -> int:
    """Return a high descriptor for the socket."""
    with sock:
        return fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, LOWEST_SOCKET)


def _listen_tcp(wanted: ListenSocket) -> socket.socket:
    host, port = split_tcp(wanted.listen)
    if host == "*":
        return sockets.listen_everywhere(port, wanted.backlog)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return sockets.listen_tcp(family, (host, port), wanted.backlog)


def _bound_unix(path: str, wanted: ListenSocket, uid: int, gid: int) -> OpenSocket:
    _remove_stale(path)
    # Not bound elsewhere and renamed: programs ask the socket for its address.
    sock, status = sockets.bound_unix(path, wanted.mode, _owner(wanted, uid, gid))
    try:
        sock.listen(wanted.backlog)
    except BaseException:
        sock.close()
        raise
    return OpenSocket(_moved_up(sock), path, (status.st_dev, status.st_ino))


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more. Raises OSError if somebody does."""
    with safe_paths.at(path) as place:
        status = place.status()
        if status is None:
            return
        if not stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.EEXIST, "something else is there")
        try:
            served = sockets.is_served(place.by_kernel(place.name))
        except OSError:
            served = True
        if served:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        place.unlink()


def _owner(wanted: ListenSocket, uid: int, gid: int) -> tuple[int, int]:
    try:
        return owner_ids(wanted.owner, wanted.group, (uid, gid))
    except KeyError as error:
        text = f'cannot listen on "{wanted.listen}": {error.args[0]}'
        raise SpawnError(text, SpawnErrorCode.SOCKET, wanted.listen) from None


# Fetching.


def fetch_socket(pid: int, pidfd: int, address: str) -> int | None:
    """Return a copy of a descriptor of the process, or None if it has none of that socket.

    The kernel asks for the right to trace the process (ptrace(2)).
    """
    try:
        numbers = sorted(map(int, os.listdir(f"/proc/{pid}/fd")))
    except OSError:
        return None
    for number in numbers:
        try:
            if not os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:"):
                continue
        except OSError:
            continue
        try:
            fd = syscalls.copy_descriptor(pidfd, number)
        except OSError:
            continue
        try:
            if is_listening(fd) and is_at(fd, address):
                return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOWEST_SOCKET)
        except OSError:
            continue
        finally:
            os.close(fd)
    return None
