"""Talk to the daemon over its control socket.

Used by `slctl`; the gateway has `AsyncClient` (aio.py). Nothing here prints or exits: what goes
wrong is raised as a `ClientError`. One `Client` is one connection and belongs to one thread.

    with Client("/run/supervisor-lite/supervisor.sock") as client:
        for process in client.call("status")["processes"]:
            ...

This module is on the hot path of `slctl`. That is why it uses `_socket` (the C half of `socket`,
which alone costs half a Python start-up) and why its exceptions do not come from errors.py
(which needs dataclasses, and those cost a whole one).
"""

from __future__ import annotations

import _socket
import time

from supervisor_lite.client.buffer import CHUNK, Conversation
from supervisor_lite.client.errors import (
    ConnectionLost,
    RemoteError,
    ReplyTimeout,
    Unreachable,
    cause_of,
    denial,
)

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from supervisor_lite.protocol.messages import Message

DEFAULT_TIMEOUT = 15.0
"""Seconds that a daemon may take to answer a question that it can answer at once."""

_STEP = 1.0
"""Seconds between two calls of `on_wait`."""

_BACKLOG_PAUSE = 0.02
"""Seconds until a connection is tried again when the queue of the listening socket is full."""


class Client:
    """One connection to the daemon, opened at the first call.

    `timeout` is how many seconds to wait for a connection and for each whole reply (None: for
    ever, which is right for verbs that answer when something has come true). It may be changed
    between calls. It does not apply to notifications: those come when they come.
    """

    __slots__ = ("_configuration", "_conversation", "_socket", "on_wait", "path", "timeout")

    def __init__(
        self, path: str, timeout: float | None = DEFAULT_TIMEOUT, configuration: str = ""
    ) -> None:
        """A daemon that runs with another `configuration` refuses, if one is given."""
        self._configuration = configuration
        self.path = path
        self.timeout = timeout
        self.on_wait: Callable[[], None] | None = None
        """Called for as long as an answer is waited for, after each second without one."""
        self._socket: _socket.socket | None = None
        self._conversation = Conversation(self._configuration)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect now. Raises Unreachable; harmless when connected."""
        if self._socket is not None:
            return
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self._connect(connection)
        except BaseException:
            connection.close()
            raise
        self._socket = connection

    def close(self) -> None:
        """Hang up, which also ends every subscription. The next call connects afresh."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._conversation = Conversation(self._configuration)

    def fileno(self) -> int:
        """Return the descriptor to wait on; -1 while not connected."""
        return -1 if self._socket is None else self._socket.fileno()

    def call(self, method: str, params: Message | None = None) -> Message:
        """Ask for `method` and return its result.

        Raises RemoteError if the daemon refuses, Unreachable, ConnectionLost, ReplyTimeout or
        BadReply. After the last three the connection is closed, because it is out of step.
        """
        line = self._conversation.request(method, {} if params is None else params)
        self.connect()
        deadline = self._deadline()
        try:
            self._send(line, deadline)
            while (result := self._conversation.reply()) is None:
                self._receive(deadline)
        except RemoteError:
            raise
        except BaseException:
            self.close()
            raise
        return result

    def notifications(
        self, idle: Callable[[], None] | None = None
    ) -> Iterator[tuple[str, Message]]:
        """Yield (method, params) of each notification, for ever.

        Subscribe with `call` first (`follow` in its parameters). `idle` is called whenever
        everything that came was yielded and we are about to wait; it may raise, to stop.
        Raises ConnectionLost when the daemon hangs up, BadReply.
        """
        while True:
            while (note := self._conversation.notification()) is not None:
                yield note
            if idle is not None:
                idle()
            self._receive(None)

    def wait_closed(self) -> None:
        """Return when the daemon has hung up. Raises ReplyTimeout."""
        deadline = self._deadline()
        try:
            while True:
                self._conversation.skip()
                self._receive(deadline)
        except ConnectionLost:
            pass
        finally:
            self.close()

    def _connect(self, connection: _socket.socket) -> None:
        deadline = self._deadline()
        while True:
            connection.settimeout(self._left(deadline))
            try:
                connection.connect(self.path)
            except BlockingIOError:
                # The queue of the listening socket is full. With a timeout set the kernel
                # does not wait for a place, so we do.
                self._left(deadline)
                time.sleep(_BACKLOG_PAUSE)
            except (OSError, ValueError) as error:
                denied = isinstance(error, PermissionError)
                cause = denial(self.path) if denied else cause_of(error)
                raise Unreachable(self.path, cause, denied=denied) from error
            else:
                return

    def _deadline(self) -> float | None:
        return None if self.timeout is None else time.monotonic() + self.timeout

    def _left(self, deadline: float | None) -> float | None:
        """Return the seconds left, never zero (which would mean: do not block)."""
        if deadline is None:
            return None
        left = deadline - time.monotonic()
        if left <= 0:
            raise self._late()
        return left

    def _late(self) -> ReplyTimeout:
        return ReplyTimeout(f"the daemon at {self.path} did not answer in {self.timeout:g} s")

    def _send(self, line: bytes, deadline: float | None) -> None:
        assert self._socket is not None
        self._socket.settimeout(self._left(deadline))
        try:
            self._socket.sendall(line)
        except TimeoutError as error:
            raise self._late() from error
        except OSError:
            # The daemon hung up on us. It may have said why: its reply is read all the same.
            return

    def _receive(self, deadline: float | None) -> None:
        """Wait until something has come. Raises ConnectionLost, ReplyTimeout."""
        if self._socket is None:
            raise ConnectionLost(f"there is no connection to the daemon at {self.path}")
        while True:
            left = self._left(deadline)
            if self.on_wait is not None:
                left = _STEP if left is None else min(left, _STEP)
            self._socket.settimeout(left)
            try:
                chunk = self._socket.recv(CHUNK)
            except TimeoutError:
                if self.on_wait is not None:
                    self.on_wait()
                continue  # _left raises if the deadline has passed
            except OSError:
                chunk = b""
            if not chunk:
                raise ConnectionLost(f"the daemon at {self.path} hung up before it answered")
            self._conversation.feed(chunk)
            return
