"""The control socket: bound, accepting clients, hung up at the end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any

from supervisor_lite.control import jsonrpc
from supervisor_lite.control.access import AccessTable, Caller, caller_of
from supervisor_lite.control.connection import Connection
from supervisor_lite.control.hang_ups import HangUps
from supervisor_lite.control.limits import Quotas, is_trusted
from supervisor_lite.control.request import Handler
from supervisor_lite.control.turns import Turns
from supervisor_lite.errors import LimitExceeded
from supervisor_lite.model.settings import AccessRule, DaemonSettings
from supervisor_lite.sockets import bind_unix, peer_of

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
    ) -> None:
        self.handlers = handlers
        self.access = AccessTable(rules)
        self.report_bug = report_bug
        self.report_denied = report_denied
        self.report_error = report_error
        self.connections: set[Connection] = set()
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
        """Accept clients from now on."""
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

    def close(self) -> None:
        """Hang up on everyone, as `Connection.close` does."""
        self.stop_accepting()
        for connection in tuple(self.connections):
            connection.close()
        self.hang_ups.close()


def bind(settings: DaemonSettings, uid: int, gid: int) -> socket.socket:
    """Return the control socket, bound and listening, with its mode from the first instant.

    The caller holds the lock of the runtime directory, so whatever socket is there is stale.
    Raises OSError.
    """
    sock = bind_unix(settings.socket, settings.socket_mode, (uid, gid), _BACKLOG)
    sock.setblocking(False)
    return sock
