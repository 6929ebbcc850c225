"""The daemon's command line, and its life from start to end.

All that a daemon needs is imported here at once, also for `--check`: an upgrade runs that to find
out whether the new version can start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial

from supervisor_lite import __version__
from supervisor_lite.config.advise import LookAhead
from supervisor_lite.config.load import load
from supervisor_lite.daemon import going_back, handover, prepare
from supervisor_lite.daemon.app import App
from supervisor_lite.daemon.last_known import last_known
from supervisor_lite.daemon.locks import Locks
from supervisor_lite.daemon.log import Log
from supervisor_lite.daemon.recovery import recover
from supervisor_lite.daemon.resources import LogOptions, Resources, open_resources
from supervisor_lite.daemon.shutdown import hang_up
from supervisor_lite.daemon.systemd import Notifier
from supervisor_lite.errors import ConfigError, StartupError, SupervisorLiteError
from supervisor_lite.host import own_limits
from supervisor_lite.logs.outlet import PATIENCE, tell
from supervisor_lite.model.plan import Configuration
from supervisor_lite.protocol import locate
from supervisor_lite.special_files import standard_number
from supervisor_lite.text import plural


def main(argv: list[str]) -> int:
    """Run the daemon; return the exit code: 0 after an orderly end, 1 failed, 2 configuration.

    With `exit_when`, that of the program that ended.
    """
    options = _parse(argv)
    inherited = handover.inherit()
    try:
        directory = _current_directory(options.config)
        configuration = load(options.config, look=_looking_ahead(options))
    except StartupError as error:
        tell(f"supervisor-lite: {error}\n")
        return 1
    except ConfigError as error:
        # Whoever asks for a check waits for the answer; for a daemon, the exit code is the answer.
        tell(f"{error}\n", patience=3600.0 if options.check else PATIENCE)
        known = last_known(options.config) if not options.check else None
        if known is None:
            return 2
        configuration = known._replace(refused=tuple(map(str, error.diagnostics)))
    if options.check:
        return _report_check(configuration)
    try:
        return Startup(options, configuration, directory, inherited).run()
    except SupervisorLiteError as error:
        tell(f"supervisor-lite: {error}\n")
        return 1


def _looking_ahead(options: argparse.Namespace) -> LookAhead | None:
    """Return what looks at programs before this start; None if nobody waits to be told."""
    if not options.check and not options.daemonize:
        return None
    from supervisor_lite.daemon import look_ahead

    return look_ahead.for_check if options.check else look_ahead.before_detaching


def _read_again(config: str) -> Configuration:
    """Read the configuration for a daemon that lives. Raises ConfigError."""
    from supervisor_lite.daemon import look_ahead

    return load(config, look=look_ahead.for_daemon)


def _report_check(configuration: Configuration) -> int:
    for warning in configuration.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    count = sum(1 for _ in configuration.plan.processes())
    processes = plural(count, "process", "processes")
    groups = plural(len(configuration.plan.groups), "group", "groups")
    sys.stdout.write(f"ok: {processes} in {groups}\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line; the manual page is made of it, too."""
    parser = argparse.ArgumentParser(
        prog="supervisor-lite",
        # Asked for the width of the terminal, argparse loads shutil, which loads bz2 and lzma.
        formatter_class=partial(argparse.HelpFormatter, width=78),
        description="A process supervisor: runs what the configuration says and keeps it running.",
        epilog="Without -c: ./supervisor.toml, $XDG_CONFIG_HOME/supervisor-lite/supervisor.toml,"
        " /etc/supervisor-lite/supervisor.toml. Drive it with slctl.",
    )
    add = parser.add_argument
    add("-c", "--configuration", dest="config", metavar="FILE|DIR",
        help="a TOML file, or a directory: its supervisor.toml, or all of its *.toml")  # fmt: skip
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


