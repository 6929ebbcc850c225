"""The runs of processes: spawned or taken over, signalled, ended, and what they leave behind.

What connects the table of processes with the kernel, the journal and the logs. It decides
nothing: it answers actions of the rules, and tells events.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from supervisor_lite.core.bus import Bus
from supervisor_lite.core.clock import Clock
from supervisor_lite.core.process import Process
from supervisor_lite.core.topics import OutputSeen
from supervisor_lite.errors import OperationFailed, SpawnError, SpawnErrorCode
from supervisor_lite.explain.cause import memory_text, note_text
from supervisor_lite.host import users
from supervisor_lite.host.cgroup import OomKill
from supervisor_lite.host.cgroups import Cgroups
from supervisor_lite.host.helper import run_helper
from supervisor_lite.host.identity import identify
from supervisor_lite.host.process_trees import ProcessTrees
from supervisor_lite.host.procfs import RUN_VARIABLE, Stat
from supervisor_lite.host.reaper import Ended, Reaper, Usage
from supervisor_lite.host.run import Run
from supervisor_lite.host.secrets.for_run import RunSecrets
from supervisor_lite.host.signals import send, send_to_group, signal_number
from supervisor_lite.host.socket_set import SocketSet
from supervisor_lite.host.spawn import Spawner
from supervisor_lite.host.spawn_request import Channels, SpawnRequest
from supervisor_lite.host.terminate import kept
from supervisor_lite.logs import stdin
from supervisor_lite.logs.fifo import fifo_path, stored_name
from supervisor_lite.logs.filtering import OutputKind
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.processlogs import STREAMS, ProcessLogs
from supervisor_lite.model.cause import Cause, CauseKind, Note, SpawnFailure
from supervisor_lite.model.events import Exited, LeftoversGone, Spawned, SpawnFailed
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Leftovers, Program, Stdin
from supervisor_lite.model.states import State
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.store.journal import Journal


class Surroundings(NamedTuple):
    """What the engine needs from outside; made by daemon/app.py."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    journal: Journal
    spawner: Spawner
    cgroups: Cgroups
    runtime_dir: str
    environment: Mapping[str, str]
    """What every child gets, before its own variables."""
    report: Callable[[str], None]
    """Tells the operator about something that went wrong but stops nothing."""
    store: Callable[[str, int], None]
    """Has a descriptor kept for the next daemon, under a name."""
    unstore: Callable[[str], None]


