"""The methods about processes: status, pid, usage, start, stop, restart, signal …"""

from __future__ import annotations

import asyncio
import json
import os
import signal as signals
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from supervisor_lite.control.jsonrpc import RawJson, Result
from supervisor_lite.control.left_out import LeftOut
from supervisor_lite.control.listing import Listing
from supervisor_lite.control.methods.configuration import refused_fields
from supervisor_lite.control.newer import defined_on_disk, newer_fields
from supervisor_lite.control.request import Methods, Request
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.process import Process
from supervisor_lite.core.results import done, refused
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.errors import BadSignal, NoSuchProcess, OperationFailed, ProtocolError
from supervisor_lite.host.signals import signal_number
from supervisor_lite.host.usage import RunUsage
from supervisor_lite.protocol.codes import INVALID_PARAMS, ErrorCode, ResultCode

method = Methods()

MAX_SEND = 1 << 16
"""Bytes of input in one request."""

_NOTHING_TO_DO = (ResultCode.NOT_RUNNING, ResultCode.ALREADY_STARTED)

Operation = Callable[..., Awaitable[Sequence[Any]]]


class ProcessMethods:
    """What is asked about, and of, processes."""

    def __init__(self, supervisor: Supervisor, operations: Operations, rollout: Rollout) -> None:
        self._supervisor = supervisor
        self._rollout = rollout
        self._operations = operations
        self._listing = Listing(supervisor.processes)

    def _chosen(
        self, request: Request, names: list[str], left_out: LeftOut | None = None
    ) -> list[Process]:
        """Return the processes meant, if the caller may do this to all of them."""
        try:
            return request.chosen(names, self._supervisor.processes, left_out)
        except NoSuchProcess as error:
            if request.connection.sees_all(request.method):
                error.defined = defined_on_disk(self._rollout, error.names)
            raise

    def _visible(self, request: Request, names: list[str]) -> list[Process]:
        """Return the processes meant; without names, those that the caller may see."""
        if names:
            return self._chosen(request, names)
        everything = self._listing.everything()
        if request.connection.sees_all(request.method):
            return everything
        return [p for p in everything if request.connection.sees(request.method, p.name)]

    @method("status")
    def status(self, request: Request) -> Result:
        """Answer where processes are; what did not change is not written again."""
        names = request.params.names(required=False)
        request.params.done()
        views = self._listing.views(self._visible(request, names))
        more = b""
        if self._rollout.disk.refused:
            refused = refused_fields(self._rollout, request)["refused"]
            more = b',"refused":' + json.dumps(refused).encode()
        return RawJson(b'{"now":%.3f,"processes":[%s]%s}' % (time.monotonic(), views, more))

    @method("pid")
    def pid(self, request: Request) -> Result:
        """Answer the daemon's pid, or those of processes."""
        names = request.params.names(required=False)
        request.params.done()
        if not names:
            return {"pid": os.getpid()}
        processes = self._chosen(request, names)
        return {"pids": [{**_name(p), "pid": p.record.pid} for p in processes]}

    @method("usage")
    async def usage(self, request: Request) -> Result:
        """Answer what the processes of each run use together, measured now."""
        names = request.params.names(required=False)
        request.params.done()
        processes = self._visible(request, names)
        used: dict[str, RunUsage] = {}
        for piece in self._supervisor.runs.usage(processes):
            used |= piece
            await request.connection.turn()
        rows = [_usage(p, used[p.name]) for p in processes if p.name in used]
        return {"now": round(time.monotonic(), 3), "processes": rows}

    @method("start")
    async def start(self, request: Request) -> Result:
        """Start processes and answer when they are RUNNING, or have failed."""
        return await self._operate(request, self._operations.start, starts=True)

    @method("stop")
    async def stop(self, request: Request) -> Result:
        """Stop processes and answer when nothing of them is left."""
        return await self._operate(request, self._operations.stop)

    @method("restart")
    async def restart(self, request: Request) -> Result:
        """Restart processes and answer when new runs are RUNNING, or have failed."""
        at_once = request.params.flag("at_once", False)
        operation = partial(self._operations.restart, at_once=at_once)
        return await self._operate(request, operation, starts=True)

    async def _operate(
        self, request: Request, operation: Operation, *, starts: bool = False
    ) -> Result:
        params = request.params
        names = params.names(required=True)
        wait, timeout = params.flag("wait", True), params.seconds("timeout")
        params.done()
        left_out = None
        if request.method != "start":
            left_out = LeftOut(request.caller.pid, down=request.method == "restart")
        processes = self._chosen(request, names, left_out)
        by = request.by(*names)
        newer = newer_fields(self._rollout, processes, request) if starts else {}
        # The operation is the daemon's: it goes on if the client hangs up.
        job = asyncio.ensure_future(operation(processes, by, wait=wait, timeout=timeout))
        results = await asyncio.shield(job)
        # "all" means those that are concerned; a process named as such is always answered.
        named = frozenset(names)
        said = [r for r in results if r.code not in _NOTHING_TO_DO or r.fullname in named]
        more = left_out.fields(processes) if left_out is not None else {}
        more["unchanged"] = len(results) - len(said)
        return {"results": [result.to_json() for result in said], **more, **newer}

    @method("signal")
    def signal(self, request: Request) -> Result:
        """Send a signal to the main processes."""
        name = request.params.text("signal")
        names = request.params.names(required=True)
        request.params.done()
        number = parse_signal(name)
        by = request.by(name, *names)
        results = []
        left_out = LeftOut(request.caller.pid, down=False)
        processes = self._chosen(request, names, left_out)
        for process in processes:
            try:
                self._supervisor.interventions.signal(process, number, by)
                results.append(done(process, ResultCode.SIGNALLED))
            except OperationFailed as error:
                results.append(refused(process, error))
        if any(result.ok for result in results):
            # As for "start all": those that are down are meant only if named as such.
            named = frozenset(names)
            results = [r for r in results if r.code != ErrorCode.NOT_RUNNING or r.fullname in named]
        more = left_out.fields(processes)
        return {"results": [result.to_json() for result in results], **more}

    @method("clear")
    def clear(self, request: Request) -> Result:
        """Empty the logs of processes, running or not."""
        names = request.params.names(required=True)
        request.params.done()
        by = request.by(*names)
        results = []
        for process in self._chosen(request, names):
            try:
                self._supervisor.interventions.clear(process, by)
                results.append(done(process, ResultCode.CLEARED))
            except OperationFailed as error:
                results.append(refused(process, error))
        return {"results": [result.to_json() for result in results]}

    @method("send")
    def send(self, request: Request) -> Result:
        """Write text to a process's standard input."""
        name, text = request.params.text("name"), request.params.text("text")
        foreground = request.params.flag("foreground", False)
        request.params.done()
        process = request.chosen_one(name, self._supervisor.processes)
        try:
            data = text.encode(errors="surrogateescape")
        except UnicodeEncodeError:
            raise ProtocolError(INVALID_PARAMS, "text has half of a surrogate pair") from None
        if len(data) > MAX_SEND:
            text = f"cannot send more than {MAX_SEND} bytes at once"
            raise OperationFailed(text, ErrorCode.INPUT_TOO_LONG)
        by = request.by(name, command="fg" if foreground else "")
        return {"sent": self._supervisor.interventions.send(process, data, by)}


def _name(process: Process) -> dict[str, str]:
    return {
        "name": process.program.name, "group": process.group, "fullname": process.name
    }  # fmt: skip


def _usage(process: Process, used: RunUsage) -> dict[str, Any]:
    return {
        **_name(process), "run": process.record.run, "processes": used.processes,
        "memory_bytes": used.memory, "cpu_seconds": round(used.cpu, 3),
    }  # fmt: skip


def parse_signal(text: str) -> int:
    """Return the number of a signal given as "HUP", "SIGHUP", "1" or "RTMIN+2".

    Raises BadSignal.
    """
    word = text.strip().upper()
    try:
        number = int(word) if word.isdigit() else signal_number(word.removeprefix("SIG"))
    except (KeyError, ValueError):
        raise BadSignal(f'no such signal: "{text}"') from None
    if number != 0 and number not in signals.valid_signals():
        raise BadSignal(f'no such signal: "{text}"')
    return number
