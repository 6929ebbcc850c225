"""What an event listener says, and what that means: Supervisor's protocol, without any reading.

listener: READY\n            it wants an event
daemon:   <header>\n<text>   it gets one, and is busy with it
listener: RESULT 2\nOK       it has dealt with it; anything else than OK: it has not
"""

from __future__ import annotations

from enum import Enum

_READY = b"READY\n"
_RESULT_WIDTH = len(b"RESULT ")
_ACCEPTED = b"OK"
_LINE_MOST = 64
"""Bytes that the line with the length of a result may have."""


class Listener(Enum):
    """Where a listener is in the protocol."""

    ACKNOWLEDGED = "acknowledged"
    """It has not yet asked for an event."""
    READY = "ready"
    BUSY = "busy"
    UNKNOWN = "unknown"
    """It has said what nobody understands; it gets nothing more until it is started again."""


class Answer(Enum):
    """What came of something that a listener said."""

    READY = "ready"
    ACCEPTED = "accepted"
    """It has dealt with its event."""
    REJECTED = "rejected"
    """Its event is to be sent again."""
    LOST = "lost"
    """It cannot be understood; if it had an event, that is to be sent again."""


class Listening:
    """One run of a listener."""

    __slots__ = ("_data", "_left", "_result", "state")

    def __init__(self) -> None:
        self.state = Listener.ACKNOWLEDGED
        self._data = b""
        self._left = 0
        """Bytes of the result that are still to come; 0 before its length is known."""
        self._result = b""

    def sent(self) -> None:
        """It was given an event."""
        assert self.state is Listener.READY
        self.state = Listener.BUSY

    def heard(self, data: bytes) -> list[Answer]:
        """Take what the listener has written; return what follows from it, in order."""
        self._data += data
        answers: list[Answer] = []
        while self._data and self._go_on(answers):
            pass
        return answers

    def _go_on(self, answers: list[Answer]) -> bool:
        """Take one thing off the data; False if that needs more of it."""
        match self.state:
            case Listener.ACKNOWLEDGED:
                if len(self._data) < len(_READY):
                    return False
                if not self._data.startswith(_READY):
                    return self._lose(answers)
                self._data = self._data[len(_READY) :]
                self.state = Listener.READY
                answers.append(Answer.READY)
                return True
            case Listener.READY:
                return self._lose(answers)  # nobody has asked it anything
            case Listener.BUSY:
                return self._rest(answers) if self._left else self._length(answers)
            case Listener.UNKNOWN:
                self._data = b""
                return False

    def _length(self, answers: list[Answer]) -> bool:
        """Read how long the result is. Only the width of the word before it is looked at."""
        line, end, rest = self._data.partition(b"\n")
        if not end:
            return self._lose(answers) if len(line) > _LINE_MOST else False
        try:
            self._left = int(line[_RESULT_WIDTH:])
        except ValueError:
            return self._lose(answers)
        if self._left < 0:
            return self._lose(answers)
        self._data = rest
        if not self._left:
            self._decide(answers)
        return True

    def _rest(self, answers: list[Answer]) -> bool:
        piece = self._data[: self._left]
        self._data = self._data[len(piece) :]
        self._left -= len(piece)
        # However long a result is, what is not OK is decided by a few bytes.
        self._result = (self._result + piece)[: len(_ACCEPTED) + 1]
        if not self._left:
            self._decide(answers)
        return True

    def _decide(self, answers: list[Answer]) -> None:
        answers.append(Answer.ACCEPTED if self._result == _ACCEPTED else Answer.REJECTED)
        self._result = b""
        self.state = Listener.ACKNOWLEDGED

    def _lose(self, answers: list[Answer]) -> bool:
        answers.append(Answer.LOST)
        self.state = Listener.UNKNOWN
        self._data = self._result = b""
        self._left = 0
        return False

    # For the next version of the daemon.

    def to_json(self) -> dict[str, object]:
        """Return where it is, for `from_json`."""
        return {
            "state": self.state.value,
            "data": self._data.decode("latin-1"),
            "left": self._left,
            "result": self._result.decode("latin-1"),
        }

    @classmethod
    def from_json(cls, values: dict[str, object]) -> Listening:
        """Return what `to_json` was told of. Raises KeyError or ValueError."""
        made = cls()
        made.state = Listener(values["state"])
        made._data = str(values["data"]).encode("latin-1")
        made._left = int(str(values["left"]))
        made._result = str(values["result"]).encode("latin-1")
        return made
