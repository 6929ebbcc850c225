"""Sockets on which the daemon listens for its programs: bound once, handed to run after run.

A socket is open as long as one of its users, processes that are defined with it, is up or about to
be. So a connection that comes while a program is restarted waits in the queue of the kernel. The
next daemon gets the sockets from this one (handover.py), from systemd's store, or, after a death
without either, out of a live child (pidfd_getfd(2)).
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterable

from supervisor_lite import sockets
from supervisor_lite.host.listen_socket import (
    LOWEST_SOCKET,
    OpenSocket,
    bind_socket,
    fetch_socket,
    is_at,
    is_listening,
    known_socket,
)
from supervisor_lite.model.sockets import ListenSocket


class SocketSet:
    """Every socket that is open for a program, by its address as written in the configuration."""

    def __init__(self, store: Callable[[str, int], None], unstore: Callable[[str], None]) -> None:
        self._store = store
        self._unstore = unstore
        self._open: dict[str, OpenSocket] = {}
        self._users: dict[str, tuple[str, ...]] = {}
        """Addresses by user."""
        self._inherited: list[int] = []

    def acquire(self, user: str, wanted: Iterable[ListenSocket], uid: int, gid: int) -> list[int]:
        """Return the descriptors for a spawn, bound if they were not; in the order of `wanted`.

        `uid` and `gid` are those of the program. Raises SpawnError.
        """
        taken: dict[str, int] = {}
        try:
            for socket in wanted:
                found = self._open.get(socket.listen) or self._claim(socket.listen)
                if found is None:
                    found = bind_socket(socket, uid, gid)
                    self._add(socket.listen, found)
                taken[socket.listen] = found.fd
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

    def release(self, user: str) -> None:
        """It is down, and nothing will start it by itself."""
        if user in self._users:
            self._use(user, ())

    def fds(self) -> list[int]:
        """Return all descriptors, for the next version of the daemon."""
        return [found.fd for found in self._open.values()]

    def stored_names(self) -> set[str]:
        """Return the names under which systemd keeps them for the next daemon."""
        return {_stored_name(found.fd) for found in self._open.values()}

    def _add(self, address: str, found: OpenSocket) -> None:
        self._open[address] = found
        self._store(_stored_name(found.fd), found.fd)

    def _close(self, address: str) -> None:
        found = self._open.pop(address)
        self._unstore(_stored_name(found.fd))
        os.close(found.fd)
        if found.inode is not None:
            sockets.unlink_same(found.path, found.inode)

    # What an earlier daemon had.

    def inherit(self, fds: Iterable[int]) -> None:
        """Look which of these descriptors are sockets that listen; copies of them are kept."""
        for fd in fds:
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and is_listening(fd):
                self._inherited.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOWEST_SOCKET))

    def adopt(
        self, user: str, wanted: Iterable[ListenSocket], pid: int | None, pidfd: int | None
    ) -> None:
        """Keep the sockets of a process that an earlier daemon had spawned, as far as possible.

        What was not inherited is fetched from the process, if it lives and we may.
        """
        kept = []
        for socket in wanted:
            found = self._open.get(socket.listen) or self._claim(socket.listen)
            if found is None and pid is not None and pidfd is not None:
                fd = fetch_socket(pid, pidfd, socket.listen)
                if fd is not None:
                    found = known_socket(fd, socket.listen)
                    self._add(socket.listen, found)
            if found is not None:
                kept.append(socket.listen)
        self._use(user, tuple(kept))

    def discard_unclaimed(self) -> None:
        """Close what was inherited and nobody has claimed."""
        for fd in self._inherited:
            os.close(fd)
        self._inherited.clear()

    def _claim(self, address: str) -> OpenSocket | None:
        for fd in self._inherited:
            if is_at(fd, address):
                self._inherited.remove(fd)
                found = known_socket(fd, address)
                self._add(address, found)
                return found
        return None


def _stored_name(fd: int) -> str:
    """Return a name that systemd takes: short and without a colon."""
    return f"socket-{os.fstat(fd).st_ino}"
