"""The daemon's directories go, move, fill up or are somebody else's: nothing is lost by it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from pathlib import Path

import pytest

from tests.chaos.tools import kill, upgrade
from tests.elsewhere import copy_packages, python_for
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, wait_until

NOBODY = pwd.getpwnam("nobody").pw_uid

WEB = program("web", SLEEPER, startsecs=0)

TALKER = program(
    "talker",
    sh("while read -r line; do echo out $line; echo err $line >&2; done"),
    startsecs=0, stdin="pipe",
)  # fmt: skip
"""Says what it reads, on both streams."""


def vanish(daemon: Daemon) -> None:
    shutil.rmtree(daemon.dir / "run")


def move_away(daemon: Daemon) -> None:
    """The next daemon is told of another directory; the old one stays where it is."""
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('/run"', '/run2"'))
    daemon.socket = daemon.dir / "run2" / "supervisor.sock"


# Adopted programs whose pipes have no name any more.


@pytest.mark.parametrize("lose", [vanish, move_away])
def test_what_an_adopted_program_writes_and_reads(daemons: Daemons, lose: object) -> None:
    """Its live pipes are taken from the process itself: no line is lost, and it can be sent some.

    What it wrote while no daemon was there is read, too.
    """
    assert callable(lose)
    daemon = daemons(TALKER)
    before = daemon.wait_running("talker")
    daemon.ctl("send", "talker", "first")
    daemon.wait_said("talker", "out first")
    kill(daemon)
    stdin = f"/proc/{before['talker']}/fd/0"
    Path(stdin).write_bytes(b"meanwhile\n")
    lose(daemon)
    daemon.start()
    assert daemon.wait_running("talker") == before
    daemon.wait_said("talker", "out first\nout meanwhile\n")
    daemon.ctl("send", "talker", "second")
    daemon.wait_said("talker", "out second")
    wait_until(lambda: "err second" in daemon.text("log/talker.stderr.log"))
    assert daemon.status("talker")["output_lost"] is False
    daemon.ctl("restart", "talker")
    daemon.ctl("send", "talker", "third")
    daemon.wait_said("talker", "out third")
    assert daemon.text("log/talker.stdout.log").count("first") == 1


def test_a_flood_goes_on_through_a_pipe_without_a_name(daemons: Daemons) -> None:
    """A program that writes more than the pipe holds does not hang."""
    script = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo line $i of many more; done; echo end"
    wait = "until [ -e %(here)s/go ]; do sleep 0.05; done"
    daemon = daemons(program("flood", sh(f"{wait}; {script}; exec sleep 10000"), startsecs=0))
    daemon.wait_running("flood")
    kill(daemon)
    vanish(daemon)
    daemon.start()
    (daemon.dir / "go").touch()
    wait_until(lambda: daemon.text("log/flood.stdout.log").endswith("end\n"), 30)
    assert daemon.text("log/flood.stdout.log").count("\n") == 40001


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a program of another user")
def test_output_that_cannot_be_had_is_told(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the status, by `why` and in the log; and the next run has its output again."""
    python = python_for(NOBODY)
    program_of_root = "%(here)s/sleep"
    daemon = daemons.prepare(
        program("sealed", [program_of_root, "10000"], startsecs=0), settings='user = "nobody"'
    )
    shutil.copy("/bin/sleep", daemon.dir / "sleep")
    (daemon.dir / "sleep").chmod(0o4755)  # so its user may not look into it
    copy_packages(daemon.dir / "packages")
    daemon.environment["PYTHONPATH"] = str(daemon.dir / "packages")
    line = [python, "-m", "supervisor_lite", "-c", str(daemon.config)]
    monkeypatch.setattr(daemon, "command", lambda: line)
    os.chown(daemon.dir, NOBODY, NOBODY)
    daemon.start()
    before = daemon.wait_running("sealed")
    kill(daemon)
    vanish(daemon)
    daemon.start()
    assert daemon.wait_running("sealed") == before
    status = daemon.status("sealed")
    assert status["output_lost"] is True
    assert status["reason"] == "its output is lost until it is restarted"
    for told in (daemon.log(), daemon.ctl("why", "sealed").stdout):
        assert "output" in told
        assert "lost until it is restarted" in told
        assert "Permission denied" in told
    os.kill(before["sealed"], signal.SIGKILL)
    wait_until(lambda: daemon.status("sealed")["pid"] not in (None, before["sealed"]))
    assert daemon.status("sealed")["output_lost"] is False
    kill(daemon)


