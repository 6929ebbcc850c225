"""Sockets on which the daemon listens for its programs: bound once, handed to run after run.

A socket is open as long as one of its users, processes that are defined with it, is up or about to
be. So a connection that comes while a program is restarted waits in the queue of the kernel. The
next daemon gets the sockets from this one (handover.py), from systemd's store, or, after a death
without either, out of a live child (pidfd_getfd(2)).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from supervisor_lite.errors import SpawnError
from supervisor_lite.host import syscalls
from supervisor_lite.model.sockets import ListenSocket
from supervisor_lite.unix_socket import bound_unix
from supervisor_lite.users import owner_ids

LOWEST_SOCKET = 64
"""Our descriptors begin here, so that those of a child, from 3 on, can never be one of them."""

MAX_SOCKETS = 32
"""Sockets that a program may have."""


@dataclass(slots=True, eq=False)
class _Open:
    """A listening socket, and the processes that it is kept for."""

    fd: int
    path: str = ""
    place: tuple[int, int] | None = None
    """Device and inode of the file of a Unix socket, as we made it."""
    users: set[str] = field(default_factory=set)


class Sockets:
    """Every socket that is open for a program, by its address as written in the configuration."""

    def __init__(self, store: Callable[[str, int], None], unstore: Callable[[str], None]) -> None:
        self._store = store
        self._unstore = unstore
        self._open: dict[str, _Open] = {}
        self._users: dict[str, tuple[str, ...]] = {}
        """Addresses by user."""
        self._offered: list[int] = []

    def take(self, user: str, wanted: Iterable[ListenSocket], uid: int, gid: int) -> list[int]:
        """Return the descriptors for a spawn, bound if they were not; in the order of `wanted`.

        `uid` and `gid` are those of the program. Raises SpawnError.
        """
        taken: dict[str, int] = {}
        try:
            for each in wanted:
                found = self._open.get(each.listen) or self._accept(each.listen)
                if found is None:
                    found = _bound(each, uid, gid)
                    self._add(each.listen, found)
                taken[each.listen] = found.fd
        finally:
            self._use(user, tuple(taken))
        return list(taken.values())

    def _use(self, user: str, addresses: tuple[str, ...]) -> None:
        """Note who needs which sockets; close those that nobody needs any more."""
        before = self._users.pop(user, ())
        if addresses:
            self._users[user] = addresses
        for address in addresses:
            self._open[address].users.add(user)
        for address in before:
            if address not in addresses and (found := self._open.get(address)) is not None:
                found.users.discard(user)
                if not found.users:
                    self._close(address)

    def leave(self, user: str) -> None:
        """It is down, and nothing will start it by itself."""
        if user in self._users:
            self._use(user, ())

    def fds(self) -> list[int]:
        """Return all descriptors, for the next version of the daemon."""
        return [found.fd for found in self._open.values()]

    def stored_names(self) -> set[str]:
        """Return the names under which systemd keeps them for the next daemon."""
        return {_stored_name(found.fd) for found in self._open.values()}

    def _add(self, address: str, found: _Open) -> None:
        self._open[address] = found
        self._store(_stored_name(found.fd), found.fd)

    def _close(self, address: str) -> None:
        found = self._open.pop(address)
        self._unstore(_stored_name(found.fd))
        os.close(found.fd)
        if found.place is not None and _place(found.path) == found.place:
            with contextlib.suppress(OSError):
                os.unlink(found.path)

    # What an earlier daemon had.

    def offer(self, fds: Iterable[int]) -> None:
        """Look which of these descriptors are sockets that listen; copies of them are kept."""
        for fd in fds:
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and _listens(fd):
                self._offered.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOWEST_SOCKET))

    def adopt(
        self, user: str, wanted: Iterable[ListenSocket], pid: int | None, pidfd: int | None
    ) -> None:
        """Keep the sockets of a process that an earlier daemon had spawned, as far as possible.

        What was not offered is fetched from the process, if it lives and we may.
        """
        kept = []
        for each in wanted:
            found = self._open.get(each.listen) or self._accept(each.listen)
            if found is None and pid is not None and pidfd is not None:
                fd = _fetched(pid, pidfd, each.listen)
                if fd is not None:
                    found = _known(fd, each.listen)
                    self._add(each.listen, found)
            if found is not None:
                kept.append(each.listen)
        self._use(user, tuple(kept))

    def settle(self) -> None:
        """Close what was offered and nobody has taken."""
        for fd in self._offered:
            os.close(fd)
        self._offered.clear()

    def _accept(self, address: str) -> _Open | None:
        for fd in self._offered:
            if _is_at(fd, address):
                self._offered.remove(fd)
                found = _known(fd, address)
                self._add(address, found)
                return found
        return None


def _stored_name(fd: int) -> str:
    """Return a name that systemd takes: short and without a colon."""
    return f"socket-{os.fstat(fd).st_ino}"


def _known(fd: int, address: str) -> _Open:
    path = unix_path(address)
    return _Open(fd, path, _place(path))


def unix_path(address: str) -> str:
    """Return the path of a Unix socket; empty for another one."""
    return address.removeprefix("unix://") if address.startswith("unix://") else ""


def split_tcp(address: str) -> tuple[str, int]:
    """Return host and port of a `tcp://` address; `*` is every address of the machine."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host.strip("[]"), int(port)


