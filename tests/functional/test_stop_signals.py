"""Stopped once: each process of a program gets one stop signal, and goes on to handle it."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from tests.chaos.tools import crash
from tests.client import environment_of
from tests.functional import test_cgroups
from tests.programs import program, sh
from tests.support import Daemon, Daemons, children, wait_until

WITNESS = """
import signal, sys
signals = {signal.SIGTERM, signal.SIGCONT, signal.SIGINT, signal.SIGHUP}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
print(sys.argv[1], "ready", flush=True)
while True:
    print(sys.argv[1], signal.Signals(signal.sigwait(signals)).name, flush=True)
"""
"""Notes every signal, and ends of SIGKILL only."""

ONCE = ["SIGTERM", "SIGCONT"]

group = test_cgroups.group  # the fixture


@pytest.fixture(params=["tree", "cgroup"])
def daemons(request: pytest.FixtureRequest) -> Iterator[Daemons]:
    """Real daemons whose runs are known by their tree, or by a cgroup."""
    setting = "off" if request.param == "tree" else request.getfixturevalue("group")
    made = Daemons()
    made.prepare = _in_place(made, f'cgroups = "{setting}"')  # type: ignore[method-assign]
    yield made
    made.close()


def _in_place(made: Daemons, setting: str):  # type: ignore[no-untyped-def]
    original = made.prepare

    def prepare(programs: str = "") -> Daemon:
        daemon = original(settings=setting)
        (daemon.dir / "witness.py").write_text(WITNESS)
        daemon.configure(programs)
        return daemon

    return prepare


def witness(name: str) -> str:
    """Return the command of one that notes its signals."""
    return f"{sys.executable} -S %(here)s/witness.py {name}"


def family(name: str, on_term: str = "exit", **options: object) -> str:
    """Return a shell with a witness in its process group and one in a session of its own."""
    script = (
        f"trap '{on_term}' TERM; {witness('child')} & setsid {witness('outside')} & "
        "while :; do wait; done"
    )
    return program(name, sh(script), **{"startsecs": 0, "stopwaitsecs": 1, **options})


def ready(daemon: Daemon, *names: str) -> None:
    """Wait until both witnesses of each are listening."""
    for name in names:
        log = f"log/{name}.stdout.log"
        wait_until(lambda log=log: daemon.text(log).count("ready") == 2, 60, name)  # type: ignore[misc]


def heard(daemon: Daemon, name: str, who: str = "child") -> list[str]:
    """Return the signals that a witness has noted."""
    lines = daemon.text(f"log/{name}.stdout.log").splitlines()
    return [line.split()[1] for line in lines if line.split()[0] == who and "ready" not in line]


def both(daemon: Daemon, name: str) -> list[list[str]]:
    """Return what the witness in the group has noted, and the one outside of it."""
    return [heard(daemon, name), heard(daemon, name, "outside")]


def forks(name: str) -> str:
    """Return a handler that starts another witness and ends when that listens."""
    said = f"grep -q late.ready %(here)s/log/{name}.stdout.log"
    return f"{witness('late')} & until {said}; do sleep 0.05; done; exit"


def test_each_process_gets_one_stop_signal(daemons: Daemons) -> None:
    """By the group or as a leftover, never both; who is forked by the handler gets one, too."""
    daemon = daemons.prepare(
        family("group", stopasgroup=True)
        + family("alone")
        + family("killed", killasgroup=True)
        + family("late", forks("late"), stopasgroup=True, stopwaitsecs=5)
        + family("again", stopasgroup=True)
        + family("crashed", autorestart=False, stopasgroup=True)
    ).start()
    names = ("group", "alone", "killed", "late", "again", "crashed")
    ready(daemon, *names)
    os.kill(daemon.status("crashed")["pid"], signal.SIGKILL)
    daemon.ctl("restart", "again")
    assert both(daemon, "again") == [ONCE, ONCE]
    daemon.ctl("stop", "all")
    for name in ("group", "alone", "killed", "late", "crashed"):
        assert both(daemon, name) == [ONCE, ONCE], name
    assert heard(daemon, "late", "late") == ONCE


def test_one_stop_signal_whichever_daemon_sends_it(daemons: Daemons) -> None:
    """Adopted runs, and a daemon that dies after the group's signal or among the leftovers."""
    daemon = daemons.prepare(
        family("adopted", stopasgroup=True)
        + family("deaf", ":", stopasgroup=True, stopwaitsecs=3)
        + family("left", stopwaitsecs=3)
    ).start()
    ready(daemon, "adopted", "deaf", "left")
    daemon.call("stop", names=["deaf", "left"], wait=False)
    wait_until(lambda: heard(daemon, "deaf") == ONCE and both(daemon, "left") == [ONCE, ONCE])
    crash(daemon)
    daemon.ctl("stop", "adopted")
    daemon.wait_state("deaf", "STOPPED")
    daemon.wait_state("left", "STOPPED")
    for name in ("adopted", "deaf", "left"):
        assert both(daemon, name) == [ONCE, ONCE], name


def test_a_stopped_process_goes_on_to_handle_its_stop_signal(daemons: Daemons) -> None:
    """SIGCONT follows the stop signal: to the main process, its group, its leftovers."""
    daemon = daemons.prepare(
        family("group", "echo bye; exit 0", stopasgroup=True, stopwaitsecs=30)
        + family("alone", "echo bye; exit 0", stopwaitsecs=30)
    ).start()
    ready(daemon, "group", "alone")
    for name in ("group", "alone"):
        main = daemon.status(name)["pid"]
        everyone = [main, *children(main)]
        assert len(everyone) == 3
        for pid in everyone:
            os.kill(pid, signal.SIGSTOP)
    daemon.call("stop", names=["all"], wait=False)
    for name in ("group", "alone"):
        daemon.wait_said(name, "bye")
        wait_until(lambda name=name: both(daemon, name) == [ONCE, ONCE])  # type: ignore[misc]
        assert daemon.status(name)["exitcode"] == 0
    for pid in daemon.pids_of("group") + daemon.pids_of("alone"):
        os.kill(pid, signal.SIGKILL)


def test_ctrl_c_on_the_terminal_of_the_daemon_is_one_stop(daemons: Daemons) -> None:
    """The terminal's SIGINT is for the daemon; its programs get their stop signal, once."""
    daemon = daemons.prepare(family("group", stopasgroup=True) + family("alone"))
    master, slave = pty.openpty()
    daemon.process = subprocess.Popen(
        daemon.command(), cwd=daemon.dir, stdin=slave, stdout=slave, stderr=slave,
        env=environment_of(str(daemon.dir)), start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(slave)
    wait_until(daemon.answers)
    ready(daemon, "group", "alone")
    os.write(master, b"\x03")
    assert daemon.wait_exit() == 0
    os.close(master)
    assert both(daemon, "group") == both(daemon, "alone") == [ONCE, ONCE]
