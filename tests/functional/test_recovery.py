"""A start that fails in any phase: no half of a daemon stays, and no program is touched."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest

from supervisor_lite.daemon.recovery import PHASES
from tests.chaos.tools import kill
from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, alive, wait_until

# The daemon, with a disk that is full when the phase has done its work.
FAILING = """
import functools, sys
failing = sys.argv.pop(1)
from supervisor_lite.daemon import recovery

def broken(phase):
    @functools.wraps(phase)
    def run(start):
        phase(start)
        if phase.__name__ == failing:
            raise OSError(28, "No space left on device")
    return run

recovery.PHASES = tuple(map(broken, recovery.PHASES))
from supervisor_lite.__main__ import main
sys.exit(main())
"""


def fail_in(daemon: Daemon, phase: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next start fail there."""
    line = [sys.executable, "-c", FAILING, phase, "-c", str(daemon.config), *daemon.arguments]
    monkeypatch.setattr(daemon, "command", lambda: line)


def is_free(lock: Path) -> bool:
    fd = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


@pytest.mark.parametrize("phase", [phase.__name__ for phase in PHASES])
def test_a_start_that_fails_leaves_no_half_of_a_daemon(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    web = program("web", SLEEPER, startsecs=0)
    daemon = daemons(web, survivors=True)
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    kill(daemon)
    daemon.configure(web + program("late", SLEEPER, startsecs=0))
    with monkeypatch.context() as patch:
        fail_in(daemon, phase, patch)
        daemon.launch()
        assert daemon.wait_exit() == 1
    message = f"cannot start: {phase}: No space left on device"
    assert f"supervisor-lite: {message}\n" in daemon.text("stderr")
    assert message in daemon.log()
    assert not daemon.socket.exists()
    assert not (daemon.dir / "run" / "supervisor.pid").exists()
    assert is_free(daemon.dir / "run" / "supervisor.lock")
    assert is_free(daemon.dir / "state" / "supervisor.lock")
    assert alive(pid)
    # The next one finds everything, and starts what this one has not.
    daemon.start()
    assert daemon.status("web")["pid"] == pid
    late = daemon.wait_state("late", "RUNNING")["pid"]
    # In the middle of its exec a process shows no environment, by which it is found here.
    assert wait_until(lambda: daemon.pids_of("late"), what="it can be found") == [late]


def test_who_waits_for_the_background_is_told(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = daemons.prepare(arguments=["--daemonize"])
    fail_in(daemon, "adopt", monkeypatch)
    daemon.launch()
    assert daemon.wait_exit() == 1
    assert daemon.text("stderr") == (
        "supervisor-lite: cannot start: adopt: No space left on device\n"
    )
    assert not daemon.socket.exists()
