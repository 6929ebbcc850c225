"""Every descendant of a run: find it, signal it, prove that none is left.

A run with a cgroup of its own (cgroup.py) is simple: whoever lives there belongs to it, and nobody
else does.

Without one: the daemon is a child subreaper (prctl(2)): when the main process of a run has ended,
what it left behind has become our child, whatever it did before (setsid, double fork, closed
descriptors). So "is anything left" is the list of our own children, read once for all exits of a
wake-up. Runs that an earlier daemon spawned are not our descendants; for those /proc is searched by
session and by the run identity in the environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from supervisor_lite.host import cgroup
from supervisor_lite.host.cgroup import Cgroups, Killed
from supervisor_lite.host.identity import (
    Stat,
    living,
    outputs_of,
    read_marker,
    read_stat,
)
from supervisor_lite.host.oom import Shortages
from supervisor_lite.host.procfs import below, own_children
from supervisor_lite.host.reaper import Reaper
from supervisor_lite.model.cause import Leftover, Note, NoteKind


@dataclass(slots=True)
class Run:
    """What is known of a run in order to recognise its family."""

    number: int
    marker: str
    """The value of the run identity variable in its environment."""
    leader: int
    """Pid of the main process: also its session and process group."""
    start: int
    """Start time of the main process in clock ticks after boot."""
    adopted: bool = False
    watched: bool = True
    """Was its main process ours to watch until it ended? If not, its pid may have been given to
    somebody else since, and a session of that number proves nothing."""
    alive: bool = True
    """Has its main process not ended yet?"""
    outputs: frozenset[tuple[int, int]] = frozenset()
    """Device and inode of the FIFOs that its processes inherit as stdout and stderr."""
    believes: Callable[[Stat], bool] | None = None
    """Is a process of it that carries its identity and is neither our child nor in its session?
    Anybody can write that into their environment. None: whoever says so."""
    cgroup: str | None = None
    """The directory of its cgroup, if it has one."""


@dataclass(slots=True)
class _Ending:
    """Leftovers of one run that are being ended."""

    run: Run
    signal: signal.Signals
    gone: Callable[[Note | None], None]
    members: dict[int, int] = field(default_factory=dict)
    """pid -> pidfd of those that are still alive."""
    names: dict[int, str] = field(default_factory=dict)
    """Everyone that was ever found, for the report."""


class Families:
    """Knows the runs, and which processes belong to which of them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reaper: Callable[[], Reaper],
        cgroups: Cgroups,
        member_killed: Callable[[int, Killed], None],
    ) -> None:
        """`member_killed` gets the pid of a main process that lives on without another one."""
        self._loop = loop
        self._shortages = Shortages(loop, member_killed)
        self._reaper = reaper
        self._cgroups = cgroups
        self._runs: dict[int, Run] = {}
        self._markers: dict[str, Run] = {}
        self._leaders: dict[int, Run] = {}
        self._outputs: dict[tuple[int, int], Run] = {}
        self._owner: dict[int, Run | None] = {}
        self._endings: dict[int, _Ending] = {}

    def add(self, run: Run) -> None:
        """A run began, or was adopted."""
        self._runs[run.number] = run
        self._markers[run.marker] = run
        self._leaders[run.leader] = run
        self._outputs.update(dict.fromkeys(run.outputs, run))
        if run.cgroup is not None and run.watched:
            self._shortages.add(run.number, run.cgroup, run.leader)

    def forget(self, number: int) -> None:
        """The run is over and nothing of it matters any more."""
        run = self._runs.pop(number, None)
        if run is None:
            return
        self._markers.pop(run.marker, None)
        if self._leaders.get(run.leader) is run:
            del self._leaders[run.leader]
        for output in run.outputs:
            if self._outputs.get(output) is run:
                del self._outputs[output]
        ending = self._endings.pop(number, None)
        if ending is not None:
            self._release(ending)
        self._shortages.forget(number)
        if run.cgroup is not None:
            self._cgroups.let_go(run.cgroup)

    def close(self) -> None:
        """Watch nobody any more."""
        self._shortages.close()

    def knows(self, number: int) -> bool:
        """Is this run not forgotten yet?"""
        return number in self._runs

    def out_of_memory(self, number: int) -> Killed | None:
        """Its main process was killed: return for want of what memory, None if not for that."""
        run = self._runs.get(number)
        if run is None or run.cgroup is None:
            return None
        return self._shortages.of_leader(number, run.cgroup)

    def stranger_ended(self, pid: int) -> None:
        """Forget an orphan that was reaped."""
        self._owner.pop(pid, None)

    def survivors(self, numbers: Iterable[int]) -> dict[int, list[Stat]]:
        """Return who is left of these runs, whose main processes have ended.

        One look for all of them. Runs of which nobody is left are not in the answer.
        """
        runs = {number: self._runs[number] for number in numbers if number in self._runs}
        for run in runs.values():
            run.alive = False
            self._shortages.forget(run.number)
        found: dict[int, list[Stat]] = {}
        for number, run in tuple(runs.items()):
            if run.cgroup is not None:
                del runs[number]
                if left := self._cgroups.left(run.cgroup):
                    found[number] = left
        if runs:
            found.update(self._search_for(runs))
        return found

    def _search_for(self, runs: dict[int, Run]) -> dict[int, list[Stat]]:
        """Return who is left of runs that have no cgroup."""
        found: dict[int, list[Stat]] = {}
        for stat in self._orphans():
            owner = self._owner_of(stat)
            if owner is not None and owner.number in runs:
                found.setdefault(owner.number, []).extend((stat, *living(below(stat.pid))))
        adopted = {number: run for number, run in runs.items() if run.adopted}
        if adopted:
            for number, stats in self._search(adopted).items():
                known = {stat.pid for stat in found.get(number, ())}
                found.setdefault(number, []).extend(s for s in stats if s.pid not in known)
        return {number: stats for number, stats in found.items() if stats}

    def end(self, number: int, name: str, gone: Callable[[Note | None], None]) -> None:
        """Send a signal to everyone left of a run, and to whoever joins them.

        `gone` is called once, from the loop, when nobody is left; its argument says who had to be
        ended. Calling again changes the signal.
        """
        number_of_signal = signal.Signals[f"SIG{name}"]
        ending = self._endings.get(number)
        if ending is None:
            ending = _Ending(self._runs[number], number_of_signal, gone)
            self._endings[number] = ending
        ending.signal = number_of_signal
        ending.gone = gone
        for pidfd in ending.members.values():
            _send(pidfd, number_of_signal)
        self._loop.call_soon(self._look_again, number)

    def _look_again(self, number: int) -> None:
        """Find who is left now; signal newcomers; report when there is nobody."""
        ending = self._endings.get(number)
        if ending is None:
            return
        present = self.survivors([number]).get(number, [])
        for stat in present:
            if stat.pid in ending.members:
                continue
            pidfd = _pin(stat)
            if pidfd is None:
                continue
            ending.members[stat.pid] = pidfd
            ending.names.setdefault(stat.pid, stat.name)
            self._loop.add_reader(pidfd, self._member_ended, number, stat.pid)
            _send(pidfd, ending.signal)
        group = ending.run.cgroup
        if present and group is not None:
            if ending.signal is signal.SIGKILL:
                cgroup.kill(group)  # also who has come since, and who belongs to another user
            if not ending.members:  # those that were seen are dead, but they may have forked
                self._loop.call_soon(self._look_again, number)
                return
        if ending.members:
            return
        del self._endings[number]
        ending.gone(_report(ending))

    def _member_ended(self, number: int, pid: int) -> None:
        ending = self._endings[number]
        pidfd = ending.members.pop(pid)
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        if not ending.members:
            # What it leaves behind itself is our child by now: look before saying "gone".
            self._loop.call_soon(self._look_again, number)

    def _release(self, ending: _Ending) -> None:
        for pidfd in ending.members.values():
            self._loop.remove_reader(pidfd)
            os.close(pidfd)

    def _orphans(self) -> list[Stat]:
        """Return our live children that are not the main process of a run."""
        reaper = self._reaper()
        return living(pid for pid in own_children() if not reaper.is_watched(pid))

    def _owner_of(self, stat: Stat) -> Run | None:
        """Return the run that an orphan belongs to; looked up once per orphan."""
        if stat.pid in self._owner:
            return self._owner[stat.pid]
        marker = read_marker(stat.pid)
        owner = self._markers.get(marker) if marker is not None else None
        owner = owner or self._leaders.get(stat.session) or self._leaders.get(stat.pgrp)
        if owner is None and marker is None:
            owner = _by_output(stat, self._outputs) or self._by_elimination(stat)
        self._owner[stat.pid] = owner
        return owner

    def _by_elimination(self, stat: Stat) -> Run | None:
        """An orphan without identity and session of a run: whose can it only be?"""
        if self._cgroups.holds(stat.pid):
            return None  # of a run that was told to leave it alone
        older = [run for run in self._runs.values() if run.start <= stat.start]
        return older[0] if len(older) == 1 else None

    def _search(self, runs: dict[int, Run]) -> dict[int, list[Stat]]:
        """Search all of /proc for members of runs whose orphans do not come to us."""
        sessions = {run.leader: run for run in runs.values() if not _is_reused(run)}
        markers = {run.marker: run for run in runs.values()}
        outputs = {output: run for run in runs.values() for output in run.outputs}
        oldest = min(run.start for run in runs.values())
        found: dict[int, list[Stat]] = {}
        unproved: dict[int, list[Stat]] = {}
        # The kernel gives a pid out again only when no process has it as its session any more:
        # a member that is surely of the run proves that the session still is, too.
        proved = {run.number for run in runs.values() if run.watched}
        me = os.getpid()
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == me:
                continue
            stat = read_stat(int(name))
            if stat is None or stat.start < oldest or stat.state in "ZX":
                continue
            if self._reaper().is_watched(stat.pid):
                continue
            marker = read_marker(stat.pid)
            run = markers.get(marker) if marker is not None else _by_output(stat, outputs)
            by_session = sessions.get(stat.session)
            if run is not None and marker is not None and run is not by_session:
                run = run if run.believes is None or run.believes(stat) else None
            if run is not None:
                found.setdefault(run.number, []).append(stat)
                if by_session is run:
                    proved.add(run.number)
            elif by_session is not None and stat.start >= by_session.start:
                unproved.setdefault(by_session.number, []).append(stat)
        for number in proved & unproved.keys():
            found.setdefault(number, []).extend(unproved[number])
        return found


