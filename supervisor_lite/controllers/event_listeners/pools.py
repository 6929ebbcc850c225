"""Event listeners: who is to hear of what happens, and what became of it (docs/listeners.md).

A pool is a group of listeners; each event that it wants goes to the first of them that is ready. A
listener reads events from a pipe that is never waited for, and answers on its standard output.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import GroupsChanged, OutputSeen, RemoteEvent
from supervisor_lite.model.change import Change
from supervisor_lite.model.plan import Group
from supervisor_lite.model.states import UP, State
from supervisor_lite.rules.event_listener import payloads
from supervisor_lite.rules.event_listener.buffer import Buffer, Queued, pause
from supervisor_lite.rules.event_listener.payloads import Notice
from supervisor_lite.rules.event_listener.session import Answer, Listener, Listening
from supervisor_lite.rules.event_listener.types import TICKS, timeslice, wanted_by

_STATE_LOST = "its state was lost with the daemon"
_ENDED = frozenset(("EXITED", "BACKOFF", "FATAL", "STOPPED"))


@dataclass(slots=True, eq=False)
class _Member:
    """A listener while it runs."""

    process: str
    listening: Listening = field(default_factory=Listening)
    run: int | None = None
    """Known only of one that an earlier version of the daemon has started."""
    event: Queued | None = None
    """What it is busy with."""
    fd: int = -1
    outbox: bytes = b""
    """What did not fit into its pipe yet."""
    deaf: bool = False
    """It has closed its input."""


@dataclass(slots=True, eq=False)
class _Pool:
    """Listeners that share their events."""

    name: str
    buffer: Buffer
    wanted: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()
    rejections: int = 0
    """How often its listeners have rejected an event since one was dealt with."""
    retry: asyncio.TimerHandle | None = None
    dropped: int = 0
    """Events that did not fit, since one could be sent."""


class EventListeners:
    """All pools, and what is sent to them."""

    def __init__(
        self,
        supervisor: Supervisor,
        bus: Bus,
        *,
        identifier: str,
        warn: Callable[[str], None],
        error: Callable[[str], None],
    ) -> None:
        """Hear of everything; `begin` must be called before anything happens."""
        self._supervisor = supervisor
        self._loop = asyncio.get_running_loop()
        self._identifier = identifier
        self._warn = warn
        self._error = error
        self._pools: dict[str, _Pool] = {}
        self._pool_of: dict[str, _Pool] = {}
        self._members: dict[str, _Member] = {}
        self._wanted: frozenset[str] = frozenset()
        self._serial = 0
        self._groups: set[str] = set()
        """Those of which listeners have been told."""
        self._stopping: dict[str, int] = {}
        """Pids of processes that are being stopped: the end of their state does not know them."""
        self._clock: asyncio.TimerHandle | None = None
        self._slices: dict[str, int] = {}
        bus.subscribe(Change, self._on_change)
        bus.subscribe(GroupsChanged, self._on_groups_changed)
        bus.subscribe(OutputSeen, self._on_output)
        bus.subscribe(RemoteEvent, self._on_remote_event)

    # Beginning and end.

    def begin(self, groups: Mapping[str, Group], handed: Mapping[str, Any] | None) -> None:
        """Make the pools, before the first change; `handed` is from `to_json`, in an upgrade."""
        self._make_pools(groups)
        if not handed:
            return
        try:
            self._restore(handed)
        except (KeyError, TypeError, ValueError) as error:
            self._warn(f"what listeners were doing before the upgrade is unusable: {error!r}")
            self._members.clear()

    def resume(self, *, upgraded: bool) -> None:
        """Go on with listeners that an earlier daemon has started. Called after the adoption.

        What such a listener is doing is known in an upgrade only; else it is started again.
        """
        for name, member in tuple(self._members.items()):
            process = self._supervisor.processes.get(name)
            if member.run is not None and (process is None or process.record.run != member.run):
                self._end(name)
            elif member.outbox:
                self._write(member)
        for process in tuple(self._supervisor.processes.values()):
            known = process.name in self._members or not process.program.listener
            if not known and process.pidfd is not None and process.record.state in UP:
                self._supervisor.restart(process, "", _STATE_LOST)
        if not upgraded:
            self.tell_running()
        for pool in self._pools.values():
            self._dispatch(pool)
        self._set_clock()

    def to_json(self) -> dict[str, Any]:
        """Return everything that the next version of the daemon has to know."""
        members = {
            name: {
                "run": process.record.run,
                "listening": member.listening.to_json(),
                "event": member.event._asdict() if member.event is not None else None,
                "outbox": member.outbox.decode("latin-1"),
                "deaf": member.deaf,
            }
            for name, member in self._members.items()
            if (process := self._supervisor.processes.get(name)) is not None
        }
        pools = {name: pool.buffer.to_json() for name, pool in self._pools.items()}
        groups = sorted(self._groups)
        return {"serial": self._serial, "groups": groups, "pools": pools, "members": members}

    def _restore(self, handed: Mapping[str, Any]) -> None:
        self._serial = int(handed["serial"])
        self._groups = set(handed["groups"])
        for name, values in handed["pools"].items():
            if name in self._pools:
                self._pools[name].buffer.restore(values)
        for name, values in handed["members"].items():
            event = values["event"]
            self._members[name] = _Member(
                name,
                Listening.from_json(values["listening"]),
                run=values["run"],
                event=Queued(**event) if event is not None else None,
                outbox=values["outbox"].encode("latin-1"),
                deaf=values["deaf"],
            )

    # What is told.

    def tell(self, notice: Notice) -> None:
        """Have everyone hear of an event who wants to."""
        if notice.name not in self._wanted:
            return
        serial, self._serial = self._serial, self._serial + 1
        for pool in self._pools.values():
            if notice.name in pool.wanted:
                self._say_dropped(pool, pool.buffer.add(serial, notice))
                self._dispatch(pool)

    def _on_remote_event(self, event: RemoteEvent) -> None:
        self.tell(payloads.of_remote(event.kind, event.data))

    def tell_running(self) -> None:
        """Have everyone hear that the daemon is there."""
        self.tell(payloads.of_daemon("RUNNING"))

    def tell_stopping(self) -> None:
        """Have everyone hear that the daemon is on its way out."""
        self.tell(payloads.of_daemon("STOPPING"))

    def _say_dropped(self, pool: _Pool, event: Queued | None) -> None:
        if event is None:
            return
        pool.dropped += 1
        if pool.dropped == 1:
            serial = event.serial
            self._error(f"pool {pool.name} event buffer overflowed, discarding event {serial}")

    def _on_change(self, change: Change) -> None:
        """A process has another state; it may be a listener itself."""
        name = change.name
        if not self._pools and name not in self._members:
            return
        process = self._supervisor.processes.get(name)
        if change.to_state in _ENDED:
            self._end(name)
        elif change.to_state == "STARTING" and process is not None and process.program.listener:
            self._end(name)
            self._members[name] = _Member(name)
            self._set_clock()
        if change.to_state == "STOPPING":
            self._stopping[name] = change.pid or 0
        pid = self._stopping.pop(name, 0) if change.to_state == "STOPPED" else 0
        self.tell(payloads.of_change(change, change.pid or pid))
        if change.to_state == "RUNNING" and name in self._pool_of:
            self._dispatch(self._pool_of[name])

    def _on_output(self, seen: OutputSeen) -> None:
        """A process has written something that may concern listeners."""
        process, stream, kind, data = seen
        if isinstance(data, bytes):
            self._on_answer(process, data)
            return
        made = payloads.of_output if kind == "text" else payloads.of_communication
        what = "LOG" if kind == "text" else "COMMUNICATION"
        if f"PROCESS_{what}_{stream.upper()}" in self._wanted:
            pid = process.record.pid or 0
            self.tell(made(process.program.name, process.group, pid, stream, data))

    # Pools.

    def _on_groups_changed(self, changed: GroupsChanged) -> None:
        groups = changed.after
        self._make_pools(groups)
        for name in sorted(self._groups - groups.keys()):
            self.tell(payloads.of_group(name, added=False))
        for name in sorted(groups.keys() - self._groups):
            self.tell(payloads.of_group(name, added=True))
        self._groups = set(groups)

    def _make_pools(self, groups: Mapping[str, Group]) -> None:
        """Have a pool for each group that wants events, and no other."""
        for name in self._pools.keys() - {g.name for g in groups.values() if g.events}:
            pool = self._pools.pop(name)
            if pool.retry is not None:
                pool.retry.cancel()
        self._pool_of.clear()
        for name, group in groups.items():
            if not group.events:
                continue
            pool = self._pools.setdefault(name, _Pool(name, Buffer(group.buffer_size)))
            pool.buffer.size = group.buffer_size
            pool.wanted = wanted_by(group.events)
            pool.members = tuple(program.fullname for program in group.processes)
            self._pool_of.update(dict.fromkeys(pool.members, pool))
        self._wanted = frozenset().union(*(pool.wanted for pool in self._pools.values()))
        self._set_clock()

    def _dispatch(self, pool: _Pool) -> None:
        """Send what waits, as long as somebody is ready for it."""
        while pool.buffer and pool.retry is None:
            member = self._ready(pool.members)
            if member is None:
                return
            if pool.dropped > 1:
                self._error(f"pool {pool.name}: {pool.dropped} events were discarded")
            pool.dropped = 0
            member.event = pool.buffer.take()
            member.outbox = member.event.message(self._identifier, pool.name)
            member.listening.sent()
            self._write(member)

    def _ready(self, names: Iterable[str]) -> _Member | None:
        for name in names:
            member = self._members.get(name)
            process = self._supervisor.processes.get(name)
            if (
                member is not None
                and process is not None
                and process.record.state is State.RUNNING
                and member.listening.state is Listener.READY
                and not member.deaf
            ):
                return member
        return None

    def _put_back(self, member: _Member) -> _Pool | None:
        """Have the event of a listener wait again, before all others."""
        pool, event = self._pool_of.get(member.process), member.event
        member.event = None
        if pool is not None and event is not None:
            self._say_dropped(pool, pool.buffer.put_back(event))
        return pool

    def _rejected(self, member: _Member) -> None:
        """Send its event again, at once or after a while if this goes on and on."""
        had = member.event is not None
        pool = self._put_back(member)
        if pool is None or not had:
            return
        pool.rejections += 1
        wait = pause(pool.rejections)
        if wait and pool.retry is None:
            pool.retry = self._loop.call_later(wait, self._try_again, pool)
        else:
            self._dispatch(pool)

    def _try_again(self, pool: _Pool) -> None:
        pool.retry = None
        self._dispatch(pool)

    # One listener.

    def _on_answer(self, process: Process, data: bytes) -> None:
        member = self._members.get(process.name)
        if member is None:
            return  # of its state nothing is known; it is about to be started again
        for answer in member.listening.heard(data):
            match answer:
                case Answer.READY:
                    pool = self._pool_of.get(process.name)
                    if pool is not None:
                        self._dispatch(pool)
                case Answer.ACCEPTED:
                    member.event = None
                    if pool := self._pool_of.get(process.name):
                        pool.rejections = 0
                case Answer.REJECTED:
                    self._rejected(member)
                case Answer.LOST:
                    self._warn(
                        f"{process.name}: said what no event listener may say; it gets no more"
                        " events until it is restarted"
                    )
                    self._rejected(member)

    def _write(self, member: _Member) -> None:
        """Write what the pipe takes; the rest when it takes more."""
        process = self._supervisor.processes.get(member.process)
        try:
            if member.fd < 0:
                assert process is not None
                member.fd = self._supervisor.runs.open_input(process)
            member.outbox = member.outbox[os.write(member.fd, member.outbox) :]
        except BlockingIOError:
            pass
        except OSError:
            # It has closed its input: whoever else is in the pool may have the event.
            self._warn(f"{member.process}: does not read its input; it gets no more events")
            self._release(member)
            member.deaf = True
            member.outbox = b""
            if pool := self._put_back(member):
                self._dispatch(pool)
            return
        if member.outbox:
            self._loop.add_writer(member.fd, self._write, member)
        else:
            self._loop.remove_writer(member.fd)

    def _release(self, member: _Member) -> None:
        if member.fd >= 0:
            self._loop.remove_writer(member.fd)
            os.close(member.fd)
            member.fd = -1

    def _end(self, name: str) -> None:
        """It runs no more; what it had is for the next that is ready."""
        member = self._members.pop(name, None)
        if member is None:
            return
        self._release(member)
        pool = self._put_back(member)
        self._set_clock()
        if pool is not None:
            self._dispatch(pool)

    # The clock.

    def _set_clock(self) -> None:
        """Have a timer exactly while somebody is there who wants to hear of the clock."""
        there = {id(pool): pool for name in self._members if (pool := self._pool_of.get(name))}
        wanted = frozenset().union(*(pool.wanted for pool in there.values())) & TICKS.keys()
        now = time.time()
        self._slices = {
            name: self._slices.get(name, timeslice(name, now)) for name in TICKS
            if name in wanted
        }  # fmt: skip
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        if wanted:
            period = min(TICKS[name] for name in wanted)
            self._clock = self._loop.call_later(period - now % period, self._on_clock)

    def _on_clock(self) -> None:
        now = time.time()
        for name, last in tuple(self._slices.items()):
            current = timeslice(name, now)
            if current != last:
                self._slices[name] = current
                self.tell(payloads.of_tick(name, now))
        self._set_clock()
