"""The methods that show output: tail, maintail, logs; once, or as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from supervisor_lite.control.jsonrpc import Result
from supervisor_lite.control.names import in_order
from supervisor_lite.control.request import Methods, Request
from supervisor_lite.control.subscriptions import Subscription
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.errors import OperationFailed
from supervisor_lite.logs.follow import Follower
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.read import tail_bytes, tail_lines
from supervisor_lite.protocol import messages
from supervisor_lite.protocol.codes import ErrorCode

method = Methods()

MAX_BYTES = 4 << 20
"""Bytes of old output in one reply."""

MAX_BYTES_PER_LOG = 256 << 10
"""Bytes of old output per stream in a reply of `logs`."""

MAX_BYTES_OF_LOGS = 8 << 20
"""Bytes of old output in a reply of `logs`; shared evenly."""

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
        count = request.params.count("bytes", 1600, maximum=MAX_BYTES)
        follow = request.params.flag("follow", False)
        request.params.done()
        if stream not in ("stdout", "stderr"):
            raise no_such_stream(stream)
        process = request.chosen_one(name, self._supervisor.processes)
        log = self._supervisor.channels.logs_of(process).log(stream)
        if log is None:
            raise no_log_file(process.name)
        result: dict[str, Any] = {
            "fullname": process.name,
            **messages.pack_data(tail_bytes(log.path, count)),
        }
        if follow:
            result["subscription"] = _follow(request, [(log, process.name, stream)])
        return result

    @method("maintail")
    def maintail(self, request: Request) -> Result:
        """Answer the last bytes of the daemon's own log; with `follow`, go on as it grows."""
        count = request.params.count("bytes", 1600, maximum=MAX_BYTES)
        follow = request.params.flag("follow", False)
        request.params.done()
        request.require()
        log = self._main_log()
        if log is None:
            raise no_log_file()
        result: dict[str, Any] = {
            "fullname": "supervisor-lite",
            **messages.pack_data(tail_bytes(log.path, count)),
        }
        if follow:
            result["subscription"] = _follow(request, [(log, "supervisor-lite", "stdout")])
        return result

    @method("logs")
    async def logs(self, request: Request) -> Result:
        """Answer the last lines of many; with `follow`, go on as they grow."""
        names = request.params.names(required=False)
        lines = request.params.count("lines", 10, maximum=100_000)
        follow = request.params.flag("follow", False)
        request.params.done()
        outputs = []
        logs = self._logs(self._visible(request, names))
        most = min(MAX_BYTES_PER_LOG, MAX_BYTES_OF_LOGS // max(1, len(logs)))
        subscription = Subscription(request.connection) if follow else None
        for number, (process, stream, log) in enumerate(logs):
            if number % LOGS_AT_ONCE == 0:
                await request.connection.turn()
            data = tail_lines(log.path, lines, most)
            if subscription is not None:  # at once, so that nothing is left out in between
                _follow_one(subscription, log, {"fullname": process.name, "stream": stream})
            if data:
                outputs.append(
                    {
                        "name": process.program.name,
                        "group": process.group,
                        "fullname": process.name,
                        "stream": stream,
                        **messages.pack_data(data),
                    }
                )
        result: dict[str, Any] = {"outputs": outputs}
        if subscription is not None:
            result["subscription"] = subscription.number
        return result

    def _visible(self, request: Request, names: Sequence[str]) -> list[Process]:
        table = self._supervisor.processes
        if names:
            return request.chosen(names, table)
        everything = in_order(table.values())
        return [p for p in everything if request.connection.sees(request.method, p.name)]

    def _logs(self, processes: Sequence[Process]) -> list[tuple[Process, str, LogFile]]:
        found = []
        for process in processes:
            logs = self._supervisor.channels.logs_of(process)
            seen: set[str] = set()
            for stream in ("stdout", "stderr"):
                log = logs.log(stream)
                if log is not None and log.path not in seen:
                    seen.add(log.path)
                    found.append((process, stream, log))
        return found


def no_log_file(name: str = "") -> OperationFailed:
    """Return the error of a process, or of the daemon, whose output goes into no file."""
    return OperationFailed(f"{name}: no log file" if name else "no log file", ErrorCode.NO_LOG_FILE)


def no_such_stream(stream: str) -> OperationFailed:
    """Return the error of a stream that is neither stdout nor stderr."""
    text = f'no such stream: "{stream}"; stdout or stderr'
    return OperationFailed(text, ErrorCode.NO_SUCH_STREAM)


def _follow(request: Request, logs: Sequence[tuple[LogFile, str, str]]) -> int:
    """Send what is appended to logs (file, process, stream) from now on; return the number."""
    subscription = Subscription(request.connection)
    for log, name, stream in logs:
        _follow_one(subscription, log, {"fullname": name, "stream": stream})
    return subscription.number


def _follow_one(subscription: Subscription, log: LogFile, about: dict[str, str]) -> None:
    def deliver(data: bytes) -> bool:
        return subscription.notify(messages.NOTE_OUTPUT, **about, **messages.pack_data(data))

    def missed(count: int) -> None:
        subscription.notify(messages.NOTE_MISSED, **about, bytes=count)

    follower = Follower(asyncio.get_running_loop(), log, deliver, missed)
    subscription.on_end(follower.close, follower.resume)
