"""Pieces of HTTP that several handlers share: bounded bodies, streams, errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from supervisor_lite.gateway.credentials import Principal
from supervisor_lite.protocol.messages import Message

T = TypeVar("T")

MAX_HEAD = 16 << 10
"""Bytes before the body of a request."""

MAX_TARGET = 8 << 10
"""Bytes of path and query."""

MAX_HEADERS = 100

MAX_BODY = 64 << 10
"""Bytes in the body of a request."""

BODY_TIMEOUT = 15.0
"""Seconds in which a body must have come."""


async def read_body(request: Request) -> bytes:
    """Return the body. Raises HTTPException 413, 408, 499."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise HTTPException(413, f"a body has at most {MAX_BODY} bytes")
    except TimeoutError:
        raise HTTPException(408, "the body did not come in time") from None
    except ClientDisconnect:
        raise HTTPException(499, "the client hung up") from None
    return bytes(body)


def principal(request: Request) -> Principal:
    """Return who asks; the guard has put it there."""
    found = request.state.who
    assert isinstance(found, Principal)
    return found


def require(request: Request, role: str) -> None:
    """Raise HTTPException 403 unless the caller has the role."""
    who = principal(request)
    if not who.may(role):
        text = f"not permitted: this needs the role {role}, and {who.name} has {who.role}"
        raise HTTPException(403, text)


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Return what the work does, but give it up when the client hangs up.

    To be called after the body was read. What was asked of the daemon goes on there.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request.receive))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise HTTPException(499, "the client hung up")
        return task.result()
    finally:
        await _end(task, gone)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


class StreamResponse(Response):
    """A body that goes on until it ends, the client hangs up, or the gateway does.

    `source` is closed in each case, and with it what it holds.
    """

    def __init__(
        self,
        source: AsyncIterator[bytes],
        ending: asyncio.Event,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        # Proxies are told to pass on each piece as it comes.
        self.init_headers(
            {"X-Accel-Buffering": "no", "Cache-Control": "no-store", **(headers or {})}
        )
        self._source = source
        self._ending = ending
        self._only_first = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        seat = scope["state"].get("seat")
        if seat is not None:
            seat.is_streaming = True
            self._only_first = seat.half_closed
        pump = asyncio.ensure_future(self._pump(send))
        gone = asyncio.ensure_future(_disconnected(receive))
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            if scope["method"] != "HEAD":
                await asyncio.wait((pump, gone, ending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(pump, ending)
            hung_up = gone.done()
            await _end(gone)
            if seat is not None:
                seat.is_streaming = False
        if not hung_up:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pump(self, send: Send) -> None:
        async with contextlib.aclosing(self._source) as pieces:  # type: ignore[type-var]
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if self._only_first:
                    return  # nobody could tell whether somebody still reads


def event(kind: str, about: Message, mark: int | str | None = None) -> bytes:
    """Return a server-sent event, with a mark from which its reader can go on."""
    line = f"id: {mark}\n" if mark is not None else ""
    text = json.dumps(about, separators=(",", ":"), ensure_ascii=False)
    return f"event: {kind}\n{line}data: {text}\n\n".encode("utf-8", "replace")
