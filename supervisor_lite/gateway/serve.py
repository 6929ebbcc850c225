"""Serve an ASGI application on sockets: uvicorn's HTTP/1.1 protocol, without its server.

What is used of the protocol is not public, so pyproject.toml pins the range of uvicorn's versions
that this was tried with; a newer one is let in when tests/gateway passes with it.

uvicorn's server wakes up ten times a second to look whether it should end; this one sleeps. The
protocol is made to take what supervisorctl sends (an empty line after the head of a request), and
not to wait for ever for clients that do not send or do not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from functools import partial
from typing import Any

import h11
from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from supervisor_lite.gateway.http import MAX_BODY, MAX_HEAD
from supervisor_lite.gateway.seats import Seat, Seats, address_of
from supervisor_lite.sockets import has_hung_up, peer_of

REQUEST_TIMEOUT = 20.0
"""Seconds in which a request must have come whole."""

READ_TIMEOUT = 60.0
"""Seconds that a client may leave what we sent unread."""

KEEP_ALIVE = 15
MAX_REQUEST = MAX_HEAD + 2 * MAX_BODY
"""Bytes of a request as it comes, with all that a body is cut into."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 22\r\nConnection: close\r\nRetry-After: 5\r\n\r\ntoo many connections.\n"
)

_SHUTDOWN_TIMEOUT = 3.0
"""Seconds that requests have to be answered when the gateway ends."""


class Protocol(H11Protocol):
    """One connection."""

    _request_timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None
    _taken = 0
    """Bytes of the request that is coming."""
    _seat: Seat | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Learn who it is; called by asyncio."""
        super().connection_made(transport)
        peer: socket.socket = transport.get_extra_info("socket")
        self._is_unix = peer.family == socket.AF_UNIX
        self._fd = peer.fileno()
        if self._is_unix:
            self.app_state = {**self.app_state, "unix": True, "uid": peer_of(peer).uid}
        self._take_seat(peer)
        self._expect_request()

    def _take_seat(self, peer: socket.socket) -> None:
        """Be one of those who are connected; without a seat the connection ends."""
        seats: Seats = self.app_state["seats"]
        host = self.client[0] if self.client else ""
        name = f"uid {peer_of(peer).uid}" if self._is_unix else address_of(host)
        seat = Seat(name, self._is_busy, self.transport.abort)
        if seats.enter(seat):
            self._seat = seat
            self.app_state = {**self.app_state, "seat": seat}
        else:
            self.transport.write(_FULL)
            self.transport.close()

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers, and give up the seat; called by asyncio."""
        if self._seat is not None:
            self.app_state["seats"].leave(self._seat)
        for timer in (self._request_timer, self._reader_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, without stray empty lines; called by asyncio."""
        if self._seat is None:
            return  # it has been told that there is no seat
        data = self._without_stray_lines(data)
        if data:
            self._take(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._expect_request()
        elif self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _take(self, data: bytes) -> None:
        """Take what came; a request that is cut into too many pieces is too large as well."""
        state = self.conn.their_state
        if state is h11.DONE or (state is h11.IDLE and not self.conn.trailing_data[0]):
            self._taken = 0
        self._taken += len(data)
        if state is h11.SEND_BODY and self._taken > MAX_REQUEST:
            self._refuse_size()
            return
        super().data_received(data[:MAX_REQUEST])
        if rest := data[MAX_REQUEST:]:
            if self.conn.their_state is h11.SEND_BODY:
                self._refuse_size()
            elif not self.transport.is_closing():
                super().data_received(rest)

    def _refuse_size(self) -> None:
        self.send_400_response(f"A request has at most {MAX_REQUEST} bytes.")

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Answer what was asked, if somebody may be there to read it; called by asyncio.

        Over TCP nobody can tell a client that sends nothing more from one that has gone away, so a
        stream ends, which would go on for nobody.
        """
        seat = self._seat
        waits = self._is_busy() and self.conn.their_state is not h11.SEND_BODY
        if seat is None or not waits or seat.is_streaming:
            return None
        if self._is_unix and has_hung_up(self._fd):
            return None
        seat.half_closed = True
        return True

    def on_response_complete(self) -> None:
        """Go on with the next request; hang up on whom none will come from. Called by uvicorn."""
        super().on_response_complete()
        if self._seat is not None and self._seat.half_closed and not self._is_busy():
            self.transport.close()

    def _without_stray_lines(self, data: bytes) -> bytes:
        """Drop empty lines between requests (RFC 9112, 2.2).

        supervisorctl ends the head of a GET with two of them. The second would be taken for the
        beginning of another request, and reading would pause: then nobody would notice that the
        client has hung up.
        """
        state = self.conn.their_state
        if state not in (h11.IDLE, h11.DONE):
            return data
        waiting = self.conn.trailing_data[0]
        if not waiting:
            data = data.lstrip(b"\r\n")
        head = waiting + data
        stray = state is h11.IDLE and head.endswith(b"\r\n\r\n\r\n") and head.startswith(b"GET ")
        return data[:-2] if stray else data

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; a request whose body it was gets no other answer any more."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            # A HEAD may have no body, not even this one.
            with contextlib.suppress(h11.LocalProtocolError):
                super().send_400_response(msg)
        self.transport.close()

    def _expect_request(self) -> None:
        if self._request_timer is None and not self.transport.is_closing():
            self._request_timer = self.loop.call_later(REQUEST_TIMEOUT, self._give_up)

    def _give_up(self) -> None:
        # While nothing of a next request has come, the keep-alive timer is the one that counts.
        idle = self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]
        self._request_timer = None
        if not (idle and self.cycle is not None):
            self.transport.abort()

    def pause_writing(self) -> None:
        """The client does not read fast enough; called by asyncio."""
        super().pause_writing()
        self._reader_timer = self.loop.call_later(READ_TIMEOUT, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read; called by asyncio."""
        super().resume_writing()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
            self._reader_timer = None


class HttpServer:
    """An application that is ready to be served; everything that it needs is loaded."""

    def __init__(self, app: ASGIApp, ending: asyncio.Event) -> None:
        self._ending = ending
        self._config = Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            h11_max_incomplete_event_size=MAX_HEAD,
        )
        self._config.load()
        self._state = ServerState()
        self._seats: list[Seats] = []
        """Of each listener: nobody takes the seats of another one."""

    async def serve(self, sockets: list[socket.socket]) -> None:
        """Serve until SIGTERM or SIGINT; `ending` is set then, so that streams end."""
        loop = asyncio.get_running_loop()
        servers = []
        for sock in sockets:
            self._seats.append(Seats())
            own: dict[str, Any] = {"seats": self._seats[-1]}
            make = partial(Protocol, config=self._config, server_state=self._state, app_state=own)
            servers.append(await loop.create_server(make, sock=sock, backlog=256))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        await self._ending.wait()
        for server in servers:
            server.close()
        await self._finish()

    def drop_all(self) -> None:
        """Hang up on everybody who does not wait for an answer."""
        for seats in self._seats:
            seats.drop_all()

    async def _finish(self) -> None:
        """Let requests be answered, then hang up on everyone."""
        loop = asyncio.get_running_loop()
        connections, tasks = self._state.connections, self._state.tasks
        for connection in list(connections):
            with contextlib.suppress(h11.LocalProtocolError):
                connection.shutdown()
        if tasks:
            await asyncio.wait(set(tasks), timeout=_SHUTDOWN_TIMEOUT)
        for connection in list(connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.close()  # sends what is written
        deadline = loop.time() + 1.0
        while connections and loop.time() < deadline:
            await asyncio.sleep(0.01)  # asyncio does not tell when a transport is flushed
