"""What the daemon works with as long as it lives: opened before it begins, closed at its end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from supervisor_lite.control.server import ControlSocket
from supervisor_lite.daemon import going_back, prepare
from supervisor_lite.daemon.handover import Inherited
from supervisor_lite.daemon.locks import Locks
from supervisor_lite.daemon.log import Log, LogTarget, open_log
from supervisor_lite.daemon.own_files import spare_socket
from supervisor_lite.daemon.systemd import Notifier
from supervisor_lite.errors import StartupError
from supervisor_lite.host import own_limits
from supervisor_lite.host.identity import boot_id
from supervisor_lite.host.own_limits import Descriptors
from supervisor_lite.model.plan import Configuration
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.store.journal import Journal, open_journal
from supervisor_lite.store.migrations import SCHEMA


class LogOptions(NamedTuple):
    """What the command line says about the daemon's log, beside the configuration."""

    to_stderr: bool
    level: str | None
    """Overrides `log_level`."""


class Resources(NamedTuple):
    """Everything that is there before the event loop is."""

    settings: DaemonSettings
    configuration: Configuration
    read: Callable[[], Configuration]
    """Reads the configuration again. Raises ConfigError."""
    directory: str
    """Where we were started: relative paths on the command line are meant from there."""
    inherited: Inherited
    notifier: Notifier
    locks: Locks
    descriptors: Descriptors
    config: str
    """The path of the configuration."""
    sock: ControlSocket
    log: Log
    log_target: LogTarget
    journal: Journal
    on_ready: Callable[[], None]
    """Called once, when the daemon answers and has spawned what is to be started."""

    def close(self) -> None:
        """Release everything; another daemon can start in the same place after that."""
        prepare.remove_pidfile(self.settings.pidfile)
        self.sock.close()
        self.journal.close()
        self.log_target.close()
        self.locks.release()


def open_resources(
    configuration: Configuration,
    read: Callable[[], Configuration],
    directory: str,
    config: str,
    inherited: Inherited,
    notifier: Notifier,
    locks: Locks,
    owner: prepare.Owner,
    log_options: LogOptions,
    on_ready: Callable[[], None],
) -> Resources:
    """Open what is not there yet: as root where it has to be, then with dropped privileges.

    Raises OSError, StartupError or another of our errors, with nothing left open or on disk.
    """
    settings = configuration.settings
    descriptors, low_limit = own_limits.raise_descriptors(
        settings.minfds, inherited.children_nofile
    )
    few_processes = own_limits.raise_processes(settings.minprocs)
    with contextlib.ExitStack() as undo:
        # Bound before root is given up, so that its directory may be root's.
        ids = prepare.socket_owner(settings, owner)
        sock = ControlSocket(settings, ids, inherited.socket, spare_socket(settings))
        if not inherited.upgraded:  # else it stays for whoever comes after us
            undo.callback(sock.close)
        prepare.become(owner)
        target, log = _open_log(settings, log_options, to_journal=notifier.stderr_is_journal)
        undo.callback(target.close)
        _write_pidfile(settings.pidfile, log, required=not inherited.upgraded)
        if not inherited.upgraded:
            undo.callback(prepare.remove_pidfile, settings.pidfile)
        path = os.path.join(settings.state_dir, "journal.db")
        going_back.keep_journal(path, SCHEMA)
        journal = open_journal(path, log.warning, runtime_dir=settings.runtime_dir, boot=boot_id())
        undo.pop_all()
    _tell_refused(log, configuration.refused)
    _warn(log, (*configuration.warnings, low_limit, few_processes))
    return Resources(
        settings, configuration, read, directory, inherited, notifier, locks, descriptors, config,
        sock, log, target, journal, on_ready,
    )  # fmt: skip


def _tell_refused(log: Log, refused: Iterable[str]) -> None:
    """Say that the configuration on disk is not the one in force, and why not."""
    for diagnostic in refused:
        log.error(f"configuration not used, the last one is in force: {diagnostic}")


def _write_pidfile(path: str, log: Log, *, required: bool) -> None:
    """Write our pid; a disk that is full, or cannot be written, is told and stops nothing.

    Raises StartupError if something else is there, where that is `required` not to be.
    """
    try:
        prepare.write_pidfile(path)
    except StartupError as error:
        if required and not isinstance(error.__cause__, OSError):
            raise
        log.warning(str(error))


def _open_log(
    settings: DaemonSettings, options: LogOptions, *, to_journal: bool
) -> tuple[LogTarget, Log]:
    target = LogTarget(
        settings.logfile, settings.logfile_maxbytes, settings.logfile_backups,
        to_stderr=options.to_stderr, to_journal=to_journal,
    )  # fmt: skip
    return target, open_log(target, options.level or settings.log_level, settings.log_format)


def _warn(log: Log, warnings: Iterable[str]) -> None:
    for warning in filter(None, warnings):
        log.warning(warning)
