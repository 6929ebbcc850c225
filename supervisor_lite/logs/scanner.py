"""Find what is no ordinary text in a program's output: escape sequences, Supervisor's tokens.

Pure: it looks at bytes and says what they are. What is cut off at their end may be the beginning
of something; it says so, and is asked again when more has come or when the output is over.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

BEGIN: Final = b"<!--XSUPERVISOR:BEGIN-->"
END: Final = b"<!--XSUPERVISOR:END-->"

_MAX_SEQUENCE = 4096
"""Bytes that an escape sequence may have; what is longer is text."""

_TEXT = rb"[^\x00-\x08\x0a-\x1a\x1b\x1c-\x1f]"
# ECMA-48, and what xterm makes of it: strings (titles, links) end with BEL or ESC \, and never
# reach over the end of a line.
_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor
    rb"|\]" + _TEXT + rb"*(?:\x07|\x1b\\)"  # OSC
    rb"|[PX^_]" + _TEXT + rb"*\x1b\\"  # DCS, SOS, PM, APC
    rb"|[ -/]+[0-~]"  # character sets
    rb"|[0-OQ-WYZ\\`-~])"
)
_INCOMPLETE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*|\]" + _TEXT + rb"*\x1b?|[PX^_]" + _TEXT + rb"*\x1b?|[ -/]*)\Z"
)


class Segment(Enum):
    """What some bytes are."""

    TEXT = "text"
    CAPTURED = "captured"
    """Text between the two tokens."""
    BEGIN = "begin"
    END = "end"
    SEQUENCE = "sequence"
    """To be left out."""
    INCOMPLETE = "incomplete"
    """Perhaps the beginning of a token or a sequence: the bytes that come next will tell."""


class OutputScanner:
    """Splits output into segments; knows on which side of the tokens it is."""

    __slots__ = ("_capture", "_special", "inside")

    def __init__(self, *, capture: bool, strip: bool) -> None:
        self._capture = capture
        escape = [rb"\x1b"] if strip else []
        # What is no text, outside of the tokens and inside: one search for all, up to the first.
        outside, inside = (
            re.compile(b"|".join([*escape, *([re.escape(token)] if capture else [])]))
            for token in (BEGIN, END)
        )
        self._special = (outside, inside) if strip or capture else None
        self.inside = False
        """A token of begin has come, and none of end."""

    @property
    def text(self) -> Segment:
        """What ordinary text is here: CAPTURED between the tokens, else TEXT."""
        return Segment.CAPTURED if self.inside else Segment.TEXT

    def scan(self, data: bytes, start: int, *, final: bool) -> tuple[Segment, int]:
        """Return what the bytes from `start` are, and where that ends. `final`: no more come."""
        token = END if self.inside else BEGIN
        if self._special is None:
            return self.text, len(data)
        found = self._special[self.inside].search(data, start)
        if found is None:
            partial = 0 if final or not self._capture else _overlap(data[start:], token)
            if partial and partial == len(data) - start:
                return Segment.INCOMPLETE, len(data)
            return self.text, len(data) - partial
        if found.start() > start:
            return self.text, found.start()
        if found.end() - start == len(token):
            self.inside = not self.inside
            return Segment.BEGIN if self.inside else Segment.END, found.end()
        return self._escape(data, start, final=final)

    def _escape(self, data: bytes, start: int, *, final: bool) -> tuple[Segment, int]:
        """Say what begins with the escape character at `start`."""
        end = start + _MAX_SEQUENCE
        if match := _SEQUENCE.match(data, start, end):
            return Segment.SEQUENCE, match.end()
        if not final and len(data) < end and _INCOMPLETE.match(data, start):
            return Segment.INCOMPLETE, len(data)
        return self.text, start + 1


def _overlap(data: bytes, token: bytes) -> int:
    """Return how many bytes at the end of the data may be the beginning of the token."""
    for size in range(min(len(token) - 1, len(data)), 0, -1):
        if data.endswith(token[:size]):
            return size
    return 0
