"""/events: changes as they happen, as server-sent events.

    event: change    id: SERIAL     one change of state (docs/protocol.md)
    event: process                  the row of a process that has changed
    event: snapshot                 all rows, at the beginning and when some were missed
    event: gone                     {fullname}: it is not defined any more
    event: daemon                   {connected}

Who comes back with Last-Event-ID (a browser does so by itself) is told what it has missed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import ClientError
from supervisor_lite.gateway.api import refusal
from supervisor_lite.gateway.daemon import Daemon, shown
from supervisor_lite.gateway.http import StreamResponse, event, principal
from supervisor_lite.gateway.hub import Hub, Watcher
from supervisor_lite.protocol.messages import Message

HEARTBEAT = 15.0
"""Seconds after which something is sent: proxies keep the connection, and the page knows."""

MAX_MISSED = 1000
"""Changes that are asked for at a time."""


class Events:
    """The handler."""

    def __init__(self, daemon: Daemon, hub: Hub) -> None:
        self._daemon = daemon
        self._hub = hub

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/events", self.stream)]

    async def stream(self, request: Request) -> Response:
        """Stream events until the client has enough."""
        last = request.headers.get("last-event-id") or request.query_params.get("since")
        if last is not None and not (last.isascii() and last.isdigit() and len(last) < 16):
            raise HTTPException(400, "Last-Event-ID must be a number that was sent as id")
        try:
            await self._daemon.ask("version", who=principal(request))
        except ClientError as error:
            raise refusal(error) from error
        source = self._events(None if last is None else int(last))
        return StreamResponse(source, self._daemon.ending, "text/event-stream")

    async def _events(self, last: int | None) -> AsyncIterator[bytes]:
        yield b"retry: 2000\n\n"
        with self._hub.watch() as watcher:
            if last is not None:
                while missed := await self._missed(last):
                    for change in missed:
                        last = int(change["serial"])
                        yield event("change", change, last)
            yield await self._snapshot()
            while True:
                async for piece in self._next(watcher, last or 0):
                    yield piece

    async def _next(self, watcher: Watcher, last: int) -> AsyncIterator[bytes]:
        notes = await watcher.take(HEARTBEAT)
        if not notes:
            yield b": still here\n\n"
        for kind, about in notes:
            if kind == "change":
                serial = int(about.get("serial", 0))
                if serial > last:
                    yield event("change", about, serial)
            elif kind == "reset" or (kind == "daemon" and about.get("connected")):
                if kind == "daemon":
                    yield event("daemon", about)
                yield await self._snapshot()
            else:
                yield event(kind, about)

    async def _missed(self, last: int) -> list[Message]:
        try:
            found = await self._daemon.ask("events", {"since": last, "limit": MAX_MISSED})
        except ClientError:
            return []
        return listed(found, "changes", "serial")

    async def _snapshot(self) -> bytes:
        try:
            return event("snapshot", {"processes": shown(await self._daemon.ask("status"))})
        except ClientError:
            return event("daemon", {"connected": False})
