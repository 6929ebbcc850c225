"""One client of the control socket: lines, replies, subscriptions.

A client that does not read is never waited for: while its replies pile up nothing more is read
from it, and when it has not read for a while, or too much has piled up, it is dropped. One that
sends nothing more is answered what it has asked (hang_ups.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from supervisor_lite.control import jsonrpc, limits
from supervisor_lite.control.access import caller_of
from supervisor_lite.control.jsonrpc import Id, RawJson, Result
from supervisor_lite.control.limits import is_trusted
from supervisor_lite.control.lines import LineBuffer
from supervisor_lite.control.params import Params
from supervisor_lite.control.request import Request
from supervisor_lite.control.sender import Sender
from supervisor_lite.control.server_interface import ServerInterface
from supervisor_lite.errors import LimitExceeded, NotPermitted, ProtocolError, SupervisorLiteError
from supervisor_lite.protocol import codes, messages
from supervisor_lite.sockets import has_hung_up


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: ServerInterface) -> None:
        self.server = server
        self._lines = LineBuffer()
        self._jobs: set[asyncio.Task[None]] = set()
        self._waits_for_turn = False
        self._leaving = False
        """To be hung up on when what was asked for is answered."""
        self._finished = False
        """It sends nothing more; to be hung up on when it has nothing more to read."""
        self._line_timer: asyncio.TimerHandle | None = None
        self._stoppers: list[Callable[[], None]] = []
        self._resumers: list[Callable[[], None]] = []
        self._subscribed: list[int] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is; called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self._fd: int = transport.get_extra_info("socket").fileno()
        self.caller = caller_of(transport.get_extra_info("socket"))
        uid = self.caller.uid
        self.trusted = is_trusted(uid)
        self.granted = self.server.access.of(self.caller)
        self._quotas = None if self.trusted else self.server.quotas
        self._sender = Sender(self._transport, self._quotas, uid, self.server.report_bug)
        self.server.connections[self] = None
        if self._quotas is not None:
            self._quotas.enter(uid)
        if not self.granted:
            self.denied("connect", None)
            self._refuse(NotPermitted(f"{self.caller.user} has no access; see [[access]]"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything about the client; what it asked for goes on. Called by asyncio."""
        self.server.connections.pop(self, None)
        self._sender.forget()
        if self._quotas is not None:
            self._quotas.leave(self.caller.uid, len(self._stoppers))
        self.server.hang_ups.forget(self._fd)
        for stop in self._stoppers:
            stop()
        self._stoppers.clear()
        self._resumers.clear()
        self._forget_line_timer()

    # Reading.

    def data_received(self, data: bytes) -> None:
        """Cut lines; called by asyncio."""
        if not self._leaving and not self._transport.is_closing():
            self._lines.feed(data)
            self._serve_lines()
            self._sender.count(len(self._lines))

    def eof_received(self) -> bool:
        """Answer what was asked, if somebody is there to read it; called by asyncio."""
        if has_hung_up(self._fd) or self._transport.is_closing():
            return False
        self._finished = True
        self._lines.finish()
        self._serve_lines()
        if not self._transport.is_closing():
            self.server.hang_ups.watch(self._fd, self._transport.abort)
        return True

    def _serve_lines(self) -> None:
        while not self._transport.is_closing():
            if (
                self._sender.choked
                or self._waits_for_turn
                or len(self._jobs) >= limits.MAX_IN_FLIGHT
            ):
                self._stop_reading()
                return
            if not self.trusted and len(self._lines) and not self.server.turns.is_free():
                self._waits_for_turn = True
                self.server.turns.wait(self.caller.uid, self._on_turn)
                continue
            if not self._serve_next():
                break
        if not self._transport.is_closing():
            self._go_on_reading()

    def _on_turn(self) -> None:
        """Serve a line: it has waited for that. Then it waits with the others again."""
        self._waits_for_turn = False
        if not self._transport.is_closing() and not self._leaving:
            if not self._sender.choked and len(self._jobs) < limits.MAX_IN_FLIGHT:
                self._serve_next()
            self._serve_lines()
            self._sender.count(len(self._lines))

    def _serve_next(self) -> bool:
        """Serve the next line; False if it has not come as a whole."""
        try:
            line = self._lines.next()
        except ProtocolError as error:
            self._refuse(error)
            return False
        if line is None:
            return False
        started = self.server.turns.now()
        self._serve(line)
        self.server.turns.spend(self.server.turns.now() - started)
        self._forget_line_timer()  # the next line has a time of its own
        return True

    def _stop_reading(self) -> None:
        """Read no more for now; that is not the client's fault."""
        self._transport.pause_reading()
        self._forget_line_timer()

    def _forget_line_timer(self) -> None:
        if self._line_timer is not None:
            self._line_timer.cancel()
            self._line_timer = None

    def _go_on_reading(self) -> None:
        """Wait for the rest of a line, for a while, or for another one."""
        if self._finished or self._leaving:
            self._hang_up_if_done()
            return
        self._transport.resume_reading()
        if len(self._lines) and self._line_timer is None:
            loop = asyncio.get_running_loop()
            self._line_timer = loop.call_later(limits.LINE_TIMEOUT, self._line_is_late)

    def _line_is_late(self) -> None:
        text = f"the request was not finished within {limits.LINE_TIMEOUT:g} s"
        self._refuse(ProtocolError(codes.INVALID_REQUEST, text))

    def _refuse(self, error: SupervisorLiteError) -> None:
        """Say why nothing more is read, and hang up."""
        self._sender.failure(None, error)
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
            self._sender.failure(number, error)
            return
        except Exception as error:  # noqa: BLE001 a bug in one verb must not end the daemon
            self._sender.bug(number, error)
            return
        if isinstance(answer, (dict, RawJson)):
            self._sender.result(number, answer)
            return
        job = asyncio.ensure_future(self._finish(number, answer))
        self._jobs.add(job)
        job.add_done_callback(self._job_done)

    async def _finish(self, number: Id, answer: Awaitable[Result]) -> None:
        try:
            self._sender.result(number, await answer)
        except SupervisorLiteError as error:
            self._sender.failure(number, error)
        except Exception as error:  # noqa: BLE001 as above
            self._sender.bug(number, error)

    def _job_done(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        self._hang_up_if_done() if self._leaving else self._serve_lines()

    async def turn(self) -> None:
        """Wait until the caller may be served for a while; raise LimitExceeded if it has left."""
        if self.trusted:
            await asyncio.sleep(0)
        else:
            await self.server.turns.turn(self.caller.uid)
        if self._transport.is_closing():
            raise LimitExceeded("the client has hung up")

    # Writing.

    def notify(self, method: str, params: dict[str, Any]) -> bool:
        """Send a notification; False when the client should be given time to read first."""
        return self._sender.notify(method, params)

    def pause_writing(self) -> None:
        """The client does not read fast enough; called by asyncio."""
        self._sender.choke()

    def resume_writing(self) -> None:
        """The client has read; called by asyncio."""
        self._sender.release()
        self._sender.count(len(self._lines))
        for resume in tuple(self._resumers):
            resume()
        if not self._transport.is_closing() and not self._leaving:
            self._serve_lines()

    # Subscriptions.

    def new_subscription(self) -> int:
        """Return a new subscription number. Raises LimitExceeded."""
        if len(self._subscribed) >= limits.MAX_SUBSCRIPTIONS:
            most = limits.MAX_SUBSCRIPTIONS
            raise LimitExceeded(f"a connection has at most {most} subscriptions")
        self.server.subscriptions += 1
        self._subscribed.append(self.server.subscriptions)
        return self.server.subscriptions

    def on_end(self, stop: Callable[[], None], resume: Callable[[], None]) -> None:
        """Call `stop` at the end, or now and raise LimitExceeded; `resume` when it has read."""
        if self._transport.is_closing():
            stop()
            return
        if self._quotas is not None and not self._quotas.follow(self.caller.uid):
            stop()
            raise LimitExceeded(f"{self.caller.user} follows too much already")
        self._stoppers.append(stop)
        self._resumers.append(resume)

    def reduce_to(self, role: str) -> None:
        """Let the client do from now on what this role may, at most."""
        self.granted = self.server.access.shared(self.granted.at_most(role))

    def sees_all(self, method: str) -> bool:
        """May the client do this to every process?"""
        return self.granted.may_all(method)

    def sees(self, method: str, name: str) -> bool:
        """May the client do this to the process? Not noted as a refusal."""
        return self.granted.may(method, name)

    def denied(self, method: str, name: str | None) -> None:
        """Note in the log that somebody was refused."""
        self.server.report_denied(self.caller, method, name)

    def give_way(self) -> bool:
        """Hang up, unless there is something to do for the client; return whether we have."""
        busy = self._jobs or self._stoppers or self._leaving or len(self._lines)
        if busy or self._transport.get_write_buffer_size():
            return False
        self._leaving = True
        self._transport.abort()
        return True

    def close(self, reason: str = "") -> None:
        """Serve no more; hang up when all is answered and sent. Subscribers are told the reason."""
        for number in self._subscribed if reason else ():
            self.notify(messages.NOTE_END, {"subscription": number, "reason": reason})
        self._leaving = True
        self._hang_up_if_done()

    def _hang_up_if_done(self) -> None:
        waits = self._jobs or (not self._leaving and (self._waits_for_turn or self._stoppers))
        if not waits and not self._transport.is_closing():
            self._transport.close()
