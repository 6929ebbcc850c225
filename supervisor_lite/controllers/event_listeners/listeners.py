"""Event listeners: what happens, made into events for those who want them (docs/listeners.md).

What happens comes from the bus, becomes an event of Supervisor's (rules/event_listener), and goes
to each pool that wants it (pools.py). The sessions of the listeners that run (sessions.py) begin
and end with the changes of their processes; what they write comes from the bus as well.

An upgrade of the daemon hands all of this on (`to_json`), so a listener does not notice it. After a
death of the daemon nothing is known of what a listener was doing: it is restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from supervisor_lite.controllers.event_listeners.pools import Pool
from supervisor_lite.controllers.event_listeners.reports import ListenerReports
from supervisor_lite.controllers.event_listeners.sessions import ListenerSession
from supervisor_lite.controllers.event_listeners.ticks import Ticks
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import (
    DaemonStateChanged,
    GroupsChanged,
    OutputSeen,
    RemoteEvent,
)
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.events import Faulted
from supervisor_lite.model.plan import Group
from supervisor_lite.model.states import UP, State
from supervisor_lite.rules.event_listener import payloads
from supervisor_lite.rules.event_listener.payloads import ListenerEvent
from supervisor_lite.rules.event_listener.session import Answer

_ENDED = frozenset(("EXITED", "BACKOFF", "FATAL", "STOPPED"))


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
        """Subscribe to everything; `begin` must be called before anything happens."""
        self._supervisor = supervisor
        self._loop = asyncio.get_running_loop()
        self._identifier = identifier
        self._warn = warn
        self._error = error
        self._pools: dict[str, Pool] = {}
        self._pool_of: dict[str, Pool] = {}
        """By name of a listener."""
        self._sessions: dict[str, ListenerSession] = {}
        self._wanted: frozenset[str] = frozenset()
        """Names of the events that any pool wants: of others not even a text is made."""
        self._serial = 0
        self._groups: set[str] = set()
        """Those that listeners know of."""
        self._stopping: dict[str, int] = {}
        """Pids of processes that are being stopped: a change to STOPPED does not have them."""
        self._reports = ListenerReports(
            supervisor, self._loop, self._sessions.get, self._pool_of.get
        )
        self._ticks = Ticks(self._loop, self.publish)
        bus.subscribe(Change, self._on_change)
        bus.subscribe(GroupsChanged, self.on_groups_changed)
        bus.subscribe(OutputSeen, self._on_output)
        bus.subscribe(RemoteEvent, lambda e: self.publish(payloads.of_remote(e.kind, e.data)))
        bus.subscribe(DaemonStateChanged, lambda c: self.publish(payloads.of_daemon(c.state)))

    # The start of the daemon, and its upgrade.

    def begin(self, groups: Mapping[str, Group], inherited: Mapping[str, Any] | None) -> None:
        """Make the pools, before the first change; `inherited` is from `to_json`, in an upgrade."""
        self._make_pools(groups)
        if not inherited:
            return
        try:
            self._restore(inherited)
        except (KeyError, TypeError, ValueError) as error:
            self._warn(f"what listeners were doing before the upgrade is unusable: {error!r}")
            self._sessions.clear()

    def resume(self, *, upgraded: bool) -> None:
        """Go on with listeners that an earlier daemon has started. Called after the adoption.

        What such a listener is doing is known after an upgrade only; else it is restarted.
        """
        for name, session in tuple(self._sessions.items()):
            process = self._supervisor.processes.get(name)
            if session.run is not None and (process is None or process.record.run != session.run):
                self._end_session(name)
                continue
            self._reports.begin(name)
            if session.outbox:
                session.write()
        for process in tuple(self._supervisor.processes.values()):
            known = process.name in self._sessions or not process.program.listener
            if not known and process.pidfd is not None and process.record.state in UP:
                lost = Cause(CauseKind.STATE_LOST)
                self._supervisor.feed(process, Faulted(lost))
        if not upgraded:
            self.publish(payloads.of_daemon("RUNNING"))
        for pool in self._pools.values():
            pool.dispatch()
        self._set_ticks()

    def to_json(self) -> dict[str, Any]:
        """Return all that the next version of the daemon has to know; part of the handover."""
        members = {
            name: session.to_json(process.record.run)
            for name, session in self._sessions.items()
            if (process := self._supervisor.processes.get(name)) is not None
        }
        pools = {name: pool.to_json() for name, pool in self._pools.items()}
        groups = sorted(self._groups)
        return {"serial": self._serial, "groups": groups, "pools": pools, "members": members}

    def _restore(self, inherited: Mapping[str, Any]) -> None:
        self._serial = int(inherited["serial"])
        self._groups = set(inherited["groups"])
        for name, values in inherited["pools"].items():
            if name in self._pools:
                self._pools[name].restore(values)
        for name, values in inherited["members"].items():
            session = self._new_session(name)
            session.restore(values)
            self._sessions[name] = session

    # What happens.

    def publish(self, event: ListenerEvent) -> None:
        """Queue an event for every pool that wants it, and send it where a listener is ready."""
        if event.name not in self._wanted:
            return
        serial, self._serial = self._serial, self._serial + 1
        for pool in self._pools.values():
            if event.name in pool.wanted:
                pool.add(serial, event)

    def _on_change(self, change: Change) -> None:
        """Publish it; the process may be a listener itself."""
        name = change.name
        if not self._pools and name not in self._sessions:
            return
        if change.from_state == change.to_state:
            return  # Supervisor has no event for it
        process = self._supervisor.processes.get(name)
        if change.to_state in _ENDED:
            self._end_session(name)
        elif change.to_state == "STARTING" and process is not None and process.program.listener:
            self._end_session(name)
            self._sessions[name] = self._new_session(name)
            self._reports.begin(name)
            self._set_ticks()
        if change.to_state == "STOPPING":
            self._stopping[name] = change.pid or 0
        pid = self._stopping.pop(name, 0) if change.to_state == "STOPPED" else 0
        self.publish(payloads.of_change(change, change.pid or pid))
        if change.to_state == "RUNNING" and name in self._pool_of:
            self._pool_of[name].dispatch()

    def _on_output(self, output: OutputSeen) -> None:
        """Publish what a process has written, or parse it if that is a listener's answer."""
        process, stream, kind, data = output
        if isinstance(data, bytes):
            self._on_answer(process.name, data)
            return
        make = payloads.of_output if kind == "text" else payloads.of_communication
        family = "LOG" if kind == "text" else "COMMUNICATION"
        if f"PROCESS_{family}_{stream.upper()}" in self._wanted:
            pid = process.record.pid or 0
            self.publish(make(process.program.name, process.group, pid, stream, data))

    def on_groups_changed(self, changed: GroupsChanged) -> None:
        """Have the pools of the new plan, and publish which groups came and went."""
        known, groups = self._groups | changed.before.keys(), changed.after
        self._make_pools(groups)
        for name in sorted(known - groups.keys()):
            self.publish(payloads.of_group(name, added=False))
        for name in sorted(groups.keys() - known):
            self.publish(payloads.of_group(name, added=True))
        self._groups = set(groups)

    # Pools.

    def _make_pools(self, groups: Mapping[str, Group]) -> None:
        """Have a pool for each group that wants events, and no other."""
        for name in self._pools.keys() - {g.name for g in groups.values() if g.events}:
            self._pools.pop(name).close()
        self._pool_of.clear()
        for name, group in groups.items():
            if not group.events:
                continue
            if (pool := self._pools.get(name)) is None:
                pool = Pool(
                    name, self._identifier, self._first_ready, self._error, self._on_overflow
                )
                self._pools[name] = pool
            pool.configure(group)
            self._pool_of.update(dict.fromkeys(pool.members, pool))
        self._wanted = frozenset().union(*(pool.wanted for pool in self._pools.values()))
        self._set_ticks()

    def _set_ticks(self) -> None:
        """Have ticks exactly while a listener is there whose pool wants them."""
        there = {id(pool): pool for name in self._sessions if (pool := self._pool_of.get(name))}
        self._ticks.want(frozenset().union(*(pool.wanted for pool in there.values())))

    # Sessions.

    def _first_ready(self, names: Iterable[str]) -> ListenerSession | None:
        for name in names:
            session = self._sessions.get(name)
            process = self._supervisor.processes.get(name)
            if session is None or process is None or not session.is_ready():
                continue
            if process.record.state is State.RUNNING:
                return session
        return None

    def _new_session(self, name: str) -> ListenerSession:
        return ListenerSession(name, self._loop, self._open_input, self._on_input_closed)

    def _open_input(self, name: str) -> int:
        return self._supervisor.channels.open_input(self._supervisor.processes[name])

    def _on_input_closed(self, session: ListenerSession) -> None:
        """Whoever else is in the pool may have its event."""
        self._reports.tell(session.process)
        if pool := self._requeue(session):
            pool.dispatch()

    def _on_overflow(self, pool: Pool) -> None:
        for name in pool.members:
            self._reports.tell(name)

    def _requeue(self, session: ListenerSession) -> Pool | None:
        """Give its event back to its pool; return that. Without a pool nobody wants the event."""
        if (pool := self._pool_of.get(session.process)) is None:
            session.event = None
        else:
            pool.requeue(session)
        return pool

    def _on_answer(self, name: str, data: bytes) -> None:
        session = self._sessions.get(name)
        if session is None:
            return  # what it is doing was lost with the daemon; it is about to be restarted
        for answer in session.protocol.receive(data):
            pool = self._pool_of.get(name)
            match answer:
                case Answer.READY:
                    if pool is not None:
                        pool.dispatch()
                case Answer.ACCEPTED:
                    session.event = None
                    session.rejections = 0
                    if pool is not None:
                        pool.rejections = 0
                case Answer.REJECTED | Answer.INVALID:
                    if answer is Answer.REJECTED:
                        session.rejected += 1
                        session.rejections += 1
                    self._reports.tell(name)
                    if pool is not None:
                        pool.reject(session)
                    else:
                        session.event = None

    def _end_session(self, name: str) -> None:
        """Its run is over; the event that it had is for the next listener that is ready."""
        session = self._sessions.pop(name, None)
        if session is None:
            return
        session.close()
        pool = self._requeue(session)
        self._set_ticks()
        if pool is not None:
            pool.dispatch()
