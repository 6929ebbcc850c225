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

_SEQUENCE_MOST = 4096
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
_BEGUN = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*|\]" + _TEXT + rb"*\x1b?|[PX^_]" + _TEXT + rb"*\x1b?|[ -/]*)\Z"
)


class Piece(Enum):
    """What some bytes are."""

    TEXT = "text"
    CAUGHT = "caught"
    """Text between the two tokens."""
    BEGIN = "begin"
    END = "end"
    SEQUENCE = "sequence"
    """To be left out."""
    BEGUN = "begun"
    """Perhaps the beginning of a token or a sequence: the bytes that come next will tell."""


class Cutter:
    """Knows on which side of the tokens it is."""

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

    def cut(self, data: bytes, start: int, *, final: bool) -> tuple[Piece, int]:
        """Return what the bytes from `start` are, and where that ends. `final`: no more come."""
        token = END if self.inside else BEGIN
        text = Piece.CAUGHT if self.inside else Piece.TEXT
        if self._special is None:
            return text, len(data)
        found = self._special[self.inside].search(data, start)
        if found is None:
            begun = 0 if final or not self._capture else _overlap(data[start:], token)
            if begun and begun == len(data) - start:
                return Piece.BEGUN, len(data)
            return text, len(data) - begun
        if found.start() > start:
            return text, found.start()
        if found.end() - start == len(token):
            self.inside = not self.inside
            return Piece.BEGIN if self.inside else Piece.END, found.end()
        return self._escape(data, start, text, final=final)

    def _escape(self, data: bytes, start: int, text: Piece, *, final: bool) -> tuple[Piece, int]:
        """Say what begins with the escape character at `start`."""
        end = start + _SEQUENCE_MOST
        if match := _SEQUENCE.match(data, start, end):
            return Piece.SEQUENCE, match.end()
        if not final and len(data) < end and _BEGUN.match(data, start):
            return Piece.BEGUN, len(data)
        return text, start + 1


def _overlap(data: bytes, token: bytes) -> int:
    """Return how many bytes at the end of the data may be the beginning of the token."""
    for size in range(min(len(token) - 1, len(data)), 0, -1):
        if data.endswith(token[:size]):
            return size
    return 0
