"""One client of the control socket: lines, replies, subscriptions.

A client that does not read is never waited for: while its replies pile up nothing more is read
from it, and when it has not read for a while, or too much has piled up, it is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from supervisor_lite.control import jsonrpc
from supervisor_lite.control.access import Caller, caller_of, grants, may, may_all
from supervisor_lite.control.configured import OwnConfiguration
from supervisor_lite.control.jsonrpc import Id, NoId, RawJson, Result
from supervisor_lite.control.params import Params
from supervisor_lite.control.request import Handler, Request
from supervisor_lite.errors import NotPermitted, ProtocolError, SupervisorLiteError
from supervisor_lite.model.settings import AccessRule
from supervisor_lite.protocol import codes, messages

MAX_UNREAD = 16 << 20
"""Bytes of unread replies at which a client is dropped."""

READ_TIMEOUT = 60.0
"""Seconds that a client may leave its replies unread."""

MAX_IN_FLIGHT = 64
"""Requests of one connection that may be in the works."""


class ServerInterface(Protocol):
    """What a connection needs of the server."""

    handlers: Callable[[str], Handler | None]
    """Returns what answers a method, or None."""
    own: OwnConfiguration
    rules: tuple[AccessRule, ...]
    connections: set[Connection]
    subscriptions: int
    """How many there have been."""
    report_bug: Callable[[Exception], None]
    report_denied: Callable[[Caller, str, str | None], None]


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """One client."""

    server: ServerInterface
    _buffer: bytearray = field(default_factory=bytearray)
    _scanned: int = 0
    _jobs: set[asyncio.Task[None]] = field(default_factory=set)
    _choked: bool = False
    _leaving: bool = False
    """To be hung up on when what was asked for is answered."""
    _read_timer: asyncio.TimerHandle | None = None
    _stoppers: list[Callable[[], None]] = field(default_factory=list)
    _resumers: list[Callable[[], None]] = field(default_factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is; called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self.caller = caller_of(transport.get_extra_info("socket"))
        self.granted = grants(self.caller, self.server.rules)
        self.server.connections.add(self)
        if not self.granted:
            self.denied("connect", None)
            text = f"{self.caller.user} has no access; see [[access]]"
            self._send_failure(None, NotPermitted(text))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything about the client; what it asked for goes on. Called by asyncio."""
        self.server.connections.discard(self)
        for stop in self._stoppers:
            stop()
        self._stoppers.clear()
        self._resumers.clear()
        if self._read_timer is not None:
            self._read_timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Cut lines; called by asyncio."""
        if not self._leaving:
            self._buffer += data
            self._serve_lines()

    def _serve_lines(self) -> None:
        while not self._transport.is_closing():
            if self._choked or len(self._jobs) >= MAX_IN_FLIGHT:
                self._transport.pause_reading()
                return
            end = self._buffer.find(b"\n", self._scanned)
            if end < 0:
                self._scanned = len(self._buffer)
                if self._scanned >= messages.MAX_LINE:
                    self._refuse_long_line()
                break
            if end >= messages.MAX_LINE:
                self._refuse_long_line()
                break
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            if line.strip():
                self._serve(line)
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _refuse_long_line(self) -> None:
        text = f"line longer than {messages.MAX_LINE} bytes"
        self._send_failure(None, ProtocolError(codes.INVALID_REQUEST, text))
        self._transport.close()

    def _serve(self, line: bytes) -> None:
        number: Id = None
        try:
            call = jsonrpc.parse(line)
            number = call.id
            if call.configuration is not None:
                self.server.own.require(call.configuration)
            params = Params(call.params)
            handler = self.server.handlers(call.method)
            if handler is None:
                raise ProtocolError(codes.METHOD_NOT_FOUND, f"no such method: {call.method}")
            answer = handler(Request(call.method, params, self.caller, self))
        except SupervisorLiteError as error:
            self._send_failure(number, error)
            return
        except Exception as error:  # noqa: BLE001 a bug in one verb must not end the daemon
            self._send_bug(number, error)
            return
        if isinstance(answer, (dict, RawJson)):
            self._send_result(number, answer)
            return
        job = asyncio.ensure_future(self._finish(number, answer))
        self._jobs.add(job)
        job.add_done_callback(self._job_done)

    async def _finish(self, number: Id, answer: Awaitable[Result]) -> None:
        try:
            self._send_result(number, await answer)
        except SupervisorLiteError as error:
            self._send_failure(number, error)
        except Exception as error:  # noqa: BLE001 as above
            self._send_bug(number, error)

    def _job_done(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if self._leaving:
            self.close()
        elif self._buffer and not self._choked:
            self._serve_lines()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    # Writing.

    def _send_result(self, number: Id, result: Result) -> None:
        if number is not NoId.NOTIFICATION:
            self.write(jsonrpc.result_line(number, result))

    def _send_failure(self, number: Id, error: SupervisorLiteError) -> None:
        if number is not NoId.NOTIFICATION:
            self.write(jsonrpc.failure_line(number, error))

    def _send_bug(self, number: Id, error: Exception) -> None:
        self.server.report_bug(error)
        if number is not NoId.NOTIFICATION:
            self.write(jsonrpc.bug_line(number, error))

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification; False when the client should be given time to read first."""
        self.write(jsonrpc.notification_line(method, params))
        return not self._choked and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send a line; drop a client that has left too much unread."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_UNREAD:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client does not read fast enough; called by asyncio."""
        self._choked = True
        loop = asyncio.get_running_loop()
        self._read_timer = loop.call_later(READ_TIMEOUT, self._transport.abort)

    def resume_writing(self) -> None:
        """The client has read; called by asyncio."""
        self._choked = False
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None
        for resume in tuple(self._resumers):
            resume()
        if not self._transport.is_closing() and not self._leaving:
            self._serve_lines()

    # Subscriptions.

    def new_subscription(self) -> int:
        """Return a new subscription number."""
        self.server.subscriptions += 1
        return self.server.subscriptions

    def on_end(self, stop: Callable[[], None], resume: Callable[[], None]) -> None:
        """Call `stop` when the client is gone, `resume` whenever it has read again."""
        if self._transport.is_closing():
            stop()
            return
        self._stoppers.append(stop)
        self._resumers.append(resume)

    def sees_all(self, method: str) -> bool:
        """May the client do this to every process?"""
        return may_all(self.granted, method)

    def sees(self, method: str, name: str) -> bool:
        """May the client do this to the process? Not noted as a refusal."""
        return may(self.granted, method, name)

    def denied(self, method: str, name: str | None) -> None:
        """Note in the log that somebody was refused."""
        self.server.report_denied(self.caller, method, name)

    def close(self) -> None:
        """Serve no more; hang up when what was asked for is answered and sent."""
        self._leaving = True
        if not self._jobs:
            self._transport.close()
