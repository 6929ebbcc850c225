"""Bytes that come from a client, cut into lines."""

from __future__ import annotations

from supervisor_lite.errors import ProtocolError
from supervisor_lite.protocol import codes, messages


class LineBuffer:
    """Holds what has come and is not served yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add what has come."""
        self._buffer += data

    def finish(self) -> None:
        """Take what came last for a line: nothing more will come."""
        if self._buffer and not self._buffer.endswith(b"\n"):
            self._buffer += b"\n"

    def next(self) -> bytes | None:
        """Return the next line that is not empty, None if it has not come as a whole.

        Raises ProtocolError if it is too long; there is no way to go on after that.
        """
        while True:
            end = self._buffer.find(b"\n", self._scanned)
            if (end if end >= 0 else len(self._buffer)) >= messages.MAX_LINE:
                text = f"line longer than {messages.MAX_LINE} bytes"
                raise ProtocolError(codes.INVALID_REQUEST, text)
            if end < 0:
                self._scanned = len(self._buffer)
                return None
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            if line.strip():
                return line
