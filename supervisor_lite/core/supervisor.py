"""The engine: feeds events to the rules, carries out what they answer, publishes what has changed.

**One event.** `feed(process, event)` is the only way in which anything happens to a process. The
rules (`rules.lifecycle.step`, called nowhere else) answer with the next record and with actions.
The record becomes true, then the actions are carried out in order. An action may have an answer of
its own (`Spawn`: there is a process now, or there is none), and a step may have set a deadline that
has passed already: both are further events, and are answered before `feed` is done. Everything is
synchronous; whoever wants to wait for something waits for the bus (waiting.py).

**Publishing.** A change is made, with its serial, when the record becomes true, and goes to the
journal at once. It is published when the queue of events is empty, that is, when all actions were
carried out, and never in between: a subscriber that hears STARTING finds a process, or the reason
why there is none, and may do anything to any process. It may find the record further on than the
change says, because one event can bring several changes. The order of serials is the order in the
journal and the order of publication, for every subscriber (bus.py).

**Re-entrancy.** A subscriber that calls `start`, `stop`, `restart` or `drop` comes in by `feed`
again. At that moment no event is half answered, so its event is answered at once, and when the call
returns the record is the new one; only its changes wait until those before them have reached
everybody. If `feed` is called while an event *is* half answered (from inside an action), the event
waits until that is done.

**Time.** A record has one deadline, and a process one timer for it. One that comes too early or too
late is harmless: the rules look at the clock. A deadline whose answer would be a spawn is not
answered by the timer: the process goes to the spawn queue, because many may be due at once.

**Who writes what.** The record: `_accept`, here. Definitions, and who is on the table: table.py.
The live run (pidfd, output): runs.py. The journal gets records and definitions from persistence.py
at the end of the loop's iteration, runs before and after each fork from runs.py, changes from here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.changes import describe_change
from supervisor_lite.core.channels import ProcessChannels
from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.interventions import Interventions
from supervisor_lite.core.persistence import Persistence
from supervisor_lite.core.process import Process
from supervisor_lite.core.runs import Runs
from supervisor_lite.core.spawn_queue import SpawnQueue
from supervisor_lite.core.stop_signals import StopSignals
from supervisor_lite.core.table import ProcessTable, put_into_force
from supervisor_lite.core.timers import Timers
from supervisor_lite.core.topics import WishWithdrawn
from supervisor_lite.core.unfinished import Unfinished
from supervisor_lite.errors import OperationFailed
from supervisor_lite.model.actions import Action, Signal, SignalLeftovers, Spawn
from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.events import (
    RESTART_ASKED,
    START_ASKED,
    STOP_ASKED,
    DeadlinePassed,
    Event,
    KillAsked,
    RestartAsked,
    StartAsked,
    StopAsked,
)
from supervisor_lite.model.record import Record
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.rules import lifecycle

Feed = Callable[[Process, Event], None]
MakeRuns = Callable[[EngineContext, ProcessChannels, Feed], Runs]


class Supervisor:
    """Every process that the plan defines, and what happens to it."""

    def __init__(
        self,
        context: EngineContext,
        bus: Bus,
        make_runs: MakeRuns = Runs,
    ) -> None:
        """`make_runs` gets what tells us of the ends of runs."""
        self._loop = context.loop
        self._clock = context.clock
        self._journal = context.journal
        self.bus = bus
        """Where everything that happens is published."""
        self.processes: dict[str, Process] = {}
        """By name. Only `table` changes it."""
        self._persistence = Persistence(self._loop, self._journal, self.processes)
        self.table = ProcessTable(self.processes, self._clock, bus, self._persistence)
        self.channels = ProcessChannels(context, bus)
        self.runs = make_runs(context, self.channels, self.feed)
        self.flush = self._persistence.flush
        self.interventions = Interventions(
            context, bus, self.channels, self._persistence.schedule_flush
        )
        self.signals = StopSignals(context, self.runs, self._persistence)
        self.unfinished = Unfinished(self._journal.operations, self._persistence.schedule_flush)
        self.stopping = False
        """The daemon is on its way out: nothing is to be started any more."""
        self._spawn_queue = SpawnQueue(self._loop, self._clock, self._spawn_batch)
        self._timers = Timers(self._loop, self._on_deadline)
        self._stepping = False
        """An event is half answered."""
        self._events: deque[tuple[Process, Event]] = deque()
        """What has happened and is not answered yet."""
        self._unpublished: list[Change | WishWithdrawn] = []
        self._leaving: list[Process] = []
        """Removed and down: dropped when their last change is published."""

    # What may be asked.

    def refuse_if_stopping(self) -> None:
        """Raise OperationFailed once the daemon has begun to end: nothing starts any more."""
        if self.stopping:
            raise OperationFailed("the daemon is shutting down", ErrorCode.SHUTTING_DOWN)

    def start(self, process: Process, by: str, cause: Cause = START_ASKED) -> None:
        """Wish it up."""
        self.refuse_if_stopping()
        self.feed(process, StartAsked(by, cause))

    def stop(self, process: Process, by: str, cause: Cause = STOP_ASKED) -> None:
        """Wish it down."""
        self.feed(process, StopAsked(by, cause))

    def restart(self, process: Process, by: str, cause: Cause = RESTART_ASKED) -> None:
        """Stop it while it is still wanted."""
        self.refuse_if_stopping()
        self.feed(process, RestartAsked(by, cause))

    def kill_now(self, processes: Iterable[Process]) -> None:
        """Kill those that are being stopped, now."""
        for process in processes:
            self.feed(process, KillAsked())

    def drop(self, process: Process) -> None:
        """Take a process off the table, and what is kept for it away.

        One that is not down is stopped first, and leaves the table when nothing of it is left.
        """
        if not self.table.has(process):
            return
        if not process.is_down():
            process.mark_removed()
            self.stop(process, "", Cause(CauseKind.NO_LONGER_DEFINED))
            return
        self._timers.set(process, None)
        self.table.discard(process)
        self.runs.forget(process)
        self.channels.remove(process)

    # The machine.

    def feed(self, process: Process, event: Event) -> None:
        """Let one event happen, with everything that follows from it at once; then publish it."""
        self._events.append((process, event))
        if self._stepping:
            return
        self._stepping = True
        try:
            while self._events:
                self._answer(*self._events.popleft())
        finally:
            self._stepping = False
            self._publish()

    def _answer(self, process: Process, event: Event) -> None:
        """Step until nothing more follows."""
        if not self.table.has(process):
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
            self.channels.release(process)
            if process.definition.is_removed:
                self._leaving.append(process)

    def _accept(self, process: Process, before: Record, record: Record) -> None:
        """Make the record true; note what is to be published of it."""
        moved = record.state is not before.state
        process.move_to(record, self._clock.wall() if moved else None)
        if moved or (before.pid is not None and record.pid not in (None, before.pid)):
            serial = self._journal.next_serial()
            change = describe_change(process, before, serial, self._clock.wall())
            self._journal.add_change(change)
            self._unpublished.append(change)
        kept = (record.wanted, record.pid, record.asked)
        if moved or kept != (before.wanted, before.pid, before.asked):
            self._persistence.remember(process)
            if before.wanted and not record.wanted and not moved:
                self._unpublished.append(WishWithdrawn(process.name))  # who waits, waits no more

    def _carry_out(self, process: Process, action: Action) -> Event | None:
        match action:
            case Spawn():
                if process.definition.next is not None:
                    put_into_force(process, process.definition.next)
                answer = self.runs.spawn(process)
                self._persistence.schedule_flush()
                return answer
            case Signal(name, group):
                self.signals.send(process, name, group)
            case SignalLeftovers(name, told):
                self.signals.send_to_leftovers(process, name, told)
        return None

    def _publish(self) -> None:
        """Tell everyone what has happened; subscribers may feed the next events meanwhile."""
        unpublished, self._unpublished = self._unpublished, []
        leaving, self._leaving = self._leaving, []
        self.bus.publish(*unpublished)
        for process in leaving:
            if process.definition.is_removed and process.is_down():
                self.drop(process)

    # Time.

    def _set_timer(self, process: Process) -> None:
        queued = process in self._spawn_queue
        self._timers.set(process, None if queued else process.record.deadline)

    def _on_deadline(self, process: Process) -> None:
        if not self._is_queued(process):
            self.feed(process, DeadlinePassed())

    def wake(self, process: Process) -> None:
        """See to it that its deadline comes, which may have passed; a spawn has to queue."""
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
            if self.table.has(process)
            and self._is_due(process, now)
            and lifecycle.is_spawn_next(process.program, process.record)
        ]
        self.runs.reserve_run_ids(due)
        for process in due:
            try:
                self.feed(process, DeadlinePassed())
            except Exception as error:  # noqa: BLE001 a bug with one must not keep the others down
                context = {"message": f"cannot start {process.name}", "exception": error}
                self._loop.call_exception_handler(context)
        self.runs.record_identities()
        for process in batch:
            self._set_timer(process)

    def close(self) -> None:
        """Let go of everything; no process is touched."""
        self._spawn_queue.close()
        self._persistence.flush()
        self._timers.close()
        for process in self.processes.values():
            if process.logs is not None:
                process.logs.close()
        self.runs.close()
        self.channels.close()
