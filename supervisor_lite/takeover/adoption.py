"""Take over what an earlier daemon left: the same processes, their states, their output.

The journal says what was; the kernel confirms what is. A process is ours if its identity (boot,
pid, start time, pidfs inode) is the one that was written down, or if it carries the identity of one
of our runs in its environment: that finds the runs that died between intent and record, and all of
them if the journal is lost (discovery.py). But anybody can write an environment: that is accepted
only of the program's user and of ours, or with proof (ownership.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from supervisor_lite import __version__
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.host.exit_status import exit_of_reaped
from supervisor_lite.host.identity import boot_id, pid_namespace
from supervisor_lite.host.procfs import named
from supervisor_lite.host.run import Run
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.events import StopAsked
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.plan import Plan
from supervisor_lite.model.program import Leftovers, Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.model.states import State
from supervisor_lite.store.journal import Journal
from supervisor_lite.takeover.discovery import Discovery, FoundRun, age
from supervisor_lite.takeover.ownership import Ownership, placeholder
from supervisor_lite.text import plural


class Summary(NamedTuple):
    """What was taken over, in numbers."""

    adopted: int = 0
    ended: int = 0
    removed: int = 0


class Adoption:
    """One take-over, at the start of a daemon."""

    def __init__(
        self,
        supervisor: Supervisor,
        journal: Journal,
        plan: Plan,
        stored: Mapping[int, int],
        report: Callable[[str], None],
        *,
        upgraded: bool,
    ) -> None:
        self._supervisor = supervisor
        self._journal = journal
        self._plan = {program.fullname: program for program in plan.processes()}
        self._known: dict[str, Program] = {}
        """The definitions that the journal has."""
        self._ownership = Ownership(supervisor.runs.fifos_of)
        for name, program in self._plan.items():
            self._ownership.register(name, program)
        self._stored = stored
        self._report = report
        self._upgraded = upgraded
        self._now = time.monotonic()

    def run(self) -> Summary:
        """Take everything over; the processes are on the supervisor's table afterwards."""
        journal = self._journal
        open_runs = journal.history.open_runs()
        if not journal.enter(f"{boot_id()} {pid_namespace()}"):
            for lost in open_runs:
                journal.record_end(lost.run, Cause(CauseKind.MACHINE_RESTARTED))
            journal.forget_all()
            return Summary()
        rows = {row.name: row for row in journal.history.processes()}
        for name, row in rows.items():
            self._known[name] = row.program
            self._ownership.register(name, self._known[name])
        cgroups = self._supervisor.runs.cgroups.paths()
        found = Discovery(journal, rows, self._ownership, cgroups, self._report).find(open_runs)
        journal.skip_to(max(found, default=0))
        # Of two runs of one process, which only a journal that was lost can lead to, the later.
        live = {f.name: f for _, f in sorted(found.items()) if f.main is not None}
        unwritten = [name for name, run in live.items() if run.row is None and name not in rows]
        if unwritten:
            those = plural(len(unwritten), "running process is", "running processes are")
            self._report(f"{those} not in the journal: known by the identity in the environment")
        for name in sorted(rows.keys() | live.keys()):
            self._restore(name, rows.get(name), live.get(name))
        # Before the ends that nobody saw are answered: what is not defined is not respawned.
        removed = self._stop_undefined()
        ended = self._close(found, live)
        for process in list(self._supervisor.processes.values()):
            self._supervisor.wake(process)
        return Summary(len(live), ended, removed)

    # Restoring.

    def _restore(self, name: str, row: StoredProcess | None, live: FoundRun | None) -> None:
        planned = self._plan.get(name)
        program = self._known.get(name, planned)
        if program is None:
            program = placeholder(name)
        record = row.record if row is not None else Record()
        busy = live is not None or record.pid is not None or record.leftovers
        if planned is not None and not busy:
            program = planned  # nothing of the old definition is alive
        elif planned is None and not busy:
            self._journal.forget(name)
            return
        if live is not None:
            record = self._revive(program, record, live)
        elif record.state is State.STARTING and record.pid is None:
            # The daemon died before the fork: nothing has happened yet.
            record = record._replace(state=State.STOPPED, asked=True, deadline=self._now)
        started = row.started if row is not None else None
        unwritten = row is None or row.record.run != record.run
        if unwritten and live is not None and live.main is not None:
            started = time.time() - age(live.main)
        since = (row.since if row is not None else None) or time.time()
        process = self._supervisor.table.restore(program, record, since, started)
        if live is not None and live.main is not None and live.pidfd is not None:
            run = self._family(live)
            child = live.main.ppid == os.getpid()
            run.adopted = not child
            self._supervisor.runs.attach(process, run, live.pidfd, child=child)
            self._note(process, self._by_us(CauseKind.TAKEN_OVER))
            return
        if record.run is not None:
            self._supervisor.runs.open_output(process)  # what it left may be writing
        if planned is not None and planned != program:
            # Its end is answered as it was begun, its next run is new.
            process.redefine_at_spawn(planned)

    def _revive(self, program: Program, record: Record, live: FoundRun) -> Record:
        """Return the record of a run that is alive, also if its last lines were not written."""
        assert live.main is not None
        if record.run == live.number and record.pid == live.main.pid:
            return record
        spawned = self._now - age(live.main)
        return record._replace(
            state=State.STARTING,
            wanted=True,
            pid=live.main.pid,
            run=live.number,
            spawned=spawned,
            deadline=spawned + program.startsecs,
            leftovers=False,
            due=None,
            asked=False,
            killed=False,
            kill_now=False,
            cooling=False,
            error=None,
            notes=(),
            cause=Cause(CauseKind.FOUND_ALIVE),
        )

    def _close(self, found: Mapping[int, FoundRun], live: Mapping[str, FoundRun]) -> int:
        """Close the runs that ended while no daemon was there; end what they left behind."""
        count = 0
        for run in found.values():
            if run.main is not None and live.get(run.name) is run:
                continue
            process = self._supervisor.processes.get(run.name)
            record = process.record if process is not None else Record()
            if process is not None and record.run == run.number and record.pid is not None:
                self._end(process, run)
                count += 1
            elif process is not None and record.run == run.number and record.leftovers:
                self._supervisor.runs.end_again(process, self._family(run))
            else:
                self._sweep(run, process)
        for process in tuple(self._supervisor.processes.values()):
            record = process.record
            gone = record.pid is not None and process.pidfd is None
            if record.run is not None and record.run not in found and (gone or record.leftovers):
                # Nothing of it is left, and its end was written before its record was.
                lost = FoundRun(record.run, process.name, self._journal.history.run(record.run))
                if gone:
                    self._end(process, lost)
                    count += 1
                else:
                    self._supervisor.runs.end_again(process, self._family(lost))
        return count

    def _end(self, process: Process, run: FoundRun) -> None:
        """Answer the end of a run that the record knows as alive."""
        self._note_end(process)
        row, marked = run.row, self._family(run)
        if row is not None and row.ended is not None:
            # The daemon died between writing the end of the run and writing the record.
            how = (row.cause.exit if row.cause else None) or Exit(row.code, row.signal)
            self._supervisor.runs.ended_unseen(process, marked, how, written=True)
        else:
            self._supervisor.runs.ended_unseen(process, marked, self._how(run.number))

    def _sweep(self, run: FoundRun, process: Process | None) -> None:
        """Close a run that no record speaks of; nobody of it stays unless the program says so."""
        if run.row is not None and run.row.ended is None:
            how = self._how(run.number)
            cause = Cause(CauseKind.EXITED, exit=how)
            if run.row.pid is None:
                cause = Cause(CauseKind.NEVER_SPAWNED)
            self._journal.record_end(run.number, cause)
        if run.pidfd is not None:
            os.close(run.pidfd)
        strays = [*run.others, *([run.main] if run.main is not None else [])]
        program = process.program if process is not None else self._plan.get(run.name)
        if not strays or (program is not None and program.leftovers is Leftovers.KEEP):
            return
        if program is None:
            left = named(strays)
            self._report(f"{run.name}: not defined, left alone what an old run left: {left}")
        else:
            self._supervisor.runs.end_strays(run.name, self._family(run))

    # What the journal is told of it, besides changes of state.

    def _by_us(self, kind: CauseKind) -> Cause:
        return Cause(kind, pid=os.getpid(), version=__version__ if self._upgraded else "")

    def _note_end(self, process: Process) -> None:
        self._note(process, self._by_us(CauseKind.FOUND_ENDED))

    def _note(self, process: Process, cause: Cause) -> None:
        """Have the journal tell of something that happened without a change of state."""
        record = process.record
        change = Change(
            serial=self._journal.next_serial(),
            time=time.time(),
            name=process.name,
            process=process.program.name,
            group=process.group,
            from_state=record.state.name,
            to_state=record.state.name,
            cause=cause,
            run=record.run,
            pid=record.pid,
        )
        self._journal.add_change(change)

    def _how(self, number: int) -> Exit:
        pidfd = self._stored.get(number)
        return (exit_of_reaped(pidfd) if pidfd is not None else None) or Exit()

    def _family(self, found: FoundRun) -> Run:
        """Return a run with the marks that its processes carry."""
        run = found.to_run(f"{self._journal.instance}:{found.number}")
        run.cgroup = self._supervisor.runs.cgroups.find(found.number)
        run.trust = self._ownership.trust(found.name)
        return run

    def _stop_undefined(self) -> int:
        """Stop the programs that the configuration does not know any more."""
        gone = [p for name, p in self._supervisor.processes.items() if name not in self._plan]
        for process in gone:
            process.mark_removed()
            self._report(f"{process.name}: no longer defined, stopping it")
            self._supervisor.feed(process, StopAsked("", Cause(CauseKind.NO_LONGER_DEFINED)))
            if process.is_down() and process.name in self._supervisor.processes:
                self._supervisor.drop(process)
        return len(gone)
