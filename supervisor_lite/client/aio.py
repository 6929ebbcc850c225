"""Talk to the daemon from an event loop: `ctl/client.py` without blocking.

One `Link` is one connection. A call that answers when something has come true waits as long as
that takes; whoever does not want to wait cancels it.

    async with Link(path) as link:
        result = await link.call("status", {"names": ["web"]})
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from supervisor_lite.client.buffer import CHUNK, ReceiveBuffer
from supervisor_lite.client.errors import (
    BadReply,
    ClientError,
    ConnectionLost,
    ReplyTimeout,
    Unreachable,
    remote_error,
)
from supervisor_lite.client.sync import DEFAULT_TIMEOUT
from supervisor_lite.protocol import messages

Message = dict[str, Any]


class AsyncClient:
    """One connection to the daemon. `whom` is noted with everything that is done over it."""

    def __init__(self, path: str, whom: str = "") -> None:
        self.path = path
        self._whom = whom
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._inbox = ReceiveBuffer()
        self._number = 0
        self._notes: list[Message] = []

    async def __aenter__(self) -> Self:
        """Connect. Raises Unreachable."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.close()

    async def open(self) -> None:
        """Connect. Raises Unreachable."""
        try:
            opening = asyncio.open_unix_connection(self.path)
            self._reader, self._writer = await asyncio.wait_for(opening, DEFAULT_TIMEOUT)
        except TimeoutError as error:
            raise Unreachable(self.path, "it does not accept connections") from error
        except OSError as error:
            denied = isinstance(error, PermissionError)
            cause = (error.strerror or str(error)).lower()
            raise Unreachable(self.path, cause, denied=denied) from error

    def close(self) -> None:
        """Hang up, which also ends every subscription."""
        if self._writer is not None:
            # Nothing is waited for: what was asked was answered, or is not wanted any more.
            self._writer.transport.abort()

    async def call(
        self, method: str, params: Message | None = None, timeout: float | None = DEFAULT_TIMEOUT
    ) -> Message:
        """Ask for `method` and return its result.

        Raises RemoteError if the daemon refuses, ConnectionLost, ReplyTimeout or BadReply; after
        the last three the connection is of no more use.
        """
        if self._whom:
            whom, self._whom = self._whom, ""
            await self.call("introduce", {"whom": whom})
        params = {} if params is None else params
        self._number += 1
        try:
            line = messages.request(self._number, method, params)
        except UnicodeEncodeError as error:
            raise ClientError(f'cannot ask for "{method}": a name is not UTF-8') from error
        if len(line) > messages.MAX_LINE:
            raise ClientError(f'cannot ask for "{method}": the request is over 1 MiB long')
        try:
            reply = await asyncio.wait_for(self._ask(line), timeout)
        except TimeoutError as error:
            raise ReplyTimeout(f"the daemon did not answer in {timeout:g} s") from error
        if "error" in reply:
            raise remote_error(reply["error"], method, params)
        result = reply.get("result")
        if not isinstance(result, dict):
            raise BadReply(f'cannot understand the answer to "{method}": it has no result')
        return result

    async def notifications(self) -> AsyncIterator[tuple[str, Message]]:
        """Yield (method, params) of each notification. Raises ConnectionLost at the end."""
        while True:
            while self._notes:
                note = self._notes.pop(0)
                params = note.get("params")
                yield str(note["method"]), params if isinstance(params, dict) else {}
            message = await self._receive()
            if "method" not in message:
                raise BadReply("cannot understand the daemon: an answer that nobody asked for")
            self._notes.append(message)

    async def _ask(self, line: bytes) -> Message:
        assert self._writer is not None
        try:
            self._writer.write(line)
            await self._writer.drain()
        except OSError as error:
            raise ConnectionLost("the daemon hung up before it answered") from error
        while True:
            message = await self._receive()
            if "method" in message:
                self._notes.append(message)
            elif message.get("id") in (self._number, None):
                return message
            else:
                raise BadReply("cannot understand the daemon: an answer to another question")

    async def _receive(self) -> Message:
        assert self._reader is not None
        while (message := self._inbox.message()) is None:
            try:
                chunk = await self._reader.read(CHUNK)
            except OSError:
                chunk = b""
            if not chunk:
                raise ConnectionLost("the daemon hung up before it answered")
            self._inbox.take(chunk)
        return message
