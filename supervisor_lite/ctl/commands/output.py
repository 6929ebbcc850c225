"""The commands that show what processes write: tail, maintail, logs."""

from __future__ import annotations

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import BadReply, RemoteError
from supervisor_lite.ctl import render
from supervisor_lite.ctl.commands.follow import follow
from supervisor_lite.ctl.context import CommandContext, Commands, none_left
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.ctl.screens import LineMerger, RawWriter, TerminalWriter
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.client.sync import Client
    from supervisor_lite.protocol.messages import Message

command = Commands()

DEFAULT_BYTES = 1600
DEFAULT_LINES = 10
STREAMS = ("stdout", "stderr")

OLD_LOG = 256 << 10
"""Bytes of each log that a daemon shows at most that knows nothing of pieces."""

_TAIL_OPTIONS = {"-f": "follow", "--follow": "follow", "-#": "bytes="}
_LOGS_OPTIONS = {
    "-f": "follow", "--follow": "follow", "-n": "lines=", "--lines": "lines=", "-#": "lines=",
}  # fmt: skip


@command("tail")
def tail(ctl: CommandContext, arguments: list[str]) -> int:
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
def maintail(ctl: CommandContext, arguments: list[str]) -> int:
    """Show the end of the daemon's own log."""
    given = ctl.parse(arguments, _TAIL_OPTIONS)
    none_left(given.words)
    params: Message = {"bytes": given.integer("bytes", DEFAULT_BYTES)}
    return _stream(ctl, "maintail", params, following=given.has("follow"))


@command("logs")
def logs(ctl: CommandContext, arguments: list[str]) -> int:
    """Show the last lines of many processes, each with its name before it."""
    given = ctl.parse(arguments, _LOGS_OPTIONS)
    asked: Message = {"lines": given.integer("lines", DEFAULT_LINES)}
    if given.words:
        asked["names"] = given.words
    merged = LineMerger(ctl.style)
    output = Logs(asked, merged)
    if not given.has("follow"):
        with ctl.client() as client:
            output.show(client, following=False)
        merged.finish_all()
        return codes.DONE
    try:
        for method, note in follow(ctl, output.subscribe):
            output.hear(method, note)
    finally:
        merged.finish_all()
    return codes.DONE


class Logs:
    """The logs of many processes, and how far we have come in each, whichever daemon tells."""

    def __init__(self, asked: Message, merged: LineMerger) -> None:
        """`asked` is what is wanted: names and lines."""
        self._asked = asked
        self._merged = merged
        self._after: dict[str, Message] | None = None
        """The mark of each stream of each process; None while we have nothing, or no marks."""
        self._began = False
        self._last: Message | None = None
        """The last output that was shown of what there was."""

    def subscribe(self, client: Client) -> None:
        """Show what there is, the first time, and follow from where we are."""
        if not self._began:
            self.show(client, following=True)
        names = {key: value for key, value in self._asked.items() if key == "names"}
        if self._after is None:
            if self._began:
                render.err("[this daemon does not know where we were: output may be missing]")
                client.call("logs", {**names, "lines": 0, "follow": True})
        else:
            found = client.call("logs", {**names, "after": self._after, "follow": True})
            self._after |= _marks(found)
            _say_lost(found)
        self._began = True

    def show(self, client: Client, *, following: bool) -> None:
        """Write the last lines, a piece at a time."""
        asked: Message = {**self._asked, "pieces": True}
        after: dict[str, Message] = {}
        while True:
            try:
                found = client.call("logs", asked)
            except RemoteError as error:
                if after or error.code != ErrorCode.INVALID_PARAMS:
                    raise
                self._show_old(client, following=following)
                return
            self._write(found, following=following)
            after |= _marks(found)
            rest = found.get("rest") or []
            if not rest:
                break
            known = {name: after[name] for name in rest if name in after}
            asked = {**self._asked, "names": rest, "after": known, "pieces": True}
        if found.get("after") is not None:
            self._after = after

    def _show_old(self, client: Client, *, following: bool) -> None:
        """Write what a daemon has that sends all in one reply, and follow if that is wanted."""
        asked = {**self._asked, "follow": True} if following else self._asked
        found = client.call("logs", asked)
        self._write(found, following=following)
        for output in listed(found, "outputs"):
            data = output_of(output)
            if data.count(b"\n") < asked["lines"] and len(data) > OLD_LOG // 2:
                name = sanitize(output["fullname"])
                render.err(f"[{name}: this daemon shows no more than {OLD_LOG >> 10} KB of it]")

    def _write(self, found: Message, *, following: bool) -> None:
        outputs = listed(found, "outputs", "fullname", "stream", "data")
        shown = [str(output["fullname"]) for output in outputs]
        self._merged.know([*shown, *_marks(found)] if following else shown)
        in_blocks = found.get("after") is None
        for output in outputs:
            last, self._last = self._last, output
            if last is not None and not following:
                # A line without an end is the last one of its process, or of its block.
                if last["fullname"] != output["fullname"]:
                    for stream in STREAMS:
                        self._merged.finish({**last, "stream": stream})
                elif in_blocks:
                    self._merged.finish(last)
            self._merged.feed(output, output_of(output))
        _say_lost(found)
        _say_hints(found)

    def hear(self, method: str, note: Message) -> None:
        """Write what a notification brings, and remember how far that is."""
        if method == messages.NOTE_OUTPUT:
            self._merged.feed(note, output_of(note))
            if self._after is not None and note.get("after") is not None:
                streams = self._after.setdefault(str(note.get("fullname")), {})
                streams[str(note.get("stream"))] = note["after"]
        elif method == messages.NOTE_MISSED:
            self._merged.finish(note)