def _place(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path) if path else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status is not None else None


def _listens(fd: int) -> bool:
    with socket.socket(fileno=os.dup(fd)) as probe:
        return bool(probe.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _is_at(fd: int, address: str) -> bool:
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


def _bound(wanted: ListenSocket, uid: int, gid: int) -> _Open:
    """Return a new socket that listens. Raises SpawnError."""
    try:
        if path := unix_path(wanted.listen):
            return _bound_unix(path, wanted, uid, gid)
        return _Open(_raised(_bound_tcp(wanted)))
    except OSError as error:
        cause = error.strerror or str(error)
        raise SpawnError(f'cannot listen on "{wanted.listen}": {cause}') from error


def _raised(sock: socket.socket) -> int:
    """Return a high descriptor for the socket."""
    with sock:
        return fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, LOWEST_SOCKET)


def _bound_tcp(wanted: ListenSocket) -> socket.socket:
    host, port = split_tcp(wanted.listen)
    everywhere = host == "*"
    six = everywhere or ":" in host
    try:
        return _listening_tcp("::" if everywhere else host, port, wanted.backlog, six=six)
    except OSError as error:
        if not everywhere or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return _listening_tcp("0.0.0.0", port, wanted.backlog, six=False)  # a machine without IPv6


def _listening_tcp(host: str, port: int, backlog: int, *, six: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if six:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, port))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _bound_unix(path: str, wanted: ListenSocket, uid: int, gid: int) -> _Open:
    _remove_stale(path)
    # Not bound elsewhere and renamed: programs ask the socket for its address.
    sock, status = bound_unix(path, wanted.mode, _owner(wanted, uid, gid))
    try:
        sock.listen(wanted.backlog)
    except BaseException:
        sock.close()
        raise
    return _Open(_raised(sock), path, (status.st_dev, status.st_ino))


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on any more. Raises OSError if somebody does."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "something else is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a queue that is full has a listener, too
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError:
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _owner(wanted: ListenSocket, uid: int, gid: int) -> tuple[int, int]:
    try:
        return owner_ids(wanted.owner, wanted.group, (uid, gid))
    except KeyError as error:
        raise SpawnError(f'cannot listen on "{wanted.listen}": {error.args[0]}') from None


# Fetching.


def _fetched(pid: int, pidfd: int, address: str) -> int | None:
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
            if _listens(fd) and _is_at(fd, address):
                return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOWEST_SOCKET)
        except OSError:
            continue
        finally:
            os.close(fd)
    return None
