"""End what is left of a run: signal everyone, and whoever joins them, until nobody is there.

Signals go through pidfds that were opened on a verified process, never to a bare pid. Who has got
the signal is not sent it again, neither by us nor after the process group was sent it (reached.py);
SIGKILL is for everyone. Who turns up later, a child that was forked at the last moment, is found
because there is another look whenever the last one that was known has ended.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TypeAlias

from supervisor_lite.host import cgroup
from supervisor_lite.host.descendants import Descendants
from supervisor_lite.host.own_limits import RESERVE, has_room, is_shortage
from supervisor_lite.host.procfs import Stat, read_stat
from supervisor_lite.host.reached import Reached
from supervisor_lite.host.run import Run
from supervisor_lite.host.signals import end
from supervisor_lite.model.cause import Leftover, Note, NoteKind

OnGone: TypeAlias = Callable[[Note | None], None]
"""Told once, from the loop, when nobody is left: who had to be ended, None if nobody."""


LOOK_AGAIN = 0.5
"""Seconds until the next look where there was no descriptor to look with."""


class Termination:
    """Leftovers of one run that are being ended."""

    __slots__ = ("found", "members", "on_gone", "reached", "run", "signal", "signalled")

    def __init__(self, run: Run, name: str, on_gone: OnGone) -> None:
        self.run = run
        self.signal = name
        self.reached: Reached | None = None
        """Who has got the stop signal already; None: nobody."""
        self.on_gone = on_gone
        self.members: dict[int, int] = {}
        """pid -> pidfd of those that are still alive, as far as there are descriptors."""
        self.signalled: set[tuple[int, int]] = set()
        """Pid and start of those that were sent the signal by us."""
        self.found: dict[int, Leftover] = {}
        """Everyone that was ever found, for the note."""

    def note(self) -> Note | None:
        """Return who had to be ended, and how."""
        if not self.found:
            return None
        killed = self.signal == "KILL"
        kind = NoteKind.LEFTOVERS_KILLED if killed else NoteKind.LEFTOVERS_ENDED
        return Note(kind, processes=tuple(sorted(self.found.values())))


class Terminator:
    """Ends the leftovers of runs whose main processes have ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descendants: Descendants) -> None:
        self._loop = loop
        self._descendants = descendants
        self._terminations: dict[int, Termination] = {}
        self._to_look: list[Termination] = []
        """Those whose members are to be looked for: one look for all of an iteration."""

    def terminate(
        self, run: Run, name: str, on_gone: OnGone, reached: Reached | None = None
    ) -> None:
        """Send a signal ("TERM") to everyone left of a run, and to whoever joins them.

        Those that it has `reached` already are only waited for; SIGKILL they get all the same.
        Calling again changes the signal.
        """
        termination = self._terminations.get(run.number)
        if termination is None:
            termination = Termination(run, name, on_gone)
            self._terminations[run.number] = termination
        termination.signal = name
        termination.on_gone = on_gone
        termination.reached = None if name == "KILL" else reached
        termination.signalled.clear()
        for pidfd in termination.members.values():
            _send(pidfd, name)
        self._look_soon(termination)

    def forget(self, run: Run) -> None:
        """Signal nobody of this run any more."""
        termination = self._terminations.pop(run.number, None)
        if termination is not None:
            for pidfd in termination.members.values():
                self._release(pidfd)

    def _look_soon(self, termination: Termination) -> None:
        self._to_look.append(termination)
        if len(self._to_look) == 1:
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Find who is left now of all that are asked about."""
        asked, self._to_look = dict.fromkeys(self._to_look), []
        current = [each for each in asked if self._is_current(each)]
        try:
            present = self._descendants.members([each.run for each in current])
            for termination in current:
                if self._is_current(termination):
                    self._go_on(termination, present.get(termination.run.number, []))
        except OSError as error:
            if not is_shortage(error):
                raise
            for termination in current:  # nobody can be seen now: nobody is said to be gone
                self._loop.call_later(LOOK_AGAIN, self._look_soon, termination)

    def _is_current(self, termination: Termination) -> bool:
        return self._terminations.get(termination.run.number) is termination

    def _go_on(self, termination: Termination, present: list[Stat]) -> None:
        """Signal newcomers; tell when there is nobody."""
        run = termination.run
        for stat in present:
            self._signal_newcomer(termination, stat)
        if present and run.cgroup is not None:
            if termination.signal == "KILL":
                # Also who has come since, and who belongs to another user.
                cgroup.kill(run.cgroup)
            if not termination.members:  # who was seen is dead, but may have forked
                self._look_soon(termination)
                return
        if not termination.members:
            del self._terminations[run.number]
            termination.on_gone(termination.note())

    def _signal_newcomer(self, termination: Termination, stat: Stat) -> None:
        if stat.pid in termination.members:
            return
        pidfd = open_exactly(stat)
        if pidfd is None:
            return
        termination.found.setdefault(stat.pid, _leftover(stat, termination.run.root))
        reached, who = termination.reached, (stat.pid, stat.start)
        if who not in termination.signalled and (reached is None or not reached.covers(stat)):
            termination.signalled.add(who)
            _send(pidfd, termination.signal)
        if termination.members and not has_room(RESERVE):
            os.close(pidfd)  # it is waited for when others are gone
            return
        termination.members[stat.pid] = pidfd
        self._loop.add_reader(pidfd, self._on_member_ended, termination, stat.pid)

    def _on_member_ended(self, termination: Termination, pid: int) -> None:
        self._release(termination.members.pop(pid))
        if not termination.members:
            # What it leaves behind itself is our child by now: look before saying "gone".
            self._look_soon(termination)

    def _release(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)


def open_exactly(stat: Stat) -> int | None:
    """Open a pidfd on exactly the process that `stat` was read of; None if it has ended.

    Raises OSError if there is no descriptor for it.
    """
    try:
        pidfd = os.pidfd_open(stat.pid)
    except OSError as error:
        if is_shortage(error):
            raise
        return None
    now = read_stat(stat.pid)
    if now is None or now.start != stat.start or now.is_dead:
        os.close(pidfd)
        return None
    return pidfd


def _send(pidfd: int, name: str) -> None:
    try:
        end(pidfd, None, name, group=False)
    except PermissionError:
        return  # it became somebody else's; the note will show that it is still there


def kept(survivors: list[Stat], root: int) -> Note | None:
    """Note who is left running because its program wants it so; None if nobody is.

    `root` is the pid of the main process, whose session is that of the run.
    """
    if not survivors:
        return None
    left = tuple(_leftover(stat, root) for stat in survivors)
    return Note(NoteKind.LEFTOVERS_KEPT, processes=left)


def _leftover(stat: Stat, root: int) -> Leftover:
    return Leftover(stat.pid, stat.name, detached=0 < root != stat.session)
