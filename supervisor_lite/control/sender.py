"""What is sent to a client: replies and notifications, without ever waiting for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from supervisor_lite.control import jsonrpc, limits
from supervisor_lite.control.jsonrpc import Id, NoId, Result
from supervisor_lite.control.limits import Quotas
from supervisor_lite.errors import SupervisorLiteError


class Sender:
    """The sending side of a connection, and what is kept for its client."""

    def __init__(
        self,
        transport: asyncio.Transport,
        quotas: Quotas | None,
        uid: int,
        report_bug: Callable[[Exception], None],
    ) -> None:
        """`quotas` count what is kept; None for a client that is trusted."""
        self._transport = transport
        self._quotas = quotas
        self._uid = uid
        self._report_bug = report_bug
        self._held = 0
        """Bytes that are kept, as far as they were counted."""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def choked(self) -> bool:
        """Is the client to read before anything more is done for it?"""
        return self._timer is not None

    def result(self, number: Id, result: Result) -> None:
        """Answer a request."""
        if number is not NoId.NOTIFICATION:
            self.write(jsonrpc.result_line(number, result))

    def failure(self, number: Id, error: SupervisorLiteError) -> None:
        """Say why a request is not carried out."""
        if number is not NoId.NOTIFICATION:
            self.write(jsonrpc.failure_line(number, error))

    def bug(self, number: Id, error: Exception) -> None:
        """Say that we have made a mistake, here and in the log."""
        self._report_bug(error)
        if number is not NoId.NOTIFICATION:
            self.write(jsonrpc.bug_line(number, error))

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification; False when the client should be given time to read first."""
        self.write(jsonrpc.notification_line(method, params))
        return not self.choked and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send a line; drop a client that has left too much unread."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > limits.MAX_UNREAD:
            self._transport.abort()
        else:
            self.count()

    def count(self, received: int = 0) -> None:
        """Count what is unread, and `received` bytes that wait for their end.

        The client is dropped if its user, or all users, have too much kept.
        """
        if self._quotas is None:
            return
        size = received + self._transport.get_write_buffer_size()
        grown = size - self._held
        if grown:
            self._held = size
            self._quotas.hold(self._uid, grown)
            if grown > 0 and self._quotas.is_full(self._uid):
                self._transport.abort()

    def choke(self) -> None:
        """The client does not read fast enough: give it a while."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(limits.READ_TIMEOUT, self._transport.abort)

    def release(self) -> None:
        """The client has read, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self) -> None:
        """Count nothing any more: the client is gone."""
        self.release()
        if self._quotas is not None:
            self._quotas.hold(self._uid, -self._held)
            self._held = 0
