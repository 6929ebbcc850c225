"""/metrics: Prometheus's text format, and /healthz.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from datetime import datetime

import psutil
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from supervisor_lite.client.errors import ClientError
from supervisor_lite.gateway.daemon import Daemon, shown
from supervisor_lite.gateway.http import principal
from supervisor_lite.gateway.hub import Hub
from supervisor_lite.protocol.messages import Message

_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_STATES = ("STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL")

Samples = Iterable[tuple[Mapping[str, str], float]]


class Metrics:
    """The handlers."""

    def __init__(self, daemon: Daemon, hub: Hub) -> None:
        self._daemon = daemon
        self._hub = hub

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
        except ClientError:
            down = _family("up", "gauge", "Whether the daemon answers.", [({}, 0)])
            return PlainTextResponse(down, media_type=_TYPE)
        pids = [int(row["pid"]) for row in rows if row.get("pid")]
        # Reading /proc of a thousand processes takes a while: not in the event loop.
        used = await asyncio.to_thread(_usage, [int(about["pid"]), *pids])
        text = self._text(about, rows, used, time.monotonic() - began)
        return PlainTextResponse(text, media_type=_TYPE)

    def _text(
        self, about: Message, rows: list[Message], used: dict[int, _UsageReading], took: float
    ) -> str:
        parts = [
            _family("up", "gauge", "Whether the daemon answers.", [({}, 1)]),
            _family("info", "gauge", "The daemon's version and name.",
                    [({key: str(about.get(key)) for key in ("version", "identifier")}, 1)]),
            _family("stopping", "gauge", "Whether the daemon is on its way out.",
                    [({}, about.get("state") == "stopping")]),
            _family("daemon_log_lines_lost_total", "counter",
                    "Lines of the daemon's own log that could not be written.",
                    [({}, int(about.get("log_lines_lost") or 0))]),
            _family("scrape_duration_seconds", "gauge", "What it took to find all this out.",
                    [({}, took)]),
        ]  # fmt: skip
        parts += self._processes(rows)
        parts += _outputs(rows)
        parts += _listeners([row for row in rows if row.get("listener")])
        parts += _resources(rows, used)
        own = used.get(int(about["pid"]))
        if own is not None:
            parts += [
                _family("daemon_cpu_seconds_total", "counter", "CPU time of the daemon.",
                        [({}, own.cpu)]),
                _family("daemon_resident_memory_bytes", "gauge", "Memory of the daemon.",
                        [({}, own.rss)]),
                _family("daemon_open_fds", "gauge", "Open file descriptors of the daemon.",
                        [({}, own.fds)] if own.fds is not None else []),
                _family("daemon_start_time_seconds", "gauge", "When the daemon was started.",
                        [({}, own.began)]),
            ]  # fmt: skip
        return "".join(parts)

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
            _family("processes", "gauge", "Processes in each state.",
                    [({"state": state}, n) for state, n in counts.items()]),
            _family("process_state", "gauge", "The state, by Supervisor's numbers: 0 STOPPED,"
                    " 10 STARTING, 20 RUNNING, 30 BACKOFF, 40 STOPPING, 100 EXITED, 200 FATAL.",
                    [(_labels(row), row["statecode"]) for row in rows]),
            _family("process_up", "gauge", "Whether it is RUNNING.",
                    [(_labels(row), row["state"] == "RUNNING") for row in rows]),
            _family("process_wanted", "gauge", "Whether it should be up.",
                    [(_labels(row), bool(row.get("wanted"))) for row in rows]),
            _family("process_uptime_seconds", "gauge", "How long the present run has been up.",
                    [(_labels(row), row["uptime"]) for row in rows if row["uptime"] is not None]),
            _family("process_start_time_seconds", "gauge", "When the last run was spawned.",
                    [(_labels(row), _epoch(row["started"])) for row in rows if row["started"]]),
            _family("process_failures", "gauge", "Failed starts in a row.",
                    [(_labels(row), row.get("failures", 0)) for row in rows]),
            _family("process_restarts", "gauge",
                    "Automatic restarts since an operator last started it.",
                    [(_labels(row), row.get("restarts", 0)) for row in rows]),
            _family("process_exit_code", "gauge", "Exit code of the last run that ended.",
                    [(_labels(row), row["exitcode"]) for row in rows
                     if row.get("exitcode") is not None]),
            _family("process_starts_total", "counter",
                    "Starts since the gateway is there, by cause.", starts),
            _family("process_exits_total", "counter",
                    "Ends since the gateway is there, by exit code or signal.", exits),
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


def _resources(rows: list[Message], used: dict[int, _UsageReading]) -> list[str]:
    alive = [(_labels(row), used[row["pid"]]) for row in rows if row.get("pid") in used]
    return [
        _family("process_cpu_seconds_total", "counter", "CPU time of the main process.",
                [(labels, usage.cpu) for labels, usage in alive]),
        _family("process_resident_memory_bytes", "gauge", "Memory of the main process.",
                [(labels, usage.rss) for labels, usage in alive]),
        _family("process_threads", "gauge", "Threads of the main process.",
                [(labels, usage.threads) for labels, usage in alive]),
        _family("process_open_fds", "gauge", "Open file descriptors of the main process.",
                [(labels, usage.fds) for labels, usage in alive if usage.fds is not None]),
    ]  # fmt: skip


def _labels(row: Message) -> dict[str, str]:
    return {"name": str(row["name"]), "group": str(row["group"])}


def _outputs(rows: list[Message]) -> list[str]:
    return [
        _family(
            "process_output_blocked",
            "gauge",
            "Whether its output cannot be written at present.",
            [(_labels(row), bool(row.get("output_trouble"))) for row in rows],
        ),
        _family(
            "process_output_lost_bytes_total",
            "counter",
            "Output that was dropped since the daemon is there.",
            [(_labels(row), _lost(row, "bytes")) for row in rows],
        ),
        _family(
            "process_output_lost_lines_total",
            "counter",
            "Lines of output that were dropped since the daemon is there.",
            [(_labels(row), _lost(row, "lines")) for row in rows],
        ),
    ]


def _listeners(rows: list[Message]) -> list[str]:
    if not rows:
        return []
    return [
        _family(
            "listener_trouble",
            "gauge",
            "Whether an event listener gets no events, rejects them or is too slow for them.",
            [(_labels(row), bool(row["listener"].get("trouble"))) for row in rows],
        ),
        _family(
            "listener_rejected_events_total",
            "counter",
            "Events that the present run of an event listener has rejected.",
            [(_labels(row), int(row["listener"].get("rejected", 0))) for row in rows],
        ),
        _family(
            "listener_dropped_events_total",
            "counter",
            "Events that the pool of an event listener had no room for.",
            [(_labels(row), int(row["listener"].get("dropped", 0))) for row in rows],
        ),
        _family(
            "listener_waiting_events",
            "gauge",
            "Events that wait for the pool of an event listener.",
            [(_labels(row), int(row["listener"].get("waiting", 0))) for row in rows],
        ),
    ]


def _lost(row: Message, what: str) -> int:
    return int((row.get("output_dropped") or {}).get(what, 0))


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _family(name: str, kind: str, text: str, samples: Samples) -> str:
    full = f"supervisor_lite_{name}"
    lines = [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        shown_value = repr(float(value)) if isinstance(value, float) else str(int(value))
        lines.append(f"{full}{{{inside}}} {shown_value}" if inside else f"{full} {shown_value}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
