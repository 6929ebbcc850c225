"""One client of the control socket: lines, requests, replies, subscriptions.

A client that does not read is never waited for: while its replies pile up nothing more is read
from it, and when it has not read for a while, or too much has piled up, it is dropped.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

from supervisor_lite.control.access import Caller, caller_of, grants, may, may_all
from supervisor_lite.control.names import resolve
from supervisor_lite.control.params import Params
from supervisor_lite.core.process import Process
from supervisor_lite.errors import (
    BadSignal,
    ConfigError,
    NoSuchProcess,
    NotPermitted,
    ProtocolError,
    SupervisorLiteError,
)
from supervisor_lite.model.settings import AccessRule
from supervisor_lite.protocol import codes, messages

_PILE = 16 << 20
"""Bytes of unread replies at which a client is dropped."""

_PATIENCE = 60.0
"""Seconds that a client may leave its replies unread."""

_AT_ONCE = 64
"""Requests of one connection that may be in the works."""

_TYPED = 200
"""Characters of what a caller typed that are kept."""


class Raw(NamedTuple):
    """A result that is JSON already."""

    data: bytes


Result = dict[str, Any] | Raw


class _Id(Enum):
    """What stands for an id where there is none."""

    NONE = "a notification: JSON-RPC wants it to be carried out and never answered"


Id = int | float | str | None | _Id


@dataclass(slots=True)
class Request:
    """One call: who asks for what, and the connection for a subscription's notifications."""

    method: str
    params: Params
    caller: Caller
    connection: Connection

    def by(self, *words: str) -> str:
        """Name the caller and what it typed, for the record of who did what."""
        typed = " ".join(("slctl", self.method, *words))
        if len(typed) > _TYPED:
            typed = f"{typed[:_TYPED]}…"  # it is kept with every change that it causes
        return f"{self.caller.words}: {typed}"

    def chosen(self, names: Sequence[str], table: Mapping[str, Process]) -> list[Process]:
        """Return the processes that the names mean, if the caller may do this to all of them.

        Raises NoSuchProcess, NotPermitted.
        """
        connection = self.connection
        sees = None if connection.sees_all("status") else partial(connection.sees, "status")
        processes = resolve(names, table, sees)
        for process in processes:
            self.require(process.name)
        return processes

    def require(self, name: str | None = None) -> None:
        """Raise NotPermitted if the caller may not do this to the process, or to the daemon."""
        if not may(self.connection.granted, self.method, name):
            what = f' on "{name}"' if name is not None else ""
            self.connection.denied(self.method, name)
            raise NotPermitted(
                f'{self.caller.user} may not use "{self.method}"{what}; see [[access]]'
            )


class Verbs(Protocol):
    """What the server needs of the verbs: the handler of a method, or None."""

    def handler(self, method: str) -> Callable[[Request], Result | Awaitable[Result]] | None:
        """Return the function that answers a method."""


class Host(Protocol):
    """What a connection needs of the server."""

    verbs: Verbs
    rules: tuple[AccessRule, ...]
    connections: set[Connection]
    subscriptions: int
    """How many there have been."""
    report_bug: Callable[[Exception], None]
    report_denied: Callable[[Caller, str, str | None], None]


def error_code(error: SupervisorLiteError) -> int:
    """Map our errors to the codes of the protocol; the only place that does."""
    match error:
        case ProtocolError():
            return error.code
        case ConfigError() | BadSignal():
            return codes.USAGE
        case NoSuchProcess():
            return codes.NO_SUCH_PROCESS
        case NotPermitted():
            return codes.NOT_PERMITTED
        case _:
            return codes.FAILED


