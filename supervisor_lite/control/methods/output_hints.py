"""Why there may be nothing to show of a process that runs."""

from __future__ import annotations

import os
from collections.abc import Iterable

from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.host.procfs import read_command, read_executable, read_variable
from supervisor_lite.logs.read import tail_bytes
from supervisor_lite.model.states import State
from supervisor_lite.protocol.messages import HINT_PYTHON_BUFFERS
from supervisor_lite.rules.buffered import is_python_buffered

MOST = 20
"""Processes that are looked at for one reply."""


def hints(supervisor: Supervisor, processes: Iterable[Process]) -> list[dict[str, str]]:
    """Return a hint for each of the first processes whose stdout was never written."""
    found = []
    for process, _ in zip(processes, range(MOST), strict=False):
        log = supervisor.channels.logs_of(process).log("stdout")
        if log is not None and not tail_bytes(log.path, 64) and _keeps_output(process):
            found.append({"fullname": process.name, "stream": "stdout",
                          "hint": HINT_PYTHON_BUFFERS})  # fmt: skip
    return found


def _keeps_output(process: Process) -> bool:
    pid = process.record.pid
    if pid is None or process.record.state is not State.RUNNING:
        return False
    executable = os.path.basename(read_executable(pid))
    variable = read_variable(pid, "PYTHONUNBUFFERED")
    return is_python_buffered(executable, read_command(pid), variable)
