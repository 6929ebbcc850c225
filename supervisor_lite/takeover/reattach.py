"""Go on with the runs that an earlier daemon has begun: alive, ended unseen, or half ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from supervisor_lite.core.channels import ProcessChannels
from supervisor_lite.core.process import Process
from supervisor_lite.core.runs import Runs
from supervisor_lite.explain.cause import note_text
from supervisor_lite.host.run import Run
from supervisor_lite.host.socket_set import SocketSet
from supervisor_lite.model.cause import Note


class Reattachment:
    """Puts the engine in the place of the daemon before us; adoption.py decides of whom."""

    def __init__(
        self, runs: Runs, channels: ProcessChannels, report: Callable[[str], None]
    ) -> None:
        self._runs = runs
        self._channels = channels
        self._report = report

    def attach(
        self, process: Process, run: Run, pidfd: int, pids: Sequence[int], *, child: bool
    ) -> str:
        """Take over the live main process of a run, and its output at the next byte.

        The pidfd is the process's to close. `pids` is everybody known of the run. `child`: it is
        ours, as after an upgrade. Returns why its output is lost; empty if it is not.
        """
        lost = self._channels.resume_output(process, pids)
        self._runs.adopt(process, run, pidfd, child=child)
        if lost:
            process.lose_output()
            self._report(f"{process.name}: its output is lost until it is restarted: {lost}")
        return lost

    def end_leftovers(self, process: Process, run: Run) -> None:
        """Go on ending what is left of a run, as an earlier daemon had begun to."""
        self._runs.add(process, run)
        told = process.record.told
        self._runs.end_leftovers(process, process.program.stopsignal, told, everyone=True)

    def kill_stale(self, name: str, run: Run) -> None:
        """Kill what is left of a run that is over and that no record waits for."""

        def gone(ended: Note | None) -> None:
            if ended is not None:
                self._report(f"{name}: run {run.number}: {note_text(ended)}")

        self._runs.kill_all(run, gone)


def adopt_sockets(sockets: SocketSet, process: Process) -> None:
    """Keep the sockets that an earlier daemon has opened for a process, if it needs them."""
    wanted = process.program.sockets
    if wanted and not process.is_down():
        sockets.adopt(process.name, wanted, process.record.pid, process.pidfd)
