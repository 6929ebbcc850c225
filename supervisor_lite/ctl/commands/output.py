"""The commands that show what processes write: tail, maintail, logs."""

from __future__ import annotations

import codecs
import re
import sys

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import BadReply
from supervisor_lite.ctl import render
from supervisor_lite.ctl.commands.follow import follow
from supervisor_lite.ctl.context import Commands, Context, none_left
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.protocol import codes, messages
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

command = Commands()

DEFAULT_BYTES = 1600
DEFAULT_LINES = 10
STREAMS = ("stdout", "stderr")

MAX_PARTIAL = 1 << 16
"""Bytes of one line that we hold while its end has not come; then it is broken."""

_TAIL_OPTIONS = {"-f": "follow", "--follow": "follow", "-#": "bytes="}
_LOGS_OPTIONS = {
    "-f": "follow", "--follow": "follow", "-n": "lines=", "--lines": "lines=", "-#": "lines=",
}  # fmt: skip

_COLOUR = re.compile("(\x1b\\[[0-9;:]*m)")
_CUT = re.compile("(?:\x1b(?:\\[[0-9;:]{0,64})?|\r)\\Z")
_RESET = "\x1b[0m"
_PALETTE = ("36", "33", "32", "35", "34", "31")


@command("tail")
def tail(ctl: Context, arguments: list[str]) -> int:
    """Show the end of what a process has written."""
    given = ctl.parse(arguments, _TAIL_OPTIONS)
    if not given.words:
        raise UsageError("which? It needs a NAME")
    name, *rest = given.words
    stream = rest[0] if rest else "stdout"
    none_left(rest[1:])
    if stream not in STREAMS:
        raise UsageError(f'"{stream}" is not a stream: stdout or stderr')
    params: Message = {
        "name": name, "stream": stream, "bytes": given.integer("bytes", DEFAULT_BYTES),
    }  # fmt: skip
    return _stream(ctl, "tail", params, following=given.has("follow"))


@command("maintail")
def maintail(ctl: Context, arguments: list[str]) -> int:
    """Show the end of the daemon's own log."""
    given = ctl.parse(arguments, _TAIL_OPTIONS)
    none_left(given.words)
    params: Message = {"bytes": given.integer("bytes", DEFAULT_BYTES)}
    return _stream(ctl, "maintail", params, following=given.has("follow"))


@command("logs")
def logs(ctl: Context, arguments: list[str]) -> int:
    """Show the last lines of many processes, each with its name before it."""
    given = ctl.parse(arguments, _LOGS_OPTIONS)
    params: Message = {"lines": given.integer("lines", DEFAULT_LINES)}
    if given.words:
        params["names"] = given.words
    if given.has("follow"):
        params["follow"] = True
    with ctl.client() as client:
        result = client.call("logs", params)
        outputs = listed(result, "outputs", "fullname", "stream", "data")
        merged = LineMerger(ctl.style, [str(output["fullname"]) for output in outputs])
        for output in outputs:
            merged.feed(output, _bytes(output))
            if not given.has("follow"):
                merged.finish(output)
        if given.has("follow"):
            try:
                for method, note in follow(client):
                    if method == messages.NOTE_OUTPUT:
                        merged.feed(note, _bytes(note))
                    elif method == messages.NOTE_MISSED:
                        merged.finish(note)
            finally:
                merged.finish_all()
    return codes.DONE


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
        self._put(self._held + self._decoder.decode(b"", final=True))
        self._held = ""
        if self._coloured:
            sys.stdout.write(_RESET)
        if self._column:
            sys.stdout.write("\n")
        sys.stdout.flush()

    def _put(self, text: str) -> None:
        if text:
            sys.stdout.write(sanitize_output(text))
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
    `web | …` is a line of stdout, `web ! …` one of stderr.
    """

    def __init__(self, style: render.Style, names: list[str]) -> None:
        self._style = style
        self._width = max([len(sanitize(name)) for name in names], default=0)
        self._partial: dict[tuple[str, str], bytes] = {}
        self._colours: dict[str, str] = {}
        for name in names:
            self._colour(name)

    def feed(self, output: Message, data: bytes) -> None:
        """Take the next bytes of the stream that `output` names."""
        key = _key(output)
        *lines, rest = (self._partial.pop(key, b"") + data).split(b"\n")
        for line in lines:
            self._write(key, line)
        while len(rest) >= MAX_PARTIAL:
            self._write(key, rest[:MAX_PARTIAL])
            rest = rest[MAX_PARTIAL:]
        if rest:
            self._partial[key] = rest
        sys.stdout.flush()

    def finish(self, output: Message) -> None:
        """Write the line without an end that the stream may have left."""
        self._finish(_key(output))

    def finish_all(self) -> None:
        """Write every line without an end."""
        for key in list(self._partial):
            self._finish(key)
        sys.stdout.flush()

    def _finish(self, key: tuple[str, str]) -> None:
        rest = self._partial.pop(key, b"")
        if rest:
            self._write(key, rest)

    def _write(self, key: tuple[str, str], line: bytes) -> None:
        name, stream = key
        label = f"{sanitize(name):<{self._width}} {'!' if stream == 'stderr' else '|'} "
        prefix = self._style.paint(label, self._colour(name))
        if self._style.terminal:
            text = sanitize_output(line.decode(errors="replace").removesuffix("\r"))
            sys.stdout.write(f"{prefix}{text}{_RESET if _COLOUR.search(text) else ''}\n")
        else:
            # As bytes, through the text layer's buffer: the line is the process's own.
            sys.stdout.flush()
            encoding = sys.stdout.encoding or "utf-8"
            sys.stdout.buffer.write(prefix.encode(encoding, "backslashreplace") + line + b"\n")

    def _colour(self, name: str) -> str:
        return self._colours.setdefault(name, _PALETTE[len(self._colours) % len(_PALETTE)])


def sanitize_output(text: str) -> str:
    """Return the text with colours kept and every other escape and control spelled out."""
    pieces = _COLOUR.split(text.replace("\r\n", "\n"))
    pieces[::2] = [sanitize(piece, keep="\n\t") for piece in pieces[::2]]
    return "".join(pieces)


def _stream(ctl: Context, method: str, params: Message, *, following: bool) -> int:
    """Write one output to stdout, and with `following` what is added to it."""
    sink = TerminalWriter() if ctl.style.terminal else RawWriter()
    with ctl.client() as client:
        result = client.call(method, {**params, "follow": True} if following else params)
        try:
            sink.write(_bytes(result))
            if following:
                for kind, note in follow(client):
                    if kind == messages.NOTE_OUTPUT:
                        sink.write(_bytes(note))
        finally:
            sink.finish()
    return codes.DONE


def _bytes(fields: Message) -> bytes:
    """Return the output that a message carries. Raises BadReply."""
    try:
        return messages.unpack_data(fields)
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise BadReply("cannot understand the answer: its output cannot be decoded") from error


def _key(output: Message) -> tuple[str, str]:
    return str(output.get("fullname")), str(output.get("stream"))
