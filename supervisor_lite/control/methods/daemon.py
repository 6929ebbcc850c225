"""The methods about the daemon itself: version, reload, shutdown, upgrade."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from supervisor_lite import __version__
from supervisor_lite.control.jsonrpc import Result
from supervisor_lite.control.methods.configuration import (
    pending_fields,
    refused_fields,
    warning_fields,
)
from supervisor_lite.control.patience import Patience
from supervisor_lite.control.request import Methods, Request
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.errors import OperationFailed
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.messages import PROTOCOL_VERSION

method = Methods()


class DaemonControls(NamedTuple):
    """What the methods may ask of the daemon itself."""

    identifier: str
    reload: Callable[[str], Awaitable[list[Process]]]
    """(who): stop everything, read the configuration, start from it; return what was started.

    Raises ConfigError.
    """
    shutdown: Callable[[str, bool], Awaitable[None]]
    """(who, leave running): returns when everything is as asked; the daemon exits after that."""
    upgrade: Callable[[str], Awaitable[None]]
    """(who): become the new version; raises OperationFailed if that cannot be."""
    lost_lines: Callable[[], int] = lambda: 0
    """How many lines of the daemon's own log could not be written."""
    note: Callable[[str, str], None] = lambda text, by: None
    """(what was done, who asked): writes it to the daemon's own log."""
    upgrade_error: str = ""
    """Why the last upgrade has failed after the old version was given up, and gone back to."""


class DaemonMethods:
    """What is asked about, and of, the daemon as a whole."""

    def __init__(self, supervisor: Supervisor, rollout: Rollout, daemon: DaemonControls) -> None:
        self._supervisor = supervisor
        self._rollout = rollout
        self._daemon = daemon

    @method("version")
    def version(self, request: Request) -> Result:
        """Answer who the daemon is."""
        request.params.done()
        return {
            "version": __version__,
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
            "identifier": self._daemon.identifier,
            "state": "stopping" if self._supervisor.stopping else "running",
            "log_lines_lost": self._daemon.lost_lines(),
            "upgrade_error": self._daemon.upgrade_error or None,
            **refused_fields(self._rollout, request),
        }

    @method("reload")
    async def reload(self, request: Request) -> Result:
        """Stop everything and start anew from the configuration; done when all of it is up."""
        patience = Patience(request.params)
        request.params.done()
        request.require()
        job = asyncio.ensure_future(self._daemon.reload(request.by()))
        started = await patience.result(job, "reload")
        not_up = await patience.not_up(self._rollout, started)
        fields = {**warning_fields(self._rollout), **pending_fields(self._rollout)}
        return {"ok": not not_up, "results": not_up, **fields}

    @method("shutdown")
    async def shutdown(self, request: Request) -> Result:
        """Stop everything, in order; the daemon exits when this is answered."""
        leave = request.params.flag("leave_running", False)
        request.params.done()
        request.require()
        job = asyncio.ensure_future(self._daemon.shutdown(request.by(), leave))
        await asyncio.shield(job)
        return {"ok": True}

    @method("upgrade")
    async def upgrade(self, request: Request) -> Result:
        """Execute the new version in place; if that comes true, the connection is simply closed."""
        request.params.done()
        request.require()
        await asyncio.shield(asyncio.ensure_future(self._daemon.upgrade(request.by())))
        raise OperationFailed("the upgrade did not happen", ErrorCode.UPGRADE_FAILED)
