"""Exits of processes that are not our children."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor_lite.host import reaper as reaping
from supervisor_lite.host.exit_status import exit_of_zombie
from supervisor_lite.host.reaper import Ended, Reaper
from supervisor_lite.model.exit import Exit
from tests.support import wait_until

# A parent that never reaps its child; the child does what it is told by signals.
CARELESS = """
import os, signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])
pid = os.fork()
if pid == 0:
    os._exit(3 if signal.sigwait([signal.SIGUSR1, signal.SIGUSR2]) == signal.SIGUSR1 else 0)
print(pid, flush=True)
time.sleep(1000)
"""


only_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root can tell an exit code of 0 from one that it may not see"
)


@pytest.fixture
def unreaped() -> Iterator[int]:
    """The pid of a process that will not be reaped."""
    with subprocess.Popen([sys.executable, "-c", CARELESS], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        try:
            yield int(parent.stdout.readline())
        finally:
            parent.kill()


@pytest.mark.parametrize(
    ("number", "end"),
    [
        (signal.SIGUSR1, Exit(code=3)),
        pytest.param(signal.SIGUSR2, Exit(code=0), marks=only_root),
        (signal.SIGKILL, Exit(signal="SIGKILL")),
    ],
)
async def test_an_exit_is_told_before_it_is_reaped(
    unreaped: int, number: int, end: Exit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and as it was: a pid 1 that does not reap holds nothing up."""
    monkeypatch.setattr(reaping, "_REAP_WAIT", 1000.0)
    pidfd = os.pidfd_open(unreaped)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[object] = loop.create_future()
    reaper = Reaper(loop, done.set_result, lambda _: None)
    reaper.watch_adopted(unreaped, pidfd)
    assert exit_of_zombie(unreaped, pidfd) is None, "it is alive"
    os.kill(unreaped, number)
    assert await done == [Ended(unreaped, end)]
    assert not reaper.is_watched(unreaped)
    reaper.stop()
    os.close(pidfd)


def test_nothing_is_known_of_what_is_reaped() -> None:
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) as child:
        pidfd = os.pidfd_open(child.pid)
        wait_until(lambda: exit_of_zombie(child.pid, pidfd) == Exit(code=3))
        child.wait()
        assert exit_of_zombie(child.pid, pidfd) is None
    os.close(pidfd)
