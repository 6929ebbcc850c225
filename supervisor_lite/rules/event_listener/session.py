"""One run of an event listener in Supervisor's protocol (version 3.0), without any I/O.

    listener: READY\n            it wants an event
    daemon:   <header>\n<text>   it gets one, and is busy with it
    listener: RESULT 2\nOK       it has dealt with it; anything else than OK: it has not

The caller reads the pipe and gives the bytes to `receive`, in pieces of any size, and gets what
they mean; it writes the events itself and reports each by `event_sent`.
"""

from __future__ import annotations

from enum import Enum

_READY = b"READY\n"
_RESULT_WIDTH = len(b"RESULT ")
_ACCEPTED = b"OK"
_MAX_LINE = 64
"""Bytes that the line with the length of a result may have at most."""


class ListenerState(Enum):
    """Where a listener is in the protocol."""

    ACKNOWLEDGED = "acknowledged"
    """It has not yet asked for an event."""
    READY = "ready"
    BUSY = "busy"
    UNKNOWN = "unknown"
    """It has broken the protocol: no more events until it is started again."""


class Answer(Enum):
    """What the bytes that a listener wrote mean."""

    READY = "ready"
    ACCEPTED = "accepted"
    """It has dealt with its event."""
    REJECTED = "rejected"
    """Its event is to be sent again."""
    INVALID = "invalid"
    """It has broken the protocol; if it had an event, that is to be sent again."""


class ListenerProtocol:
    """The state of one run of a listener (sans I/O: no pipe is read or written here)."""

    __slots__ = ("_data", "_left", "_result", "offence", "state")

    def __init__(self) -> None:
        self.state = ListenerState.ACKNOWLEDGED
        self._data = b""
        self._left = 0
        """Bytes of the result that are still to come; 0 before its length is known."""
        self._result = b""
        self.offence = ""
        """What it has said that broke the protocol: the beginning of it, as Python writes bytes."""

    def event_sent(self) -> None:
        """Note that it was given an event; it must have been READY."""
        assert self.state is ListenerState.READY
        self.state = ListenerState.BUSY

    def receive(self, data: bytes) -> list[Answer]:
        """Parse what the listener has written; return what it means, in order."""
        self._data += data
        answers: list[Answer] = []
        while self._data and self._parse_one(answers):
            pass
        return answers

    def _parse_one(self, answers: list[Answer]) -> bool:
        """Parse one token off the data; return False if that needs more of it."""
        match self.state:
            case ListenerState.ACKNOWLEDGED:
                if len(self._data) < len(_READY):
                    return False
                if not self._data.startswith(_READY):
                    return self._protocol_error(answers)
                self._data = self._data[len(_READY) :]
                self.state = ListenerState.READY
                answers.append(Answer.READY)
                return True
            case ListenerState.READY:
                return self._protocol_error(answers)  # nobody has asked it for anything
            case ListenerState.BUSY:
                return self._parse_result(answers) if self._left else self._parse_length(answers)
            case ListenerState.UNKNOWN:
                self._data = b""
                return False

    def _parse_length(self, answers: list[Answer]) -> bool:
        """Parse the length of the result. Of the word before it, only the width matters."""
        line, end, rest = self._data.partition(b"\n")
        if not end:
            return self._protocol_error(answers) if len(line) > _MAX_LINE else False
        try:
            self._left = int(line[_RESULT_WIDTH:])
        except ValueError:
            return self._protocol_error(answers)
        if self._left < 0:
            return self._protocol_error(answers)
        self._data = rest
        if not self._left:
            self._finish_result(answers)
        return True

    def _parse_result(self, answers: list[Answer]) -> bool:
        chunk = self._data[: self._left]
        self._data = self._data[len(chunk) :]
        self._left -= len(chunk)
        # However long a result is, what is not OK is decided by a few bytes.
        self._result = (self._result + chunk)[: len(_ACCEPTED) + 1]
        if not self._left:
            self._finish_result(answers)
        return True

    def _finish_result(self, answers: list[Answer]) -> None:
        answers.append(Answer.ACCEPTED if self._result == _ACCEPTED else Answer.REJECTED)
        self._result = b""
        self.state = ListenerState.ACKNOWLEDGED

    def _protocol_error(self, answers: list[Answer]) -> bool:
        answers.append(Answer.INVALID)
        self.offence = repr(self._data[:_MAX_LINE])[1:]
        self.state = ListenerState.UNKNOWN
        self._data = self._result = b""
        self._left = 0
        return False

    # For the next version of the daemon.

    def to_json(self) -> dict[str, object]:
        """Return its state, for `from_json`; the keys are read by other versions of the daemon."""
        return {
            "state": self.state.value,
            "data": self._data.decode("latin-1"),
            "left": self._left,
            "result": self._result.decode("latin-1"),
            "offence": self.offence,
        }

    @classmethod
    def from_json(cls, values: dict[str, object]) -> ListenerProtocol:
        """Return what `to_json` described. Raises KeyError or ValueError."""
        made = cls()
        made.state = ListenerState(values["state"])
        made._data = str(values["data"]).encode("latin-1")
        made._left = int(str(values["left"]))
        made._result = str(values["result"]).encode("latin-1")
        made.offence = str(values.get("offence", ""))
        return made
