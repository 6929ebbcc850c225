"""What each method does: parameters in, result out. The names are those of slctl."""

from __future__ import annotations

import asyncio
import os
import signal as signals
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from supervisor_lite import __version__
from supervisor_lite.control.connection import Raw, Request, Result
from supervisor_lite.control.listing import Listing
from supervisor_lite.control.methods.history import HistoryVerbs
from supervisor_lite.control.methods.output import OutputVerbs
from supervisor_lite.control.methods.supervisor_compat import CompatVerbs
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.operations import Operations, failed, result_of
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.errors import BadSignal, NoSuchProcess, OperationFailed, ProtocolError
from supervisor_lite.host.signals import signal_number
from supervisor_lite.protocol.codes import INVALID_PARAMS
from supervisor_lite.protocol.messages import PROTOCOL_VERSION
from supervisor_lite.rules import pending_settings

_SEND_LIMIT = 1 << 16
_NOOP = ("not running", "already started")

Asked = Callable[..., Awaitable[Sequence[Any]]]


class Daemon(NamedTuple):
    """What the verbs may ask of the daemon itself; made by daemon.py."""

    identifier: str
    reload: Callable[[str], Awaitable[None]]
    """Stop everything, read the configuration, start from it. Raises ConfigError."""
    shutdown: Callable[[str, bool], Awaitable[None]]
    """(who, leave running): returns when everything is as asked; the daemon exits after that."""
    upgrade: Callable[[str], Awaitable[None]]
    """Become the new version; raises OperationFailed if that cannot be."""


