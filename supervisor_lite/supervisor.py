"""The table of processes: feeds events to step(), carries out its actions, publishes changes.

Synchronous: whoever wants to wait for something waits for the bus (see operations.py). All that
touches the kernel is in `host/` and `logs/`.
"""

from __future__ import annotations

import asyncio
import os
import signal as signals
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from supervisor_lite.bus import Bus, Change
from supervisor_lite.errors import OperationFailed, SpawnError
from supervisor_lite.host import users
from supervisor_lite.host.exits import Ended, Reaper
from supervisor_lite.host.family import Families, Run
from supervisor_lite.host.identity import RUN_VARIABLE, Stat, identify
from supervisor_lite.host.spawn import Channels, Spawner
from supervisor_lite.journal import Journal
from supervisor_lite.logs import stdin
from supervisor_lite.logs.processlogs import ProcessLogs
from supervisor_lite.process import Process, record_to_json
from supervisor_lite.rules import lifecycle
from supervisor_lite.rules.events import (
    Action,
    DeadlinePassed,
    Event,
    Exited,
    HurryAsked,
    LeftoversGone,
    RestartAsked,
    Signal,
    SignalLeftovers,
    Spawn,
    Spawned,
    SpawnFailed,
    StartAsked,
    StopAsked,
)
from supervisor_lite.rules.lifecycle import Record
from supervisor_lite.rules.program import Group, Leftovers, Program, Stdin
from supervisor_lite.rules.states import State

_PIDFD_SIGNAL_PROCESS_GROUP = 4
_LAST_WORDS = 10
"""Lines of output that are shown with a failed start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the supervisor works with; made by daemon.py."""

    loop: asyncio.AbstractEventLoop
    bus: Bus
    journal: Journal
    spawner: Spawner
    runtime_dir: str
    environment: Mapping[str, str]
    """What every child gets, before its own variables."""
    report: Callable[[str], None]
    """Tells the operator about something that went wrong but stops nothing."""


