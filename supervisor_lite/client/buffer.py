"""What a client says and hears, without I/O: shared by `Client` and `AsyncClient`."""

from __future__ import annotations

from supervisor_lite.client.errors import BadReply, ClientError, RemoteError
from supervisor_lite.protocol import messages, quick_json

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

    def feed(self, chunk: bytes) -> None:
        """Add what has come."""
        self._buffer += chunk

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
            message = quick_json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadReply("cannot understand the daemon: what it sent is not JSON") from error
        if not isinstance(message, dict):
            raise BadReply("cannot understand the daemon: what it sent is no message")
        return message


class Conversation:
    """One connection's requests, replies and notifications, as bytes in and out.

    One request is out at a time. Notifications that come before a reply wait for their reader.
    """

    __slots__ = ("_asked", "_buffer", "_configuration", "_notifications", "_number")

    def __init__(self, configuration: str = "") -> None:
        """A daemon that runs with another `configuration` is not meant, if one is given."""
        self._configuration = configuration
        self._buffer = ReceiveBuffer()
        self._notifications: list[Message] = []
        self._number = 0
        self._asked: tuple[str, Message] = ("", {})

    def request(self, method: str, params: Message) -> bytes:
        """Return the line that asks. Raises ClientError if it cannot be asked."""
        self._number += 1
        self._asked = (method, params)
        try:
            line = messages.request(self._number, method, params, self._configuration)
        except UnicodeEncodeError as error:
            raise ClientError(f'cannot ask for "{method}": a name is not UTF-8') from error
        if len(line) > messages.MAX_LINE:
            raise ClientError(f'cannot ask for "{method}": the request is over 1 MB long')
        return line

    def feed(self, chunk: bytes) -> None:
        """Add what has come."""
        self._buffer.feed(chunk)

    def reply(self) -> Message | None:
        """Return the result of the last request; None while it has not come as a whole.

        Raises RemoteError if the daemon refuses, BadReply.
        """
        method, params = self._asked
        while (message := self._buffer.message()) is not None:
            if "method" in message:
                self._notifications.append(message)
                continue
            # A daemon that could not read our request does not know its number.
            unknown = message.get("id") is None and "error" in message
            if message.get("id") != self._number and not unknown:
                raise BadReply("cannot understand the daemon: an answer to another question")
            if "error" in message:
                raise RemoteError(message["error"], method, params)
            result = message.get("result")
            if not isinstance(result, dict):
                raise BadReply(f'cannot understand the answer to "{method}": it has no result')
            return result
        return None

    def notification(self) -> tuple[str, Message] | None:
        """Return (method, params) of the next notification, None if there is none as a whole.

        Raises BadReply.
        """
        message = self._notifications.pop(0) if self._notifications else self._buffer.message()
        if message is None:
            return None
        if "method" not in message:
            raise BadReply("cannot understand the daemon: an answer that nobody asked for")
        params = message.get("params")
        return str(message["method"]), params if isinstance(params, dict) else {}

    def skip(self) -> None:
        """Read over whatever messages have come. Raises BadReply."""
        while self._buffer.message() is not None:
            pass


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
