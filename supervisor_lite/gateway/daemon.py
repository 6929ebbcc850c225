"""Where the daemon is, and what belongs to the life of the gateway."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from typing import Any

from supervisor_lite.client.aio import AsyncClient
from supervisor_lite.client.buffer import listed
from supervisor_lite.gateway.credentials import Principal
from supervisor_lite.protocol.messages import Message

_log = logging.getLogger("supervisor_lite.gateway")


@dataclass(slots=True)
class Daemon:
    """What every handler needs."""

    path: str
    """Of the control socket."""
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the gateway ends: streams end then."""
    _told: bool = False

    def connect(self, who: Principal | None = None) -> AsyncClient:
        """Return a connection to the daemon, for somebody."""
        if who is None:
            return AsyncClient(self.path)
        return AsyncClient(self.path, f"{who.name} over HTTP", who.role, self._not_believed)

    def _not_believed(self, why: str) -> None:
        """Say once that the daemon does not note for whom we ask."""
        if not self._told:
            self._told = True
            _log.warning("the daemon does not record which user asks: %s", why)

    async def ask(
        self,
        method: str,
        params: dict[str, Any] | None = None,
        *,
        who: Principal | None = None,
        timeout: float | None = 15.0,
    ) -> Message:
        """Ask one thing. Raises ClientError."""
        async with self.connect(who) as client:
            return await client.call(method, params, timeout)


def own_process() -> Message | None:
    """Return which run of the daemon we are, if it has started us: the page protects it."""
    run = os.environ.get("SUPERVISOR_LITE_RUN", "").rpartition(":")[2]
    group, name = (os.environ.get(f"SUPERVISOR_{key}_NAME", "") for key in ("GROUP", "PROCESS"))
    if not (run.isascii() and run.isdigit() and name):
        return None
    full = name if group == name else f"{group}:{name}"
    return {"fullname": full, "run": int(run)}


def shown(result: Message) -> list[Message]:
    """Return rows of a status with `uptime` instead of a time on the daemon's clock."""
    now = float(result.get("now", 0.0))
    rows = listed(result, "processes", "fullname", "state")
    return [row_shown(row, now) for row in rows]


def row_shown(row: Message, now: float) -> Message:
    """Return one row in that way."""
    since = row.get("up_since")
    uptime = round(max(0.0, now - since), 3) if since is not None else None
    return {**{k: v for k, v in row.items() if k != "up_since"}, "uptime": uptime}