class Runs:
    """Every live run, and the processes of those that are over but not gone."""

    def __init__(
        self,
        around: Surroundings,
        tell: Callable[[Process, Exited | LeftoversGone], None],
        bus: Bus,
    ) -> None:
        self._around = around
        self._loop = around.loop
        self._journal = around.journal
        self._tell = tell
        self._bus = bus
        self._by_pid: dict[int, Process] = {}
        self._intended: dict[Process, int] = {}
        """Run ids that are in the journal, of runs that are not spawned yet."""
        self._unrecorded: list[tuple[Process, Run, int]] = []
        """Runs that were spawned in this turn of the loop, with their pidfds."""
        self._pipes = Pipes(around.loop)
        self.reaper = Reaper(self._loop, self._on_ended, self._on_orphan_ended)
        self.cgroups = around.cgroups
        self._trees = ProcessTrees(
            self._loop, self.reaper.is_watched, self.cgroups, self._on_oom_kill
        )
        self.sockets = SocketSet(around.store, around.unstore)
        self.secrets = RunSecrets(around.runtime_dir, around.report)

    # Spawning.

    def reserve_run_ids(self, processes: Sequence[Process]) -> None:
        """Write down that these are about to be spawned, all in one commit."""
        new = [process for process in processes if process not in self._intended]
        numbers = self._journal.reserve_runs([process.name for process in new])
        self._intended.update(zip(new, numbers, strict=True))

    def spawn(self, process: Process) -> Spawned | SpawnFailed:
        """Start a run of a process; call `record_identities` before the event loop goes on."""
        program = process.program
        if process not in self._intended:
            self.reserve_run_ids([process])
        run = self._intended.pop(process)
        marker = f"{self._journal.instance}:{run}"
        group = self.cgroups.make(run, program)
        try:
            self._around.spawner.check()  # before anything is opened for it
            channels = self._open_channels(process)
            program = self.secrets.provide(program, run)
            environment = self._environment(program, marker)
            request = SpawnRequest(program, environment, channels, group)
            child = self._around.spawner.spawn(request)
        except Exception as error:  # noqa: BLE001 a bug with one program must not stop the others
            if group is not None:
                self.cgroups.discard(group)
            self.secrets.revoke(program, run)
            if isinstance(error, SpawnError):
                failure = SpawnFailure(error.code, str(error), error.name)
            else:
                failure = SpawnFailure(SpawnErrorCode.INTERNAL, f"internal error: {error!r}")
                context = {"message": f"cannot start {process.name}", "exception": error}
                self._loop.call_exception_handler(context)
            self._journal.record_end(run, Cause(CauseKind.SPAWN_FAILED, error=failure))
            return SpawnFailed(run, failure)
        self._around.store(f"run-{run}", child.pidfd)
        process.begin_run(child.pidfd, self._around.clock.wall())
        self._by_pid[child.pid] = process
        if group is not None and child.outside:
            self.cgroups.give_up(child.outside)
            self.cgroups.discard(group)
            group = None
        if group is not None:
            self.cgroups.limits.apply_after_exec(group, program)
        begun = Run(run, marker, child.pid, 0, cgroup=group)
        self._join(process, begun)
        self._unrecorded.append((process, begun, child.pidfd))
        self.reaper.watch(child.pid, child.pidfd)
        return Spawned(run, child.pid)

    def record_identities(self) -> None:
        """Write down who was spawned in this turn: its end cannot have been collected yet.

        /proc makes us wait while a child is in the middle of its exec, closing all that we have
        open: so this is done for all of a turn, when most of them are through.
        """
        unrecorded, self._unrecorded = self._unrecorded, []
        for process, run, pidfd in unrecorded:
            identity = identify(run.root, pidfd)
            if identity is None:
                hidden = "cannot see its process in /proc (is it mounted with hidepid?): killed"
                self._around.report(f"{process.name}: {hidden}")
                send(pidfd, signal_number("KILL"))
                continue
            run.start = identity.start
            self._journal.record_spawn(
                run.number, run.root, identity.boot, identity.start, identity.inode,
                process.started,
            )  # fmt: skip

    def _join(self, process: Process, run: Run) -> None:
        """Let a run be known by everything that its descendants inherit."""
        if process.logs is not None:
            run.outputs = process.logs.inodes()
        self._trees.add(run)

    def logs_of(self, process: Process) -> ProcessLogs:
        """Return the output of a process, opened or not."""
        logs = process.logs
        if logs is None:
            around = self._around

            def on_output(stream: str, kind: OutputKind, data: str | bytes) -> None:
                if self._bus.has_subscribers(OutputSeen):
                    self._bus.publish(OutputSeen(process, stream, kind, data))

            logs = ProcessLogs(
                self._pipes, around.runtime_dir, process.program, around.report, on_output=on_output
            )
            process.set_logs(logs)
        return logs

    def _open_channels(self, process: Process) -> Channels:
        program = process.program
        uid, gid = users.ids(program.user)
        logs = self.logs_of(process)
        before = logs.fds()
        logs.open(uid, gid)
        for stream, fd in logs.fds().items():
            if stream not in before:
                self._around.store(stored_name(fd), fd)
        source = None
        if program.listener:
            source = stdin.fresh_path(self._around.runtime_dir, program, uid, gid)
        elif program.stdin is Stdin.PIPE:
            source = stdin.stdin_path(self._around.runtime_dir, program, uid, gid)
        stdout, stderr, joined = logs.child_paths()
        channels = Channels(source, stdout, stderr, joined)
        sockets = self.sockets.acquire(process.name, program.sockets, uid, gid)
        if not sockets:
            return channels
        if program.stdin is Stdin.SOCKET:
            return channels._replace(stdin_socket=sockets[0])
        names = tuple(each.name or program.program or program.name for each in program.sockets)
        return channels._replace(sockets=tuple(sockets), socket_names=names)

    def _environment(self, program: Program, marker: str) -> dict[str, str]:
        environment = {
            **self._around.environment,
            "SUPERVISOR_PROCESS_NAME": program.name,
            "SUPERVISOR_GROUP_NAME": program.group or program.name,
            **program.environment,
            RUN_VARIABLE: marker,
        }
        if program.serverurl is not None:
            environment["SUPERVISOR_SERVER_URL"] = program.serverurl
        return environment

    # While it lives.

    def send_signal(self, process: Process, name: str, *, group: bool) -> None:
        """Send a signal that the rules ask for; a process that has ended is no error."""
        if process.pidfd is None:
            return
        try:
            if group:
                send_to_group(process.pidfd, process.record.pid, signal_number(name))
            else:
                send(process.pidfd, signal_number(name))
        except ProcessLookupError:
            return
        except OSError as error:
            self._around.report(f"{process.name}: cannot send {name}: {error.strerror}")

    def send_input(self, process: Process, data: bytes) -> int:
        """Write to the input of a process; return how many bytes it took.

        Raises OperationFailed.
        """
        if process.pidfd is None:
            raise OperationFailed("not running", ErrorCode.NOT_RUNNING)
        if process.program.listener:
            text = "it is an event listener: it reads events and nothing else"
            raise OperationFailed(text, ErrorCode.NO_INPUT)
        return stdin.send(self._around.runtime_dir, process.program, data)

    def end_leftovers(self, process: Process, name: str) -> None:
        """Send a signal to all that is left of the last run; LeftoversGone is told at the end."""
        run = process.record.run
        assert run is not None
        self._trees.terminate(run, name, lambda ended: self._on_gone(process, run, ended))

    # The end.

    def _on_ended(self, batch: list[Ended]) -> None:
        """Main processes ended: one look for all at what they left, then tell each."""
        over = [
            (process, self._why(process, e.exit), e.usage)
            for e in batch
            if (process := self._by_pid.pop(e.pid, None))
        ]
        runs = [p.record.run for p, *_ in over if p.record.run is not None]
        left = self._trees.survivors(runs)
        for process, how, usage in over:
            process.end_run()
            assert process.record.run is not None
            self._write_end(process, process.record.run, how, usage)
            self._close(process, process.record.run, how, left)

    def _why(self, process: Process, how: Exit) -> Exit:
        """Add why it was killed, where the kernel did that for want of memory."""
        run = process.record.run
        if run is None or not process.is_killed_by_others(how):
            return how
        killed = self._trees.oom_kill(run)
        if killed is None:
            return how
        return how._replace(out_of_memory=True, memory_max=process.memory_limit_met(killed))

    def _on_oom_kill(self, root: int, killed: OomKill) -> None:
        process = self._by_pid.get(root)
        if process is not None:
            what = "the kernel killed one of its processes; its main process runs on"
            why = memory_text(process.memory_limit_met(killed))
            self._around.report(f"{process.name}: {why}: {what}")

    def _write_end(self, process: Process, run: int, how: Exit, usage: Usage | None) -> None:
        """Take the last words of a run whose main process has ended, and write down how."""
        if process.logs is not None:
            process.logs.drain()
        self._journal.record_end(
            run,
            Cause(CauseKind.EXITED, exit=how),
            usage=(usage.maxrss, usage.utime, usage.stime) if usage else None,
            last_words=process.last_words() if process.record.state is State.STARTING else "",
        )

    def _close(self, process: Process, run: int, how: Exit, left: Mapping[int, list[Stat]]) -> None:
        """Close a run whose end is written, and tell it."""
        self._around.unstore(f"run-{run}")
        survivors = left.get(run, [])
        kill = process.program.leftovers is Leftovers.KILL and bool(survivors)
        if not kill:
            self._trees.forget(run)
            self.secrets.revoke(process.program, run)
        left_alone = None if kill else kept(survivors)
        self._tell(process, Exited(run, how, kill, left_alone))

    def _on_gone(self, process: Process, run: int, ended: Note | None) -> None:
        self._trees.forget(run)
        self.secrets.revoke(process.program, run)
        if process.logs is not None:
            process.logs.drain()
        self._tell(process, LeftoversGone(run, ended))

    def _on_orphan_ended(self, pid: int) -> None:
        self._trees.orphan_ended(pid)

    # For the daemon and the controllers.

    def start_reaping(self) -> None:
        """Collect deaths from now on; the main processes of earlier daemons are attached by now."""
        self.reaper.start()

    async def run_helper(
        self, command: list[str], directory: str, timeout: float
    ) -> tuple[int, str]:
        """Run a short command of our own beside the runs; see `host.helper.run_helper`."""
        return await run_helper(self.reaper, command, directory, timeout)

    def inherit_sockets(self, fds: Iterable[int]) -> None:
        """Have the listening sockets among these descriptors at hand for `adopt_sockets`."""
        self.sockets.inherit(fds)

    def socket_fds(self) -> list[int]:
        """Return the sockets of programs, for the next version of the daemon."""
        return self.sockets.fds()

    def stored_socket_names(self) -> set[str]:
        """Return the names under which systemd keeps them for the next daemon."""
        return self.sockets.stored_names()

    def close(self) -> None:
        """Watch nothing any more; no process is touched."""
        self.reaper.stop()
        self._trees.close()
        self._pipes.close()

    def release(self, process: Process) -> None:
        """Let go of what only a process needs that is not down."""
        self.sockets.release(process.name)

    def forget(self, process: Process) -> None:
        """Take away what is kept for a process that is no longer defined."""
        run = self._intended.pop(process, None)
        if run is not None:
            self._journal.record_end(run, Cause(CauseKind.WITHDRAWN))
        if process.logs is not None:
            for fd in process.logs.fds().values():
                self._around.unstore(stored_name(fd))
            process.logs.remove()
            process.set_logs(None)
        stdin.remove(self._around.runtime_dir, process.program)

    # What an earlier daemon began (adopt.py).

    def attach(self, process: Process, run: Run, pidfd: int, *, child: bool) -> None:
        """Take over the live main process of a run, and its output at the next byte."""
        process.adopt_run(pidfd, child=child)
        self._by_pid[run.root] = process
        self.open_output(process)
        self._join(process, run)
        if child:
            self.reaper.watch(run.root, pidfd)
        else:
            self.reaper.watch_adopted(run.root, pidfd)

    def fifos_of(self, program: Program) -> frozenset[tuple[int, int]]:
        """Return device and inode of the FIFOs that runs of a process have inherited."""
        paths = (fifo_path(self._around.runtime_dir, program, name) for name in STREAMS)
        found = [os.lstat(path) for path in paths if os.path.lexists(path)]
        return frozenset((status.st_dev, status.st_ino) for status in found)

    def open_output(self, process: Process) -> None:
        """Go on with what is in the pipes of a process that an earlier daemon spawned."""
        try:
            self.logs_of(process).open(*users.ids(process.program.user), adopting=True)
        except SpawnError as error:
            self._around.report(f"{process.name}: {error}")

    def open_input(self, process: Process) -> int:
        """Open the input of a listener to write without waiting. Raises OSError."""
        return stdin.open_to_write(self._around.runtime_dir, process.program)

    def adopt_sockets(self, process: Process) -> None:
        """Keep the sockets that an earlier daemon has opened for a process, if it needs them."""
        wanted = process.program.sockets
        if wanted and not process.is_down():
            self.sockets.adopt(process.name, wanted, process.record.pid, process.pidfd)

    def ended_unseen(self, process: Process, run: Run, how: Exit, *, written: bool = False) -> None:
        """A run ended while no daemon was there; `written`: an earlier one has noted its end."""
        self._join(process, run)
        how = self._why(process, how)
        if not written:
            self._write_end(process, run.number, how, None)
        self._close(process, run.number, how, self._trees.survivors([run.number]))

    def end_again(self, process: Process, run: Run) -> None:
        """Go on ending leftovers that an earlier daemon had begun to end."""
        self._join(process, run)
        self.end_leftovers(process, process.program.stopsignal)

    def end_strays(self, name: str, run: Run) -> None:
        """Kill what is left of a run that is over and that no record waits for."""
        self._trees.add(run)

        def gone(ended: Note | None) -> None:
            self._trees.forget(run.number)
            if ended is not None:
                self._around.report(f"{name}: run {run.number}: {note_text(ended)}")

        self._trees.terminate(run.number, "KILL", gone)

    def memory_used(self, processes: Sequence[Process]) -> dict[str, int]:
        """Return the bytes of resident memory of each process's run, by the process's name."""
        names = {p.record.run: p.name for p in processes if p.record.run is not None}
        return {names[run]: used for run, used in self._trees.memory_used(names).items()}

    def tidy(self, processes: Iterable[Process]) -> None:
        """Throw away what earlier daemons have left of runs that none of these processes has."""
        self.sockets.discard_unclaimed()
        self.secrets.tidy(process.record for process in processes)
        self.cgroups.tidy(self._trees.has)
