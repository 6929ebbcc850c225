"""/metrics for Prometheus, and /healthz."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import psutil
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import ClientError, RemoteError
from supervisor_lite.gateway.counters import Counters
from supervisor_lite.gateway.daemon import Daemon, shown
from supervisor_lite.gateway.exposition import TYPE, family
from supervisor_lite.gateway.http import principal
from supervisor_lite.gateway.hub import Hub
from supervisor_lite.protocol.messages import Message

_STATES = ("STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL")


class Metrics:
    """The handlers."""

    def __init__(self, daemon: Daemon, hub: Hub) -> None:
        self._daemon = daemon
        self._hub = hub
        self._counters = Counters()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/metrics", self.metrics), Route("/healthz", self.health)]

    async def health(self, request: Request) -> Response:
        """Answer whether the daemon answers; to everybody, so nothing else."""
        try:
            await self._daemon.ask("version", timeout=5.0)
        except ClientError:
            return PlainTextResponse("no daemon\n", 503)
        return PlainTextResponse("ok\n")

    async def metrics(self, request: Request) -> Response:
        """Answer everything that can be counted."""
        began = time.monotonic()
        try:
            about = await self._daemon.ask("version", who=principal(request))
            rows = shown(await self._daemon.ask("status"))
            families = await self._families()
        except ClientError:
            down = family("up", "gauge", "Whether the daemon answers.", [({}, 0)])
            return PlainTextResponse(down, media_type=TYPE)
        pids = [int(row["pid"]) for row in rows if row.get("pid")]
        # Reading /proc of a thousand processes takes a while: not in the event loop.
        used = await asyncio.to_thread(_usage, [int(about["pid"]), *pids])
        self._counters.keep({str(row["fullname"]) for row in rows})
        parts = self._daemons(about, used.get(int(about["pid"])))
        parts += self._processes(rows)
        parts += self._outputs(rows, int(about["pid"]))
        parts += self._listeners(rows, int(about["pid"]))
        parts += self._resources(rows, families, used)
        parts.append(
            family("scrape_duration_seconds", "gauge", "What it took to find all this out.",
                   [({}, time.monotonic() - began)])
        )  # fmt: skip
        return PlainTextResponse("".join(parts), media_type=TYPE)

    async def _families(self) -> dict[str, Message]:
        """Return what all processes of each run use together, by name."""
        try:
            found = await self._daemon.ask("usage", timeout=60.0)
        except RemoteError:
            return {}  # an older daemon
        return {row["fullname"]: row for row in listed(found, "processes", "fullname", "run")}

    def _daemons(self, about: Message, own: _UsageReading | None) -> list[str]:
        parts = [
            family("up", "gauge", "Whether the daemon answers.", [({}, 1)]),
            family("info", "gauge", "The daemon's version and name.",
                    [({key: str(about.get(key)) for key in ("version", "identifier")}, 1)]),
            family("stopping", "gauge", "Whether the daemon is on its way out.",
                    [({}, about.get("state") == "stopping")]),
            family("daemon_log_lines_lost_total", "counter",
                   "Lines of the daemon's own log that could not be written.",
                   [({}, self._counters.add(("log_lines_lost", ""), about["pid"],
                                            int(about.get("log_lines_lost") or 0)))]),
        ]  # fmt: skip
        if own is not None:
            parts += [
                family("daemon_cpu_seconds_total", "counter", "CPU time of the daemon.",
                        [({}, self._counters.add(("cpu", ""), own.began, own.cpu))]),
                family("daemon_resident_memory_bytes", "gauge", "Memory of the daemon.",
                        [({}, own.rss)]),
                family("daemon_open_fds", "gauge", "Open file descriptors of the daemon.",
                        [({}, own.fds)] if own.fds is not None else []),
                family("daemon_start_time_seconds", "gauge", "When the daemon was started.",
                        [({}, own.began)]),
            ]  # fmt: skip
        return parts

    def _processes(self, rows: list[Message]) -> list[str]:
        names = {str(row["fullname"]): _labels(row) for row in rows}
        counts = {state: sum(row["state"] == state for row in rows) for state in _STATES}
        starts = [
            ({**names[name], "cause": cause}, n)
            for (name, cause), n in sorted(self._hub.starts.items())
            if name in names
        ]
        exits = [
            ({**names[name], "status": how, "expected": expected}, n)
            for (name, how, expected), n in sorted(self._hub.exits.items())
            if name in names
        ]
        return [
            family("processes", "gauge", "Processes in each state.",
                    [({"state": state}, n) for state, n in counts.items()]),
            family("process_state", "gauge", "The state, by Supervisor's numbers: 0 STOPPED,"
                    " 10 STARTING, 20 RUNNING, 30 BACKOFF, 40 STOPPING, 100 EXITED, 200 FATAL.",
                    [(_labels(row), row["statecode"]) for row in rows]),
            family("process_up", "gauge", "Whether it is RUNNING.",
                    [(_labels(row), row["state"] == "RUNNING") for row in rows]),
            family("process_wanted", "gauge", "Whether it should be up.",
                    [(_labels(row), bool(row.get("wanted"))) for row in rows]),
            family("process_uptime_seconds", "gauge", "How long the present run has been up.",
                    [(_labels(row), row["uptime"]) for row in rows if row["uptime"] is not None]),
            family("process_start_time_seconds", "gauge", "When the last run was spawned.",
                    [(_labels(row), _epoch(row["started"])) for row in rows if row["started"]]),
            family("process_failures", "gauge", "Failed starts in a row.",
                    [(_labels(row), row.get("failures", 0)) for row in rows]),
            family("process_restarts", "gauge",
                    "Automatic restarts since an operator last started it.",
                    [(_labels(row), row.get("restarts", 0)) for row in rows]),
            family("process_exit_code", "gauge", "Exit code of the last run that ended.",
                    [(_labels(row), row["exitcode"]) for row in rows
                     if row.get("exitcode") is not None]),
            family("process_starts_total", "counter",
                    "Starts since the gateway is there, by cause.", starts),
            family("process_exits_total", "counter",
                    "Ends since the gateway is there, by exit code or signal.", exits),
        ]  # fmt: skip

    def _resources(
        self, rows: list[Message], families: dict[str, Message], used: dict[int, _UsageReading]
    ) -> list[str]:
        alive = [(_labels(row), used[row["pid"]]) for row in rows if row.get("pid") in used]
        together = [
            (_labels(row), families[row["fullname"]]) for row in rows if row["fullname"] in families
        ]
        return [
            family("process_cpu_seconds_total", "counter",
                   "CPU time of all processes of its runs, together.",
                   [(_labels(row), self._cpu(row, families)) for row in rows]),
            family("process_resident_memory_bytes", "gauge",
                   "Memory of all processes of the run, together.",
                   [(labels, int(usage["memory_bytes"])) for labels, usage in together]),
            family("process_members", "gauge", "How many processes the run has.",
                   [(labels, int(usage["processes"])) for labels, usage in together]),
            family("process_threads", "gauge", "Threads of the main process.",
                   [(labels, usage.threads) for labels, usage in alive]),
            family("process_open_fds", "gauge", "Open file descriptors of the main process.",
                   [(labels, usage.fds) for labels, usage in alive if usage.fds is not None]),
        ]  # fmt: skip

    def _cpu(self, row: Message, families: dict[str, Message]) -> float:
        key = ("cpu", str(row["fullname"]))
        usage = families.get(key[1])
        if usage is None:
            return self._counters.total(key)
        seconds = float(usage["cpu_seconds"])
        return self._counters.add(key, usage["run"], seconds, may_fall=True)

    def _outputs(self, rows: list[Message], daemon: int) -> list[str]:
        def lost(row: Message, what: str) -> float:
            count = int((row.get("output_dropped") or {}).get(what, 0))
            return self._counters.add((what, str(row["fullname"])), daemon, count)

        return [
            family("process_output_blocked", "gauge",
                   "Whether its output cannot be written at present.",
                   [(_labels(row), bool(row.get("output_trouble"))) for row in rows]),
            family("process_output_lost_bytes_total", "counter", "Output that was dropped.",
                   [(_labels(row), lost(row, "bytes")) for row in rows]),
            family("process_output_lost_lines_total", "counter",
                   "Lines of output that were dropped.",
                   [(_labels(row), lost(row, "lines")) for row in rows]),
        ]  # fmt: skip

    def _listeners(self, rows: list[Message], daemon: int) -> list[str]:
        """Return what is told of the event listeners that run."""
        listening = [(row, row["listener"]) for row in rows if row.get("listener")]
        if not listening:
            return []

        def total(row: Message, what: str, source: object) -> float:
            key = (f"listener_{what}", str(row["fullname"]))
            return self._counters.add(key, source, int(row["listener"].get(what, 0)))

        return [
            family("listener_trouble", "gauge",
                   "Whether it gets no events, rejects them or is too slow for them.",
                   [(_labels(row), bool(about.get("trouble"))) for row, about in listening]),
            family("listener_waiting_events", "gauge", "Events that wait for its pool.",
                   [(_labels(row), int(about.get("waiting", 0))) for row, about in listening]),
            family("listener_rejected_events_total", "counter", "Events that it has rejected.",
                   [(_labels(row), total(row, "rejected", row.get("run")))
                    for row, _ in listening]),
            family("listener_dropped_events_total", "counter",
                   "Events that its pool had no room for.",
                   [(_labels(row), total(row, "dropped", daemon)) for row, _ in listening]),
        ]  # fmt: skip


class _UsageReading:
    """What a process uses now."""

    __slots__ = ("began", "cpu", "fds", "rss", "threads")

    def __init__(self, process: psutil.Process) -> None:
        with process.oneshot():
            times = process.cpu_times()
            self.cpu = times.user + times.system
            self.rss = process.memory_info().rss
            self.threads = process.num_threads()
            self.began = process.create_time()
        try:
            self.fds: int | None = process.num_fds()
        except psutil.AccessDenied:
            self.fds = None  # another user's, and we are not root


def _usage(pids: list[int]) -> dict[int, _UsageReading]:
    found = {}
    for pid in pids:
        try:
            found[pid] = _UsageReading(psutil.Process(pid))
        except psutil.Error:
            continue  # it has just ended
    return found


def _labels(row: Message) -> dict[str, str]:
    return {"name": str(row["name"]), "group": str(row["group"])}


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
