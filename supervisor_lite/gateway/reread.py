"""Take up the [gateway] table anew when the daemon has taken up its configuration.

A gateway that is a program of the daemon is restarted when the table has changed. Any other one
hears of it here, and lets nobody in any more who was removed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from supervisor_lite.config.own_gateway import MARK
from supervisor_lite.errors import ConfigError
from supervisor_lite.gateway.guard import Guard
from supervisor_lite.gateway.hub import Hub
from supervisor_lite.model.settings import GatewaySettings
from supervisor_lite.protocol import locate

_IN_PLACE = ("users", "hosts", "socket_role", "socket_password", "autostart")
"""Keys that need no other sockets."""

_log = logging.getLogger("supervisor_lite.gateway")


class Table:
    """The table that is served, and the file in which it stands."""

    def __init__(
        self,
        config: str | None,
        settings: GatewaySettings,
        guard: Guard,
        drop_all: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        """`drop_all` ends what is connected, `end` the gateway."""
        self.failed = False
        """The gateway ends because of a table that it cannot read."""
        self._config = config or locate.find_config() or ""
        self._settings = settings
        self._guard = guard
        self._drop_all = drop_all
        self._end = end
        self._seen = self._identity()

    def follow(self, hub: Hub) -> None:
        """Read it again when the daemon has; it starts us again itself if it has defined us."""
        if MARK not in os.environ:
            hub.on_configuration = self.read_again

    def _identity(self) -> object:
        """Return what differs when a file has been written; None if that cannot be told."""
        found = []
        try:
            files = [self._config]
            if os.path.isdir(self._config):
                files = locate.toml_files(self._config)
            for path in files:
                status = os.stat(path)
                found.append((path, status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            return None
        return found

    def read_again(self) -> None:
        """Read it; who is not in it any more, or not as before, is not let in from now on."""
        from supervisor_lite.config.load import load_gateway

        before, self._seen = self._seen, self._identity()
        try:
            fresh = load_gateway(self._config)
        except ConfigError as error:
            if before is None or before != self._seen:
                _log.error("cannot read [gateway] anew: %s", error)
                _log.error("the gateway ends: nobody is let in by a table that may have changed")
                self.failed = True
                self._end()
            return
        if fresh is None:
            _log.warning("there is no [gateway] table any more: the gateway ends")
            self._end()
        elif fresh != self._settings:
            self._take(fresh)

    def _take(self, fresh: GatewaySettings) -> None:
        changed = [
            key for key in GatewaySettings._fields
            if getattr(fresh, key) != getattr(self._settings, key)
        ]  # fmt: skip
        self._settings = fresh
        self._guard.take(fresh)
        self._drop_all()
        _log.info("[gateway] was read anew: %s", ", ".join(changed))
        if later := [key for key in changed if key not in _IN_PLACE]:
            _log.warning("%s: for that the gateway must be started again", ", ".join(later))
