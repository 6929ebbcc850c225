"""The control socket: bound, accepting clients, hung up at the end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from supervisor_lite.control import jsonrpc
from supervisor_lite.control.access import AccessTable, Caller, caller_of
from supervisor_lite.control.configured import OwnConfiguration
from supervisor_lite.control.connection import Connection
from supervisor_lite.control.hang_ups import HangUps
from supervisor_lite.control.limits import Quotas, is_trusted
from supervisor_lite.control.request import Handler
from supervisor_lite.control.turns import Turns
from supervisor_lite.errors import LimitExceeded
from supervisor_lite.host.own_limits import LAST, RESERVE, has_room
from supervisor_lite.model.settings import AccessRule, DaemonSettings
from supervisor_lite.sockets import bind_unix, inode_of, peer_of, unlink_same

_BACKLOG = 1024

_MAX_ACCEPTED = 64
"""Clients that are accepted in one iteration of the event loop."""

_RETRY_PAUSE = 1.0
"""Seconds until clients are accepted again when there was no descriptor for one."""


class ControlServer:
    """Listens on the control socket."""

    def __init__(
        self,
        handlers: Callable[[str], Handler | None],
        rules: tuple[AccessRule, ...],
        report_bug: Callable[[Exception], None],
        report_denied: Callable[[Caller, str, str | None], None],
        report_error: Callable[[str], None],
        own: OwnConfiguration = OwnConfiguration(),  # noqa: B008 it is immutable
        own_role: Callable[[Caller], str | None] = lambda _: None,
    ) -> None:
        self.handlers = handlers
        self.own = own
        self.access = AccessTable(rules, own_role)
        self.report_bug = report_bug
        self.report_denied = report_denied
        self.report_error = report_error
        self.connections: dict[Connection, None] = {}
        """In the order in which they came."""
        self.subscriptions = 0
        self._loop = asyncio.get_running_loop()
        self.quotas = Quotas()
        self.turns = Turns(self._loop)
        self.hang_ups = HangUps(self._loop)
        self._sock: socket.socket | None = None
        self._starting: set[asyncio.Task[Any]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._out_of_descriptors = False
        """Are clients waiting because there was no descriptor? That is reported once."""

    def serve(self, sock: socket.socket) -> None:
        """Accept clients from now on; if that is another socket than before, from that one."""
        if self._sock is not None and self._sock is not sock:
            self._accept(self._sock)  # who waits in the queue of the old one
            self.stop_accepting()
        self._sock = sock
        self._accept_again()

    def _accept_again(self) -> None:
        if self._sock is not None:
            self._retry = None
            self._loop.add_reader(self._sock, self._accept, self._sock)

    def _accept(self, sock: socket.socket) -> None:
        # Not asyncio's server: out of descriptors, it would try a socket again that is closed.
        for _ in range(_MAX_ACCEPTED):
            try:
                if not self._has_room():
                    return  # called again when there is
                fresh, _ = sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                self._out_of_descriptors = False
                return
            except OSError as error:
                if not self._out_of_descriptors:
                    self.report_error(f"cannot accept a client: {error.strerror}")
                self._out_of_descriptors = True
                self._loop.remove_reader(sock)
                self._retry = self._loop.call_later(_RETRY_PAUSE, self._accept_again)
                return
            fresh.setblocking(False)
            if not self._may_enter(fresh):
                continue
            starting = self._loop.create_task(
                self._loop.connect_accepted_socket(lambda: Connection(self), fresh)
            )
            self._starting.add(starting)
            starting.add_done_callback(self._starting.discard)

    def _has_room(self) -> bool:
        """Is there a descriptor for a client, and one for a program after that?

        Else hang up on who has been idle for longest: our own user or root, as others get only a
        part of them. Raises OSError if even those run out that we need ourselves.
        """
        if has_room(RESERVE + LAST):
            return True
        if any(connection.trusted and connection.give_way() for connection in self.connections):
            return False
        if self._starting:
            return False  # they are no connections yet, and may be idle
        if not has_room(LAST):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return True

    def _may_enter(self, fresh: socket.socket) -> bool:
        """Tell whether a client may have a connection; refuse one whose user has too many."""
        uid = peer_of(fresh).uid
        if is_trusted(uid) or not (why := self.quotas.refusal(uid)):
            return True
        self.report_denied(caller_of(fresh), "connect, too many connections", None)
        with contextlib.suppress(OSError), fresh:
            fresh.send(jsonrpc.failure_line(None, LimitExceeded(f"cannot connect: {why}")))
        return False

    def stop_accepting(self) -> None:
        """Accept no more clients; those that are connected stay."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(sock)
        sock.close()

    def close(self, reason: str = "") -> None:
        """Hang up on everyone, as `Connection.close` does."""
        self.stop_accepting()
        for connection in tuple(self.connections):
            connection.close(reason)
        self.hang_ups.close()


class ControlSocket:
    """The control socket, listening, with its mode from the first instant."""

    def __init__(
        self,
        settings: DaemonSettings,
        owner: tuple[int, int],
        inherited: int | None = None,
        spare: str = "",
    ) -> None:
        """Bind it to its path, for this uid and gid; or take over the descriptor of an upgrade.

        `spare` is where that may be bound instead, because the directory was gone. The caller
        holds the lock of the runtime directory, so whatever socket is there is stale.
        Raises OSError.
        """
        self.path = settings.socket
        self._settings_mode = settings.socket_mode
        self._settings_owner = owner
        self._group = settings.gateway_group
        self._inode: tuple[int, int] | None = None
        if inherited is None:
            self.bind_again()
        else:
            self.sock = socket.socket(fileno=inherited)
            self.sock.setblocking(False)
            if not self._leads_to_us() and spare:
                self.path = spare
            self._inode = inode_of(self.path) if self._leads_to_us() else None
            self.open_for(self._group)

    def bind_again(self, path: str = "") -> None:
        """Bind a new one, to another path if one is given. Raises OSError; the old one stays."""
        self.sock = bind_unix(path or self.path, self._mode, self._owner, _BACKLOG)
        self.sock.setblocking(False)
        if path and path != self.path:
            if self._inode is not None:
                unlink_same(self.path, self._inode)
            self.path = path
        self._inode = inode_of(self.path)

    @property
    def _mode(self) -> int:
        return self._settings_mode | (0 if self._group is None else 0o060)

    @property
    def _owner(self) -> tuple[int, int]:
        uid, gid = self._settings_owner
        return (uid, gid) if self._group is None else (uid, self._group)

    def open_for(self, group: int | None) -> None:
        """Let this group connect from now on, besides whom the settings let; None: nobody else.

        Raises OSError.
        """
        if (before := self._group) == group:
            return
        self._group = group
        if not self.is_there():
            return
        if before is not None:
            os.chmod(self.path, self._settings_mode)
            gid = self._settings_owner[1]
            os.chown(self.path, -1, os.getegid() if gid == -1 else gid)
        if group is not None:
            os.chown(self.path, -1, group)
            os.chmod(self.path, self._mode)

    def is_there(self) -> bool:
        """Does the path still lead to it?"""
        return self._inode is not None and inode_of(self.path) == self._inode

    def _leads_to_us(self) -> bool:
        """Is it our process that listens at the path?"""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(self.path)
                return peer_of(probe).pid == os.getpid()
            except BlockingIOError:
                return True  # its queue is full (connect(2)): somebody listens
            except OSError:
                return False

    def close(self) -> None:
        """Close it, and remove its file if that is still ours."""
        self.sock.close()
        if self._inode is not None:
            unlink_same(self.path, self._inode)
