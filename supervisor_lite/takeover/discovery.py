"""Find what is alive of the runs that an earlier daemon began; adoption.py says how and why so."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from supervisor_lite.host.cgroup import members
from supervisor_lite.host.identity import Identity, identify, is_there, open_same, unseen
from supervisor_lite.host.procfs import Stat, find_marked, named, read_stat, read_variable
from supervisor_lite.host.run import Run
from supervisor_lite.model.run import RunRow, StoredProcess
from supervisor_lite.store.journal import Journal
from supervisor_lite.takeover.ownership import Ownership

_MAX_DIGITS = 16
"""Of a run id, which is below 2 to the power of 53."""

_TICKS = os.sysconf("SC_CLK_TCK")


def _is_id(text: str) -> bool:
    """May this be a run id, written as we write it?"""
    return text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS and text[0] != "0"


def age(stat: Stat) -> float:
    """Return for how many seconds a process has lived."""
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start / _TICKS)


def began_before(spawned: float | None, main: Stat) -> int:
    """Return a time, in clock ticks after boot, before which no process of a run has begun.

    `spawned` is when that was, in monotonic seconds. That clock stands still while the machine
    sleeps, so it is never ahead of the other.
    """
    return main.start if spawned is None else min(main.start, int(spawned * _TICKS))


@dataclass(slots=True)
class FoundRun:
    """A run of ours of which something is alive, or was when the journal was last written."""

    number: int
    name: str
    row: RunRow | None = None
    """What the journal has of it; None: it was never written, or is lost."""
    main: Stat | None = None
    """Its main process, if that is alive or not reaped yet."""
    pidfd: int | None = None
    """Open on the main process."""
    others: list[Stat] = field(default_factory=list)
    """Its other processes that carry its identity."""

    def to_run(self, marker: str) -> Run:
        """Return it with the marks that its processes carry."""
        if self.main is not None:
            run = Run(self.number, marker, self.main.pid, self.main.start, adopted=True)
            run.settle(self.main)
            return run
        root, start = 0, min((s.start for s in self.others), default=0)
        if self.row is not None and self.row.pid is not None:
            root, start = self.row.pid, self.row.start or start
        return Run(self.number, marker, root, start, adopted=True, watched=False, alive=False)


class Discovery:
    """One search: where the journal says, in every environment, and in the cgroups of runs."""

    def __init__(
        self,
        journal: Journal,
        stored: Mapping[str, StoredProcess],
        ownership: Ownership,
        cgroups: Iterable[tuple[int, str]],
        report: Callable[[str], None],
    ) -> None:
        """`stored` is what the journal knows of each process, `cgroups` are those of runs."""
        self._journal = journal
        self._stored = stored
        self._ownership = ownership
        self._cgroups = dict(cgroups)
        self._report = report

    def find(self, open_runs: Iterable[RunRow]) -> dict[int, FoundRun]:
        """Return the runs that are alive or were not closed, by number."""
        found = {row.run: FoundRun(row.run, row.name, row) for row in open_runs}
        for run in found.values():
            self._open_recorded(run)
        self._search_environments(found)
        self._search_cgroups(found)
        return found

    def _open_recorded(self, run: FoundRun) -> None:
        """Open the main process that was written down, if it is still that process."""
        row = run.row
        if row is None or row.pid is None or row.start is None:
            return
        identity = Identity(row.pid, row.boot or "", row.start, row.inode or 0)
        pidfd = open_same(identity)
        if pidfd is None:
            return
        run.main = read_stat(row.pid)
        if run.main is None and is_there(pidfd):
            run.main = unseen(identity)
        run.pidfd = pidfd
        if run.main is None:
            os.close(pidfd)
            run.pidfd = None

    def _search_environments(self, found: dict[int, FoundRun]) -> None:
        """Add the processes that say in their environment that they are of a run, if it is true."""
        for marker, stats in find_marked(f"{self._journal.instance}:").items():
            number = marker.partition(":")[2]
            if not _is_id(number):
                continue
            if int(number) > self._journal.highest_run:
                those = named(stats)
                self._report(f"run {number} never was, though their environment says so: {those}")
                continue
            run = found.get(int(number)) or self._look_up(int(number), stats)
            genuine = [s for s in stats if run is not None and self._belongs(s, run)]
            if run is not None and genuine:
                found[run.number] = run
                self._assign(run, genuine)
            if len(genuine) < len(stats):
                others = named(s for s in stats if s not in genuine)
                self._report(f"not of run {number}, though their environment says so: {others}")

    def _search_cgroups(self, found: dict[int, FoundRun]) -> None:
        """Add who lives in the cgroups of runs: there nobody can lie, and nobody is missing."""
        for number, path in self._cgroups.items():
            run = found.get(number)
            if (run is not None and run.main is not None) or not (stats := members(path)):
                continue  # who else is there is asked when it ends
            run = run or self._look_up(number, stats)
            if run is not None:
                found[number] = run
                self._assign(run, stats)
            else:
                left = named(stats)
                self._report(f"run {number}: nobody knows its program, left alone: {left}")

    def _belongs(self, stat: Stat, run: FoundRun) -> bool:
        """Is a process of this run, as its environment says?"""
        if run.main is not None and stat.session == run.main.session:
            # One that has replaced another lives in the session of that: nobody can join it.
            return stat.session != run.main.pid or stat.start >= run.main.start
        if self._ownership.is_trusted(stat, run.name):
            return True
        path = self._cgroups.get(run.number)
        return path is not None and any(stat.pid == member.pid for member in members(path))

    def _look_up(self, number: int, stats: list[Stat]) -> FoundRun | None:
        """Return a run that is not open in the journal: closed, or never seen written."""
        row = self._journal.history.run(number)
        if row is not None:
            return FoundRun(number, row.name, row)
        for name, stored in self._stored.items():
            if stored.record.run == number:
                return FoundRun(number, name)
        for stat in stats:
            process = read_variable(stat.pid, "SUPERVISOR_PROCESS_NAME")
            group = read_variable(stat.pid, "SUPERVISOR_GROUP_NAME")
            if process is not None and group is not None:
                name = process if process == group else f"{group}:{process}"
                if self._ownership.is_trusted(stat, name):
                    return FoundRun(number, name)
        return None

    def _assign(self, run: FoundRun, stats: list[Stat]) -> None:
        """Tell the main process of a run, if it was not written down, from the others."""
        row = run.row
        unwritten = row is None or (row.pid is None and row.ended is None)
        if run.main is None and unwritten and self._may_be_alive(run):
            leaders = [s for s in stats if s.pid == s.session]
            if leaders:
                self._open_unrecorded(run, min(leaders, key=lambda s: s.start))
        main = run.main.pid if run.main is not None else 0
        run.others = [s for s in stats if s.pid != main]

    def _may_be_alive(self, run: FoundRun) -> bool:
        """May the main process be alive? Not if the record of its process knows its end."""
        stored = self._stored.get(run.name)
        if stored is None or stored.record.run is None:
            return True
        last = stored.record.run
        return last < run.number or (last == run.number and stored.record.pid is not None)

    def _open_unrecorded(self, run: FoundRun, stat: Stat) -> None:
        """Take this for the main process of a run, unless it has ended since; write it down."""
        try:
            pidfd = os.pidfd_open(stat.pid)
        except ProcessLookupError:
            return
        same = identify(stat.pid, pidfd)
        if same is None or same.start != stat.start:
            os.close(pidfd)
            return
        run.main, run.pidfd = stat, pidfd
        self._journal.record_found(
            run.number, run.name, stat.pid, same.boot, stat.start, same.inode,
            time.time() - age(stat),
        )  # fmt: skip