class Supervisor:
    """Every process that the plan defines, and what happens to it."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._loop = around.loop
        self._journal = around.journal
        self.processes: dict[str, Process] = {}
        self.groups: dict[str, Group] = {}
        self.stopping = False
        """The daemon is on its way out: nothing is to be started any more."""
        self._by_pid: dict[int, Process] = {}
        self.reaper = Reaper(self._loop, self._on_ended, self._on_stranger)
        self.families = Families(self._loop, lambda: self.reaper)
        self._flush_planned = False

    # The table.

    def add(self, program: Program) -> Process:
        """Put a process on the table; it is not started."""
        process = Process(program, time.time())
        self.processes[program.fullname] = process
        return process

    def drop(self, process: Process) -> None:
        """Take a process that is down off the table, and its FIFOs away."""
        self.processes.pop(process.name, None)
        self._journal.forget(process.name)
        if process.logs is not None:
            process.logs.remove()
            process.logs = None
        stdin.remove(self._around.runtime_dir, process.program)
        self._plan_flush()

    def redefine(self, process: Process, program: Program) -> None:
        """Let a process have a newer definition, at once where it concerns only the rules."""
        down = process.record.pid is None and not process.record.leftovers
        if down or _same_child(process.program, program):
            process.redefine(program)
        else:
            process.pending = program
            process.changed()
            return
        if process.logs is not None:
            process.logs.change(program)
        self._remember(process)

    # What may be asked.

    def start(self, process: Process, by: str, cause: str = "start asked") -> None:
        """Wish it up."""
        if self.stopping:
            raise OperationFailed("the daemon is shutting down")
        self.feed(process, StartAsked(by, cause))

    def stop(self, process: Process, by: str, cause: str = "stop asked") -> None:
        """Wish it down."""
        self.feed(process, StopAsked(by, cause))

    def restart(self, process: Process, by: str, cause: str = "restart asked") -> None:
        """Stop it while it is still wanted."""
        if self.stopping:
            raise OperationFailed("the daemon is shutting down")
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
            signals.pidfd_send_signal(process.pidfd, number)
        except ProcessLookupError:
            raise OperationFailed("not running") from None
        except OSError as error:
            raise OperationFailed(f"cannot signal: {error.strerror}") from error

    def send(self, process: Process, data: bytes) -> int:
        """Write to the input of a process; return how many bytes it took.

        Raises OperationFailed.
        """
        if process.pidfd is None:
            raise OperationFailed("not running")
        return stdin.send(self._around.runtime_dir, process.program, data)

    # The machine.

    def feed(self, process: Process, event: Event) -> None:
        """Let one event happen, with everything that follows from it at once."""
        queue: deque[Event] = deque((event,))
        while queue:
            now = time.monotonic()
            happened = queue.popleft()
            before = process.record
            record, actions = lifecycle.step(process.program, before, happened, now)
            if record is not before:
                self._accept(process, before, record)
            for action in actions:
                answer = self._carry_out(process, action)
                if answer is not None:
                    queue.append(answer)
            due = process.record.deadline
            if not queue and due is not None and due <= now:
                queue.append(DeadlinePassed())
        self._set_timer(process)

    def _accept(self, process: Process, before: Record, record: Record) -> None:
        """Make the record true; tell everyone if the state is another one."""
        process.record = record
        process.changed()
        if record.state is not before.state:
            process.since = time.time()
            change = self._change(process, before, record)
            self._journal.change(change)
            self._remember(process)
            self._around.bus.publish(change)
        elif record.wanted != before.wanted or record.pid != before.pid:
            self._remember(process)
        if process.removed and process.is_down():
            self.drop(process)

    def _change(self, process: Process, before: Record, record: Record) -> Change:
        ended = record.state in (State.BACKOFF, State.EXITED, State.FATAL, State.STOPPED)
        how = record.exit if ended else None
        expected = None
        if record.state is State.EXITED:
            expected = lifecycle.is_expected(process.program, record.exit)
        failed = record.state in (State.BACKOFF, State.FATAL)
        return Change(
            serial=self._journal.next_serial(),
            time=process.since,
            name=process.name,
            process=process.program.name,
            group=process.group,
            from_state=before.state.name,
            to_state=record.state.name,
            cause=record.cause,
            note=record.note if ended else "",
            by=record.by,
            run=record.run,
            pid=record.pid or before.pid,
            exitcode=how.code if how else None,
            signal=how.signal if how else None,
            expected=expected,
            tries=record.failures,
            last_words=self._last_words(process) if failed else "",
        )

    def _last_words(self, process: Process) -> str:
        if process.logs is None or process.record.error:
            return ""
        return process.logs.last_lines(_LAST_WORDS)

    def _carry_out(self, process: Process, action: Action) -> Event | None:
        match action:
            case Spawn():
                return self._spawn(process)
            case Signal(name, group):
                self._send(process, name, group)
            case SignalLeftovers(name):
                run = process.record.run
                assert run is not None
                self.families.end(run, name, lambda words: self._on_gone(process, run, words))
        return None

    def _set_timer(self, process: Process) -> None:
        deadline = process.record.deadline
        timer = process.timer
        if timer is not None:
            if timer.when() == deadline:
                return
            timer.cancel()
            process.timer = None
        if deadline is not None:
            process.timer = self._loop.call_at(deadline, self._on_deadline, process)

    # What happens.

    def _on_deadline(self, process: Process) -> None:
        process.timer = None
        self.feed(process, DeadlinePassed())

    def _on_ended(self, batch: list[Ended]) -> None:
        """Main processes ended: note it, see what they left, let the rules answer."""
        over = [(process, e) for e in batch if (process := self._by_pid.pop(e.pid, None))]
        runs = [p.record.run for p, _ in over if p.record.run is not None]
        left = self.families.survivors(runs)
        for process, ended in over:
            run = process.record.run
            assert run is not None
            if process.pidfd is not None:
                os.close(process.pidfd)
                process.pidfd = None
            process.adopted = False
            if process.logs is not None:
                process.logs.drain()
            survivors = left.get(run, [])
            kill = process.program.leftovers is Leftovers.KILL
            usage = ended.usage
            self._journal.ended(
                run,
                code=ended.exit.code,
                signal=ended.exit.signal,
                reason=str(ended.exit),
                usage=(usage.maxrss, usage.utime, usage.stime) if usage else None,
            )
            kept = "" if kill else _kept(survivors)
            if not (kill and survivors):
                self.families.forget(run)
            self.feed(process, Exited(run, ended.exit, bool(kill and survivors), kept))

    def _on_gone(self, process: Process, run: int, words: str) -> None:
        self.families.forget(run)
        if process.logs is not None:
            process.logs.drain()
        self.feed(process, LeftoversGone(run, words))

    def _on_stranger(self, pid: int) -> None:
        self.families.stranger_ended(pid)

    # What is done.

    def _spawn(self, process: Process) -> Spawned | SpawnFailed:
        if process.pending is not None:
            process.redefine(process.pending)
            if process.logs is not None:
                process.logs.change(process.program)
        program = process.program
        run = self._journal.intend(process.name)
        marker = f"{self._journal.instance}:{run}"
        try:
            channels = self._open_channels(process)
            environment = self._environment(process, marker)
            child = self._around.spawner.spawn(program, environment, channels)
        except SpawnError as error:
            self._journal.ended(run, code=None, signal=None, reason=str(error))
            return SpawnFailed(run, str(error))
        identity = identify(child.pid, child.pidfd)
        assert identity is not None, "a child that nobody has reaped is in /proc"
        self._journal.spawned(run, child.pid, identity.boot, identity.start, identity.inode)
        self._plan_flush()
        process.pidfd = child.pidfd
        process.started = time.time()
        self._by_pid[child.pid] = process
        self.families.add(Run(run, marker, child.pid, identity.start))
        self.reaper.watch(child.pid, child.pidfd)
        return Spawned(run, child.pid)

    def logs_of(self, process: Process) -> ProcessLogs:
        """Return the output of a process, opened or not."""
        if process.logs is None:
            around = self._around
            process.logs = ProcessLogs(
                self._loop, around.runtime_dir, process.program, around.report
            )
        return process.logs

    def _open_channels(self, process: Process) -> Channels:
        program = process.program
        uid, gid = os.geteuid(), os.getegid()
        if program.user is not None:
            user = users.lookup(program.user)
            uid, gid = user.uid, user.gid
        logs = self.logs_of(process)
        logs.open(uid, gid)
        source = None
        if program.stdin is Stdin.PIPE:
            source = stdin.stdin_path(self._around.runtime_dir, program, uid, gid)
        stdout, stderr, joined = logs.child_paths()
        return Channels(source, stdout, stderr, joined)

    def _environment(self, process: Process, marker: str) -> dict[str, str]:
        program = process.program
        environment = {
            **self._around.environment,
            "SUPERVISOR_PROCESS_NAME": program.name,
            "SUPERVISOR_GROUP_NAME": process.group,
            **program.environment,
            RUN_VARIABLE: marker,
        }
        if program.serverurl is not None:
            environment["SUPERVISOR_SERVER_URL"] = program.serverurl
        return environment

    def _send(self, process: Process, name: str, group: bool) -> None:
        """Send a signal that the rules ask for; an ended process is no error."""
        if process.pidfd is None:
            return
        number = signal_number(name)
        try:
            if group:
                _send_to_group(process.pidfd, process.record.pid, number)
            else:
                signals.pidfd_send_signal(process.pidfd, number)
        except ProcessLookupError:
            return
        except OSError as error:
            self._around.report(f"{process.name}: cannot send {name}: {error.strerror}")

    # The journal.

    def _remember(self, process: Process) -> None:
        if process.name in self.processes:
            record = record_to_json(process.record)
            self._journal.remember(process.name, record, process.definition())
        self._plan_flush()

    def _plan_flush(self) -> None:
        """Commit at the end of this turn of the loop."""
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        self._journal.commit()

    def close(self) -> None:
        """Let go of everything; no process is touched."""
        self.reaper.stop()
        for process in self.processes.values():
            if process.timer is not None:
                process.timer.cancel()
            if process.logs is not None:
                process.logs.close()


def signal_number(name: str) -> int:
    """Return the number of a canonical signal name ("TERM", "RTMIN+1")."""
    base, _, offset = name.partition("+")
    return int(signals.Signals[f"SIG{base}"]) + int(offset or 0)


def _send_to_group(pidfd: int, pid: int | None, number: int) -> None:
    """Send to the whole process group; by pidfd where the kernel can (Linux >= 6.9)."""
    try:
        signals.pidfd_send_signal(pidfd, number, None, _PIDFD_SIGNAL_PROCESS_GROUP)
    except OSError as error:
        if isinstance(error, ProcessLookupError) or pid is None:
            raise
        os.killpg(pid, number)  # the leader is not reaped: its pid is still its own


# Fields that only the rules, the logs and the operator's view read: a child that runs does not
# have to be replaced when one of them changes.
_RULES_ONLY = (
    "priority", "autostart", "autorestart", "exitcodes", "startsecs", "startretries", "stopsignal",
    "stopwaitsecs", "stopasgroup", "killasgroup", "leftovers", "backoff", "restart_limit",
)  # fmt: skip


def _same_child(old: Program, new: Program) -> bool:
    """Would both definitions start the same child?"""
    same = replace(old, **{name: getattr(new, name) for name in _RULES_ONLY})
    if (old.stdout.path, old.stderr.path) == (new.stdout.path, new.stderr.path):
        same = replace(same, stdout=new.stdout, stderr=new.stderr)
    return same == new


def _kept(survivors: list[Stat]) -> str:
    if not survivors:
        return ""
    names = ", ".join(f"{stat.pid} {stat.name}" for stat in survivors)
    return f"{len(survivors)} left running: {names}"