def _marks(found: Message) -> dict[str, Message]:
    """Return the marks of a reply. Raises BadReply."""
    marks = found.get("after") or {}
    if not isinstance(marks, dict) or not all(isinstance(each, dict) for each in marks.values()):
        raise BadReply("cannot understand the answer: it has no marks")
    return marks


def _say_lost(found: Message) -> None:
    for row in found.get("lost") or []:
        where = f"{sanitize(row.get('fullname'))} {sanitize(row.get('stream'))}"
        render.err(f"[{where}: output is missing here: its file is gone, or was emptied]")


def _say_hints(found: Message) -> None:
    """Say why there may be nothing to see."""
    for row in found.get("hints") or []:
        if row.get("hint") == messages.HINT_PYTHON_BUFFERS:
            render.err(
                f"[{sanitize(row.get('fullname'))}: no output so far. Python holds it back until it"
                ' has 8 KB: environment = { PYTHONUNBUFFERED = "1" }, or python3 -u, shows it at'
                " once]"
            )


class _TailOutput:
    """One output, and how far we have come in it."""

    def __init__(self, ctl: CommandContext, method: str, params: Message) -> None:
        self._method = method
        self._params = params
        self._where = {key: value for key, value in params.items() if key != "bytes"}
        self._after: str | None = None
        self._began = False
        self._sink = TerminalWriter() if ctl.style.terminal else RawWriter()

    def subscribe(self, client: Client) -> None:
        """Write what there is, the first time, and follow from where we are."""
        if not self._began:
            self.show(client, following=True)
        if self._after is not None:
            asked = {**self._where, "after": self._after, "follow": True}
            self._take(client.call(self._method, asked))
        elif self._began:
            render.err("[this daemon does not know where we were: output may be missing]")
            client.call(self._method, {**self._where, "bytes": 0, "follow": True})
        self._began = True

    def show(self, client: Client, *, following: bool) -> None:
        """Write the last bytes, a piece at a time."""
        asked = {**self._params, "pieces": True}
        while True:
            try:
                found = client.call(self._method, asked)
            except RemoteError as error:
                if self._after is not None or error.code != ErrorCode.INVALID_PARAMS:
                    raise
                asked = {**self._params, "follow": True} if following else self._params
                found = client.call(self._method, asked)
            self._take(found)
            if not found.get("more"):
                return
            asked = {**self._where, "after": self._after, "pieces": True}

    def _take(self, found: Message) -> None:
        self._sink.write(output_of(found))
        _say_hints(found)
        if found.get("lost"):
            _say_lost({"lost": [{"stream": self._where.get("stream", ""), **found}]})
        if isinstance(found.get("after"), str):
            self._after = found["after"]

    def hear(self, method: str, note: Message) -> None:
        """Write what a notification brings, and remember how far that is."""
        if method == messages.NOTE_OUTPUT:
            self._take(note)

    def finish(self) -> None:
        """End the last line on a terminal."""
        self._sink.finish()


def _stream(ctl: CommandContext, method: str, params: Message, *, following: bool) -> int:
    """Write one output to stdout, and with `following` what is added to it."""
    output = _TailOutput(ctl, method, params)
    try:
        if following:
            for kind, note in follow(ctl, output.subscribe):
                output.hear(kind, note)
        else:
            with ctl.client() as client:
                output.show(client, following=False)
    finally:
        output.finish()
    return codes.DONE


def output_of(fields: Message) -> bytes:
    """Return the output that a message carries. Raises BadReply."""
    try:
        return messages.unpack_data(fields)
    except (KeyError, ValueError, AttributeError, TypeError) as error:
        raise BadReply("cannot understand the answer: its output cannot be decoded") from error
