"""The start of the daemon: what happens, in which order, and why in this one.

Every start is a recovery. The daemon before this one may have been killed a moment ago, may have
executed us as its new version, or may never have been: the steps are the same, and at a first
start most of them find nothing. Everything that is made by now (app.py) waits; everything below
happens in one go, without the event loop in between, so nobody can see a half-recovered daemon: no
signal, no death of a child and no client is answered before the last phase has returned.

**inherit**: become able to receive. Orphans of programs come to us from here on, signals have
their handlers and no longer wait, and what the daemon before us has left in open descriptors is at
hand. First, because adoption asks for all of it: the listening sockets of programs, and the event
listeners' sessions, which must know of the very first change of state.

**adopt**: take over what the journal and the kernel say is ours. Every process of an earlier
daemon is on the table afterwards with its state and its deadline, is watched, and has its pipes
open. Before anything is thrown away, because only the adoption tells what is still needed.

**tidy**: throw away what nobody has taken: sockets, secrets, cgroups, descriptors that systemd
keeps for us, and those that only had to stay open until the FIFOs were opened again. Before the
plan, because a program that is new in it must not be given what an old one has left.

**plan**: put the configuration in force. Processes that are new join the table, those that run
under an older definition are marked, groups that came or went become events. After the adoption,
because what runs decides what the plan changes; nothing is started yet.

**serve**: let the world in. Deaths of children are collected from now on: all main processes are
known, so none is taken for an orphan, which would lose its exit code. The event listeners go on,
the journal is committed, and the control socket is served last: who asks sees the whole table.

**start**: ask for what is to be started by itself, finish what the daemon before us was doing when
it died (a shutdown or a reload that was cut short), and begin to watch what needs everything to be
there: `exit_when` (nothing has ended yet only because nothing was started, or because what is being
finished has stopped it: it waits for that), memory limits. The processes themselves are spawned by
the event loop, a batch at a time, when this is over.

**ready**: report it, when the first batches are through: to whoever waits for `--daemonize`, and
to the service manager, which starts what depends on us. Last, because it is a promise.

A phase that fails ends the daemon (`StartupError`): what was opened is closed, the socket and the
pid file are removed, the locks are released, and no process is touched. Whatever was adopted or
even spawned runs on, and is in the journal for the next try.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from supervisor_lite import __version__
from supervisor_lite.daemon import going_back
from supervisor_lite.daemon.app import App
from supervisor_lite.daemon.handover import unblock_signals
from supervisor_lite.errors import StartupError, SupervisorLiteError
from supervisor_lite.host.reaper import become_subreaper
from supervisor_lite.takeover.adoption import Adoption, Summary
from supervisor_lite.takeover.reattach import adopt_sockets
from supervisor_lite.text import plural


class Recovery:
    """One start: the parts, and what the phases leave for later ones."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.began = time.monotonic()
        self.taken_over = Summary()


def inherit(recovery: Recovery) -> None:
    """Become able to receive orphans, signals, and what the daemon before us has left."""
    app = recovery.app
    inherited, log = app.resources.inherited, app.resources.log
    if not become_subreaper():
        log.warning("cannot become a child subreaper: orphans of programs go to init")
    app.loop.set_exception_handler(app.errors.loop_error)
    app.signals.install()
    unblock_signals()
    going_back.watch_clock()
    if inherited.failed:
        log.error(f"the upgrade has failed, going on with this version: {inherited.failed}")
    app.listeners.begin(app.resources.configuration.plan.groups, inherited.listeners)
    app.sockets.inherit(inherited.held)


def adopt(recovery: Recovery) -> None:
    """Take over the processes that earlier daemons have spawned, and their sockets."""
    app = recovery.app
    resources, inherited = app.resources, app.resources.inherited
    recovery.taken_over = Adoption(
        app.supervisor,
        app.cgroups,
        resources.journal,
        resources.configuration.plan,
        inherited.pidfds,
        resources.log.warning,
        upgraded=inherited.upgraded,
    ).run()
    for process in app.supervisor.processes.values():
        adopt_sockets(app.sockets, process)


def tidy(recovery: Recovery) -> None:
    """Throw away what earlier daemons have left and nobody needs."""
    app = recovery.app
    inherited = app.resources.inherited
    processes = app.supervisor.processes.values()
    app.sockets.discard_unclaimed()
    app.secrets.tidy(process.record for process in processes)
    app.cgroups.tidy(app.supervisor.runs.has)
    used = {name for process in processes for name in process.stored_names()}
    used |= app.sockets.stored_names()
    for name in inherited.stored - used:
        app.resources.notifier.unstore(name)
    inherited.close_held()


def plan(recovery: Recovery) -> None:
    """Put the configuration in force, and warn of limits in it that cannot be applied."""
    app = recovery.app
    configured = app.resources.configuration.plan
    for program in configured.processes():
        app.cgroups.limits.usable(program)
    app.rollout.begin(configured)


def serve(recovery: Recovery) -> None:
    """Let in the deaths of children, the answers of event listeners, and clients."""
    app = recovery.app
    resources, settings, log = app.resources, app.resources.settings, app.resources.log
    upgraded, files = resources.inherited.upgraded, resources.configuration.files
    app.supervisor.runs.start_reaping()
    app.listeners.resume(upgraded=upgraded)
    app.supervisor.flush()
    resources.journal.set_retention(age=settings.journal_age, count=settings.journal_count)
    app.server.serve(resources.sock.sock)
    log.info(
        f"supervisor-lite {__version__} {'upgraded' if upgraded else 'started'}",
        pid=os.getpid(),
        socket=settings.socket,
        config=files[0] if files else "",
    )
    if recovery.taken_over.adopted or recovery.taken_over.ended:
        adopted = plural(recovery.taken_over.adopted, "running process", "running processes")
        seconds = round(time.monotonic() - recovery.began, 3)
        log.info(
            f"took over {adopted}; {recovery.taken_over.ended} had ended meanwhile", seconds=seconds
        )


def start(recovery: Recovery) -> None:
    """Ask for what is to be started, go on with what is not done, watch what needs all of it."""
    app = recovery.app
    app.own_files.begin()
    app.finish.begin(recovery.taken_over.unfinished, app.exit_condition.begin)
    app.memory_limit.begin()


def ready(recovery: Recovery) -> None:
    """Report that we are ready, once those that are due now have been spawned."""
    app = recovery.app

    def report() -> None:
        app.resources.on_ready()
        app.readiness.begin()
        app.kept_code.begin()

    app.supervisor.when_spawned(report)
    app.readiness.start_watchdog()


PHASES: tuple[Callable[[Recovery], None], ...] = (
    inherit, adopt, tidy, plan, serve, start, ready,
)  # fmt: skip
"""In the order that is described above; a test compares this with the description."""


def recover(app: App) -> None:
    """Go through all phases. Raises StartupError; the caller closes the app, also then."""
    recovery = Recovery(app)
    for phase in PHASES:
        try:
            phase(recovery)
        except Exception as error:
            raise StartupError(f"cannot start: {_reason(app, phase.__name__, error)}") from error


def _reason(app: App, phase: str, error: Exception) -> str:
    """Return in words why a phase has failed; a bug is in the log with its traceback as well."""
    if isinstance(error, SupervisorLiteError):
        return f"{phase}: {error}"
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{phase}: {error.strerror or error}{where}"
    app.errors.bug(error)
    return f"{phase}: internal error: {error!r}"
