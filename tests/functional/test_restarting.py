"""What follows when a process ends by itself."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.programs import SLEEPER, program, sh, stamper
from tests.support import Daemon, Daemons, alive, wait_until

ENDINGS = {"expected": "exit 7", "unexpected": "exit 3", "killed": "kill -9 $$"}


def dies_once(name: str, how: str) -> list[str]:
    """Return a program that ends this way in its first run and stays in the second."""
    flag = f"%(here)s/{name}.flag"
    return stamper(name, f"[ -e {flag} ] && exec sleep 100000; : >{flag}; {how}")


def test_autorestart_decides_about_every_kind_of_ending(daemons: Daemons) -> None:
    """true always respawns, false never, "unexpected" unless the code is in `exitcodes`."""
    policies = {"always": True, "never": False, "unless": "unexpected"}
    table = ""
    for policy, value in policies.items():
        for ending, how in ENDINGS.items():
            name = f"{policy}_{ending}"
            table += program(
                name, dies_once(name, how), autorestart=value, exitcodes=[0, 7], startsecs=0
            )
    daemon = daemons(table)
    for policy in policies:
        for ending in ENDINGS:
            name = f"{policy}_{ending}"
            again = policy == "always" or (policy == "unless" and ending != "expected")
            if again:
                wait_until(lambda n=name: len(daemon.stamps(n)) == 2, what=name)  # type: ignore[misc]
                status = daemon.wait_state(name, "RUNNING")
                assert status["restarts"] == 1
            else:
                status = daemon.wait_state(name, "EXITED")
                assert (status["pid"], status["wanted"]) == (None, False)
            assert ("RUNNING", "EXITED") in daemon.changes(name)
            assert status["exitcode"] == {"expected": 7, "unexpected": 3, "killed": None}[ending]
            assert status["signal"] == ("SIGKILL" if ending == "killed" else None)
    for policy in policies:  # nothing that stayed down came up meanwhile
        for ending in ENDINGS:
            name = f"{policy}_{ending}"
            again = policy == "always" or (policy == "unless" and ending != "expected")
            assert len(daemon.stamps(name)) == 1 + again, name


def replaced(daemon: Daemon, name: str, old: int) -> int:
    """Wait for a new pid of `name`, at full speed, and return it."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pid = daemon.status(name)["pid"]
        if pid not in (None, old):
            return int(pid)
    raise AssertionError(daemon.status(name))


def test_a_death_is_answered_at_once(daemons: Daemons) -> None:
    """A RUNNING process that is killed is replaced without a pause; how soon, is measured."""
    daemon = daemons(program("web", SLEEPER, startsecs=0) + program("other", SLEEPER, startsecs=0))
    daemon.wait_state("web", "RUNNING")
    other = daemon.wait_state("other", "RUNNING")["pid"]
    for _ in range(5):
        old = daemon.status("web")["pid"]
        os.kill(old, signal.SIGKILL)
        assert alive(replaced(daemon, "web", old))
    assert "BACKOFF" not in str(daemon.changes("web"))
    assert daemon.status("other")["pid"] == other


def test_a_respawn_loop_is_never_tight(daemons: Daemons) -> None:
    """With startsecs = 0 a program that ends at once is respawned ten times a second at most."""
    daemon = daemons(program("loop", stamper("loop", "exit 1"), startsecs=0))
    wait_until(lambda: len(daemon.stamps("loop")) >= 16, limit=30)
    times = [up for up, _ in daemon.stamps("loop")[:16]]
    # A stamp is written a moment after its spawn: only the sum has a firm lower bound.
    assert times[-1] - times[0] >= 15 * 0.1 - 0.1
    assert "BACKOFF" not in str(daemon.changes("loop"))


def test_restart_brings_a_new_process(daemons: Daemons) -> None:
    """`restart` ends the old process first, and is done when the new one is RUNNING."""
    name = "web"
    daemon = daemons(
        program(name, stamper(name, "exec sleep 100000"))
        + program("idle", SLEEPER, autostart=False)
        + program("other", SLEEPER)
    )
    old = daemon.wait_state(name, "RUNNING")["pid"]
    other = daemon.status("other")["pid"]
    began = time.monotonic()
    daemon.ctl("restart", name)
    assert time.monotonic() - began >= 1.0  # startsecs
    status = daemon.status(name)
    assert status["state"] == "RUNNING"
    assert status["pid"] != old
    assert not alive(old)
    assert len(daemon.stamps(name)) == 2
    assert daemon.status("other")["pid"] == other
    daemon.ctl("restart", "idle")
    assert daemon.status("idle")["state"] == "RUNNING"


def test_restart_in_the_states_that_are_not_up(daemons: Daemons) -> None:
    """Where there is nothing to stop, a restart is a start, at once and with fresh failures."""
    once = "[ -e %(here)s/NAME.ok ] && exec sleep 100000; exit 1"
    daemon = daemons(
        program("stopped", SLEEPER, autostart=False, startsecs=0)
        + program("backoff", sh(once.replace("NAME", "backoff")), backoff=100)
        + program("exited", sh(once.replace("NAME", "exited")), startsecs=0, autorestart=False)
        + program("fatal", sh(once.replace("NAME", "fatal")), startretries=0)
    )
    for name in ("stopped", "backoff", "exited", "fatal"):
        daemon.wait_state(name, name.upper())
        (daemon.dir / f"{name}.ok").touch()
    daemon.ctl("restart", "all")
    for name in ("stopped", "backoff", "exited", "fatal"):
        status = daemon.status(name)
        assert (status["state"], status["failures"]) == ("RUNNING", 0)


def test_a_restart_survives_its_client(daemons: Daemons) -> None:
    """Nothing stays down when the client hangs up in the middle of a restart."""
    daemon = daemons(
        program("web", stamper("web", "trap 'sleep 0.5; exit' TERM; while :; do sleep 0.05; done"))
    )
    old = daemon.wait_state("web", "RUNNING")["pid"]
    with daemon.connect() as connection:
        connection.send("restart", {"names": ["web"]})
        daemon.wait_state("web", "STOPPING")
    new = daemon.wait_state("web", "RUNNING")
    assert new["pid"] != old


@pytest.mark.parametrize("startsecs", [0, 1])
def test_an_exit_while_running_is_told_and_its_code_kept(daemons: Daemons, startsecs: int) -> None:
    """EXITED keeps the code and the reason."""
    daemon = daemons(
        program("job", stamper("job", "sleep 1.5; exit 5"), startsecs=startsecs, autorestart=False)
    )
    status = daemon.wait_state("job", "EXITED")
    assert (status["exitcode"], status["signal"], status["pid"]) == (5, None, None)
    assert "exit 5" in status["reason"]
    assert daemon.changes("job") == [
        ("STOPPED", "STARTING"),
        ("STARTING", "RUNNING"),
        ("RUNNING", "EXITED"),
    ]
