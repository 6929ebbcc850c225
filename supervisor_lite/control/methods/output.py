"""The methods that show output: tail, maintail, logs; once, or as it comes.

Whoever asks for `pieces` gets old output a piece at a time, however much it is (output_pieces.py).
A client from before that gets it in one reply, with the limits that it knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from supervisor_lite.control.jsonrpc import Result
from supervisor_lite.control.methods import output_pieces as pieces
from supervisor_lite.control.methods.output_hints import hints
from supervisor_lite.control.methods.output_pieces import PIECE, Span
from supervisor_lite.control.names import in_order, meant
from supervisor_lite.control.output_feed import OutputFeed
from supervisor_lite.control.request import Methods, Request
from supervisor_lite.control.subscriptions import Subscription
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.errors import OperationFailed
from supervisor_lite.logs import archive
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.processlogs import STREAMS
from supervisor_lite.logs.read import tail_lines
from supervisor_lite.protocol import messages
from supervisor_lite.protocol.codes import ErrorCode

method = Methods()

MAX_COUNT = 1 << 62

MAX_BYTES = 4 << 20
"""Bytes of old output in one reply to a client that does not ask for pieces."""

MAX_LINES = 100_000
"""Lines that such a client may ask for."""

MAX_BYTES_PER_LOG = 256 << 10
"""Bytes of old output per stream in a reply of `logs` to such a client."""

MAX_BYTES_OF_LOGS = 8 << 20
"""Bytes of old output in such a reply; shared evenly."""

LOGS_AT_ONCE = 20
"""Logs that are read without looking after anything else."""


class OutputMethods:
    """Reads and follows logs for clients."""

    def __init__(
        self,
        supervisor: Supervisor,
        main_log: Callable[[], LogFile | None],
    ) -> None:
        self._supervisor = supervisor
        self._main_log = main_log

    @method("tail")
    def tail(self, request: Request) -> Result:
        """Answer the last bytes of one stream; with `follow`, go on as it grows."""
        name = request.params.text("name")
        stream = request.params.text("stream", "stdout")
        wanted = _TailRequest(request)
        if stream not in STREAMS:
            raise no_such_stream(stream)
        process = request.chosen_one(name, self._supervisor.processes)

        def streams(found: Process) -> list[tuple[str, LogFile]]:
            log = self._supervisor.channels.logs_of(found).log(stream)
            return [] if log is None else [(stream, log)]

        def watch(feed: OutputFeed) -> None:
            feed.watch(self._supervisor, lambda found: found.name == process.name, streams)

        logs = streams(process)
        if not logs:
            raise no_log_file(process.name)
        result = wanted.of(logs[0][1], process.name, stream, watch)
        if stream == "stdout" and not result["data"] and wanted.is_first:
            result["hints"] = hints(self._supervisor, (process,))
        return result

    @method("maintail")
    def maintail(self, request: Request) -> Result:
        """Answer the last bytes of the daemon's own log; with `follow`, go on as it grows."""
        wanted = _TailRequest(request)
        request.require()
        log = self._main_log()
        if log is None:
            raise no_log_file()
        return wanted.of(log, "supervisor-lite", "stdout", lambda feed: None)

    @method("logs")
    async def logs(self, request: Request) -> Result:
        """Answer the last lines of many, or what came after marks; with `follow`, go on."""
        params = request.params
        names = params.names(required=False)
        in_pieces = params.flag("pieces", False) or params.has("after")
        lines = params.count("lines", 10, maximum=MAX_COUNT if in_pieces else MAX_LINES)
        follow = params.flag("follow", False)
        given = params.texts("after") if params.has("after") else None
        params.done()
        processes = self._visible(request, names)
        feed = OutputFeed(Subscription(request.connection)) if follow else None
        if not in_pieces:
            result = await self._whole(request, processes, lines, feed)
        elif given is not None and feed is not None:
            result = await self._resumed(request, processes, given, feed)
        else:
            result = await self._pieces(request, processes, lines, given or {}, feed)
        if given is None:
            result["hints"] = hints(self._supervisor, processes)
        if feed is not None:
            wanted = partial(_is_meant, names, request)
            feed.watch(self._supervisor, wanted, self._streams)
            result["subscription"] = feed.number
        return result

    async def _whole(
        self, request: Request, processes: Sequence[Process], lines: int, feed: OutputFeed | None
    ) -> dict[str, Any]:
        """Answer the last lines in one reply, as many as fit."""
        outputs = []
        logs = [(p, stream, log) for p in processes for stream, log in self._streams(p)]
        most = min(MAX_BYTES_PER_LOG, MAX_BYTES_OF_LOGS // max(1, len(logs)))
        for number, (process, stream, log) in enumerate(logs):
            if number % LOGS_AT_ONCE == 0:
                await request.connection.turn()
            data = tail_lines(log.path, lines, most)
            if feed is not None:  # at once, so that nothing is left out in between
                feed.follow(log, process.name, stream)
            if data:
                outputs.append(_output(process, stream, data))
        return {"outputs": outputs}

    async def _pieces(
        self,
        request: Request,
        processes: Sequence[Process],
        lines: int,
        given: dict[str, dict[str, str]],
        feed: OutputFeed | None,
    ) -> dict[str, Any]:
        """Answer a piece of the last lines, or of what is left after marks, and where it ends.

        `rest` names the processes of which there is more.
        """
        outputs, marks, rest, lost, room = list[Any](), {}, list[str](), list[Any](), PIECE
        for process in processes:
            if room <= 0:
                rest.append(process.name)
                continue
            await request.connection.turn()
            streams, spans = self._streams(process), list[Span]()
            known = given.get(process.name, {})
            for stream, log in streams:
                if stream in known:
                    spans.append(pieces.after(log, known[stream]))
                else:
                    turn = request.connection.turn
                    spans.append(Span(log, await archive.start_of_lines(log, lines, turn), log.end))
            arrival = self._supervisor.channels.logs_of(process).arrival
            found, ends = pieces.read_in_order(spans, arrival, room)
            room -= sum(len(data) for _, data in found)
            outputs += [_output(process, streams[number][0], data) for number, data in found]
            lost += [_lost(process, s) for (s, _), span in zip(streams, spans, strict=True)
                     if not span.exact]  # fmt: skip
            named = list(zip(streams, ends, strict=True))
            marks[process.name] = {stream: span.text() for (stream, _), span in named}
            if any(span.start < span.end for span in ends):
                rest.append(process.name)
            if feed is not None:
                for (stream, log), span in named:
                    feed.follow(log, process.name, stream, span.start)
        rest = [] if feed is not None else rest
        return {"outputs": outputs, "after": marks, "rest": rest, "lost": lost}

    async def _resumed(
        self,
        request: Request,
        processes: Sequence[Process],
        given: dict[str, dict[str, str]],
        feed: OutputFeed,
    ) -> dict[str, Any]:
        """Follow from marks; what has none there has joined since."""
        marks, lost = {}, []
        for number, process in enumerate(processes):
            if number % LOGS_AT_ONCE == 0:
                await request.connection.turn()
            known, here = given.get(process.name, {}), {}
            for stream, log in self._streams(process):
                new = stream not in known
                span = pieces.beginning(log) if new else pieces.after(log, known[stream])
                here[stream] = span.text(following=True)
                if not span.exact:
                    lost.append(_lost(process, stream))
                feed.follow(log, process.name, stream, span.start)
            marks[process.name] = here
        return {"outputs": [], "after": marks, "rest": [], "lost": lost}

    def _visible(self, request: Request, names: Sequence[str]) -> list[Process]:
        table = self._supervisor.processes
        if names:
            return request.chosen(names, table)
        everything = in_order(table.values())
        return [p for p in everything if request.connection.sees(request.method, p.name)]

    def _streams(self, process: Process) -> list[tuple[str, LogFile]]:
        """Return the log of each stream that has one; one that both share only once."""
        logs = self._supervisor.channels.logs_of(process)
        found: dict[str, tuple[str, LogFile]] = {}
        for stream in STREAMS:
            log = logs.log(stream)
            if log is not None:
                found.setdefault(log.path, (stream, log))
        return list(found.values())


class _TailRequest:
    """What is wanted of one log."""

    def __init__(self, request: Request) -> None:
        """Take it from the parameters. Raises ProtocolError."""
        params = request.params
        self._connection = request.connection
        self._after = params.text("after") if params.has("after") else None
        self._in_pieces = params.flag("pieces", False) or self._after is not None
        most = MAX_COUNT if self._in_pieces else MAX_BYTES
        self._bytes = params.count("bytes", 1600, maximum=most)
        self._follow = params.flag("follow", False)
        self._max_behind = params.count("max_behind", 0, maximum=MAX_COUNT)
        params.done()

    @property
    def is_first(self) -> bool:
        """Does nothing come before it that the client has already?"""
        return self._after is None

    def of(
        self, log: LogFile, name: str, stream: str, watch: Callable[[OutputFeed], None]
    ) -> dict[str, Any]:
        """Answer it, and follow if that is wanted and there is no more to come before."""
        if self._after is None:
            span = pieces.last_bytes(log, self._bytes)
        else:
            span = pieces.after(log, self._after)
        resumed = self._follow and self._after is not None
        data, rest = b"", span
        if not resumed:
            data, rest = pieces.read(span, PIECE if self._in_pieces else MAX_BYTES)
        more = rest.start < rest.end and not resumed
        result: dict[str, Any] = {"fullname": name, **messages.pack_data(data)}
        result["after"] = rest.text(following=self._follow and not more)
        if self._in_pieces:
            result |= {"more": more, "lost": not span.exact}
        if self._follow and not more:
            feed = OutputFeed(Subscription(self._connection), self._max_behind)
            feed.follow(log, name, stream, rest.start)
            watch(feed)
            result["subscription"] = feed.number
        return result


def _is_meant(names: Sequence[str], request: Request, process: Process) -> bool:
    """Do the names of a request mean a process that has joined since?"""
    if not request.connection.sees(request.method, process.name):
        return False
    return not names or any(found for _, found in meant(names, {process.name: process}))


def _lost(process: Process, stream: str) -> dict[str, str]:
    return {"fullname": process.name, "stream": stream}


def _output(process: Process, stream: str, data: bytes) -> dict[str, Any]:
    return {
        "name": process.program.name,
        "group": process.group,
        "fullname": process.name,
        "stream": stream,
        **messages.pack_data(data),
    }


def no_log_file(name: str = "") -> OperationFailed:
    """Return the error of a process, or of the daemon, whose output goes into no file."""
    return OperationFailed(f"{name}: no log file" if name else "no log file", ErrorCode.NO_LOG_FILE)


def no_such_stream(stream: str) -> OperationFailed:
    """Return the error of a stream that is neither stdout nor stderr."""
    text = f'no such stream: "{stream}"; stdout or stderr'
    return OperationFailed(text, ErrorCode.NO_SUCH_STREAM)
