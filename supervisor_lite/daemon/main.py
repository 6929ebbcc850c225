"""The daemon: argv, wiring, signals, start and stop order."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from supervisor_lite import __version__
from supervisor_lite.config.load import load
from supervisor_lite.control.server import bind
from supervisor_lite.daemon import handover, prepare
from supervisor_lite.daemon.app import Given, Running
from supervisor_lite.daemon.log import LogTarget, open_log
from supervisor_lite.daemon.systemd import Notifier
from supervisor_lite.errors import ConfigError, StartupError, SupervisorLiteError
from supervisor_lite.host import own_limits
from supervisor_lite.host.identity import boot_id
from supervisor_lite.model.plan import Configuration
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.protocol import locate
from supervisor_lite.store.journal import open_journal
from supervisor_lite.text import plural


def main(argv: list[str]) -> int:
    """Run the daemon; return the exit code: 0 after an orderly end, 1 failed, 2 configuration.

    With `exit_when`, that of the program that ended.
    """
    options = _parse(argv)
    handed = handover.receive()
    try:
        here = _current_directory(options.config)
        config = os.path.abspath(options.config) if options.config else locate.find_config()
        configuration = load(options.config)
    except StartupError as error:
        sys.stderr.write(f"supervisor-lite: {error}\n")
        return 1
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if options.check:
        for warning in configuration.warnings:
            sys.stderr.write(f"warning: {warning}\n")
        count = sum(1 for _ in configuration.plan.processes())
        processes = plural(count, "process", "processes")
        groups = plural(len(configuration.plan.groups), "group", "groups")
        sys.stdout.write(f"ok: {processes} in {groups}\n")
        return 0
    try:
        return _Start(options, configuration, config, here, handed).run()
    except SupervisorLiteError as error:
        sys.stderr.write(f"supervisor-lite: {error}\n")
        return 1


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line; the manual page is made of it, too."""
    parser = argparse.ArgumentParser(
        prog="supervisor-lite",
        description="A process supervisor: runs what the configuration says and keeps it running.",
        epilog="Without -c: ./supervisor.toml, $XDG_CONFIG_HOME/supervisor-lite/supervisor.toml,"
        " /etc/supervisor-lite/supervisor.toml. Drive it with slctl.",
    )
    add = parser.add_argument
    add("-c", "--configuration", dest="config", metavar="FILE|DIR",
        help="a TOML file, or a directory of *.toml")  # fmt: skip
    add("-n", "--nodaemon", action="store_true", help="stay in the foreground (the default)")
    add("--daemonize", action="store_true", help="detach from the terminal")
    add("--check", action="store_true", help="only check the configuration: exit 0 or 2")
    add("-s", "--silent", action="store_true", help="in the foreground, do not log to stderr")
    add("-e", "--log-level", dest="level", metavar="LEVEL", help="overrides log_level",
        choices=("critical", "error", "warn", "info", "debug"))  # fmt: skip
    add("-v", "--version", action="version", version=__version__)
    return parser


def _parse(argv: list[str]) -> argparse.Namespace:
    options = parser().parse_args(argv)
    if options.daemonize and options.nodaemon:
        parser().error("--daemonize and --nodaemon exclude each other")
    return options


def _current_directory(config: str | None) -> str:
    """Return where we are, / if that was deleted and nothing depends on it. Raises StartupError."""
    try:
        return os.getcwd()
    except OSError as error:
        if config is not None and os.path.isabs(config):
            os.chdir("/")
            return "/"
        hint = "name the configuration by an absolute path with -c"
        text = f"cannot tell the current directory: {error.strerror}; {hint}"
        raise StartupError(text) from error


@dataclass(slots=True)
class _Start:
    """The way from a configuration that was read to a daemon that runs."""

    options: argparse.Namespace
    configuration: Configuration
    config: str | None
    here: str
    handed: handover.Handed

    def run(self) -> int:
        """Start, run, clean up; return the exit code. Raises StartupError, AlreadyRunning."""
        settings, handed = self.configuration.settings, self.handed
        notifier = Notifier.from_environment()
        own_limits.close_on_exec_inherited()
        os.umask(settings.umask)
        self._enter(settings.directory)
        owner = prepare.owner_of(settings)
        prepare.make_directories(settings, owner)
        locks = prepare.Locks(settings, handed.locks)
        tell = prepare.go_to_background() if self.options.daemonize else None
        try:
            locks.write_pid()
            given = self._prepare(settings, owner, notifier, locks, tell)
        except OSError as error:
            trouble = f"cannot start: {error.strerror}: {error.filename or settings.socket}"
            return _fail(tell, trouble)
        except SupervisorLiteError as error:
            return _fail(tell, str(error))

        async def run() -> int:
            running = Running(given)
            await running.run()
            return running.exit_code

        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            code = runner.run(run())
        prepare.remove_pidfile(settings.pidfile)
        with contextlib.suppress(OSError):
            os.unlink(settings.socket)
        given.journal.close()
        return code

    def _enter(self, directory: str | None) -> None:
        if directory is None:
            return
        try:
            os.chdir(directory)
        except OSError as error:
            raise StartupError(f'cannot enter "{directory}": {error.strerror}') from error

    def _prepare(
        self,
        settings: DaemonSettings,
        owner: prepare.Owner,
        notifier: Notifier,
        locks: prepare.Locks,
        tell: Callable[[str], None] | None,
    ) -> Given:
        """Open what the daemon works with, as root where it has to be, then drop privileges."""
        descriptors, few = own_limits.raise_descriptors(
            settings.minfds, self.handed.children_nofile
        )
        warnings = [
            *self.configuration.warnings,
            few,
            own_limits.raise_processes(settings.minprocs),
        ]
        if self.handed.socket is not None:
            sock = socket.socket(fileno=self.handed.socket)
            sock.setblocking(False)
        else:
            # Bound before root is given up, so that its directory may be root's.
            sock = bind(settings, *prepare.socket_owner(settings, owner))
        prepare.become(owner)
        options = self.options
        to_stderr = not (options.daemonize or options.silent or settings.silent)
        target = LogTarget(
            settings.logfile, settings.logfile_maxbytes, settings.logfile_backups,
            to_stderr=to_stderr, to_journal=notifier.journal,
        )  # fmt: skip
        log = open_log(target, options.level or settings.log_level, settings.log_format)
        prepare.write_pidfile(settings.pidfile)
        journal = open_journal(
            os.path.join(settings.state_dir, "journal.db"), log.warning,
            runtime_dir=settings.runtime_dir, boot=boot_id(),
        )  # fmt: skip
        for warning in filter(None, warnings):
            log.warning(warning)
        config = self.config
        return Given(
            settings=settings,
            configuration=self.configuration,
            read=lambda: load(config),
            log=log,
            target=target,
            journal=journal,
            notifier=notifier,
            descriptors=descriptors,
            sock=sock,
            locks=locks.fds,
            handed=self.handed,
            here=self.here,
            ready=lambda: tell("") if tell is not None else None,
        )


def _fail(tell: Callable[[str], None] | None, text: str) -> int:
    line = f"supervisor-lite: {text}\n"
    if tell is not None:
        tell(line)
    else:
        sys.stderr.write(line)
    return 1
