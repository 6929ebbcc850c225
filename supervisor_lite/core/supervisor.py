"""The table of processes: feeds events to step(), carries out its actions, publishes changes.

Synchronous: whoever wants to wait for something waits for the bus (see operations.py).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from supervisor_lite.config.definition import needs_new_child
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.runs import Runs, Surroundings
from supervisor_lite.core.spawn_queue import SpawnQueue
from supervisor_lite.core.topics import DefinitionChanged, GroupsChanged, WishWithdrawn
from supervisor_lite.errors import OperationFailed
from supervisor_lite.host.signals import send
from supervisor_lite.logs.processlogs import ProcessLogs
from supervisor_lite.model.actions import Action, Signal, SignalLeftovers, Spawn
from supervisor_lite.model.change import Change
from supervisor_lite.model.events import (
    DeadlinePassed,
    Event,
    HurryAsked,
    RestartAsked,
    StartAsked,
    StopAsked,
)
from supervisor_lite.model.plan import Group
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import NOTHING_RUNS, State
from supervisor_lite.rules import lifecycle
from supervisor_lite.store.codec import program_to_text, record_to_json
from supervisor_lite.store.journal import Journal


class Supervisor:
    """Every process that the plan defines, and what happens to it."""

    def __init__(self, around: Surroundings, bus: Bus) -> None:
        self._loop: asyncio.AbstractEventLoop = around.loop
        self._clock = around.clock
        self._journal: Journal = around.journal
        self.bus = bus
        """Where everything that happens is published."""
        self.runs = Runs(around, self.feed, bus)
        self.processes: dict[str, Process] = {}
        self.groups: dict[str, Group] = {}
        self.stopping = False
        """The daemon is on its way out: nothing is to be started any more."""
        self._flush_planned = False
        self._dirty: set[Process] = set()
        self._spawn_queue = SpawnQueue(self._loop, self._clock, self._spawn_batch)
        self._timers: dict[Process, asyncio.TimerHandle] = {}
        """For the deadlines of records."""
        self._stepping = False
        """An event is being answered: its actions are not all carried out yet."""
        self._events: deque[tuple[Process, Event]] = deque()
        """What happened and is not answered yet."""
        self._unpublished: list[Change | WishWithdrawn] = []
        self._leaving: list[Process] = []
        """Removed and down: dropped when their last change is published."""

    # The table.

    def add(self, program: Program) -> Process:
        """Put a process on the table; it is not started.

        One of this name that was to leave the table and is not down yet stays, and gets this
        definition.
        """
        present = self.processes.get(program.fullname)
        if present is not None:
            present.mark_removed(False)
            self.redefine(present, program)
            return present
        return self._put(Process(program, self._clock.wall()))

    def _put(self, process: Process) -> Process:
        self.processes[process.name] = process
        return process

    def restore(
        self, program: Program, record: Record, since: float, started: float | None
    ) -> Process:
        """Put a process on the table as an earlier daemon knew it."""
        return self._put(Process(program, since, record, started))

    def regroup(self, groups: Mapping[str, Group]) -> None:
        """Take the groups of a new plan."""
        before, self.groups = self.groups, dict(groups)
        self.bus.publish(GroupsChanged(before, self.groups))

    def drop(self, process: Process) -> None:
        """Take a process off the table, and what is kept for it away.

        One that is not down is stopped first, and leaves the table when nothing of it is left.
        """
        if self.processes.get(process.name) is not process:
            return
        if not process.is_down():
            process.mark_removed()
            self.stop(process, "", "no longer defined")
            return
        self._cancel_timer(process)
        del self.processes[process.name]
        self._journal.forget(process.name)
        self.runs.forget(process)
        self._plan_flush()

    def redefine(self, process: Process, program: Program) -> None:
        """Let a process have a newer definition, at once where it concerns only the rules."""
        down = process.record.pid is None and not process.record.leftovers
        if not down and needs_new_child(process.program, program):
            process.redefine_at_spawn(program)
            return
        self._redefine_now(process, program)
        self._remember(process)
        self.bus.publish(DefinitionChanged(process))

    def _redefine_now(self, process: Process, program: Program) -> None:
        process.redefine(program)
        if process.logs is not None:
            process.logs.change(program)

    def logs_of(self, process: Process) -> ProcessLogs:
        """Return the output of a process, opened or not."""
        return self.runs.logs_of(process)

    # What may be asked.

    def refuse_if_stopping(self) -> None:
        """Raise OperationFailed once the daemon has begun to end: nothing starts any more."""
        if self.stopping:
            raise OperationFailed("the daemon is shutting down")

    def start(self, process: Process, by: str, cause: str = "start asked") -> None:
        """Wish it up."""
        self.refuse_if_stopping()
        self.feed(process, StartAsked(by, cause))

    def stop(self, process: Process, by: str, cause: str = "stop asked") -> None:
        """Wish it down."""
        self.feed(process, StopAsked(by, cause))

    def restart(self, process: Process, by: str, cause: str = "restart asked") -> None:
        """Stop it while it is still wanted."""
        self.refuse_if_stopping()
        self.feed(process, RestartAsked(by, cause))

    def hurry(self, processes: Iterable[Process]) -> None:
        """Kill those that are being stopped, now."""
        for process in processes:
            self.feed(process, HurryAsked())

    def signal(self, process: Process, number: int) -> None:
        """Send a signal to the main process. Raises OperationFailed if there is none."""
        if process.pidfd is None:
            raise OperationFailed("not running")
        try:
            send(process.pidfd, number)
        except ProcessLookupError:
            raise OperationFailed("not running") from None
        except OSError as error:
            raise OperationFailed(f"cannot signal: {error.strerror}") from error

    # The machine.

    def feed(self, process: Process, event: Event) -> None:
        """Let one event happen, with everything that follows from it at once.

        An event that comes while another one is being answered waits until that is done. Changes
        are published when all actions were carried out, never in between: whoever hears of one may
        do anything to any process.
        """
        self._events.append((process, event))
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._events:
                self._happen(*self._events.popleft())
        finally:
            self._stepping = False
            self._publish()

    def _happen(self, process: Process, event: Event) -> None:
        if self.processes.get(process.name) is not process:
            return  # dropped: nothing happens to it any more
        queue: deque[Event] = deque((event,))
        while queue:
            now = self._clock.monotonic()
            happened = queue.popleft()
            before = process.record
            record, actions = lifecycle.step(process.program, before, happened, now)
            if record is not before:
                self._accept(process, before, record)
            for action in actions:
                answer = self._carry_out(process, action)
                if answer is not None:
                    queue.append(answer)
            if not queue and self._is_due(process, now) and not self._is_queued(process):
                queue.append(DeadlinePassed())
        self._set_timer(process)
        if process.is_down():
            self.runs.sockets.leave(process.name)
            if process.definition.is_removed:
                self._leaving.append(process)

    def _publish(self) -> None:
        """Tell everyone what has happened; subscribers may feed the next events meanwhile."""
        unpublished, self._unpublished = self._unpublished, []
        leaving, self._leaving = self._leaving, []
        self.bus.publish(*unpublished)
        for process in leaving:
            if process.definition.is_removed and process.is_down():
                self.drop(process)

    def _accept(self, process: Process, before: Record, record: Record) -> None:
        """Make the record true; note what is to be published of it."""
        new_state = record.state is not before.state
        process.move_to(record, self._clock.wall() if new_state else None)
        if new_state:
            change = self._change(process, before, record)
            self._journal.change(change)
            self._remember(process)
            self._unpublished.append(change)
        elif (record.wanted, record.pid, record.asked) != (before.wanted, before.pid, before.asked):
            self._remember(process)
            if before.wanted and not record.wanted:  # who waits for its start waits no more
                self._unpublished.append(WishWithdrawn(process.name))

    def _change(self, process: Process, before: Record, record: Record) -> Change:
        how = record.exit if record.state in NOTHING_RUNS and before.pid is not None else None
        expected = None
        if record.state is State.EXITED:
            expected = lifecycle.is_expected(process.program, record.exit)
        failed = record.state in (State.BACKOFF, State.FATAL) and not record.error
        return Change(
            serial=self._journal.next_serial(),
            time=process.since,
            name=process.name,
            process=process.program.name,
            group=process.group,
            from_state=before.state.name,
            to_state=record.state.name,
            cause=record.cause,
            note=record.note if record.state in NOTHING_RUNS | {State.STARTING} else "",
            by=record.by,
            run=record.run,
            pid=record.pid or before.pid,
            exitcode=how.code if how else None,
            signal=how.signal if how else None,
            expected=expected,
            tries=record.failures,
            last_words=process.last_words() if failed else "",
        )

    def _carry_out(self, process: Process, action: Action) -> Event | None:
        match action:
            case Spawn():
                if process.definition.next is not None:
                    self._redefine_now(process, process.definition.next)
                answer = self.runs.spawn(process)
                self._plan_flush()
                return answer
            case Signal(name, group):
                self.runs.send_signal(process, name, group=group)
            case SignalLeftovers(name):
                self.runs.end_leftovers(process, name)
        return None

    # Time.

    def _set_timer(self, process: Process) -> None:
        deadline = None if process in self._spawn_queue else process.record.deadline
        timer = self._timers.get(process)
        if timer is not None:
            if timer.when() == deadline:
                return
            self._cancel_timer(process)
        if deadline is not None:
            self._timers[process] = self._loop.call_at(deadline, self._on_deadline, process)

    def _cancel_timer(self, process: Process) -> None:
        timer = self._timers.pop(process, None)
        if timer is not None:
            timer.cancel()

    def _on_deadline(self, process: Process) -> None:
        del self._timers[process]
        if not self._is_queued(process):
            self.feed(process, DeadlinePassed())

    def wake(self, process: Process) -> None:
        """See to it that its deadline comes; a spawn that is due already has to queue."""
        if not (self._is_due(process, self._clock.monotonic()) and self._is_queued(process)):
            self.feed(process, DeadlinePassed())

    def _is_due(self, process: Process, now: float) -> bool:
        deadline = process.record.deadline
        return deadline is not None and deadline <= now

    def _is_queued(self, process: Process) -> bool:
        """Have a spawn that is due wait in the queue; tell whether it is one."""
        if not lifecycle.is_spawn_next(process.program, process.record):
            return False
        self._spawn_queue.add(process)
        return True

    def when_spawned(self, then: Callable[[], None]) -> None:
        """Call `then` when everybody who is due now has been spawned, or has failed to be."""
        self._spawn_queue.call_when_spawned(then)

    def _spawn_batch(self, batch: list[Process]) -> None:
        """Spawn those that are still to be spawned: much may have happened meanwhile."""
        now = self._clock.monotonic()
        due = [
            process
            for process in batch
            if self.processes.get(process.name) is process
            and self._is_due(process, now)
            and lifecycle.is_spawn_next(process.program, process.record)
        ]
        self.runs.intend(due)
        for process in due:
            try:
                self.feed(process, DeadlinePassed())
            except Exception as error:  # noqa: BLE001 a bug with one must not keep the others down
                context = {"message": f"cannot start {process.name}", "exception": error}
                self._loop.call_exception_handler(context)
        self.runs.settle()
        for process in batch:
            self._set_timer(process)

    # The journal.

    def _remember(self, process: Process) -> None:
        """Have the journal know the record; written once, at the end of this turn."""
        self._dirty.add(process)
        self._plan_flush()

    def _plan_flush(self) -> None:
        """Commit at the end of this turn of the loop."""
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write and commit what is not in the journal yet."""
        self._flush_planned = False
        dirty, self._dirty = self._dirty, set()
        for process in dirty:
            if self.processes.get(process.name) is process:
                self._write(process)
        if not self._journal.commit():
            self._dirty |= dirty  # tried again with the next change

    def _write(self, process: Process) -> None:
        times = {"since": process.since, "started": process.started}
        record = {**record_to_json(process.record), **times}
        if process.definition.is_in_journal and self._journal.remember(process.name, record):
            return
        process.mark_in_journal()
        self._journal.define(process.name, record, program_to_text(process.program))

    def close(self) -> None:
        """Let go of everything; no process is touched."""
        self._spawn_queue.close()
        self.flush()
        for timer in self._timers.values():
            timer.cancel()
        for process in self.processes.values():
            if process.logs is not None:
                process.logs.close()
        self.runs.close()
