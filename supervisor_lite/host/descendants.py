"""Which processes belong to which run: the one answer, for a stop, for memory, for a take-over.

A run is known by what its processes cannot all shed, whatever they do to get away:

*Its cgroup*, where the daemon may divide one. Whoever lives there belongs to it, and nobody else
does. Nothing else is looked at then.

*Its tree*: the main process, as long as it lives, and everything below it, by the kernel's own
lists of children. Before a main process is signalled, its tree is written down (`remember`):
whoever was there is known afterwards, whatever it has shed.

*Our own children.* The daemon is a child subreaper (prctl(2)): what loses its parent becomes our
child, whatever it did before (setsid, double fork, closed descriptors). A child of ours that is no
main process is such an orphan, and the question is only whose. That is asked once per orphan, of
its session and group, its stdout and stderr, the mark in its limits (limit_mark.py), and the run
identity in its environment. Nothing is concluded from there being nobody else whose it could be: if
we are PID 1 of a container, what an operator has started beside us comes to us as well; and what
programs were told to keep may be of a run that nobody knows any more. Who shows nothing is left
alone, and reported.

*All of /proc*, for runs that an earlier daemon began: their orphans have become children of init or
of another subreaper. It is searched once for all runs that are asked about, for the session, the
identity, the mark and the outputs.

The cost matters where a main process ends, which may happen a thousand times a second: the cgroup
is one rmdir(2), and the list of our own children is one read(2) for all exits of a wake-up. A tree
that is a single process is written down in 20 microseconds. Only runs that were adopted pay for a
search, and those that asked for a limit of memory, at each look.

What is in an environment can be written by anybody, and so can the mark: a claim and no proof. It
is asked for only of who is in no session of a run and has none of its FIFOs. At the end of a run of
ours a claim is enough: who says so without being so costs nobody but itself its life. In a search
of /proc, and where memory is counted, it takes a user who could do that anyway (`Trust`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator

from supervisor_lite.host import cgroup
from supervisor_lite.host.cgroups import Cgroups
from supervisor_lite.host.limit_mark import mark_of, read_mark
from supervisor_lite.host.procfs import (
    Stat,
    below,
    living,
    outputs_of,
    own_children,
    read_marker,
    read_stat,
    real_uid,
)
from supervisor_lite.host.run import Inode, Run


class Descendants:
    """Knows the runs of one daemon, and finds their processes."""

    def __init__(
        self,
        cgroups: Cgroups,
        is_watched: Callable[[int], bool],
        on_stranger: Callable[[Stat], None],
    ) -> None:
        """`is_watched` tells main processes, and helpers of the daemon itself, from orphans.

        `on_stranger` gets each orphan, once, of which nothing shows whose it is.
        """
        self._cgroups = cgroups
        self._is_watched = is_watched
        self._on_stranger = on_stranger
        self._runs: dict[int, Run] = {}
        self._by_marker: dict[str, Run] = {}
        self._by_mark: dict[int, Run] = {}
        self._by_session: dict[int, Run] = {}
        self._by_output: dict[Inode, Run] = {}
        self._owners: dict[int, tuple[Run | None, bool]] = {}
        """By pid of an orphan: its run, and whether nothing but a claim says so."""

    def add(self, run: Run) -> None:
        """A run began, or was adopted."""
        self._runs[run.number] = run
        self._by_marker[run.marker] = run
        self._by_mark[mark_of(run.marker)] = run
        self._by_session.update(dict.fromkeys(run.sessions, run))
        self._by_output.update(dict.fromkeys(run.outputs, run))

    def forget(self, run: Run) -> None:
        """The run is over and nothing of it matters any more."""
        del self._runs[run.number]
        self._by_marker.pop(run.marker, None)
        self._by_mark.pop(mark_of(run.marker), None)
        for session in run.sessions:
            if self._by_session.get(session) is run:
                del self._by_session[session]
        for output in run.outputs:
            if self._by_output.get(output) is run:
                del self._by_output[output]

    def get(self, number: int) -> Run | None:
        """Return a run that is not forgotten."""
        return self._runs.get(number)

    def orphan_ended(self, pid: int) -> None:
        """Forget an orphan that was reaped."""
        self._owners.pop(pid, None)

    def remember(self, run: Run, *, group: bool) -> None:
        """Write down who is below the main process now, which is about to be signalled.

        If its process group is as well: who is in that. In the cgroup, or in the tree.
        """
        if run.cgroup is None:
            tree = living(self._below(run.root))
            run.seen.update((stat.pid, stat.start) for stat in tree)
        else:
            tree = cgroup.members(run.cgroup) if group else []
        if group:
            run.told = frozenset((stat.pid, stat.start) for stat in tree if stat.pgrp == run.group)

    def proves(self, run: Run, stat: Stat, users: Collection[int]) -> bool:
        """Is a process that was found to be of a run so by more than what it says itself?

        What these users say themselves is believed: the program's, and ours.
        """
        if run.cgroup is not None or stat.session in run.sessions:
            return True
        return run.seen.get(stat.pid) == stat.start or real_uid(stat.pid) in users

    def replace_root(self, run: Run, stat: Stat) -> None:
        """A run goes on with another main process, which is one of its members."""
        run.replace_root(stat)
        self._by_session.update(dict.fromkeys(run.sessions, run))
        self._owners.pop(stat.pid, None)

    def members(self, runs: Iterable[Run], *, on_claim: bool = True) -> dict[int, list[Stat]]:
        """Return the live processes of these runs, by number; one look for all of them.

        Runs of which nobody is left are not in the answer. `on_claim`: an orphan's word is enough.
        """
        found: dict[int, dict[int, Stat]] = {}
        others: dict[int, Run] = {}
        for run in runs:
            if run.cgroup is None:
                others[run.number] = run
            else:
                left = cgroup.members(run.cgroup) if run.alive else self._cgroups.left(run.cgroup)
                found[run.number] = {stat.pid: stat for stat in left}
        if others:
            for number, stat in self._without_cgroup(others, on_claim=on_claim):
                found.setdefault(number, {}).setdefault(stat.pid, stat)
        return {number: list(stats.values()) for number, stats in found.items() if stats}

    def _without_cgroup(
        self, runs: dict[int, Run], *, on_claim: bool
    ) -> Iterable[tuple[int, Stat]]:
        """Yield the processes of runs that have no cgroup, with the run's number."""
        for run in runs.values():
            if run.alive:
                tree = living((run.root, *self._below(run.root)))
            else:
                tree = list(self._seen(run))
            yield from ((run.number, stat) for stat in tree)
        for stat in self._orphans():
            owner, claimed = self._owner_of(stat)
            if owner is None or owner.number not in runs:
                continue
            if on_claim or not claimed or _is_trusted(owner, stat):
                for member in (stat, *living(self._below(stat.pid))):
                    yield owner.number, member
        adopted = [run for run in runs.values() if run.adopted]
        if adopted:
            yield from self._search(adopted)

    def _below(self, pid: int) -> Iterator[int]:
        """Yield whose ancestor a process is, without ourselves, other runs, and what is below."""
        return below(pid, lambda child: child == os.getpid() or self._is_watched(child))

    def _seen(self, run: Run) -> Iterator[Stat]:
        """Yield who was below a main process that has ended, and who is below them now."""
        for stat in living(run.seen):
            if stat.start == run.seen[stat.pid] and not self._is_watched(stat.pid):
                yield stat
                yield from living(self._below(stat.pid))

    def _orphans(self) -> list[Stat]:
        """Return our live children that are not the main process of a run."""
        return living(pid for pid in own_children() if not self._is_watched(pid))

    def _owner_of(self, stat: Stat) -> tuple[Run | None, bool]:
        """Return the run of an orphan, and whether nothing but a claim says so; looked up once."""
        known = self._owners.get(stat.pid)
        if known is not None:
            return known
        owner = self._of_session(stat)
        claims: list[Run] = []
        if owner is None:
            mark, marker = read_mark(stat.pid), read_marker(stat.pid)
            if not self._is_elsewhere(stat, marker):
                owner = _by_output(stat, self._by_output)
            if owner is None:
                named = (self._by_mark.get(mark or 0), self._by_marker.get(marker or ""))
                claims = sorted(filter(None, named), key=lambda run: not _is_trusted(run, stat))
            shows_nothing = owner is None and mark is None and marker is None
            if shows_nothing and not self._cgroups.holds(stat.pid):
                self._on_stranger(stat)
        answer = claims[0] if claims else owner, bool(claims)
        self._owners[stat.pid] = answer
        return answer

    def _is_elsewhere(self, stat: Stat, marker: str | None) -> bool:
        """Is a process surely of the run that it says, or of one of ours that is over?

        That was to be kept, perhaps; its output is that of the run after it, as the FIFO is the
        program's.
        """
        run = self._by_marker.get(marker or "")
        if run is not None or marker is None:
            return run is not None and stat.session in run.sessions
        instance = next(iter(self._by_marker), "").partition(":")[0]
        return marker.partition(":")[0] == instance

    def _of_session(self, stat: Stat) -> Run | None:
        """Return the run in whose session a process is: nobody can join one."""
        for number in (stat.session, stat.pgrp):
            run = self._by_session.get(number)
            if run is not None and (run.alive or not _is_reused(number, run.sessions[number])):
                return run
        return None

    def _search(self, runs: Collection[Run]) -> Iterable[tuple[int, Stat]]:
        """Search all of /proc for processes of runs whose orphans do not come to us."""
        sessions = {
            number: run
            for run in runs
            for number, start in run.sessions.items()
            if not _is_reused(number, start)
        }
        markers = {run.marker: run for run in runs}
        marks = {mark_of(run.marker): run for run in runs}
        outputs = {output: run for run in runs for output in run.outputs}
        oldest = min(run.oldest for run in runs)
        unproved: list[tuple[Run, Stat]] = []
        # The kernel gives a pid out again only when no process has it as its session any more:
        # a member that is surely of the run proves that the session still is, too.
        proved = {run.number for run in runs if run.watched}
        run: Run | None
        for stat in self._strangers(oldest):
            by_session = sessions.get(stat.session)
            marker, mark = read_marker(stat.pid), read_mark(stat.pid)
            claims = list(filter(None, (marks.get(mark or 0), markers.get(marker or ""))))
            if by_session in claims:
                run = by_session
            else:
                elsewhere = self._is_elsewhere(stat, marker)
                run = None if elsewhere else _by_output(stat, outputs)
                run = run or next((claim for claim in claims if _is_trusted(claim, stat)), None)
            if run is not None:
                yield run.number, stat
                if by_session is run:
                    proved.add(run.number)
            elif by_session is not None and stat.start >= by_session.oldest:
                unproved.append((by_session, stat))
        yield from ((run.number, stat) for run, stat in unproved if run.number in proved)

    def _strangers(self, oldest: int) -> Iterable[Stat]:
        """Yield all live processes of the machine that are no older, and no main process."""
        me = os.getpid()
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == me:
                continue
            stat = read_stat(int(name))
            if stat is None or stat.start < oldest or stat.is_dead:
                continue
            if not self._is_watched(stat.pid):
                yield stat


def _is_trusted(run: Run, stat: Stat) -> bool:
    """Is a process believed that says that it is of this run?"""
    if run.trust is not None:
        return run.trust.covers(stat)
    uid = real_uid(stat.pid)
    return uid is not None and uid in (os.getuid(), real_uid(run.root))


def _by_output(stat: Stat, outputs: dict[Inode, Run]) -> Run | None:
    """Return the run whose FIFO a process without identity writes to: it has inherited that."""
    for output in outputs_of(stat):
        run = outputs.get(output)
        if run is not None and run.oldest <= stat.start:
            return run
    return None


def _is_reused(number: int, start: int) -> bool:
    """Has somebody else got the pid of who made a session, and began at this time?"""
    maker = read_stat(number) if number else None
    return not number or (maker is not None and maker.start != start)