# A daemon whose own files are gone.


def reached(daemon: Daemon) -> bool:
    """Is everything there by which the daemon is found?"""
    run = daemon.dir / "run"
    there = all((run / name).exists() for name in ("supervisor.lock", "instance", "daemon.json"))
    pid = daemon.text("run/supervisor.pid").strip()
    return there and pid == str(daemon.pid) and daemon.answers()


@pytest.mark.parametrize("how", ["noticed", "HUP", "USR2"])
def test_a_runtime_directory_that_vanishes_is_made_anew(daemons: Daemons, how: str) -> None:
    """Because it is noticed, and when it is asked for; nobody's output is lost meanwhile."""
    daemon = daemons(TALKER + WEB)
    before = daemon.wait_running("talker", "web")
    mode = (daemon.dir / "run").stat().st_mode
    for _ in range(2):
        vanish(daemon)
        if how != "noticed":
            daemon.signal(getattr(signal, f"SIG{how}"))
        wait_until(lambda: reached(daemon), what="it can be reached again")
    assert (daemon.dir / "run").stat().st_mode == mode
    assert daemon.wait_running("talker", "web") == before
    daemon.ctl("send", "talker", "hello")
    daemon.wait_said("talker", "out hello")
    daemon.ctl("restart", "web", "talker")
    daemon.ctl("send", "talker", "again")
    daemon.wait_said("talker", "out again")
    assert "made anew" in daemon.log()
    upgrade(daemon)
    daemon.ctl("status")


@pytest.mark.parametrize("name", ["supervisor.sock", "supervisor.pid", "supervisor.lock"])
def test_one_of_its_files_that_is_deleted_is_made_anew(daemons: Daemons, name: str) -> None:
    """And a connection that is open stays so."""
    daemon = daemons(WEB)
    with daemon.connect() as connection:
        (daemon.dir / "run" / name).unlink()
        wait_until((daemon.dir / "run" / name).exists)
        wait_until(lambda: reached(daemon))
        assert connection.call("version")["pid"] == daemon.pid
    second = daemon.launch_second()
    assert second.returncode == 1
    assert str(daemon.pid) in second.stderr


def test_a_second_daemon_is_refused_whatever_is_deleted(daemons: Daemons) -> None:
    """The state directory is locked itself; what is said names the pid, the socket, the way out."""
    daemon = daemons(WEB)
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        for path in [*(daemon.dir / "run").iterdir(), *(daemon.dir / "state").glob("*.lock")]:
            if not path.is_dir():
                path.unlink()
        second = daemon.launch_second()
    finally:
        os.kill(daemon.pid, signal.SIGCONT)
    assert second.returncode == 1
    assert f"pid {daemon.pid}" in second.stderr
    assert str(daemon.socket) in second.stderr
    assert f"kill -HUP {daemon.pid}" in second.stderr
    assert str(daemon.config) in second.stderr
    wait_until(lambda: reached(daemon))


def test_a_spawn_makes_what_it_needs(daemons: Daemons) -> None:
    """Even before it is noticed: no program is given up because a directory is gone."""
    daemon = daemons(program("web", SLEEPER, startsecs=0, startretries=0))
    pid = daemon.wait_running("web")["web"]
    os.kill(daemon.pid, signal.SIGSTOP)
    for name in ("run", "log"):
        shutil.rmtree(daemon.dir / name)
    os.kill(pid, signal.SIGKILL)
    os.kill(daemon.pid, signal.SIGCONT)
    wait_until(lambda: reached(daemon))
    wait_until(lambda: daemon.status("web")["pid"] not in (None, pid))
    assert daemon.status("web")["state"] == "RUNNING"
    assert ("RUNNING", "EXITED") in daemon.changes("web")
    assert not [to for _, to in daemon.changes("web") if to in ("BACKOFF", "FATAL")]
