"""How a start succeeds, fails, is tried again and is given up."""

from __future__ import annotations

import time

import pytest

from tests.programs import SLEEPER, exits, program, sh, stamper
from tests.support import TICK, Daemons, wait_until


@pytest.mark.slow
def test_failed_starts_are_retried_after_growing_pauses(daemons: Daemons) -> None:
    """startretries = n gives n + 1 spawns, the n-th pause lasts n seconds, then comes FATAL."""
    wanted = (0, 1, 3, 5)
    daemon = daemons(
        "".join(program(f"r{n}", stamper(f"r{n}", "exit 3"), startretries=n) for n in wanted)
    )
    planned = daemon.planned_pauses("r5", "FATAL")
    assert planned == pytest.approx([1, 2, 3, 4, 5], abs=0.05)
    for n in wanted:
        status = daemon.wait_state(f"r{n}", "FATAL")
        times = [up for up, _ in daemon.stamps(f"r{n}")]
        assert len(times) == n + 1, status
        for pause in range(1, n + 1):
            gap = times[pause] - times[pause - 1]
            assert pause - TICK <= gap, (n, pause, gap)
        assert (status["failures"], status["pid"], status["next_try"]) == (n + 1, None, None)
        assert (status["exitcode"], status["signal"]) == (3, None)
        assert "exit 3" in status["reason"]
        assert ("STARTING", "RUNNING") not in daemon.changes(f"r{n}")


def test_running_after_startsecs(daemons: Daemons) -> None:
    """A process is STARTING for `startsecs`, then RUNNING; at once with startsecs = 0."""
    seconds = (0, 1, 3)
    daemon = daemons(
        "".join(program(f"s{n}", SLEEPER, startsecs=n, autostart=False) for n in seconds)
    )
    asked = time.monotonic()
    daemon.call("start", names=["all"], wait=False)
    for n in seconds:
        status = daemon.wait_state(f"s{n}", "RUNNING")
        assert time.monotonic() - asked >= n
        assert status["pid"] in daemon.pids_of(f"s{n}")
        assert daemon.changes(f"s{n}") == [("STOPPED", "STARTING"), ("STARTING", "RUNNING")]
        if n < 3:
            assert daemon.status("s3")["state"] == "STARTING"


def test_an_early_exit_is_a_failed_start_whatever_the_code(daemons: Daemons) -> None:
    """Ending before `startsecs` with an expected code is a failed start all the same."""
    daemon = daemons(
        program("zero", exits(0), startretries=0)
        + program("seven", exits(7), startretries=0, exitcodes=[0, 7])
        + program("never", exits(0), startretries=0, autorestart=False)
    )
    for name, code in (("zero", 0), ("seven", 7), ("never", 0)):
        status = daemon.wait_state(name, "FATAL")
        assert (status["exitcode"], status["failures"]) == (code, 1)


def test_retries_ignore_autorestart(daemons: Daemons) -> None:
    """`autorestart` is about exits from RUNNING; a failed start is tried again regardless."""
    daemon = daemons(program("job", stamper("job", "exit 1"), startretries=1, autorestart=False))
    daemon.wait_state("job", "FATAL")
    assert len(daemon.stamps("job")) == 2


def test_what_ends_at_once_is_never_shown_running(daemons: Daemons) -> None:
    """A process that exits immediately goes to BACKOFF and FATAL, never through RUNNING."""
    # On a busy machine it may take a second until it has ended: that must not count as up.
    options = {"startretries": 1, "startsecs": 10}
    daemon = daemons("".join(program(f"p{n}", exits(1), **options) for n in range(10)))
    for n in range(10):
        daemon.wait_state(f"p{n}", "FATAL", limit=20)
        assert daemon.changes(f"p{n}") == [
            ("STOPPED", "STARTING"),
            ("STARTING", "BACKOFF"),
            ("BACKOFF", "STARTING"),
            ("STARTING", "BACKOFF"),
            ("BACKOFF", "FATAL"),
        ]


def test_backoff_tells_how_the_last_try_ended_and_when_the_next_comes(daemons: Daemons) -> None:
    """The exit code or signal is kept in BACKOFF, with the reason and the time of the next try."""
    daemon = daemons(
        program("code", exits(3), startretries=9)
        + program("killed", sh("kill -9 $$"), startretries=9)
    )
    code = daemon.wait_state("code", "BACKOFF")
    assert (code["exitcode"], code["signal"]) == (3, None)
    assert "exit 3" in code["reason"]
    assert code["next_try"] is not None
    assert code["wanted"] is True
    killed = daemon.wait_state("killed", "BACKOFF")
    assert (killed["exitcode"], killed["signal"]) == (None, "SIGKILL")
    assert "KILL" in killed["reason"]


