"""The runs of processes: spawned or taken over, signalled, ended, and what they leave behind.

What connects the engine with the kernel and the journal; channels.py does that with the output.
It decides nothing: it carries out actions of the rules, and feeds them what has happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from supervisor_lite.core.channels import ProcessChannels, child_environment
from supervisor_lite.core.context import EngineContext
from supervisor_lite.core.process import Process
from supervisor_lite.core.run_ends import RunEnds
from supervisor_lite.core.run_reports import RunReports, failure_of
from supervisor_lite.core.succession import Succession
from supervisor_lite.errors import SpawnError
from supervisor_lite.host.cgroup import OomKill
from supervisor_lite.host.helper import run_helper
from supervisor_lite.host.identity import identify
from supervisor_lite.host.process_trees import ProcessTrees
from supervisor_lite.host.reaper import Ended, Reaper, Usage
from supervisor_lite.host.run import Run
from supervisor_lite.host.signals import end, send, signal_number
from supervisor_lite.host.spawn import Child
from supervisor_lite.host.spawn_request import SpawnRequest
from supervisor_lite.host.terminate import LOOK_AGAIN
from supervisor_lite.host.usage import RunUsage
from supervisor_lite.model.cause import Cause, CauseKind, Note
from supervisor_lite.model.events import Event, LeftoversGone, Spawned, SpawnFailed
from supervisor_lite.model.exit import Exit


class Runs:
    """Every live run, and the processes of those that are over but not gone."""

    def __init__(
        self,
        context: EngineContext,
        channels: ProcessChannels,
        notify: Callable[[Process, Event], None],
    ) -> None:
        """`notify` is called with each end of a run, and when nothing of it is left."""
        self._context = context
        self._loop = context.loop
        self._journal = context.journal
        self._channels = channels
        self._notify = notify
        self._by_pid: dict[int, Process] = {}
        self._reserved: dict[Process, int] = {}
        """Run ids that are in the journal, of runs that are not spawned yet."""
        self._unrecorded: list[tuple[Process, Run, int]] = []
        """Runs that were spawned in this iteration of the loop, with their pidfds."""
        self._reports = RunReports(context.report)
        self._reaper = Reaper(self._loop, self._on_ended, lambda pid: self._trees.orphan_ended(pid))
        self._trees = ProcessTrees(
            self._loop, self._reaper.is_watched, context.cgroups, self._on_oom_kill,
            self._reports.stranger,
        )  # fmt: skip
        succession = Succession(context, self._trees, self._reaper, self._by_pid, notify)
        self._ends = RunEnds(context, self._trees, succession, notify)

    # Spawning.

    def reserve_run_ids(self, processes: Sequence[Process]) -> None:
        """Write down that these are about to be spawned, all in one commit."""
        new = [process for process in processes if process not in self._reserved]
        if new:
            numbers = self._journal.reserve_runs([process.name for process in new])
            self._reserved.update(zip(new, numbers, strict=True))

    def spawn(self, process: Process) -> Spawned | SpawnFailed:
        """Start a run of a process; call `record_identities` before the event loop goes on."""
        self.reserve_run_ids([process])
        number = self._reserved.pop(process)
        cgroup = self._context.cgroups.make(number, process.program)
        run = Run(number, f"{self._journal.instance}:{number}", 0, 0, cgroup=cgroup)
        try:
            child = self._spawn_child(process, run)
        except Exception as error:  # noqa: BLE001 a bug with one program must not stop the others
            return self._give_up_spawn(process, run, error)
        run.root = child.pid
        if run.cgroup is not None and child.outside:
            self._context.cgroups.give_up(child.outside)
            self._context.cgroups.discard(run.cgroup)
            run.cgroup = None
        if child.late:
            self._reports.late(process)
        if run.cgroup is not None:
            self._context.cgroups.limits.apply_after_exec(run.cgroup, process.program)
        self._context.store(f"run-{number}", child.pidfd)
        process.begin_run(child.pidfd, self._context.clock.wall())
        self._by_pid[child.pid] = process
        self.add(process, run)
        self._unrecorded.append((process, run, child.pidfd))
        self._reaper.watch(child.pid, child.pidfd)
        return Spawned(number, child.pid)

    def _spawn_child(self, process: Process, run: Run) -> Child:
        context = self._context
        context.spawner.check()  # before anything is opened for it
        with self._channels.opened(process) as channels:
            program = context.secrets.provide(process.program, run.number)
            environment = child_environment(context.environment, program, run.marker)
            return context.spawner.spawn(SpawnRequest(program, environment, channels, run.cgroup))

    def _give_up_spawn(self, process: Process, run: Run, error: Exception) -> SpawnFailed:
        """Take back what was made for a run of which nothing has come."""
        if run.cgroup is not None:
            self._context.cgroups.discard(run.cgroup)
        self._context.secrets.revoke(process.program, run.number)
        failure = failure_of(error)
        if not isinstance(error, SpawnError):
            context = {"message": f"cannot start {process.name}", "exception": error}
            self._loop.call_exception_handler(context)
        self._journal.record_end(run.number, Cause(CauseKind.SPAWN_FAILED, error=failure))
        return SpawnFailed(run.number, failure)

    def record_identities(self) -> None:
        """Write down who was spawned in this batch: none of their ends can have been collected yet.

        /proc makes us wait while a child is in the middle of its exec, closing all that we have
        open: so this is done for all of a batch, when most of them are through.
        """
        unrecorded, self._unrecorded = self._unrecorded, []
        for process, run, pidfd in unrecorded:
            identity = identify(run.root, pidfd)
            if identity is None:
                self._reports.hidden(process)
                send(pidfd, signal_number("KILL"))
                continue
            run.start = identity.start
            where = (identity.boot, identity.start, identity.inode)
            self._journal.record_spawn(run.number, run.root, *where, process.started)

    def add(self, process: Process, run: Run) -> None:
        """Let a run be known by everything that its descendants inherit."""
        if process.logs is not None:
            run.outputs = process.logs.inodes()
        self._trees.add(run)

    # While it lives.

    def look_below(self, process: Process, *, group: bool) -> None:
        """Remember whom a signal that is about to be sent reaches, and who is below."""
        run = process.record.run
        if process.pidfd is not None and run is not None:
            self._trees.remember(run, group=group)

    def send_signal(self, process: Process, name: str, *, group: bool) -> None:
        """Send a signal that the rules ask for; a process that has ended is no error."""
        if process.pidfd is None:
            return
        try:
            end(process.pidfd, process.record.pid, name, group=group)
        except OSError as error:
            self._reports.unsent(process, name, error)

    def end_leftovers(
        self, process: Process, name: str, told: float | None, *, everyone: bool = False
    ) -> None:
        """End what is left of the last run, then feed LeftoversGone; `told`: see ProcessTrees."""
        run = process.record.run
        assert run is not None
        on_gone = partial(self._on_gone, process, run)
        self._trees.terminate(run, name, on_gone, told=told, everyone=everyone)

    # The end.

    def _on_ended(self, batch: list[Ended]) -> None:
        """Main processes ended: one look for all at what they left, then each by itself."""
        over = [
            (process, self._with_reason(process, ended.exit), ended.usage)
            for ended in batch
            if (process := self._by_pid.pop(ended.pid, None))
        ]
        self._answer(over)

    def _answer(self, over: list[tuple[Process, Exit, Usage | None]]) -> None:
        """Close these runs; later, if there is no descriptor left to see what they have left."""
        runs = [p.record.run for p, *_ in over if p.record.run is not None]
        try:
            left = self._trees.survivors(runs)
        except OSError as error:
            self._reports.out_of_descriptors(error)
            self._loop.call_later(LOOK_AGAIN, self._answer, over)
            return
        for process, exit_status, usage in over:
            run = process.record.run
            assert run is not None
            try:
                self._ends.end(process, exit_status, usage, left.get(run, []))
            except Exception as error:  # noqa: BLE001 a bug with one must not hide the others' ends
                context = {"message": f"cannot end run of {process.name}", "exception": error}
                self._loop.call_exception_handler(context)

    def _with_reason(self, process: Process, exit_status: Exit) -> Exit:
        """Add why it was killed: somebody has asked for it, or the kernel had no more memory."""
        run = process.record.run
        if by := process.who_signalled(exit_status):
            return exit_status._replace(sent_by=by)
        if run is None or not process.is_killed_by_others(exit_status):
            return exit_status
        killed = self._trees.oom_kill(run)
        if killed is None:
            return exit_status
        return exit_status._replace(out_of_memory=True, memory_max=process.memory_limit_met(killed))

    def _on_oom_kill(self, root: int, killed: OomKill) -> None:
        process = self._by_pid.get(root)
        if process is not None:
            self._reports.oom_kill(process, killed)

    def _on_gone(self, process: Process, run: int, ended: Note | None) -> None:
        self._trees.forget(run)
        self._context.secrets.revoke(process.program, run)
        if process.logs is not None:
            process.logs.drain()
        self._notify(process, LeftoversGone(run, ended))

    # What an earlier daemon has begun; see takeover/reattach.py.

    def adopt(self, process: Process, run: Run, pidfd: int, *, child: bool) -> None:
        """Take over the live main process of a run."""
        process.adopt_run(pidfd, child=child)
        self._by_pid[run.root] = process
        self.add(process, run)
        if child:
            self._reaper.watch(run.root, pidfd)
        else:
            self._reaper.watch_adopted(run.root, pidfd)

    def end_unseen(
        self, process: Process, run: Run, exit_status: Exit, *, written: bool = False
    ) -> None:
        """A run ended while no daemon was there; `written`: an earlier one has noted its end."""
        self.add(process, run)
        exit_status = self._with_reason(process, exit_status)
        left = self._trees.survivors((run.number,)).get(run.number, [])
        if written:
            self._ends.close(process, exit_status, left)
        else:
            self._ends.end_unseen(process, exit_status, left)

    def kill_all(self, run: Run, on_gone: Callable[[Note | None], None]) -> None:
        """Kill what is left of a run that is over; `on_gone` gets who that was."""

        def gone(ended: Note | None) -> None:
            self._trees.forget(run.number)
            on_gone(ended)

        self._trees.add(run)
        self._trees.terminate(run.number, "KILL", gone)

    # What others ask.

    def has(self, number: int) -> bool:
        """Is this run alive, or something of it left?"""
        return self._trees.has(number)

    def memory_used(self, processes: Sequence[Process]) -> dict[str, int]:
        """Return the bytes of resident memory of each process's run, by the process's name."""
        names = {p.record.run: p.name for p in processes if p.record.run is not None}
        return {names[run]: used for run, used in self._trees.memory_used(names).items()}

    def usage(self, processes: Sequence[Process]) -> Iterator[dict[str, RunUsage]]:
        """Yield what each process's run uses, by the process's name, some at a time."""
        names = {p.record.run: p.name for p in processes if p.record.run is not None}
        for piece in self._trees.usage(list(names)):
            yield {names[run]: used for run, used in piece.items()}

    def start_reaping(self) -> None:
        """Collect deaths from now on; the main processes of earlier daemons are adopted by now."""
        self._reaper.start()

    async def run_helper(
        self, command: list[str], directory: str, timeout: float
    ) -> tuple[int, str]:
        """Run a short command of our own beside the runs; see `host.helper.run_helper`."""
        return await run_helper(self._reaper, command, directory, timeout)

    # Letting go.

    def forget(self, process: Process) -> None:
        """Withdraw what is reserved for a process that is no longer defined."""
        run = self._reserved.pop(process, None)
        if run is not None:
            self._journal.record_end(run, Cause(CauseKind.WITHDRAWN))

    def close(self) -> None:
        """Watch nothing any more; no process is touched."""
        self._reaper.stop()
        self._trees.close()
