"""The daemon while it runs: what belongs together, signals, start and stop order."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from supervisor_lite import __version__
from supervisor_lite.control.access import Caller
from supervisor_lite.control.methods.history import HistoryVerbs
from supervisor_lite.control.methods.output import OutputVerbs
from supervisor_lite.control.methods.processes import Daemon, ProcessVerbs
from supervisor_lite.control.server import Server
from supervisor_lite.controllers.event_listeners.listeners import EventListeners
from supervisor_lite.controllers.exit_when import ExitCondition
from supervisor_lite.controllers.memory_limit import MemoryLimit
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.clock import Clock
from supervisor_lite.core.operations import Operations
from supervisor_lite.core.runs import Surroundings
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import DaemonStateChanged
from supervisor_lite.daemon import handover
from supervisor_lite.daemon.log import Log, LogTarget, log_change
from supervisor_lite.daemon.systemd import Notifier
from supervisor_lite.errors import ConfigError, OperationFailed
from supervisor_lite.host.cgroup import open_cgroups
from supervisor_lite.host.helper import run_helper
from supervisor_lite.host.own_limits import Descriptors
from supervisor_lite.host.reaper import become_subreaper
from supervisor_lite.host.spawn import Spawner
from supervisor_lite.model.change import Change
from supervisor_lite.model.plan import Configuration
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.rules import pending_settings
from supervisor_lite.store.journal import Journal
from supervisor_lite.takeover.adoption import Adoption
from supervisor_lite.text import plural

_READY_AGAIN = 0.05
"""Seconds until a service manager that had no room is told again that we are ready."""

_FLUSH = 2.0
"""Seconds that clients have to read their last reply before the daemon is gone."""

_CHECK_TIMEOUT = 60.0
"""Seconds that the new version has to read the configuration before an upgrade."""


class Given(NamedTuple):
    """What the daemon was started with; made by daemon.py."""

    settings: DaemonSettings
    configuration: Configuration
    read: Callable[[], Configuration]
    log: Log
    target: LogTarget
    journal: Journal
    notifier: Notifier
    descriptors: Descriptors
    sock: socket.socket
    """The control socket, listening."""
    locks: list[int]
    handed: handover.Handed
    here: str
    """The directory in which we were started."""
    ready: Callable[[], None]
    """Tells whoever started us that we answer now."""


class Running:
    """Made inside the event loop; `run` returns when everything is as it should be at the end."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._log = given.log
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()
        self._bus = bus = Bus(self._loop)
        bus.subscribe(Change, lambda change: log_change(given.log, change))
        self._cgroups = open_cgroups(
            given.settings.cgroups, given.journal.instance, given.log.warning
        )
        self._supervisor = supervisor = Supervisor(
            Surroundings(
                loop=self._loop,
                clock=Clock(),
                journal=given.journal,
                spawner=Spawner(given.descriptors),
                cgroups=self._cgroups,
                runtime_dir=given.settings.runtime_dir,
                environment=self._environment(),
                report=given.log.warning,
                store=given.notifier.store,
                unstore=given.notifier.unstore,
            ),
            bus,
        )
        self._listeners = EventListeners(
            supervisor, bus, identifier=given.settings.identifier,
            warn=given.log.warning, error=given.log.error,
        )  # fmt: skip
        self._memory = MemoryLimit(supervisor, bus, self._loop, given.journal.instance)
        self._operations = Operations(supervisor, bus)
        self._rollout = Rollout(supervisor, self._operations, given.read, given.settings)
        self._ending = ExitCondition(given.settings.exit_when, supervisor, bus, self._on_ending)
        self.exit_code = 0
        """What the daemon is to exit with."""
        self._leaving = False
        """Ending, and the programs are to stay."""
        verbs = ProcessVerbs(
            supervisor,
            self._operations,
            self._rollout,
            OutputVerbs(supervisor, lambda: given.target.file),
            HistoryVerbs(supervisor, given.journal, bus),
            Daemon(given.settings.identifier, self._reload, self._shutdown, self._upgrade),
        )
        rules = given.settings.access
        self._server = Server(verbs, rules, self._report_bug, self._report_denied, given.log.error)

    async def run(self) -> None:
        """Take over, start what is to be started, serve, and return when it is over."""
        given, log = self._given, self._log
        began = time.monotonic()
        if not become_subreaper():
            log.warning("cannot become a child subreaper: orphans of programs go to init")
        self._loop.set_exception_handler(self._on_loop_trouble)
        self._handle_signals()
        handover.unblock()
        plan, runs = given.configuration.plan, self._supervisor.runs
        self._listeners.begin(plan.groups, given.handed.listeners)
        runs.sockets.offer(given.handed.held)
        taken = Adoption(
            self._supervisor,
            given.journal,
            plan,
            given.handed.pidfds,
            log.warning,
            upgraded=given.handed.upgrade,
        ).run()
        for process in self._supervisor.processes.values():
            runs.adopt_sockets(process)
        runs.sockets.settle()
        runs.entrusted.tidy(p.record for p in self._supervisor.processes.values())
        runs.tidy()
        for program in plan.processes():
            self._cgroups.warn(program)
        self._rollout.begin(plan)
        self._tidy_store()
        given.handed.release()
        runs.reaper.start()
        self._listeners.resume(upgraded=given.handed.upgrade)
        self._supervisor.flush()
        given.journal.keep(age=given.settings.journal_age, count=given.settings.journal_count)
        self._server.serve(given.sock)
        log.info(
            f"supervisor-lite {__version__} {'upgraded' if given.handed.upgrade else 'started'}",
            pid=os.getpid(),
            socket=given.settings.socket,
            config=given.configuration.files[0] if given.configuration.files else "",
        )
        if taken.adopted or taken.ended:
            adopted = plural(taken.adopted, "running process", "running processes")
            seconds = round(time.monotonic() - began, 3)
            log.info(f"took over {adopted}; {taken.ended} had ended meanwhile", seconds=seconds)
        self._rollout.start_all()
        self._ending.begin()
        self._memory.begin()
        self._supervisor.when_spawned(self._tell_ready)
        if given.notifier.watchdog:
            self._serve_watchdog(given.notifier.watchdog / 2)
        await self._over.wait()
        self._server.close()
        deadline = self._loop.time() + _FLUSH
        while self._server.connections and self._loop.time() < deadline:
            await asyncio.sleep(0.005)  # asyncio does not tell when a transport is flushed
        self._supervisor.close()
        self._cgroups.close()
        self._ignore_signals()
        log.info("supervisor-lite ended", pid=os.getpid())

    def _tell_ready(self) -> None:
        self._given.ready()
        self._send_ready()

    def _send_ready(self) -> None:
        if self._supervisor.stopping:
            return
        notifier = self._given.notifier
        count = plural(len(self._supervisor.processes), "process", "processes")
        notifier.send("READY=1", f"STATUS=supervising {count}")
        if notifier.is_full:  # of descriptors of many programs that were to be stored
            self._loop.call_later(_READY_AGAIN, self._send_ready)

    def _tidy_store(self) -> None:
        """Have systemd close what an earlier daemon had it keep and nobody needs any more."""
        used = {n for p in self._supervisor.processes.values() for n in p.stored_names()}
        used |= self._supervisor.runs.sockets.stored_names()
        for name in self._given.handed.stored - used:
            self._given.notifier.unstore(name)

    def _environment(self) -> dict[str, str]:
        gateway = self._given.configuration.gateway
        url = f"unix://{self._given.settings.socket}" if gateway is None else gateway.server_url
        return {**os.environ, "SUPERVISOR_ENABLED": "1", "SUPERVISOR_SERVER_URL": url}

    def _serve_watchdog(self, interval: float) -> None:
        """Tell systemd that the loop turns (sd_watchdog_enabled(3)); no timer without it."""
        self._given.notifier.send("WATCHDOG=1")
        self._loop.call_later(interval, self._serve_watchdog, interval)

    # Signals.

    def _handle_signals(self) -> None:
        handle = self._loop.add_signal_handler
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            handle(number, self._on_end, number)
        handle(signal.SIGHUP, self._on_hangup)
        handle(signal.SIGUSR2, self._on_reopen)
        handle(signal.SIGUSR1, lambda: self._log.info("SIGUSR1 has no meaning here: ignored"))

    def _ignore_signals(self) -> None:
        """Let no late signal turn an orderly end into another one."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    def _on_end(self, number: signal.Signals) -> None:
        if self._leaving:
            # systemd sends it when ExecStop has asked for this end.
            self._log.info(f"{number.name}: ending already, the programs stay")
            return
        if self._supervisor.stopping:
            self._log.warning(f"{number.name} again: killing what is left")
            self._hurry()
            return
        self._log.info(f"{number.name}: shutting down")
        self._do(self._shutdown(f"signal {number.name}", False))

    def _on_ending(self, why: str, code: int) -> None:
        """`exit_when` has come true."""
        if self._supervisor.stopping or self.exit_code:
            return
        condition = self._given.settings.exit_when
        self._log.warning(f"exit_when {condition}: {why}, ending with exit code {code}")
        self.exit_code = code
        self._do(self._shutdown(f"exit_when {condition}: {why}", False))

    def _on_hangup(self) -> None:
        self._log.info("SIGHUP: reading the configuration")
        # With Type=notify-reload, `systemctl reload` is this signal and waits for READY.
        self._given.notifier.tell_reloading()
        self._do(self._update())

    def _on_reopen(self) -> None:
        self._given.target.reopen()
        for process in self._supervisor.processes.values():
            if process.logs is not None:
                process.logs.reopen()
        self._log.info("SIGUSR2: log files reopened")

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.ensure_future(work)
        self._jobs.add(job)
        job.add_done_callback(self._job_done)

    def _job_done(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        error = job.exception()
        if isinstance(error, Exception):
            self._report_bug(error)

    async def _update(self) -> None:
        try:
            said = await self._rollout.update([], "signal SIGHUP")
        except ConfigError as error:
            for complaint in error.complaints:
                self._log.error(f"configuration not used: {complaint}")
            return
        except OperationFailed as error:
            self._log.warning(f"configuration not used: {error}")
            return
        finally:
            self._send_ready()
        for name, word in said:
            self._log.info(f"{name}: {word} by update")
        for note in pending_settings.notes(self._rollout.waiting):
            self._log.warning(note)
        if not said and not self._rollout.waiting:
            self._log.info("nothing changed in the configuration")

    # Beginning again, and the end.

    async def _reload(self, by: str) -> None:
        if self._supervisor.stopping:
            raise OperationFailed("the daemon is shutting down")
        self._log.warning("reload: stopping everything and starting anew", by=by)
        self._bus.publish(DaemonStateChanged("STOPPING"))
        await self._rollout.reload(by)
        self._bus.publish(DaemonStateChanged("RUNNING"))

    async def _upgrade(self, by: str) -> None:
        """Check the new version, then become it; returns only by raising OperationFailed."""
        given = self._given
        self._refuse_while_stopping()
        check = handover.command("--check")
        reaper = self._supervisor.runs.reaper
        try:
            code, output = await run_helper(reaper, check, given.here, _CHECK_TIMEOUT)
        except OSError as error:
            raise OperationFailed(f"cannot check the new version: {error.strerror}") from error
        if code != 0:
            raise OperationFailed(f"the new version does not start, nothing changed: {output}")
        self._refuse_to_move()
        self._refuse_while_stopping()  # somebody may have asked for that during the check
        self._log.info("upgrade: executing the new version", by=by)
        given.notifier.tell_reloading("WATCHDOG=1")  # a whole interval for the new one
        self._supervisor.flush()
        logs = [p.logs for p in self._supervisor.processes.values() if p.logs is not None]
        parting = handover.Parting(
            socket=given.sock.fileno(),
            locks=given.locks,
            held=[
                *(fd for log in logs for fd in log.fds().values()),
                *self._supervisor.runs.sockets.fds(),
            ],
            children_nofile=given.descriptors.children,
            environment={**os.environ, **given.notifier.variables},
            directory=given.here,
            listeners=self._listeners.to_json(),
        )
        try:
            handover.execute(parting)
        except OSError as error:
            given.notifier.send("READY=1")
            raise OperationFailed(f"cannot execute the new version: {error.strerror}") from error

    def _refuse_while_stopping(self) -> None:
        if self._supervisor.stopping:
            raise OperationFailed("the daemon is shutting down")

    def _refuse_to_move(self) -> None:
        """Refuse what only a daemon that starts afresh can do: the processes belong to the old."""
        try:
            fresh = self._given.read().settings
        except ConfigError:
            return  # only the new version can read it, and has found no fault
        for name in pending_settings.FOR_LIFE:
            old, new = (getattr(settings, name) for settings in (self._given.settings, fresh))
            if old != new:
                raise OperationFailed(
                    f"an upgrade cannot change {name} from {old} to {new}, nothing changed:"
                    " shut the daemon down and start it"
                )

    async def _shutdown(self, by: str, leave_running: bool) -> None:
        """Stop everything in order, or nothing at all; then the daemon ends."""
        supervisor = self._supervisor
        if leave_running and supervisor.stopping:
            raise OperationFailed("the daemon is shutting down already")
        if supervisor.stopping:
            await self._over.wait()
            return
        supervisor.stopping = True
        self._leaving = leave_running
        self._bus.publish(DaemonStateChanged("STOPPING"))
        self._given.notifier.send("STOPPING=1", "STATUS=stopping")
        if not leave_running:
            everything = list(supervisor.processes.values())
            await self._operations.stop(everything, by, wait=True, timeout=None)
            await self._operations.all_down()
            supervisor.flush()
            self._given.journal.forget_all()
        self._loop.call_soon(self._over.set)

    def _hurry(self) -> None:
        everything = list(self._supervisor.processes.values())
        for process in everything:
            self._supervisor.stop(process, "a second signal")
        self._supervisor.hurry(everything)

    # What the server reports.

    def _report_bug(self, error: Exception) -> None:
        self._log.error(f"internal error: {error!r}", exc_info=error)

    def _on_loop_trouble(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say on one line what asyncio could not do, such as accept without a descriptor left."""
        error = context.get("exception")
        if isinstance(error, OSError):
            self._log.error(f"{context['message']}: {error.strerror or error}")
        elif isinstance(error, Exception):
            self._report_bug(error)
        else:
            self._log.error(str(context["message"]))

    def _report_denied(self, caller: Caller, method: str, name: str | None) -> None:
        self._log.warning(
            f"not permitted: {method}", uid=caller.uid, pid=caller.pid, process=name or "-"
        )