class ProcessVerbs:
    """The methods about processes, the configuration and the daemon."""

    def __init__(
        self,
        supervisor: Supervisor,
        operations: Operations,
        rollout: Rollout,
        output: OutputVerbs,
        history: HistoryVerbs,
        daemon: Daemon,
    ) -> None:
        self._supervisor = supervisor
        self._operations = operations
        self._rollout = rollout
        self._daemon = daemon
        self._listing = Listing(supervisor.processes)
        compat = CompatVerbs(supervisor, rollout, output.main_log)
        self._table: dict[str, Callable[[Request], Result | Awaitable[Result]]] = {
            "version": self.version,
            "status": self.status,
            "start": self.start,
            "stop": self.stop,
            "restart": self.restart,
            "signal": self.signal,
            "pid": self.pid,
            "clear": self.clear,
            "send": self.send,
            "reread": self.reread,
            "update": self.update,
            "add": self.add,
            "remove": self.remove,
            "avail": self.avail,
            "reload": self.reload,
            "shutdown": self.shutdown,
            "upgrade": self.upgrade,
            **output.table(),
            **compat.table(),
            **history.table(),
        }

    def handler(self, method: str) -> Callable[[Request], Result | Awaitable[Result]] | None:
        """Return the function that answers a method."""
        return self._table.get(method)

    def _chosen(self, request: Request, names: list[str]) -> list[Process]:
        """Return the processes meant, if the caller may do this to all of them."""
        return request.chosen(names, self._supervisor.processes)

    def _visible(self, request: Request, names: list[str]) -> list[Process]:
        """Return the processes meant; without names, those that the caller may see."""
        if names:
            return self._chosen(request, names)
        everything = self._listing.everything()
        if request.connection.sees_all(request.method):
            return everything
        return [p for p in everything if request.connection.sees(request.method, p.name)]

    # Reading.

    def version(self, request: Request) -> Result:
        """Answer who the daemon is."""
        request.params.done()
        return {
            "version": __version__,
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
            "identifier": self._daemon.identifier,
            "state": "stopping" if self._supervisor.stopping else "running",
        }

    def status(self, request: Request) -> Result:
        """Answer where processes are; what did not change is not written again."""
        names = request.params.names(required=False)
        request.params.done()
        views = self._listing.views(self._visible(request, names))
        return Raw(b'{"now":%.3f,"processes":[%s]}' % (time.monotonic(), views))

    def pid(self, request: Request) -> Result:
        """Answer the daemon's pid, or those of processes."""
        names = request.params.names(required=False)
        request.params.done()
        if not names:
            return {"pid": os.getpid()}
        processes = self._chosen(request, names)
        return {"pids": [{**_name(p), "pid": p.record.pid} for p in processes]}

    def avail(self, request: Request) -> Result:
        """Answer what the configuration defines, in force or not."""
        request.params.done()
        plan, active = self._rollout.available, self._rollout.active
        rows = [
            {
                "name": program.name,
                "group": group.name,
                "fullname": program.fullname,
                "in_use": group.name in active.groups,
                "autostart": program.autostart,
                "group_priority": group.priority,
                "priority": program.priority,
            }
            for _, group in sorted(plan.groups.items())
            for program in group.processes
            if request.connection.sees(request.method, program.fullname)
        ]
        return {"processes": rows}

    # Operating.

    async def start(self, request: Request) -> Result:
        """Start processes and answer when they are RUNNING, or have failed."""
        return await self._operate(request, self._operations.start)

    async def stop(self, request: Request) -> Result:
        """Stop processes and answer when nothing of them is left."""
        return await self._operate(request, self._operations.stop)

    async def restart(self, request: Request) -> Result:
        """Restart processes and answer when new runs are RUNNING, or have failed."""
        return await self._operate(request, self._operations.restart)

    async def _operate(self, request: Request, asked: Asked) -> Result:
        params = request.params
        names = params.names(required=True)
        wait, timeout = params.flag("wait", True), params.seconds("timeout")
        params.done()
        processes = self._chosen(request, names)
        by = request.by(*names)
        # The operation is the daemon's: it goes on if the client hangs up.
        job = asyncio.ensure_future(asked(processes, by, wait=wait, timeout=timeout))
        results = await asyncio.shield(job)
        # "all" means those that are concerned; a process named as such is always answered.
        said = [r for r in results if r.result not in _NOOP or r.fullname in names]
        return {"results": [result.to_json() for result in said]}

    def signal(self, request: Request) -> Result:
        """Send a signal to the main processes."""
        name = request.params.text("signal")
        names = request.params.names(required=True)
        request.params.done()
        number = parse_signal(name)
        results = []
        for process in self._chosen(request, names):
            try:
                self._supervisor.signal(process, number)
                results.append(result_of(process, True, "signalled"))
            except OperationFailed as error:
                results.append(failed(process, error))
        if any(result.ok for result in results):
            # As for "start all": those that are down are meant only if named as such.
            down = [r for r in results if r.reason in _NOOP and r.fullname not in names]
            results = [result for result in results if result not in down]
        return {"results": [result.to_json() for result in results]}

    def clear(self, request: Request) -> Result:
        """Empty the logs of processes, running or not."""
        names = request.params.names(required=True)
        request.params.done()
        results = []
        for process in self._chosen(request, names):
            try:
                self._supervisor.logs_of(process).clear()
                results.append(result_of(process, True, "cleared"))
            except OperationFailed as error:
                results.append(failed(process, error))
        return {"results": [result.to_json() for result in results]}

    def send(self, request: Request) -> Result:
        """Write text to a process's standard input."""
        name, text = request.params.text("name"), request.params.text("text")
        request.params.done()
        processes = self._chosen(request, [name])
        if len(processes) != 1:
            raise OperationFailed(f'"{name}" is {len(processes)} processes; name one')
        try:
            data = text.encode(errors="surrogateescape")
        except UnicodeEncodeError:
            raise ProtocolError(INVALID_PARAMS, "text has half of a surrogate pair") from None
        if len(data) > _SEND_LIMIT:
            raise OperationFailed(f"cannot send more than {_SEND_LIMIT} bytes at once")
        return {"sent": self._supervisor.runs.send_input(processes[0], data)}

    # The configuration.

    def reread(self, request: Request) -> Result:
        """Read the configuration and answer what `update` would do."""
        request.params.done()
        request.require()
        diff, warnings = self._rollout.reread()
        return {
            "added": list(diff.groups_added),
            "changed": list(diff.groups_changed),
            "removed": list(diff.groups_removed),
            "warnings": list(warnings),
            **self._waiting(),
        }

    def _waiting(self) -> dict[str, list[str]]:
        """Answer what was read last and is not in force before there is another daemon."""
        names = self._rollout.waiting
        return (
            {"daemon": list(names), "notes": list(pending_settings.notes(names))} if names else {}
        )

    async def update(self, request: Request) -> Result:
        """Read the configuration and make it true; only what changed is touched."""
        names = request.params.names(required=False)
        request.params.done()
        request.require()
        job = asyncio.ensure_future(self._rollout.update(names, request.by(*names)))
        said = await asyncio.shield(job)
        results = [{"name": name, "result": word} for name, word in said]
        return {"results": results, **self._waiting()}

    async def add(self, request: Request) -> Result:
        """Bring groups into force that were read but are not active."""
        names = request.params.names(required=True)
        request.params.done()
        request.require()
        _require_groups(names, {**self._rollout.available.groups, **self._rollout.active.groups})
        results = []
        for name in names:
            by = request.by(name)
            results.append(await _group_result(name, "added", self._rollout.add(name, by)))
        return {"results": results}

    async def remove(self, request: Request) -> Result:
        """Take groups out of force whose processes are down."""
        names = request.params.names(required=True)
        request.params.done()
        request.require()
        _require_groups(names, self._rollout.active.groups)
        results = []
        for name in names:
            results.append(await _group_result(name, "removed", self._rollout.remove(name)))
        return {"results": results}

    async def reload(self, request: Request) -> Result:
        """Stop everything and start anew from the configuration."""
        request.params.done()
        request.require()
        await asyncio.shield(asyncio.ensure_future(self._daemon.reload(request.by())))
        return {"ok": True, **self._waiting()}

    async def shutdown(self, request: Request) -> Result:
        """Stop everything, in order; the daemon exits when this is answered."""
        leave = request.params.flag("leave_running", False)
        request.params.done()
        request.require()
        job = asyncio.ensure_future(self._daemon.shutdown(request.by(), leave))
        await asyncio.shield(job)
        return {"ok": True}

    async def upgrade(self, request: Request) -> Result:
        """Execute the new version in place; if that comes true, the connection is simply closed."""
        request.params.done()
        request.require()
        await asyncio.shield(asyncio.ensure_future(self._daemon.upgrade(request.by())))
        raise OperationFailed("the upgrade did not happen")


def _require_groups(names: list[str], known: Mapping[str, object]) -> None:
    unknown = sorted({name for name in names if name not in known})
    if unknown:
        raise NoSuchProcess(f"no such group: {', '.join(unknown)}")


async def _group_result(name: str, word: str, doing: Awaitable[None]) -> dict[str, Any]:
    fields = {"name": name, "group": name, "fullname": name}
    try:
        await doing
    except (OperationFailed, NoSuchProcess) as error:
        return {**fields, "ok": False, "result": "failed", "reason": str(error)}
    return {**fields, "ok": True, "result": word, "reason": ""}


def _name(process: Process) -> dict[str, str]:
    return {
        "name": process.program.name, "group": process.group, "fullname": process.name
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