@dataclass(eq=False)
class Connection(asyncio.Protocol):
    """One client."""

    server: Host
    _buffer: bytearray = field(default_factory=bytearray)
    _scanned: int = 0
    _jobs: set[asyncio.Task[None]] = field(default_factory=set)
    _choked: bool = False
    _leaving: bool = False
    """To be hung up on when what was asked for is answered."""
    _patience: asyncio.TimerHandle | None = None
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
            self._send_error(None, codes.NOT_PERMITTED, text)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything about the client; what it asked for goes on. Called by asyncio."""
        self.server.connections.discard(self)
        for stop in self._stoppers:
            stop()
        self._stoppers.clear()
        self._resumers.clear()
        if self._patience is not None:
            self._patience.cancel()

    def data_received(self, data: bytes) -> None:
        """Cut lines; called by asyncio."""
        if not self._leaving:
            self._buffer += data
            self._serve_lines()

    def _serve_lines(self) -> None:
        while not self._transport.is_closing():
            if self._choked or len(self._jobs) >= _AT_ONCE:
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
        self._send_error(None, codes.INVALID_REQUEST, text)
        self._transport.close()

    def _serve(self, line: bytes) -> None:
        number: Id = None
        try:
            message = _parse(line)
            number = message.get("id", _Id.NONE)
            method = message["method"]
            params = Params(message.get("params", {}))
            handler = self.server.verbs.handler(method)
            if handler is None:
                raise ProtocolError(codes.METHOD_NOT_FOUND, f"no such method: {method}")
            request = Request(method, params, self.caller, self)
            answer = handler(request)
        except SupervisorLiteError as error:
            self._send_failure(number, error)
            return
        except Exception as error:  # noqa: BLE001 a bug in one verb must not end the daemon
            self._send_bug(number, error)
            return
        if isinstance(answer, (dict, Raw)):
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
        if number is _Id.NONE:
            return
        if isinstance(result, Raw):
            start = b'{"jsonrpc":"2.0","id":%s,"result":' % json.dumps(number).encode()
            self.write(start + result.data + b"}\n")
        else:
            self.write(messages.encode({"jsonrpc": "2.0", "id": number, "result": result}))

    def _send_failure(self, number: Id, error: SupervisorLiteError) -> None:
        data = [str(c) for c in error.diagnostics] if isinstance(error, ConfigError) else None
        text = "the configuration cannot be used" if data else str(error)
        self._send_error(number, error_code(error), text, data)

    def _send_bug(self, number: Id, error: Exception) -> None:
        self.server.report_bug(error)
        text = f"internal error: {type(error).__name__}; the daemon's log has more"
        self._send_error(number, codes.INTERNAL_ERROR, text)

    def _send_error(self, number: Id, code: int, text: str, data: list[str] | None = None) -> None:
        if number is _Id.NONE:
            return
        error: dict[str, Any] = {"code": code, "message": text}
        if data is not None:
            error["data"] = data
        self.write(messages.encode({"jsonrpc": "2.0", "id": number, "error": error}))

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification; False when the client should be given time to read first."""
        self.write(messages.encode({"jsonrpc": "2.0", "method": method, "params": params}))
        return not self._choked and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send a line; drop a client that has left too much unread."""
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _PILE:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client does not read fast enough; called by asyncio."""
        self._choked = True
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(_PATIENCE, self._transport.abort)

    def resume_writing(self) -> None:
        """The client has read; called by asyncio."""
        self._choked = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        for resume in tuple(self._resumers):
            resume()
        if not self._transport.is_closing() and not self._leaving:
            self._serve_lines()

    # Subscriptions.

    def subscribe(self) -> int:
        """Return a new subscription number."""
        self.server.subscriptions += 1
        return self.server.subscriptions

    def on_end(self, stop: Callable[[], None], resume: Callable[[], None] | None = None) -> None:
        """Call `stop` when the client is gone, `resume` whenever it has read again."""
        if self._transport.is_closing():
            stop()
            return
        self._stoppers.append(stop)
        if resume is not None:
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


def _parse(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(codes.PARSE_ERROR, f"not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        raise ProtocolError(codes.INVALID_REQUEST, "not a request: an object with a method")
    number = message.get("id")
    if isinstance(number, bool) or not isinstance(number, int | float | str | None):
        raise ProtocolError(codes.INVALID_REQUEST, "id must be a number or a string")
    if isinstance(number, float) and not math.isfinite(number):
        raise ProtocolError(codes.INVALID_REQUEST, "id must be a number that JSON has")
    return message