class Startup:
    """The way from a configuration that was read to a daemon that lives, and its end."""

    def __init__(
        self,
        options: argparse.Namespace,
        configuration: Configuration,
        directory: str,
        inherited: handover.Inherited,
    ) -> None:
        self._options = options
        self._configuration = configuration
        self._directory = directory
        """Where we were started."""
        self._inherited = inherited
        # Found now: later, we are in another directory.
        self._config = locate.absolute_config(options.config) or ""

    def run(self) -> int:
        """Start, live, end; return the exit code. Raises StartupError, AlreadyRunning."""
        settings, options = self._configuration.settings, self._options
        notifier = Notifier.from_environment()
        own_limits.close_on_exec_inherited()
        os.umask(settings.umask)
        owner = prepare.owner_of(settings)
        with self._tolerant():
            prepare.enter(settings.directory)
        with self._tolerant():
            prepare.make_directories(settings, owner)
        locks = Locks(settings, self._inherited.locks)
        report = None
        if options.daemonize:
            _refuse_standard_log(settings.logfile)
            from supervisor_lite.daemon.background import go_to_background, linger_warning

            lingering = linger_warning(settings.runtime_dir)
            for warning in filter(None, (*self._configuration.warnings, lingering)):
                tell(f"supervisor-lite: warning: {warning}\n")
            report = go_to_background()
        try:
            locks.write_pid()
            resources = self._open(owner, notifier, locks, report)
        except OSError as error:
            place = error.filename or settings.socket
            return _fail(report, f"cannot start: {error.strerror}: {place}")
        except SupervisorLiteError as error:
            return _fail(report, str(error))
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                return runner.run(live(resources))
        except StartupError as error:
            resources.log.critical(str(error))
            return _fail(report, str(error))
        finally:
            resources.close()

    @contextlib.contextmanager
    def _tolerant(self) -> Iterator[None]:
        """After an upgrade, tell what is wrong with a directory and go on: what needs it will say.

        There is no daemon any more that could go on instead of us.
        """
        try:
            yield
        except StartupError as error:
            if not self._inherited.upgraded:
                raise
            tell(f"supervisor-lite: {error}\n")

    def _open(
        self,
        owner: prepare.Owner,
        notifier: Notifier,
        locks: Locks,
        report: Callable[[str, str], None] | None,
    ) -> Resources:
        options, settings = self._options, self._configuration.settings
        in_foreground = not (options.daemonize or options.silent or settings.silent)
        config = self._config
        return open_resources(
            self._configuration,
            lambda: _read_again(config),
            self._directory,
            config,
            self._inherited,
            notifier,
            locks,
            owner,
            LogOptions(to_stderr=in_foreground, level=options.level),
            lambda: self._report_started(report),
        )

    def _report_started(self, report: Callable[[str, str], None] | None) -> None:
        """Tell whoever waits for `--daemonize` that we are there."""
        if report is not None:
            from supervisor_lite.daemon.background import started_text

            report("", started_text(self._configuration, self._options.config, self._config))


def _refuse_standard_log(path: str | None) -> None:
    """Raise StartupError if the log is to go where nothing is once the terminal is left."""
    if path is not None and standard_number(path) is not None:
        text = "with --daemonize that is /dev/null; set logfile to a file, or run in the foreground"
        raise StartupError(f'cannot log to "{path}": {text}')


@contextlib.contextmanager
def _going_back(log: Log) -> Iterator[None]:
    """If this fails, and an upgrade has begun it, become the version before."""
    try:
        yield
    except BaseException as error:
        if going_back.is_possible():
            log.critical(f"cannot serve, going back to the version before: {error}")
            going_back.go_back(str(error) or repr(error))
        raise


async def live(resources: Resources) -> int:
    """Recover, serve until the end is requested, end; return the exit code.

    Raises StartupError.
    """
    with _going_back(resources.log):
        app = App(resources)
    try:
        with _going_back(resources.log):
            recover(app)
        going_back.succeeded()
        await app.shutdown.wait()
        await hang_up(app.server, for_good=not app.shutdown.leave_running)
    finally:
        app.close()
    resources.log.info("supervisor-lite ended", pid=os.getpid())
    return app.shutdown.exit_code


def _fail(report: Callable[[str, str], None] | None, text: str) -> int:
    """Report why there is no daemon to whoever started us; return the exit code."""
    line = f"supervisor-lite: {text}\n"
    if report is not None:
        report(line, "")
    else:
        tell(line)
    return 1
