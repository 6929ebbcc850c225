"""Where output of processes is written: the very bytes into a pipe, tame text on a terminal.

A line that a process rewrites by carriage returns (a progress bar) is rewritten on a terminal as
well; where a name stands before it, that stays. In a pipe, `logs` shows each of its states.
"""

from __future__ import annotations

import codecs
import os
import re
import sys

from supervisor_lite.ctl import render
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

MAX_PARTIAL = 1 << 16
"""Bytes of one line that we hold while its end has not come; then it is broken."""

_COLOUR = re.compile("(\x1b\\[[0-9;:]*m)")
_CUT = re.compile("(?:\x1b(?:\\[[0-9;:]{0,64})?|\r+)\\Z")
_RESET = "\x1b[0m"
_PALETTE = ("36", "33", "32", "35", "34", "31")

Key = tuple[str, str]
"""The process, and stdout or stderr."""


class TerminalWriter:
    """A terminal, to which a process may send text and colours and nothing else."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._coloured = False
        self._column = 0

    def write(self, data: bytes) -> None:
        """Write the next bytes; a character or a colour may be cut between two writes."""
        text = self._held + self._decoder.decode(data)
        cut = _CUT.search(text)
        self._held = text[cut.start() :] if cut else ""
        self._put(text[: len(text) - len(self._held)])

    def finish(self) -> None:
        """Write what was held back, switch colours off, end the last line."""
        self._put(self._held.rstrip("\r") + self._decoder.decode(b"", final=True))
        self._held = ""
        if self._coloured:
            sys.stdout.write(_RESET)
        if self._column:
            sys.stdout.write("\n")
        sys.stdout.flush()

    def _put(self, text: str) -> None:
        if not text:
            return
        # What comes after a carriage return takes the place of what was in the line.
        states = re.split("\r+(?![\r\n])", text)
        sys.stdout.write(start_of_line().join(map(sanitize_output, states)))
        sys.stdout.flush()
        self._coloured = self._coloured or _COLOUR.search(text) is not None
        self._column = 0 if text.endswith("\n") else 1


class RawWriter:
    """A pipe or a file, which gets the very bytes."""

    def write(self, data: bytes) -> None:
        """Write the next bytes."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        """Do nothing: what was written is complete."""


class LineMerger:
    """Many streams, merged line by line.

    A line is written when its end has come, so that lines of different processes never mix.
    `web | …` is a line of stdout, `web ! …` one of stderr. On a terminal the last state of a line
    that is being rewritten is shown before its end has come.
    """

    def __init__(self, style: render.Style, names: list[str] | None = None) -> None:
        self._style = style
        self._width = 0
        self._partial: dict[Key, bytes] = {}
        self._colours: dict[str, str] = {}
        self._open: Key | None = None
        """Whose unfinished line is the last one on the terminal."""
        self._unwritten: list[bytes] = []
        self._prefixes: dict[Key, bytes] = {}
        self.know(names or [])

    def know(self, names: list[str]) -> None:
        """Make room for these names."""
        self._prefixes.clear()
        self._width = max([self._width, *(len(sanitize(name)) for name in names)])
        for name in names:
            self._colour(name)

    def feed(self, output: Message, data: bytes) -> None:
        """Take the next bytes of the stream that `output` names."""
        key = _key(output)
        *lines, rest = (self._partial.pop(key, b"") + data).split(b"\n")
        for line in lines:
            if b"\r" in line:
                self._write_states(key, line)
            else:
                self._write(key, line)
        rest = self._show_rest(key, rest)
        while len(rest) >= MAX_PARTIAL:
            self._write(key, rest[:MAX_PARTIAL])
            rest = rest[MAX_PARTIAL:]
        if rest:
            self._partial[key] = rest
        self._flush()

    def finish(self, output: Message) -> None:
        """Write the line without an end that the stream may have left."""
        self._finish(_key(output))
        self._flush()

    def finish_all(self) -> None:
        """Write every line without an end."""
        for key in list(self._partial):
            self._finish(key)
        self._leave()
        self._flush()

    def _flush(self) -> None:
        sys.stdout.flush()
        if self._unwritten:
            # As bytes, through the text layer's buffer: the lines are the processes' own.
            sys.stdout.buffer.write(b"".join(self._unwritten))
            sys.stdout.buffer.flush()
            self._unwritten.clear()

    def _finish(self, key: Key) -> None:
        rest = self._partial.pop(key, b"")
        if rest:
            self._write_states(key, rest)

    def _show_rest(self, key: Key, rest: bytes) -> bytes:
        """Show a line that is being rewritten as far as it has come; return what is kept of it."""
        *states, last = rest.rstrip(b"\r").split(b"\r")
        kept = last + rest[len(rest.rstrip(b"\r")) :]
        if not self._style.terminal:
            for state in filter(None, states):
                self._write(key, state)
            return kept
        if states or kept != last or (last and self._open == key):
            self._leave(unless=key)
            sys.stdout.write(start_of_line() + self._line(key, last, self._room(key)))
            self._open = key
        return kept

    def _write_states(self, key: Key, line: bytes) -> None:
        """Write a whole line: on a terminal as it ended, else each of its states."""
        states = [state for state in line.split(b"\r") if state] or [b""]
        for state in states[-1:] if self._style.terminal else states:
            self._write(key, state)

    def _write(self, key: Key, line: bytes) -> None:
        if self._style.terminal:
            if self._open == key:
                sys.stdout.write(start_of_line())
                self._open = None
            self._leave()
            sys.stdout.write(f"{self._line(key, line)}\n")
        else:
            self._unwritten += (self._prefix_in_pipe(key), line, b"\n")

    def _leave(self, unless: Key | None = None) -> None:
        """Go to a new line if an unfinished one is shown."""
        if self._open is not None and self._open != unless:
            sys.stdout.write("\n")
            self._open = None

    def _prefix(self, key: Key) -> str:
        name, stream = key
        label = f"{sanitize(name):<{self._width}} {'!' if stream == 'stderr' else '|'} "
        return self._style.paint(label, self._colour(name))

    def _prefix_in_pipe(self, key: Key) -> bytes:
        found = self._prefixes.get(key)
        if found is None:
            encoding = sys.stdout.encoding or "utf-8"
            found = self._prefixes[key] = self._prefix(key).encode(encoding, "backslashreplace")
        return found

    def _line(self, key: Key, line: bytes, room: int | None = None) -> str:
        text = sanitize_output(line.decode(errors="replace"))
        if room is not None and len(_COLOUR.sub("", text)) > room:
            text = _COLOUR.sub("", text)[:room]  # it must not wrap: then it could not be rewritten
        return f"{self._prefix(key)}{text}{_RESET if _COLOUR.search(text) else ''}"

    def _room(self, key: Key) -> int | None:
        width = self._style.width
        used = max(self._width, len(sanitize(key[0]))) + 4
        return None if width is None else max(1, width - used)

    def _colour(self, name: str) -> str:
        return self._colours.setdefault(name, _PALETTE[len(self._colours) % len(_PALETTE)])


def start_of_line() -> str:
    """Return what begins the present line of a terminal anew: nothing of it is left."""
    return "\r" if os.environ.get("TERM") == "dumb" else "\r\x1b[K"


def sanitize_output(text: str) -> str:
    """Return the text with colours kept and every other escape and control spelled out."""
    pieces = _COLOUR.split(re.sub("\r+\n", "\n", text))
    pieces[::2] = [sanitize(piece, keep="\n\t") for piece in pieces[::2]]
    return "".join(pieces)


def _key(output: Message) -> Key:
    return str(output.get("fullname")), str(output.get("stream"))
