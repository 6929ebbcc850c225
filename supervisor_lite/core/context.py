"""What the engine needs from outside."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from supervisor_lite.core.clock import Clock
from supervisor_lite.host.cgroups import Cgroups
from supervisor_lite.host.secrets.for_run import RunSecrets
from supervisor_lite.host.socket_set import SocketSet
from supervisor_lite.host.spawn import Spawner
from supervisor_lite.store.journal import Journal


class EngineContext(NamedTuple):
    """What the engine is given, and does not own; made by daemon/app.py."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    journal: Journal
    spawner: Spawner
    cgroups: Cgroups
    sockets: SocketSet
    secrets: RunSecrets
    runtime_dir: str
    environment: Mapping[str, str]
    """What every child gets, before its own variables."""
    report: Callable[[str], None]
    """Tells the operator about something that went wrong but stops nothing."""
    store: Callable[[str, int], None]
    """Has a descriptor kept for the next daemon, under a name."""
    unstore: Callable[[str], None]
    spare_dir: str = ""
    """Where pipes are while `runtime_dir` is gone and cannot be made anew; empty: nowhere."""
    restore: Callable[[], bool] = lambda: False
    """Makes the daemon's directories anew that are gone; tells whether there was one."""
