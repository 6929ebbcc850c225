"""The processes of every run, from its begin until the last of them is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from supervisor_lite.host import memory_usage
from supervisor_lite.host.cgroup import OomKill
from supervisor_lite.host.cgroups import Cgroups
from supervisor_lite.host.descendants import Descendants
from supervisor_lite.host.oom import OomWatcher
from supervisor_lite.host.procfs import Stat
from supervisor_lite.host.reached import Reached, ticks_at
from supervisor_lite.host.run import Run
from supervisor_lite.host.succession import successor
from supervisor_lite.host.terminate import OnGone, Terminator
from supervisor_lite.host.usage import RunUsage, usage
from supervisor_lite.host.users import believed
from supervisor_lite.model.program import Program

_MEASURED_AT_ONCE = 16
"""Runs whose usage is measured without looking after anything else."""


class ProcessTrees:
    """Knows the runs of one daemon: who is of them, what they use, how to end them."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        is_watched: Callable[[int], bool],
        cgroups: Cgroups,
        on_oom_kill: Callable[[int, OomKill], None],
        on_stranger: Callable[[Stat], None],
    ) -> None:
        """`on_oom_kill` gets the pid of a main process that lives on without another one.

        `on_stranger` gets each orphan, once, of which nothing shows whose it is.
        """
        self._cgroups = cgroups
        self._descendants = Descendants(cgroups, is_watched, on_stranger)
        self._terminator = Terminator(loop, self._descendants)
        self._oom = OomWatcher(loop, on_oom_kill)

    def add(self, run: Run) -> None:
        """A run began, or was adopted."""
        self._descendants.add(run)
        if run.cgroup is not None and run.alive:
            self._oom.add(run.number, run.cgroup, run.root)

    def forget(self, number: int) -> None:
        """The run is over and nothing of it matters any more."""
        run = self._descendants.get(number)
        if run is None:
            return
        self._descendants.forget(run)
        self._terminator.forget(run)
        self._oom.forget(number)
        if run.cgroup is not None:
            self._cgroups.discard(run.cgroup)

    def close(self) -> None:
        """Watch nobody any more."""
        self._oom.close()

    def has(self, number: int) -> bool:
        """Is this run not forgotten yet?"""
        return self._descendants.get(number) is not None

    def orphan_ended(self, pid: int) -> None:
        """Forget an orphan that was reaped."""
        self._descendants.orphan_ended(pid)

    def oom_kill(self, number: int) -> OomKill | None:
        """Return whether its main process, which was killed, was so for want of memory."""
        run = self._descendants.get(number)
        if run is None or run.cgroup is None:
            return None
        return self._oom.kill_of_root(number, run.cgroup)

    def remember(self, number: int, *, group: bool) -> None:
        """Write down who is below the main process of a run, which is about to be signalled.

        With its whole process group, or alone.
        """
        for run in self._known([number]):
            self._descendants.remember(run, group=group)

    def survivors(self, numbers: Iterable[int]) -> dict[int, list[Stat]]:
        """Return who is left of these runs, whose main processes have ended.

        One look for all of them. Runs of which nobody is left are not in the answer.
        """
        runs = self._known(numbers)
        for run in runs:
            run.alive = False
            self._oom.forget(run.number)
        return self._descendants.members(runs)

    def successor(self, number: int, left: Iterable[Stat], program: Program) -> Stat | None:
        """Return who of those left has taken the place of the main process; see succession.py."""
        for run in self._known([number]):
            users = believed(program.user)
            members = [stat for stat in left if self._descendants.proves(run, stat, users)]
            return successor(run.root, members, program.pidfile, users)
        return None

    def replace_root(self, number: int, stat: Stat) -> None:
        """A run goes on with another main process."""
        for run in self._known([number]):
            self._descendants.replace_root(run, stat)
            if run.cgroup is not None:
                self._oom.add(number, run.cgroup, stat.pid)

    def terminate(
        self,
        number: int,
        name: str,
        on_gone: OnGone,
        *,
        told: float | None = None,
        everyone: bool = False,
    ) -> None:
        """Send a signal ("TERM") to everyone left of a run whose main process has ended.

        `told` is when its process group, or everyone, was sent it (monotonic seconds): who was
        there then is not sent it again. Calling again changes the signal.
        """
        (run,) = self._known([number])
        run.alive = False
        self._oom.forget(number)
        reached = None
        if told is not None:
            reached = Reached(ticks_at(told), None if everyone else run.group, run.told)
        self._terminator.terminate(run, name, on_gone, reached)

    def memory_used(self, numbers: Iterable[int]) -> dict[int, int]:
        """Return the bytes of resident memory of each of these runs."""
        return memory_usage.resident(self._descendants, self._known(numbers))

    def usage(self, numbers: Sequence[int]) -> Iterator[dict[int, RunUsage]]:
        """Yield what these runs use, some at a time; between them others may have their turn."""
        # Those of an earlier daemon take a search of /proc, whether they are one or many.
        adopted = {run.number for run in self._known(numbers) if run.adopted}
        if adopted:
            yield usage(self._descendants, self._known(adopted))
        others = [number for number in numbers if number not in adopted]
        for at in range(0, len(others), _MEASURED_AT_ONCE):
            yield usage(self._descendants, self._known(others[at : at + _MEASURED_AT_ONCE]))

    def _known(self, numbers: Iterable[int]) -> list[Run]:
        found = map(self._descendants.get, numbers)
        return [run for run in found if run is not None]
