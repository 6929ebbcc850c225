"""Which callers are the gateway: it alone may say for whom it asks.

The main process of a program that runs `supervisor-lite-gateway` is, such as the daemon's own; if
no program of ours does, the gateway is run by somebody else, and what is known of it is the user
that `[gateway]` names.
"""

from __future__ import annotations

from collections.abc import Mapping

from supervisor_lite.config.own_gateway import NAME, runs_gateway
from supervisor_lite.control.access import Caller
from supervisor_lite.core.process import Process
from supervisor_lite.model.settings import GatewaySettings
from supervisor_lite.users import user_id


def is_gateway(caller: Caller, table: Mapping[str, Process], user: str | None) -> bool:
    """Is it the gateway, of which `[gateway]` says that it becomes this user?"""
    ours = [process for process in table.values() if _is_used(process)]
    if ours:
        return caller.pid > 0 and any(process.record.pid == caller.pid for process in ours)
    try:
        return user is not None and user_id(user) == caller.uid
    except KeyError:
        return False


def _is_used(process: Process) -> bool:
    """Does it run the gateway? The daemon's own one may be down for the good of another."""
    up = not process.program.internal or process.record.pid is not None
    return up and runs_gateway(process.program)


def own_role(
    caller: Caller, table: Mapping[str, Process], gateway: GatewaySettings | None
) -> str | None:
    """Return the role of the gateway that the daemon itself runs; None if the caller is not it.

    It may do what the mightiest of its users may; for whom it asks, and so what he may, it says.
    """
    process = table.get(NAME)
    if gateway is None or process is None or not process.program.internal:
        return None
    return gateway.highest_role if 0 < caller.pid == process.record.pid else None
