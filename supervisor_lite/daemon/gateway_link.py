"""What the daemon knows of its gateway, and what depends on the [gateway] table in force.

That is the address in the environment of new children, whom the control socket lets in, and what
the daemon's own gateway may do there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from supervisor_lite.control.access import Caller
from supervisor_lite.control.gateway_identity import own_role
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.topics import GatewayInForce
from supervisor_lite.daemon.resources import Resources
from supervisor_lite.model.settings import GatewaySettings


class GatewayLink:
    """Follows the table."""

    def __init__(self, resources: Resources, bus: Bus) -> None:
        self.environment: dict[str, str] = {**os.environ, "SUPERVISOR_ENABLED": "1"}
        """What every child gets, before its own variables."""
        self.processes: Mapping[str, Process] = {}
        self._gateway: GatewaySettings | None = None
        self._sock = resources.sock
        self._log = resources.log
        self._socket_url = f"unix://{resources.settings.socket}"
        self._take(
            GatewayInForce(resources.configuration.gateway, resources.settings.gateway_group)
        )
        bus.subscribe(GatewayInForce, self._take)

    def _take(self, change: GatewayInForce) -> None:
        self._gateway = gateway = change.gateway
        url = self._socket_url if gateway is None else gateway.server_url
        self.environment["SUPERVISOR_SERVER_URL"] = url
        try:
            self._sock.open_for(change.group)
        except OSError as error:
            self._log.error(f"cannot open the control socket for the gateway: {error.strerror}")

    def user(self) -> str | None:
        """Return whom the table says that a gateway becomes that is not ours."""
        return self._gateway.user if self._gateway is not None else None

    def own_role(self, caller: Caller) -> str | None:
        """Return the role of our own gateway; None if the caller is not it."""
        return own_role(caller, self.processes, self._gateway)
