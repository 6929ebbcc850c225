"""Talk to the daemon from an event loop: `Client` without blocking.

One `AsyncClient` is one connection. A call that answers when something has come true waits as long
as that takes; whoever does not want to wait cancels it.

    async with AsyncClient(path) as client:
        result = await client.call("status", {"names": ["web"]})
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from supervisor_lite.client.buffer import CHUNK, Conversation
from supervisor_lite.client.errors import (
    ConnectionLost,
    RemoteError,
    ReplyTimeout,
    Unreachable,
    cause_of,
    denial,
)
from supervisor_lite.client.sync import DEFAULT_TIMEOUT
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.messages import Message


class AsyncClient:
    """One connection to the daemon."""

    def __init__(
        self,
        path: str,
        on_behalf_of: str = "",
        role: str = "admin",
        not_believed: Callable[[str], None] = lambda why: None,
    ) -> None:
        """`on_behalf_of` is noted with everything that it does, `role` what it may do at most.

        `not_believed` is told why, if the daemon does not take our word for whom we ask.
        """
        self.path = path
        self._on_behalf_of = on_behalf_of
        self._role = role
        self._not_believed = not_believed
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._conversation = Conversation()

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
            cause = denial(self.path) if denied else cause_of(error)
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
        if self._on_behalf_of:
            whom, self._on_behalf_of = self._on_behalf_of, ""
            await self._introduce(whom)
        line = self._conversation.request(method, {} if params is None else params)
        try:
            return await asyncio.wait_for(self._ask(line), timeout)
        except TimeoutError as error:
            raise ReplyTimeout(f"the daemon did not answer in {timeout:g} s") from error

    async def _introduce(self, whom: str) -> None:
        """Say for whom we ask. Without being believed we ask for ourselves."""
        try:
            await self.call("introduce", {"whom": whom, "role": self._role})
        except RemoteError as error:
            if error.code == ErrorCode.INVALID_PARAMS:
                await self.call("introduce", {"whom": whom})  # a daemon that knows no role there
            elif error.code == ErrorCode.NOT_PERMITTED:
                self._not_believed(str(error))
            else:
                raise

    async def notifications(self) -> AsyncIterator[tuple[str, Message]]:
        """Yield (method, params) of each notification. Raises ConnectionLost at the end."""
        while True:
            while (note := self._conversation.notification()) is not None:
                yield note
            await self._receive()

    async def _ask(self, line: bytes) -> Message:
        assert self._writer is not None
        try:
            self._writer.write(line)
            await self._writer.drain()
        except OSError as error:
            raise ConnectionLost("the daemon hung up before it answered") from error
        while (result := self._conversation.reply()) is None:
            await self._receive()
        return result

    async def _receive(self) -> None:
        """Wait until something has come. Raises ConnectionLost."""
        assert self._reader is not None
        try:
            chunk = await self._reader.read(CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            raise ConnectionLost("the daemon hung up before it answered")
        self._conversation.feed(chunk)
