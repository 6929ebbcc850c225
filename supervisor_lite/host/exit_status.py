"""How a process ended: from a wait status, from the kernel, or from a zombie that is not ours."""

from __future__ import annotations

import os
import signal

from supervisor_lite.host import syscalls
from supervisor_lite.model.exit import Exit


def exit_from_status(status: int) -> Exit:
    """Return what a wait status says (wait(2))."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return Exit(signal=signal_name(number), core=os.WCOREDUMP(status))
    return Exit(code=os.WEXITSTATUS(status))


def signal_name(number: int) -> str:
    """Return "SIGKILL" for 9; real-time signals by their distance from SIGRTMIN."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def exit_of_reaped(pidfd: int) -> Exit | None:
    """Return how a process that was not our child ended, once somebody has reaped it.

    Linux >= 6.15. None if not reaped yet or not known.
    """
    status = syscalls.wait_status_of_other(pidfd)
    return exit_from_status(status) if status is not None else None


def exit_of_zombie(pid: int, pidfd: int) -> Exit | None:
    """Return how a process ended that is dead and that its parent has not reaped.

    None if it is reaped, alive, or not ours to know.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            data = file.read(1024)
        fields = data[data.rindex(b")") + 2 :].split()
        status = int(fields[49])
        if not status:
            # Who may not trace it reads 0 there, however it ended (proc_pid_stat(5)); here, nothing
            # but root may: this file of a zombie is root's.
            with open(f"/proc/{pid}/io", "rb", buffering=0) as file:
                file.read(1)
        # It is still there, so nobody else had its pid when the files were read.
        signal.pidfd_send_signal(pidfd, 0)
    except OSError:
        return None
    return exit_from_status(status) if fields[0] == b"Z" else None
