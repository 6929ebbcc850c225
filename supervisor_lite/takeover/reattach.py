"""Go on with the runs that an earlier daemon has begun: alive, ended unseen, or half ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.explain.cause import note_text
from supervisor_lite.host.run import Run
from supervisor_lite.host.socket_set import SocketSet
from supervisor_lite.model.cause import Note
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.store.journal import Journal
from supervisor_lite.takeover import records


class Reattachment:
    """Puts the engine in the place of the daemon before us; adoption.py decides of whom."""

    def __init__(
        self, supervisor: Supervisor, journal: Journal, report: Callable[[str], None]
    ) -> None:
        self._supervisor = supervisor
        self._runs = supervisor.runs
        self._channels = supervisor.channels
        self._journal = journal
        self._unsent = journal.unsent_signals.pending()
        self._report = report

    def stored(self) -> dict[str, StoredProcess]:
        """Return what the journal knows of each process; what was perhaps not sent was not."""
        found = {process.name: process for process in self._journal.history.processes()}
        for name, process in found.items():
            if process.record.run in self._unsent:
                found[name] = process._replace(record=process.record._replace(told=None))
        return found

    def send_unsent(self, now: float) -> None:
        """Tell to end who was about to be told, with all the patience that belongs to it."""
        table = self._supervisor.processes.values()
        with self._supervisor.signals.together():
            for process in [p for p in table if records.is_untold(p.record, self._unsent)]:
                process.move_to(records.of_told(process.record, process.program, now))
                program = process.program
                self._supervisor.signals.send(process, program.stopsignal, program.stopasgroup)
        self._journal.unsent_signals.forget_all()

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
        self._supervisor.signals.send_to_leftovers(
            process, process.program.stopsignal, told, everyone=True
        )

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
