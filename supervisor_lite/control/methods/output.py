"""The methods that show output: tail, maintail, logs; once, or as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from supervisor_lite.control.connection import Connection, Request, Result
from supervisor_lite.control.names import in_order
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.errors import OperationFailed
from supervisor_lite.logs.follow import Follower
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.read import tail_bytes, tail_lines
from supervisor_lite.protocol import messages

_MOST_BYTES = 4 << 20
"""Bytes of old output in one reply."""

_MOST_PER_LOG = 256 << 10
"""Bytes of old output per stream in a reply of `logs`."""


class OutputVerbs:
    """Reads and follows logs for clients."""

    def __init__(
        self,
        supervisor: Supervisor,
        main_log: Callable[[], LogFile | None],
    ) -> None:
        self._supervisor = supervisor
        self.main_log = main_log

    def table(self) -> dict[str, Callable[[Request], Result | Awaitable[Result]]]:
        """Return the methods."""
        return {"tail": self.tail, "maintail": self.maintail, "logs": self.logs}

    def tail(self, request: Request) -> Result:
        """Answer the last bytes of one stream; with `follow`, go on as it grows."""
        name = request.params.text("name")
        stream = request.params.text("stream", "stdout")
        count = request.params.count("bytes", 1600, most=_MOST_BYTES)
        follow = request.params.flag("follow", False)
        request.params.done()
        if stream not in ("stdout", "stderr"):
            raise OperationFailed(f'no such stream: "{stream}"; stdout or stderr')
        process = self._one(request, name)
        log = self._supervisor.logs_of(process).log(stream)
        if log is None:
            raise OperationFailed(f"{process.name}: no log file")
        result: dict[str, Any] = {
            "fullname": process.name,
            **messages.pack_data(tail_bytes(log.path, count)),
        }
        if follow:
            number = request.connection.subscribe()
            result["subscription"] = number
            _follow(request.connection, number, log, process.name, stream)
        return result

    def maintail(self, request: Request) -> Result:
        """Answer the last bytes of the daemon's own log; with `follow`, go on as it grows."""
        count = request.params.count("bytes", 1600, most=_MOST_BYTES)
        follow = request.params.flag("follow", False)
        request.params.done()
        request.require()
        log = self.main_log()
        if log is None:
            raise OperationFailed("no log file")
        result: dict[str, Any] = {
            "fullname": "supervisor-lite",
            **messages.pack_data(tail_bytes(log.path, count)),
        }
        if follow:
            number = request.connection.subscribe()
            result["subscription"] = number
            _follow(request.connection, number, log, "supervisor-lite", "stdout")
        return result

    def logs(self, request: Request) -> Result:
        """Answer the last lines of many; with `follow`, go on as they grow."""
        names = request.params.names(required=False)
        lines = request.params.count("lines", 10, most=100_000)
        follow = request.params.flag("follow", False)
        request.params.done()
        outputs = []
        logs: list[tuple[Process, str, LogFile]] = []
        for process, stream, log in self._logs(self._visible(request, names)):
            logs.append((process, stream, log))
            data = tail_lines(log.path, lines, _MOST_PER_LOG)
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
        if follow:
            number = request.connection.subscribe()
            result["subscription"] = number
            for process, stream, log in logs:
                _follow(request.connection, number, log, process.name, stream)
        return result

    def _one(self, request: Request, name: str) -> Process:
        processes = request.chosen([name], self._supervisor.processes)
        if len(processes) != 1:
            raise OperationFailed(f'"{name}" is {len(processes)} processes; name one')
        return processes[0]

    def _visible(self, request: Request, names: Sequence[str]) -> list[Process]:
        table = self._supervisor.processes
        if names:
            return request.chosen(names, table)
        everything = in_order(table.values())
        return [p for p in everything if request.connection.sees(request.method, p.name)]

    def _logs(self, processes: Sequence[Process]) -> list[tuple[Process, str, LogFile]]:
        found = []
        for process in processes:
            logs = self._supervisor.logs_of(process)
            seen: set[str] = set()
            for stream in ("stdout", "stderr"):
                log = logs.log(stream)
                if log is not None and log.path not in seen:
                    seen.add(log.path)
                    found.append((process, stream, log))
        return found


def _follow(connection: Connection, number: int, log: LogFile, name: str, stream: str) -> None:
    """Send what is appended to a log from now on, until the client is gone."""
    about = {"subscription": number, "fullname": name, "stream": stream}

    def deliver(data: bytes) -> bool:
        return connection.notify(messages.NOTE_OUTPUT, {**about, **messages.pack_data(data)})

    def missed(count: int) -> None:
        connection.notify(messages.NOTE_MISSED, {**about, "bytes": count})

    follower = Follower(asyncio.get_running_loop(), log, deliver, missed)
    connection.on_end(follower.close, follower.resume)
