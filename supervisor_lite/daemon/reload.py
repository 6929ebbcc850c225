"""Reading the configuration again: SIGHUP takes up what changed, `slctl reload` starts anew."""

from __future__ import annotations

from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import DaemonStateChanged
from supervisor_lite.daemon.log import Log
from supervisor_lite.daemon.systemd import Readiness
from supervisor_lite.errors import ConfigError, OperationFailed, SupervisorLiteError
from supervisor_lite.explain.pending_settings import notes


class Reload:
    """Both ways, with what the daemon's log and the service manager are to know of them."""

    def __init__(
        self, supervisor: Supervisor, rollout: Rollout, bus: Bus, readiness: Readiness, log: Log
    ) -> None:
        self._supervisor = supervisor
        self._rollout = rollout
        self._bus = bus
        self._readiness = readiness
        self._log = log

    async def update_by_signal(self) -> None:
        """Update as `slctl update` does; what came of it is in the log only."""
        try:
            applied = await self._rollout.update([], "signal SIGHUP")
        except ConfigError as error:
            for diagnostic in error.diagnostics:
                self._log.error(f"configuration not used: {diagnostic}")
            return
        except OperationFailed as error:
            self._log.warning(f"configuration not used: {error}")
            return
        finally:
            self._readiness.notify_ready()
        for warning in self._rollout.disk.warnings:
            self._log.warning(warning)
        for change in applied.changes:
            self._log.info(f"{change.name}: {change.result} by update")
        pending = self._rollout.disk.pending_settings
        for note in notes(pending):
            self._log.warning(note)
        if not applied.changes and not pending:
            self._log.info("nothing changed in the configuration")

    async def reload(self, by: str) -> list[Process]:
        """Stop everything and start from the configuration as it is now; return what was started.

        `by` is who asked. Raises OperationFailed, or ConfigError with everything as before.
        """
        self._supervisor.refuse_if_stopping()
        self._log.warning("reload: stopping everything and starting anew", by=by)
        self._bus.publish(DaemonStateChanged("STOPPING"))
        self._readiness.notify_reload()
        try:
            return await self._rollout.reload(by)
        except SupervisorLiteError as error:
            self._log.error(f"not reloaded, everything is as before: {error}")
            raise
        finally:
            self._readiness.notify_status()
            self._bus.publish(DaemonStateChanged("RUNNING"))
