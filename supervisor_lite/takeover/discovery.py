"""Find what is alive of the runs that an earlier daemon began: at the start of the next one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from supervisor_lite.host.cgroup import members
from supervisor_lite.host.identity import Identity, identify, open_same
from supervisor_lite.host.procfs import Stat, find_marked, named, read_stat, read_variable
from supervisor_lite.host.run import Run
from supervisor_lite.model.run import RunRow, StoredProcess
from supervisor_lite.store.journal import Journal
from supervisor_lite.store.run_ids import HIGHEST_RUN
from supervisor_lite.takeover.ownership import Claims

_TICKS = os.sysconf("SC_CLK_TCK")


def age(stat: Stat) -> float:
    """Return for how many seconds a process has lived."""
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - stat.start / _TICKS)


@dataclass(slots=True)
class Found:
    """A run of ours of which something is alive, or was when the journal was last written."""

    number: int
    name: str
    row: RunRow | None = None
    leader: Stat | None = None
    """Its main process, if that is alive or not reaped yet."""
    pidfd: int | None = None
    others: list[Stat] = field(default_factory=list)
    """Its other processes that carry its identity."""

    def run(self, marker: str) -> Run:
        """Return it with the marks that its processes carry."""
        if self.leader is not None:
            return Run(self.number, marker, self.leader.pid, self.leader.start, adopted=True)
        root, start = 0, min((s.start for s in self.others), default=0)
        if self.row is not None and self.row.pid is not None:
            root, start = self.row.pid, self.row.start or start
        return Run(self.number, marker, root, start, adopted=True, watched=False, alive=False)


class Finder:
    """Looks once: where the journal says, in every environment, and in the cgroups of runs."""

    def __init__(
        self,
        journal: Journal,
        rows: Mapping[str, StoredProcess],
        claims: Claims,
        cgroups: Iterable[tuple[int, str]],
        report: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._rows = rows
        self._claims = claims
        self._cgroups = dict(cgroups)
        """The cgroups of runs, by number."""
        self._report = report

    def find(self, open_runs: Iterable[RunRow]) -> dict[int, Found]:
        """Return the runs that are alive or were not closed, by number."""
        found = {row.run: Found(row.run, row.name, row) for row in open_runs}
        for run in found.values():
            self._confirm(run)
        for marker, stats in find_marked(f"{self._journal.instance}:").items():
            number = marker.partition(":")[2]
            if not number.isdecimal() or int(number) > HIGHEST_RUN:
                continue
            known = found.get(int(number)) or self._unknown(int(number), stats)
            genuine = [s for s in stats if known is not None and self._is_of(known, s)]
            if known is not None and genuine:
                found[known.number] = known
                self._sort(known, genuine)
            if len(genuine) < len(stats):
                liars = named(s for s in stats if s not in genuine)
                self._report(f"not of run {number}, though their environment says so: {liars}")
        self._look_inside(found)
        return found

    def _look_inside(self, found: dict[int, Found]) -> None:
        """Add who lives in the cgroups of runs: there nobody can lie, and nobody is missing."""
        for number, path in self._cgroups.items():
            known = found.get(number)
            if (known is not None and known.leader is not None) or not (stats := members(path)):
                continue  # who else is there is asked when it ends
            known = known or self._unknown(number, stats)
            if known is not None:
                found[number] = known
                self._sort(known, stats)
            else:
                left = named(stats)
                self._report(f"run {number}: nobody knows its program, left alone: {left}")

    def _is_of(self, run: Found, stat: Stat) -> bool:
        """Is a process of this run, as its environment says?"""
        if run.leader is not None and stat.session == run.leader.pid:
            return stat.start >= run.leader.start
        if self._claims.believes(stat, run.name):
            return True
        path = self._cgroups.get(run.number)
        return path is not None and any(stat.pid == member.pid for member in members(path))

    def _confirm(self, run: Found) -> None:
        """Open the main process that was written down, if it is still that process."""
        row = run.row
        if row is None or row.pid is None or row.start is None:
            return
        pidfd = open_same(Identity(row.pid, row.boot or "", row.start, row.inode or 0))
        if pidfd is None:
            return
        run.leader = read_stat(row.pid)
        run.pidfd = pidfd
        if run.leader is None:
            os.close(pidfd)
            run.pidfd = None

    def _unknown(self, number: int, stats: list[Stat]) -> Found | None:
        """Return a run that is not open in the journal: closed, or never seen written."""
        written = self._journal.history.run(number)
        if written is not None:
            return Found(number, written.name, written)
        for name, row in self._rows.items():
            if row.record.run == number:
                return Found(number, name)
        for stat in stats:
            process = read_variable(stat.pid, "SUPERVISOR_PROCESS_NAME")
            group = read_variable(stat.pid, "SUPERVISOR_GROUP_NAME")
            if process is not None and group is not None:
                name = process if process == group else f"{group}:{process}"
                if self._claims.believes(stat, name):
                    return Found(number, name)
        return None

    def _may_live(self, run: Found) -> bool:
        """May the main process be alive? Not if the record of its process knows its end."""
        row = self._rows.get(run.name)
        if row is None or row.record.run is None:
            return True
        last = row.record.run
        return last < run.number or (last == run.number and row.record.pid is not None)

    def _sort(self, run: Found, stats: list[Stat]) -> None:
        """Tell the main process of a run, if it was not written down, from the others."""
        row = run.row
        unwritten = row is None or (row.pid is None and row.ended is None)
        if run.leader is None and unwritten and self._may_live(run):
            leaders = [s for s in stats if s.pid == s.session]
            for stat in sorted(leaders, key=lambda s: s.start)[:1]:
                try:
                    pidfd = os.pidfd_open(stat.pid)
                except ProcessLookupError:
                    continue  # it has ended since
                same = identify(stat.pid, pidfd)
                if same is None or same.start != stat.start:
                    os.close(pidfd)
                    continue
                run.leader, run.pidfd = stat, pidfd
                self._journal.record_found(
                    run.number, run.name, stat.pid, same.boot, stat.start, same.inode,
                    time.time() - age(stat),
                )  # fmt: skip
        leader = run.leader.pid if run.leader is not None else 0
        run.others = [s for s in stats if s.pid != leader]
