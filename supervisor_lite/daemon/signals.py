"""What each signal means to the daemon (docs/slctl.md, and supervisord's own meanings).

TERM, INT and QUIT end it in order, and the second one at once; HUP takes up what changed in the
configuration; USR2 opens the log files again, for logrotate. Both make anew what is gone of the
daemon's own files. Every other signal that can be caught is told once and ignored.

HUP is also what the kernel sends when a terminal is closed. A daemon that was started from that
terminal, in the foreground, ends in order then, as any process in the foreground does: nobody would
see it any more. With nohup(1) it goes on; with `--daemonize` it has no terminal.
"""

from __future__ import annotations

import asyncio
import signal

from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.daemon.log import Log, LogTarget
from supervisor_lite.daemon.own_files import OwnFiles
from supervisor_lite.daemon.reload import Reload
from supervisor_lite.daemon.shutdown import Shutdown
from supervisor_lite.daemon.systemd import Notifier
from supervisor_lite.daemon.tasks import BackgroundTasks
from supervisor_lite.host.stray_signals import StraySignals
from supervisor_lite.host.terminal import has_terminal

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class SignalHandlers:
    """Called by the event loop, never in the middle of something else."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        supervisor: Supervisor,
        shutdown: Shutdown,
        reload: Reload,
        notifier: Notifier,
        log: Log,
        log_target: LogTarget,
        tasks: BackgroundTasks,
        own_files: OwnFiles,
        *,
        nohup: bool,
    ) -> None:
        """`nohup`: SIGHUP was ignored when we were started."""
        self._loop = loop
        self._supervisor = supervisor
        self._shutdown = shutdown
        self._reload = reload
        self._notifier = notifier
        self._log = log
        self._log_target = log_target
        self._tasks = tasks
        self._own_files = own_files
        self._nohup = nohup
        self._had_terminal = has_terminal()
        self._stray = StraySignals(loop, self._on_stray)

    def install(self) -> None:
        """Handle signals from now on."""
        handle = self._loop.add_signal_handler
        for number in _ENDING:
            handle(number, self._on_end, number)
        handle(signal.SIGHUP, self._on_hangup)
        handle(signal.SIGUSR2, self._on_reopen)
        self._stray.begin()

    def ignore(self) -> None:
        """Let no late signal turn an orderly end into another one."""
        for number in (*_ENDING, signal.SIGHUP):
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
        self._stray.close()

    def _on_stray(self, name: str, sender: str) -> None:
        self._log.warning(f"{name} from {sender} has no meaning here: ignored from now on")

    def _on_end(self, number: signal.Signals) -> None:
        if self._shutdown.leave_running:
            # systemd sends it when ExecStop has asked for this end.
            self._log.info(f"{number.name}: ending already, the programs stay")
        elif self._supervisor.stopping:
            self._log.warning(f"{number.name} again: killing what is left")
            self._shutdown.kill_now("a second signal")
        else:
            self._log.info(f"{number.name}: shutting down")
            self._shutdown.begin(f"signal {number.name}")

    def _on_hangup(self) -> None:
        if self._had_terminal and not has_terminal():
            self._on_terminal_gone()
            return
        self._log.info("SIGHUP: reading the configuration")
        self._own_files.restore()
        # With Type=notify-reload, `systemctl reload` is this signal and waits for READY.
        self._notifier.notify_reloading()
        self._tasks.start(self._reload.update_by_signal())

    def _on_terminal_gone(self) -> None:
        if self._nohup:
            self._log.warning("SIGHUP: the terminal is gone; started with nohup, so it goes on")
        elif not self._supervisor.stopping:  # it may come from the shell, and from the kernel
            hint = "nohup or --daemonize would keep the programs running"
            self._log.warning(f"SIGHUP: the terminal is gone: shutting down; {hint}")
            self._shutdown.begin("signal SIGHUP: the terminal is gone")

    def _on_reopen(self) -> None:
        self._own_files.restore()
        self._log_target.reopen()
        for process in self._supervisor.processes.values():
            if process.logs is not None:
                process.logs.reopen()
        self._log.info("SIGUSR2: log files reopened")
