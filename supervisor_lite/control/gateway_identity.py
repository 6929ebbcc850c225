"""Which callers are the gateway: it alone may say for whom it asks.

The main process of a program that runs
`supervisor-lite-gateway` is; if no program of ours does, the gateway is run by somebody else, and
what is known of it is the user that `[gateway]` names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from supervisor_lite.control.access import Caller
from supervisor_lite.core.process import Process
from supervisor_lite.model.program import Program
from supervisor_lite.users import user_id

_COMMAND = "supervisor-lite-gateway"
_MODULE = "supervisor_lite.gateway"


def is_gateway(caller: Caller, table: Mapping[str, Process], user: str | None) -> bool:
    """Is it the gateway, of which `[gateway]` says that it becomes this user?"""
    ours = [process for process in table.values() if _runs_gateway(process.program)]
    if ours:
        return caller.pid > 0 and any(process.record.pid == caller.pid for process in ours)
    try:
        return user is not None and user_id(user) == caller.uid
    except KeyError:
        return False


def _runs_gateway(program: Program) -> bool:
    return any(
        word == _MODULE or os.path.basename(word) == _COMMAND for word in program.command[:8]
    )
