"""`slctl upgrade`: become the new version of ourselves, without a moment when nobody is there.

The new version is asked to check the configuration first (`--check`, which imports all that a
daemon needs), so what cannot start is refused while the old one still runs. Then everything is
written to the journal, and execve(2) puts the new version in our place: same pid, so the children
stay children, and the descriptors of the handover stay open (handover.py). From there it is the
start of any daemon (recovery.py): it adopts what the journal says. If it cannot, it goes back to us
(going_back.py).

All that is needed here is imported when the daemon starts: by now the files on disk are those of
the new version.
"""

from __future__ import annotations

import os

from supervisor_lite.controllers.event_listeners.on_demand import EventListenersOnDemand
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.daemon import handover
from supervisor_lite.daemon.kept_code import KeptCode
from supervisor_lite.daemon.resources import Resources
from supervisor_lite.errors import ConfigError, OperationFailed
from supervisor_lite.host.socket_set import SocketSet
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.rules import pending_settings

_CHECK_TIMEOUT = 60.0
"""Seconds that the new version has to read the configuration."""

_ROOM = 256 * 1024
"""Bytes that the state directory has to have room for."""


class Upgrade:
    """Checks the new version, and becomes it."""

    def __init__(
        self,
        resources: Resources,
        supervisor: Supervisor,
        sockets: SocketSet,
        listeners: EventListenersOnDemand,
        kept_code: KeptCode,
        rollout: Rollout,
    ) -> None:
        self._resources = resources
        self._supervisor = supervisor
        self._sockets = sockets
        self._listeners = listeners
        self._kept_code = kept_code
        self._rollout = rollout

    async def run(self, by: str) -> None:
        """Become the new version; `by` is who asked. Returns only by raising OperationFailed."""
        resources = self._resources
        self._supervisor.refuse_if_stopping()
        self._refuse_without_room()
        code = self._kept_code.finish()
        await self._check_new_version()
        self._refuse_to_move()
        self._supervisor.refuse_if_stopping()  # it may have begun during the check
        resources.log.info("upgrade: executing the new version", by=by)
        resources.notifier.notify_reloading("WATCHDOG=1")  # a whole interval for the new one
        self._supervisor.flush()
        try:
            handover.reexec(
                self._state(code),
                {**os.environ, **resources.notifier.variables},
                resources.directory,
            )
        except OSError as error:
            resources.notifier.send("READY=1")
            text = f"cannot execute the new version: {error.strerror}"
            raise OperationFailed(text, ErrorCode.UPGRADE_FAILED) from error

    async def _check_new_version(self) -> None:
        command = handover.own_command("--check")
        try:
            code, output = await self._supervisor.runs.run_helper(
                command, self._resources.directory, _CHECK_TIMEOUT
            )
        except OSError as error:
            text = f"cannot check the new version: {error.strerror}"
            raise OperationFailed(text, ErrorCode.UPGRADE_FAILED) from error
        if code != 0:
            text = f"the new version does not start, nothing changed: {output}"
            raise OperationFailed(text, ErrorCode.UPGRADE_FAILED)

    def _refuse_without_room(self) -> None:
        """Refuse where the new version could not open the journal: there would be no daemon."""
        path = os.path.join(self._resources.settings.state_dir, "upgrade.room")
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, _ROOM)
            finally:
                os.close(fd)
                os.unlink(path)
        except OSError as error:
            place = os.path.dirname(path)
            text = f'cannot write to "{place}", nothing changed: {error.strerror}'
            raise OperationFailed(text, ErrorCode.UPGRADE_FAILED) from error

    def _refuse_to_move(self) -> None:
        """Refuse what only a daemon that starts afresh can do: the processes belong to the old.

        And what would stop everything, because nothing is in the configuration any more.
        """
        try:
            fresh = self._rollout.look_ahead("upgrade")
        except ConfigError:
            return  # only the new version can read it, and has found no fault
        for name in pending_settings.IMMUTABLE:
            old, new = (getattr(settings, name) for settings in (self._resources.settings, fresh))
            if old != new:
                raise OperationFailed(
                    f"an upgrade cannot change {name} from {old} to {new}, nothing changed:"
                    " shut the daemon down and start it",
                    ErrorCode.UPGRADE_FAILED,
                )

    def _state(self, code: str) -> handover.UpgradeState:
        resources, supervisor = self._resources, self._supervisor
        logs = [p.logs for p in supervisor.processes.values() if p.logs is not None]
        return handover.UpgradeState(
            socket=resources.sock.sock.fileno(),
            locks=resources.locks.fds,
            held=[
                *(fd for log in logs for fd in log.fds().values()),
                *self._sockets.fds(),
            ],
            children_nofile=resources.descriptors.children,
            listeners=self._listeners.to_json(),
            nohup=resources.inherited.nohup,
            fallback={"code": code} if code else None,
            words=handover.own_words(),
        )