def _by_output(stat: Stat, outputs: dict[tuple[int, int], Run]) -> Run | None:
    """Return the run whose FIFO a process without identity writes to: it has inherited that."""
    for output in outputs_of(stat.pid):
        run = outputs.get(output)
        if run is not None and run.start <= stat.start:
            return run
    return None


def _is_reused(run: Run) -> bool:
    leader = read_stat(run.leader) if run.leader else None
    return not run.leader or (leader is not None and leader.start != run.start)


def _pin(stat: Stat) -> int | None:
    """Open a pidfd on exactly the process that `stat` was read of."""
    try:
        pidfd = os.pidfd_open(stat.pid)
    except OSError:
        return None
    now = read_stat(stat.pid)
    if now is None or now.start != stat.start or now.state in "ZX":
        os.close(pidfd)
        return None
    return pidfd


def _send(pidfd: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return
    except PermissionError:
        return  # it became somebody else's; the report will show that it is still there


def _report(ending: _Ending) -> Note | None:
    if not ending.names:
        return None
    killed = ending.signal is signal.SIGKILL
    kind = NoteKind.LEFTOVERS_KILLED if killed else NoteKind.LEFTOVERS_ENDED
    return Note(kind, processes=tuple(Leftover(*each) for each in sorted(ending.names.items())))


def kept(survivors: list[Stat]) -> Note | None:
    """Note who is left running because its program wants it so; None if nobody is."""
    if not survivors:
        return None
    left = tuple(Leftover(stat.pid, stat.name) for stat in survivors)
    return Note(NoteKind.LEFTOVERS_KEPT, processes=left)
