"""What processes use, for everybody who looks: measured once for all of them, and for nobody."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict

from supervisor_lite.gateway.credentials import Principal
from supervisor_lite.gateway.daemon import Daemon
from supervisor_lite.protocol.messages import Message

FRESH = 2.0
"""Seconds for which a measurement is good enough for the next who asks."""


class UsageMeter:
    """Asks the daemon what its processes use, at most every FRESH seconds for each role."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._last: dict[str, tuple[float, Message]] = {}
        self._asking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def measure(self, who: Principal) -> Message:
        """Return the answer of `usage`. Raises ClientError."""
        async with self._asking[who.role]:
            at, found = self._last.get(who.role, (-FRESH, {}))
            if time.monotonic() - at >= FRESH:
                found = await self._daemon.ask("usage", who=who, timeout=10.0)
                self._last[who.role] = time.monotonic(), found
        return found
