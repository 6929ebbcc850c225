"""What signals, and the end of a terminal, do to the daemon."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.client import environment_of
from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, alive, wait_until

WEB = program("web", SLEEPER, startsecs=0)

MEANT = {"KILL", "STOP", "TERM", "INT", "QUIT", "HUP", "USR2", "ABRT", "CHLD", "CONT", "URG",
         "WINCH"}  # fmt: skip


def test_signals_without_a_meaning_are_told_once_and_ignored(daemons: Daemons) -> None:
    """Every signal that can be caught: with who sent it; children start with the defaults."""
    daemon = daemons(WEB)
    pid = daemon.wait_running("web")["web"]
    numbers = [n for n in signal.valid_signals() if name_of(n).removeprefix("SIG") not in MEANT]
    assert len(numbers) > 40
    for _ in range(2):
        for number in numbers:
            os.kill(daemon.pid, number)
        wait_until(lambda: said(daemon) >= len(numbers), what="every signal is told")
    assert daemon.answers()
    for number in numbers:
        assert daemon.log().count(f"{name_of(number)} from pid {os.getpid()}, uid ") == 1
    assert daemon.wait_running("web")["web"] == pid
    daemon.ctl("restart", "web")
    status = Path(f"/proc/{daemon.status('web')['pid']}/status").read_text()
    for line in status.splitlines():
        name, _, mask = line.partition(":\t")
        if name in ("SigBlk", "SigIgn"):
            assert int(mask, 16) & sum(1 << (n - 1) for n in numbers) == 0, line


def said(daemon: Daemon) -> int:
    return daemon.log().count("has no meaning here: ignored from now on")


def name_of(number: int) -> str:
    if signal.SIGRTMIN < number < signal.SIGRTMAX:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"
    return signal.Signals(number).name


def test_a_signal_while_it_starts_does_not_end_it(daemons: Daemons) -> None:
    """It waits until there is somebody to tell of it."""
    daemon = daemons.prepare(WEB)
    process = daemon.launch()
    blocked = 1 << (signal.SIGALRM - 1)

    def is_blocked() -> bool:
        text = Path(f"/proc/{process.pid}/status").read_text()
        return bool(int(text.partition("SigBlk:\t")[2].split()[0], 16) & blocked)

    wait_until(is_blocked)
    os.kill(process.pid, signal.SIGALRM)
    wait_until(daemon.answers)
    wait_until(lambda: "SIGALRM from pid" in daemon.log())


# The terminal.


class Terminal:
    """A terminal with a shell's job in it: the daemon, in the foreground."""

    def __init__(self, daemon: Daemon, *words: str, before: Sequence[str] = ()) -> None:
        self.master, slave = pty.openpty()

        def take() -> None:
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run below nohup

        command = [*before, sys.executable, "-m", "supervisor_lite", "-c", str(daemon.config)]
        self.process = subprocess.Popen(
            [*command, *words], cwd=daemon.dir, stdin=slave, stdout=slave, stderr=slave,
            env=environment_of(str(daemon.dir)), preexec_fn=take,
        )  # fmt: skip
        os.close(slave)
        wait_until(daemon.answers, 30)

    def close(self) -> None:
        """Hang up, as sshd does when a connection is lost."""
        os.close(self.master)


def test_a_terminal_that_is_closed_ends_the_daemon_in_order(daemons: Daemons) -> None:
    """As any process in the foreground; it is no request to read the configuration."""
    daemon = daemons.prepare(WEB)
    terminal = Terminal(daemon)
    daemon.process = terminal.process
    pid = daemon.wait_running("web")["web"]
    terminal.close()
    assert daemon.wait_exit() == 0
    assert not alive(pid)
    assert "the terminal is gone: shutting down" in daemon.log()
    assert "reading the configuration" not in daemon.log()


@pytest.mark.parametrize("how", ["nohup", "daemonize"])
def test_what_outlives_its_terminal(daemons: Daemons, how: str) -> None:
    """It goes on, and SIGHUP by hand is a request as always while there is a terminal."""
    daemon = daemons.prepare(WEB)
    if how == "nohup":
        terminal = Terminal(daemon, before=["nohup"])
        daemon.process = terminal.process
    else:
        terminal = Terminal(daemon, "--daemonize")
        assert terminal.process.wait(30) == 0
    pid = daemon.wait_running("web")["web"]
    own = daemon.call("version")["pid"]
    os.kill(own, signal.SIGHUP)
    wait_until(lambda: "nothing changed in the configuration" in daemon.log())
    terminal.close()
    if how == "nohup":
        wait_until(lambda: "the terminal is gone; started with nohup" in daemon.log())
    assert daemon.wait_running("web")["web"] == pid
    daemon.ctl("shutdown")
    wait_until(lambda: not alive(own))
