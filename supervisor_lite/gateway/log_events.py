"""A log as server-sent events, for the page: it goes on through restarts of the daemon.

    event: begin   id: MARK   {earlier, lost}: from here on; is there more before, is any missing
    event: output  id: MARK   {data}: what came; bytes that are no UTF-8 are replaced
    event: missed             {bytes}: so much is not there any more
    event: down               {message}: the daemon is gone; `begin` follows when it is back
    event: end                {message}: it will not be back, such as because nothing has this name

Who brings the last id back as `after` goes on exactly there, whatever has happened to the daemon,
to us and to the connection. A daemon that knows no marks has no ids.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from supervisor_lite.client.aio import AsyncClient
from supervisor_lite.client.errors import ClientError, RemoteError
from supervisor_lite.gateway.credentials import Principal
from supervisor_lite.gateway.daemon import Daemon
from supervisor_lite.gateway.http import event
from supervisor_lite.protocol import messages
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.messages import Message

MAX_BEHIND = 8 << 20
"""Bytes that a page may be behind before it is made to skip, and told so."""

_TRY_AGAIN = 0.5
"""Seconds between two tries to reach a daemon that has gone."""


class LogEvents:
    """One log that one client follows. To be opened, then read from `events`, to its end."""

    def __init__(
        self, daemon: Daemon, who: Principal, verb: str, params: Message, after: str | None
    ) -> None:
        """`params` are those of the daemon's method `verb`; `after` is a mark to go on from."""
        self._daemon = daemon
        self._who = who
        self._verb = verb
        self._params = params
        self._after = after
        self._client: AsyncClient | None = None
        self._first: Message = {}

    async def open(self) -> None:
        """Ask the daemon for the log. Raises ClientError."""
        params = {**self._params, "follow": True, "max_behind": MAX_BEHIND}
        if self._after is not None:
            del params["bytes"]
            params["after"] = self._after
        self._client = self._daemon.connect(self._who)
        try:
            await self._client.open()
            self._first = await self._asked(self._client, params)
        except BaseException:
            self._client.close()
            raise

    async def _asked(self, client: AsyncClient, params: Message) -> Message:
        try:
            return await client.call(self._verb, params)
        except RemoteError as error:
            if error.code != ErrorCode.INVALID_PARAMS or self._after is not None:
                raise
            del params["max_behind"]  # a daemon from before marks
            return await client.call(self._verb, params)

    async def events(self) -> AsyncIterator[bytes]:
        """Yield the log until nobody wants it any more, or it is no more."""
        try:
            while True:
                for piece in self._begun():
                    yield piece
                try:
                    async for piece in self._told():
                        yield piece
                except ClientError as error:
                    yield event("down", {"message": str(error)})
                    self._close()
                await self._open_again()
        except RemoteError as error:
            yield event("end", {"message": str(error)})
        finally:
            self._close()

    def _begun(self) -> list[bytes]:
        """Return what the daemon has answered."""
        data = messages.unpack_data(self._first)
        asked = self._params["bytes"]
        earlier = self._after is None and 0 < asked <= len(data)
        self._mark(self._first)
        about = {"earlier": earlier, "lost": bool(self._first.get("lost"))}
        # Of a daemon without marks we know no place: what comes from now on, and nothing twice.
        self._params["bytes"] = 0
        return [event("begin", about, self._after), *self._output(data)]

    async def _told(self) -> AsyncIterator[bytes]:
        assert self._client is not None
        async for method, note in self._client.notifications():
            if method == messages.NOTE_OUTPUT:
                self._mark(note)
                for piece in self._output(messages.unpack_data(note)):
                    yield piece
            elif method == messages.NOTE_MISSED:
                yield event("missed", {"bytes": note.get("bytes", 0)})
            elif method == messages.NOTE_END:
                return

    def _output(self, data: bytes) -> list[bytes]:
        about = {"data": data.decode(errors="replace")}
        return [event("output", about, self._after)] if data else []

    def _mark(self, told: Message) -> None:
        if isinstance(told.get("after"), str):
            self._after = told["after"]

    async def _open_again(self) -> None:
        """Wait for the next daemon, or for this one. Raises RemoteError."""
        while True:
            await asyncio.sleep(_TRY_AGAIN)
            try:
                await self.open()
            except RemoteError:
                raise
            except ClientError:
                continue
            return

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