def test_spawn_errors_are_failed_starts_with_their_reason(daemons: Daemons) -> None:
    """What cannot be started says why, is tried again, and ends FATAL without a process."""
    daemon = daemons.prepare(environment={"PATH": "/usr/local/bin:/usr/bin:/bin"})
    bad = {
        "missing": "/nonexistent/prog",
        "unknown": "no-such-command-anywhere",
        "folder": str(daemon.dir),
        "plain": str(daemon.dir / "plain"),
        "interpreter": str(daemon.dir / "interpreter"),
        "noshebang": str(daemon.dir / "noshebang"),
    }
    for name, text, mode in (
        ("plain", "#!/bin/sh\n", 0o644),
        ("interpreter", "#!/nonexistent/interpreter\n", 0o755),
        ("noshebang", "\x01\x02 this is no program", 0o755),
    ):
        (daemon.dir / name).write_text(text)
        (daemon.dir / name).chmod(mode)
    daemon.configure(
        "".join(program(name, [path], startretries=1) for name, path in bad.items())
        + program("cwd", SLEEPER, startretries=1, directory="/nonexistent/place")
        + program("eager", ["/nonexistent/prog"], startretries=1, startsecs=0)
    )
    daemon.start()
    named = {**bad, "cwd": "/nonexistent/place", "eager": "/nonexistent/prog"}
    reasons = {}
    for name, culprit in named.items():
        status = daemon.wait_state(name, "FATAL", limit=15)
        assert culprit in status["reason"], status
        assert (status["failures"], status["pid"], status["exitcode"]) == (2, None, None)
        assert ("STARTING", "RUNNING") not in daemon.changes(name)
        reasons[name] = status["reason"].replace(culprit, "…")
    for name, word in (
        ("missing", "cannot find"),
        ("unknown", "cannot find"),
        ("folder", "directory"),
        ("plain", "permission|executable"),
        ("interpreter", "interpreter"),
        ("noshebang", "format|script|interpreter"),
        ("cwd", "no such|directory"),
    ):
        text = reasons[name].lower()
        assert any(option in text for option in word.split("|")), reasons
    assert daemon.pids_of("cwd") == []


def test_a_start_after_fatal_begins_afresh(daemons: Daemons) -> None:
    """The counter of failures starts at zero when an operator starts the process again."""
    daemon = daemons(program("job", stamper("job", "exit 1"), startretries=1))
    daemon.wait_state("job", "FATAL")
    assert daemon.ctl("start", "job", code=None).returncode == 1
    status = daemon.wait_state("job", "FATAL")
    assert len(daemon.stamps("job")) == 4
    assert status["failures"] == 2


def test_start_in_every_state(daemons: Daemons) -> None:
    """A start brings the process up, or leaves it alone where it is up already."""
    once = "[ -e %(here)s/NAME.ok ] && exec sleep 100000; exit 1"
    daemon = daemons(
        program("stopped", SLEEPER, autostart=False, startsecs=0)
        + program("starting", stamper("starting", "exec sleep 100000"), startsecs=100)
        + program("running", SLEEPER, startsecs=0)
        + program("backoff", stamper("backoff", once.replace("NAME", "backoff")), backoff=100)
        + program("exited", sh(once.replace("NAME", "exited")), startsecs=0, autorestart=False)
        + program("fatal", sh(once.replace("NAME", "fatal")), startretries=0)
        + program(
            "stopping",
            stamper("stopping", "trap '' TERM; while :; do sleep 100; done"),
            startsecs=0,
            stopwaitsecs=1,
        )
    )
    for name in ("running", "backoff", "exited", "fatal"):
        daemon.wait_state(name, name.upper())
    wait_until(lambda: daemon.stamps("stopping") and daemon.stamps("starting"))
    running = daemon.status("running")["pid"]
    starting = daemon.status("starting")["pid"]
    first = daemon.status("stopping")["pid"]
    daemon.call("stop", names=["stopping"], wait=False)
    daemon.wait_state("stopping", "STOPPING")
    for name in ("backoff", "exited", "fatal"):
        (daemon.dir / f"{name}.ok").touch()

    daemon.call("start", names=["all"], wait=False)

    for name in ("stopped", "running", "exited", "stopping"):
        status = daemon.wait_state(name, "RUNNING")
        assert status["wanted"] is True
        assert len(daemon.pids_of(name)) in (1, 2), name
    assert daemon.status("running")["pid"] == running
    assert daemon.status("starting")["pid"] == starting
    assert daemon.status("starting")["state"] == "STARTING"
    assert daemon.wait_state("backoff", "RUNNING")["failures"] == 0
    daemon.wait_state("fatal", "RUNNING")
    assert daemon.status("stopping")["pid"] != first
    assert first not in daemon.pids_of("stopping")
