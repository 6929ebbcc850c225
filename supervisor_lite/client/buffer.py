"""Cut the byte stream from the daemon into messages, and check their shape; no I/O."""

from __future__ import annotations

import json

from supervisor_lite.client.errors import BadReply

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

MAX_REPLY = 256 << 20
"""Bytes in one reply. What is longer is not from our daemon."""

CHUNK = 1 << 18
"""Bytes that are read at a time."""


class ReceiveBuffer:
    """Cuts what the daemon sends into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def take(self, chunk: bytes) -> None:
        """Add what has come."""
        self._buffer += chunk

    def has_message(self) -> bool:
        """Is there a whole message?"""
        return b"\n" in self._buffer

    def message(self) -> Message | None:
        """Return the next message, None if it is not there as a whole. Raises BadReply."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            if self._searched > MAX_REPLY:
                raise BadReply("cannot understand the daemon: its answer does not end")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadReply("cannot understand the daemon: what it sent is not JSON") from error
        if not isinstance(message, dict):
            raise BadReply("cannot understand the daemon: what it sent is no message")
        return message


def listed(result: Message, key: str, *needed: str) -> list[Message]:
    """Return the list of objects `result[key]`, each having the `needed` keys.

    Raises BadReply: a daemon of another make must not end in a traceback.
    """
    rows = result.get(key)
    if not isinstance(rows, list):
        raise BadReply(f'cannot understand the answer: it has no list "{key}"')
    for row in rows:
        if not isinstance(row, dict) or any(name not in row for name in needed):
            raise BadReply(f'cannot understand the answer: an item of "{key}" lacks a key')
    return rows
