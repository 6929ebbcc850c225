"""Start many, in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.model.cause import Cause
from supervisor_lite.model.plan import Group
from supervisor_lite.rules import order


def in_start_order(processes: Iterable[Process], groups: Mapping[str, Group]) -> list[Process]:
    """Return processes as they are to be started."""
    table = {process.name: process for process in processes}
    waves = order.start_waves((process.program for process in table.values()), groups)
    return [table[program.fullname] for wave in waves for program in wave]


def start_in_order(
    supervisor: Supervisor, causes: Mapping[Process, Cause], by: str
) -> list[Process]:
    """Start processes, each for its cause, by ascending priority; return them in this order."""
    ordered = in_start_order(causes, supervisor.table.groups)
    for process in ordered:
        supervisor.start(process, by, causes[process])
    return ordered
