"""Output of processes as plain text: piece by piece, then as it comes, whichever daemon tells.

A stream goes on when the daemon dies and the next one answers, from the mark of what was sent last.
log_events.py has the same for the page, as events.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from supervisor_lite.client.aio import AsyncClient
from supervisor_lite.client.errors import ClientError, RemoteError
from supervisor_lite.gateway.credentials import Principal
from supervisor_lite.gateway.daemon import Daemon
from supervisor_lite.protocol import messages
from supervisor_lite.protocol.messages import Message

_TRY_AGAIN = 0.5
"""Seconds until the next daemon is looked for again."""

Heard = tuple[str, Message]
"""What is told: "output", "missed" or "end", and its fields."""


class LogText:
    """One log, from a place on."""

    def __init__(self, daemon: Daemon, who: Principal, verb: str, where: Message) -> None:
        """`verb` is `tail` or `maintail`, `where` its parameters that say which log."""
        self._daemon = daemon
        self._who = who
        self._verb = verb
        self._where = where
        self._after = ""
        self._client: AsyncClient | None = None

    async def begin(self, *, count: int, after: str | None = None, probe: str = "") -> Message:
        """Return the first piece, of the last bytes or of what comes after a mark.

        `probe` is asked first: it refuses what has no file yet. Raises ClientError.
        """
        client = self._client = self._daemon.connect(self._who)
        try:
            await client.open()
            if probe:
                await client.call(probe, {**self._where, "length": 0})
            place: Message = {"bytes": count} if after is None else {"after": after}
            return await self._ask({**place, "pieces": True})
        except BaseException:
            self.close()
            raise

    async def rest(self, first: Message) -> AsyncIterator[Heard]:
        """Yield the first piece and those after it, up to the end as it was."""
        found = first
        try:
            while True:
                if found.get("lost"):
                    yield "missed", {"bytes": None}
                yield "output", found
                if not found.get("more"):
                    return
                found = await self._ask({"after": self._after, "pieces": True})
        except ClientError:
            return  # who follows goes on from where this has ended

    async def follow(self) -> AsyncIterator[Heard]:
        """Yield what comes after the last piece, until the daemon is shut down."""
        while True:
            try:
                async for heard in self._of_one_daemon():
                    yield heard
                    if heard[0] == "end":
                        return
            except RemoteError as error:
                yield "end", {"reason": str(error)}
                return
            except ClientError:
                pass
            await self._next_daemon()

    async def _of_one_daemon(self) -> AsyncIterator[Heard]:
        found = await self._ask({"after": self._after, "follow": True})
        if found.get("lost"):
            yield "missed", {"bytes": None}
        assert self._client is not None
        async for method, note in self._client.notifications():
            if method == messages.NOTE_OUTPUT:
                self._after = str(note.get("after") or self._after)
                yield "output", note
            elif method == messages.NOTE_MISSED:
                yield "missed", {"bytes": note.get("bytes")}
            elif method == messages.NOTE_END:
                yield "end", {"reason": note.get("reason")}

    async def _next_daemon(self) -> None:
        while True:
            self.close()
            self._client = self._daemon.connect(self._who)
            try:
                await self._client.open()
            except ClientError:
                await asyncio.sleep(_TRY_AGAIN)
            else:
                return

    async def _ask(self, params: Message) -> Message:
        assert self._client is not None
        found = await self._client.call(self._verb, {**self._where, **params})
        self._after = str(found.get("after") or self._after)
        return found

    def close(self) -> None:
        """Hang up."""
        if self._client is not None:
            self._client.close()
            self._client = None


async def as_text(stream: LogText, first: Message, *, following: bool) -> AsyncIterator[bytes]:
    """Yield the bytes; a line of ours stands where some are missing."""
    try:
        async for heard in _all(stream, first, following=following):
            if heard[0] == "output":
                yield messages.unpack_data(heard[1])
            elif heard[0] == "missed":
                count = heard[1].get("bytes")
                what = "output is" if count is None else f"{count} bytes of output are"
                yield f"[supervisor-lite: {what} missing here]\n".encode()
    finally:
        stream.close()


async def _all(stream: LogText, first: Message, *, following: bool) -> AsyncIterator[Heard]:
    async for heard in stream.rest(first):
        yield heard
    if following:
        async for heard in stream.follow():
            yield heard
