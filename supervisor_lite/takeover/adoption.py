"""Take over what an earlier daemon left: the same processes, their states, their output.

One mechanism for all ways in which a daemon can go: killed, crashed, stopped by systemd, replaced
by its next version (`slctl upgrade`: the same pid, so the children are still ours). Nobody has to
tell us which it was: the journal says what was, and the kernel confirms what is.

How a run is recognised (discovery.py), in this order:

1. The runs that are open in the journal, by their identity: boot, pid, start time, and the inode of
   the pidfd. The pidfd is opened first and the identity read after that, so a pid that was given to
   somebody else is noticed, also if that happens while we look.
2. The run identity in the environment (SUPERVISOR_LITE_RUN), of all processes in /proc. That finds
   the main process of a run whose daemon died between the fork and the line in the journal, every
   run if the journal is lost, and descendants that nobody else would know of. Anybody can write an
   environment, so it counts only from the program's user or ours, or with proof (ownership.py).
3. The cgroups of runs, where there are some: nobody can get out, and nobody is there by accident.

What is done with it (`Adoption.run`), and why in this order:

* After a reboot, or in another pid namespace (other_world.py), no pid means anything: all runs are
  closed and the daemon starts from the configuration.
* Every process that the journal knows, or of which something is alive, is put on the table with the
  record that was written last (records.py), under the definition that its run was started with.
  Live main processes are attached: pidfd, pipes, family.
* What the configuration does not define any more is stopped, *before* ends are answered: otherwise
  it would be respawned first.
* The runs that ended while no daemon was there are closed: their exit code if the kernel still
  knows it, their last words out of the pipe, what they left behind. A run that no record speaks of
  is swept: nobody of it stays.
* Only then deadlines run again. They are CLOCK_MONOTONIC, the same within a boot, so a backoff
  or a pending SIGKILL goes on where it was.

What may go wrong: the daemon died between two lines of the journal (the end of a run is written and
its record is not: the row of the run counts); a program is gone and its pid belongs to an innocent
(never signalled: everything goes through the pidfd of a confirmed identity); two runs of one
process are alive, which only a lost journal can lead to (the later one stays, the other is swept);
a definition cannot be read any more (reported by the journal; the run is still found alive).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.host.cgroups import Cgroups
from supervisor_lite.host.exit_status import exit_of_reaped
from supervisor_lite.host.identity import this_world
from supervisor_lite.host.procfs import named
from supervisor_lite.host.run import Run
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.events import StopAsked
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.plan import Plan
from supervisor_lite.model.program import Leftovers
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import RunRow, StoredProcess
from supervisor_lite.store.journal import Journal
from supervisor_lite.takeover import records
from supervisor_lite.takeover.discovery import Discovery, FoundRun, age, began_before
from supervisor_lite.takeover.left_to_do import LeftToDo, left_to_do
from supervisor_lite.takeover.notes import TakeoverNotes
from supervisor_lite.takeover.other_world import is_other_world
from supervisor_lite.takeover.ownership import Ownership, placeholder
from supervisor_lite.takeover.reattach import Reattachment
from supervisor_lite.text import plural

_RECENT = 20
"""Runs by which a journal tells where it was written, if it does not say so itself."""


class Summary(NamedTuple):
    """What was taken over, in numbers, and what is left to do."""

    adopted: int = 0
    ended: int = 0
    removed: int = 0
    unfinished: LeftToDo = LeftToDo()


class Adoption:
    """One take-over, at the start of a daemon."""

    def __init__(
        self,
        supervisor: Supervisor,
        cgroups: Cgroups,
        journal: Journal,
        plan: Plan,
        pidfds: Mapping[int, int],
        report: Callable[[str], None],
        *,
        upgraded: bool,
    ) -> None:
        """`pidfds` are those of main processes that systemd has kept for us, by run id."""
        self._supervisor = supervisor
        self._reattachment = Reattachment(supervisor, journal, report)
        self._cgroups = cgroups
        self._journal = journal
        self._plan = {program.fullname: program for program in plan.processes()}
        self._ownership = Ownership(supervisor.channels.fifos_of)
        self._pidfds = pidfds
        self._report = report
        self._notes = TakeoverNotes(journal, upgraded=upgraded)
        self._now = time.monotonic()

    def run(self) -> Summary:
        """Take everything over; the processes are on the supervisor's table afterwards."""
        open_runs = self._journal.history.open_runs()
        before, here = self._journal.last_world(), this_world()
        self._journal.enter(here)
        if is_other_world(before, here, [*open_runs, *self._journal.history.runs(None, _RECENT)]):
            self._close_all(open_runs)
            return Summary()
        stored = self._reattachment.stored()
        unfinished = left_to_do(self._journal.operations.pending(), stored)
        found = self._discover(stored, open_runs)
        # Of two runs of one process, which only a journal that was lost can lead to, that which is
        # written down, or else the later.
        known = sorted(found.values(), key=lambda run: (run.row is not None, run.number))
        live = {run.name: run for run in known if run.main is not None}
        unwritten = [name for name, run in live.items() if run.row is None and name not in stored]
        if unwritten:
            those = plural(len(unwritten), "running process is", "running processes are")
            self._report(f"{those} not in the journal: known by the identity in the environment")
        for name in sorted(stored.keys() | live.keys()):
            self._restore(name, stored.get(name), live.get(name))
        removed = self._stop_undefined()
        ended = self._answer_ends(found, live) + self._answer_lost_ends(found)
        self._reattachment.send_unsent(self._now)
        for process in list(self._supervisor.processes.values()):
            self._supervisor.wake(process)
        return Summary(len(live), ended, removed, unfinished)

    def _close_all(self, runs: list[RunRow]) -> None:
        for run in runs:
            self._journal.record_end(run.run, Cause(CauseKind.MACHINE_RESTARTED))
        self._journal.forget_all()

    def _discover(
        self, stored: Mapping[str, StoredProcess], open_runs: list[RunRow]
    ) -> dict[int, FoundRun]:
        for name, program in self._plan.items():
            self._ownership.register(name, program)
        for name, process in stored.items():
            self._ownership.register(name, process.program)
        discovery = Discovery(
            self._journal, stored, self._ownership, self._cgroups.paths(), self._report
        )
        found = discovery.find(open_runs)
        self._journal.skip_to(max(found, default=0))
        return found

    # Putting processes on the table.

    def _restore(self, name: str, stored: StoredProcess | None, live: FoundRun | None) -> None:
        """Put a process on the table that is alive, or that the journal knows."""
        if live is not None:
            self._restore_live(name, stored, live)
        elif stored is not None:
            self._restore_stored(stored)

    def _restore_live(self, name: str, stored: StoredProcess | None, live: FoundRun) -> None:
        assert live.main is not None
        assert live.pidfd is not None
        record, program = Record(), self._plan.get(name) or placeholder(name)
        if stored is not None:
            record, program = stored.record, stored.program
        lived, pid = age(live.main), live.main.pid
        present = records.of_live_run(
            record, program, run=live.number, pid=pid, spawned=self._now - lived
        )
        started = stored.started if stored is not None else None
        if stored is None or record.run != live.number:
            started = time.time() - lived
        since = stored.since if stored is not None else None
        process = self._supervisor.table.restore(program, present, since or time.time(), started)
        run = self._run_of(live)
        run.adopted = live.main.ppid != os.getpid()
        if live.main.session != live.main.pid:  # it has replaced the one that the run began with
            run.begun = began_before(present.spawned, live.main)
        pids = [pid, *(stat.pid for stat in live.others)]
        lost = self._reattachment.attach(process, run, live.pidfd, pids, child=not run.adopted)
        self._notes.add(process, CauseKind.TAKEN_OVER, output_lost=lost)

    def _restore_stored(self, stored: StoredProcess) -> None:
        """Put a process on the table of which no main process is alive."""
        record, planned = stored.record, self._plan.get(stored.name)
        program = stored.program
        if record.pid is None and not record.leftovers:
            if planned is None:
                self._journal.forget(stored.name)
                return
            program = planned  # nothing of the old definition is left
        process = self._supervisor.table.restore(
            program,
            records.of_no_live_run(record, self._now),
            stored.since or time.time(),
            stored.started,
        )
        if record.run is not None:
            self._supervisor.channels.resume_output(process)  # what it left may be writing
        if planned is not None and planned != program:
            # Its end is answered as it was begun, its next run is new.
            process.redefine_at_spawn(planned)

    def _run_of(self, found: FoundRun) -> Run:
        """Return a run with the marks that its processes carry."""
        run = found.to_run(f"{self._journal.instance}:{found.number}")
        run.cgroup = self._cgroups.find(found.number)
        run.trust = self._ownership.trust(found.name)
        return run

    def _stop_undefined(self) -> int:
        """Stop the programs that the configuration does not define any more."""
        gone = [p for name, p in self._supervisor.processes.items() if name not in self._plan]
        for process in gone:
            process.mark_removed()
            self._report(f"{process.name}: no longer defined, stopping it")
            self._supervisor.feed(process, StopAsked("", Cause(CauseKind.NO_LONGER_DEFINED)))
            if process.is_down() and process.name in self._supervisor.processes:
                self._supervisor.drop(process)
        return len(gone)

    # Ends that nobody saw.

    def _answer_ends(self, found: Mapping[int, FoundRun], live: Mapping[str, FoundRun]) -> int:
        """Close the found runs that are over; return how many of them a record had as alive."""
        count = 0
        for run in found.values():
            if run.main is not None and live.get(run.name) is run:
                continue
            process = self._supervisor.processes.get(run.name)
            record = process.record if process is not None else Record()
            if process is not None and record.run == run.number and record.pid is not None:
                self._answer_end(process, run)
                count += 1
            elif process is not None and record.run == run.number and record.leftovers:
                self._reattachment.end_leftovers(process, self._run_of(run))
            else:
                self._sweep(run, process)
        return count

    def _answer_lost_ends(self, found: Mapping[int, FoundRun]) -> int:
        """Close the runs of which nothing is left and whose end was written before their record."""
        count = 0
        for process in tuple(self._supervisor.processes.values()):
            record = process.record
            gone = record.pid is not None and process.pidfd is None
            if record.run is None or record.run in found or not (gone or record.leftovers):
                continue
            run = FoundRun(record.run, process.name, self._journal.history.run(record.run))
            if gone:
                self._answer_end(process, run)
                count += 1
            else:
                self._reattachment.end_leftovers(process, self._run_of(run))
        return count

    def _answer_end(self, process: Process, found: FoundRun) -> None:
        """Have the rules answer the end of a run that the record has as alive."""
        self._notes.add(process, CauseKind.FOUND_ENDED)
        row, run, runs = found.row, self._run_of(found), self._supervisor.runs
        if row is not None and row.ended is not None:
            # The daemon died between writing the end of the run and writing the record.
            exit_status = (row.cause.exit if row.cause else None) or Exit(row.code, row.signal)
            runs.end_unseen(process, run, exit_status, written=True)
        else:
            runs.end_unseen(process, run, self._exit_of(found.number))

    def _exit_of(self, number: int) -> Exit:
        """Return how a run ended as far as the kernel can still tell; that may be nothing."""
        pidfd = self._pidfds.get(number)
        return (exit_of_reaped(pidfd) if pidfd is not None else None) or Exit()

    def _sweep(self, run: FoundRun, process: Process | None) -> None:
        """Close a run that no record speaks of; nobody of it stays unless the program says so."""
        if run.row is not None and run.row.ended is None:
            cause = Cause(CauseKind.EXITED, exit=self._exit_of(run.number))
            if run.row.pid is None:
                cause = Cause(CauseKind.NEVER_SPAWNED)
            self._journal.record_end(run.number, cause)
        if run.pidfd is not None:
            os.close(run.pidfd)
        stale = [*run.others, *([run.main] if run.main is not None else [])]
        program = process.program if process is not None else self._plan.get(run.name)
        if not stale or (program is not None and program.leftovers is Leftovers.KEEP):
            return
        # An end that was answered had its leftovers ended, too, or they were to be kept then.
        answered = run.row is not None and run.row.ended is not None and run.main is None
        if program is None or answered:
            why = "not defined" if program is None else "over"
            left = named(stale)
            self._report(f"{run.name}: {why}, left alone what an old run left: {left}")
        else:
            self._reattachment.kill_stale(run.name, self._run_of(run))
