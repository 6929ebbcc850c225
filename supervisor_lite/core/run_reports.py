"""What is told of runs besides changes of state: what stops nothing, but an operator must know."""

from __future__ import annotations

from collections.abc import Callable

from supervisor_lite.core.process import Process
from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.explain.cause import memory_text
from supervisor_lite.host.cgroup import OomKill
from supervisor_lite.host.procfs import Stat, named
from supervisor_lite.model.cause import SpawnFailure


class RunReports:
    """Tells them, each in one line of the daemon's log."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report

    def stranger(self, stat: Stat) -> None:
        """A process has become our child that shows in no way of which run it is."""
        why = "has become a child of the daemon, and nothing shows of which run it is: left alone"
        self._report(f"{named([stat])} {why}")

    def oom_kill(self, process: Process, killed: OomKill) -> None:
        """The kernel has killed somebody for want of memory, and not the main process."""
        what = "the kernel killed one of its processes; its main process runs on"
        why = memory_text(process.memory_limit_met(killed))
        self._report(f"{process.name}: {why}: {what}")

    def hidden(self, process: Process) -> None:
        """A process was spawned that cannot be seen: nobody could know it again."""
        what = "cannot see its process in /proc (is it mounted with hidepid?): killed"
        self._report(f"{process.name}: {what}")

    def late(self, process: Process) -> None:
        """A child was made and does not become its program: its user, or a disk, holds it up."""
        what = "its process is not waited for any longer that does not get to run its command"
        self._report(f"{process.name}: {what} (stopped, or the file is held by a lease or a disk)")

    def out_of_descriptors(self, error: OSError) -> None:
        """The daemon cannot look: what has ended is answered when it can."""
        what = "cannot look at what has ended, and at what it has left; trying again"
        self._report(f"{what}: {error.strerror}")

    def unsent(self, process: Process, name: str, error: OSError) -> None:
        """The kernel refuses to have a signal sent."""
        self._report(f"{process.name}: cannot send {name}: {error.strerror}")


def failure_of(error: Exception) -> SpawnFailure:
    """Return why there is no process, as it is recorded."""
    if isinstance(error, SpawnError):
        return SpawnFailure(error.code, str(error), error.name)
    return SpawnFailure(SpawnErrorCode.INTERNAL, f"internal error: {error!r}")
