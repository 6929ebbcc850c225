"""Stopped means stopped: in every state, and with all descendants."""

from __future__ import annotations

import os
import shlex
import signal
import time

import pytest

from tests.client import slctl_command
from tests.programs import FORKER, SLEEPER, TERM_IGNORER, exits, program, sh, stamper
from tests.support import Daemon, Daemons, alive, wait_until


def test_stop_in_every_state(daemons: Daemons) -> None:
    """After a stop nothing is alive, nothing comes up again, and the wish is down."""
    daemon = daemons(
        program("stopped", SLEEPER, autostart=False)
        + program("starting", stamper("starting", "exec sleep 100000"), startsecs=100)
        + program("running", SLEEPER, startsecs=0)
        + program("backoff", stamper("backoff", "exit 1"), backoff=1)
        + program("witness", stamper("witness", "exit 1"), backoff=1, autostart=False)
        + program("exited", exits(0), startsecs=0)
        + program("fatal", exits(1), startretries=0)
        + program("stopping", TERM_IGNORER, startsecs=0, stopwaitsecs=1)
    )
    for name in ("running", "backoff", "exited", "fatal"):
        daemon.wait_state(name, name.upper())
    daemon.wait_said("stopping", "ready")
    daemon.call("stop", names=["stopping"], wait=False)
    daemon.wait_state("stopping", "STOPPING")
    wait_until(lambda: daemon.stamps("starting"))
    daemon.wait_state("backoff", "BACKOFF")

    daemon.ctl("stop", "all")

    spawned = len(daemon.stamps("backoff"))
    expected = {"exited": "EXITED", "fatal": "FATAL"}
    for name in ("stopped", "starting", "running", "backoff", "exited", "fatal", "stopping"):
        status = daemon.status(name)
        assert status["state"] == expected.get(name, "STOPPED"), status
        assert (status["wanted"], status["pid"], status["next_try"]) == (False, None, None)
        assert daemon.pids_of(name) == []
    assert len(daemon.stamps("starting")) == 1
    daemon.call("start", names=["witness"], wait=False)
    wait_until(lambda: len(daemon.stamps("witness")) == 2, what="a pause that began later is over")
    assert len(daemon.stamps("backoff")) == spawned
    assert daemon.status("backoff")["state"] == "STOPPED"


def test_stop_answers_when_it_is_true(daemons: Daemons) -> None:
    """`stop` returns only when the process is gone, at once in BACKOFF."""
    daemon = daemons(
        program("slow", sh("trap 'sleep 0.7; exit' TERM; echo ready; while :; do sleep 0.05; done"))
        + program("failing", exits(1), backoff=100)
    )
    pid = daemon.wait_state("slow", "RUNNING")["pid"]
    began = time.monotonic()
    daemon.ctl("stop", "slow")
    assert time.monotonic() - began >= 0.7
    assert not alive(pid)
    daemon.wait_state("failing", "BACKOFF")
    daemon.ctl("stop", "failing")
    assert len(daemon.events("failing")) == 3, "STARTING, BACKOFF, STOPPED: it was not tried again"


def test_what_ignores_term_is_killed_after_stopwaitsecs(daemons: Daemons) -> None:
    """SIGKILL follows the stop signal after `stopwaitsecs`, not earlier."""
    daemon = daemons(program("deaf", TERM_IGNORER, startsecs=0, stopwaitsecs=2))
    daemon.wait_said("deaf", "ready")
    began = time.monotonic()
    stop = daemon.spawn_ctl("stop", "deaf")
    status = daemon.wait_state("deaf", "STOPPING")
    assert "TERM" in status["reason"]
    assert status["wanted"] is False
    status = daemon.wait_state("deaf", "STOPPED", limit=20)
    assert time.monotonic() - began >= 2.0
    assert (status["signal"], status["exitcode"]) == ("SIGKILL", None)
    assert daemon.pids_of("deaf") == []
    assert stop.communicate(timeout=20)[0] == b"deaf: stopped (killed after 2 s)\n"
    stopped = daemon.ctl("stop", "all")
    assert (stopped.stdout, stopped.stderr) == ("", "slctl: nothing to stop: no process is up\n")


SIGNALS = ("TERM", "HUP", "INT", "QUIT", "USR1", "USR2", "WINCH")


def test_stopsignal_of_every_common_kind(daemons: Daemons) -> None:
    """The signal that the definition names is the one that arrives."""
    table = program("kill", SLEEPER, stopsignal="KILL", startsecs=0)
    table += program("number", SLEEPER, stopsignal="SIGINT", startsecs=0)
    for name in SIGNALS:
        script = f"trap 'echo got {name}; exit 0' {name}; echo ready; while :; do sleep 0.05; done"
        table += program(f"on{name}", sh(script), stopsignal=name, startsecs=0)
    daemon = daemons(table)
    for name in SIGNALS:
        daemon.wait_said(f"on{name}", "ready")
    daemon.ctl("stop", "all")
    for name in SIGNALS:
        daemon.wait_said(f"on{name}", f"got {name}")
        assert daemon.status(f"on{name}")["exitcode"] == 0
    assert daemon.status("kill")["signal"] == "SIGKILL"
    assert daemon.status("number")["signal"] == "SIGINT"


CHILD = "sh -c 'trap \"echo child got TERM; exit\" TERM; echo child; while :; do sleep 0.05; done'"
DEAF_CHILD = "sh -c 'trap \"\" TERM; echo child; while :; do sleep 0.05; done'"


def with_child(child: str, main: str = "") -> list[str]:
    """Return a program with a child in its process group; `main` goes before its wait."""
    return sh(f"{child} & {main} echo main; wait; wait")


def test_stopasgroup_and_killasgroup_reach_the_whole_group(daemons: Daemons) -> None:
    """With leftovers = "keep", only these two options reach beyond the main process."""
    common = {"leftovers": "keep", "startsecs": 0, "stopwaitsecs": 1}
    daemon = daemons(
        program("group", with_child(CHILD), stopasgroup=True, **common)
        + program("alone", with_child(CHILD), **common)
        + program("killed", with_child(DEAF_CHILD, "trap '' TERM;"), killasgroup=True, **common)
        + program("spared", with_child(DEAF_CHILD, "trap '' TERM;"), **common),
        survivors=True,
    )
    for name in ("group", "alone", "killed", "spared"):
        daemon.wait_said(name, "child", "main")
    daemon.ctl("stop", "all")
    wait_until(lambda: not daemon.pids_of("group"))
    daemon.wait_said("group", "child got TERM")
    wait_until(lambda: not daemon.pids_of("killed"))
    assert daemon.pids_of("alone")
    assert "got TERM" not in daemon.text("log/alone.stdout.log")
    assert daemon.pids_of("spared")
    assert daemon.status("spared")["signal"] == "SIGKILL"


def family(daemon: Daemon, name: str, size: int = 4) -> list[int]:
    """Wait for all descendants of a FORKER and return them."""
    wait_until(lambda: len(daemon.pids_of(name, "sleep")) == size, what=f"{size} of {name}")
    return daemon.pids_of(name, "sleep")


def test_nothing_is_left_after_a_stop(daemons: Daemons) -> None:
    """Children in the same group, in their own session, and double-forked ones all end."""
    daemon = daemons(program("tree", FORKER, startsecs=0))
    family(daemon, "tree")
    daemon.ctl("stop", "tree")
    assert daemon.pids_of("tree") == []
    assert daemon.status("tree")["state"] == "STOPPED"


@pytest.mark.parametrize("how", ["crash", "restart"])
def test_a_new_run_begins_without_leftovers_of_the_old(daemons: Daemons, how: str) -> None:
    """After a crash and on a restart the old family ends before the next spawn."""
    daemon = daemons(program("tree", FORKER, startsecs=0))
    before = family(daemon, "tree")
    old = daemon.status("tree")["pid"]
    if how == "crash":
        os.kill(old, signal.SIGKILL)
    else:
        daemon.ctl("restart", "tree")
    wait_until(lambda: daemon.status("tree")["pid"] not in (None, old))
    after = family(daemon, "tree")
    assert not set(before) & set(after)
    assert daemon.status("tree")["state"] == "RUNNING"


def test_the_next_spawn_waits_for_stubborn_leftovers(daemons: Daemons) -> None:
    """Leftovers that ignore the stop signal are killed first; two runs never overlap."""
    script = (
        "old=$(cat %(here)s/child.pid 2>/dev/null); "
        'if [ -n "$old" ] && kill -0 $old 2>/dev/null; then echo overlap; fi; '
        'setsid sh -c \'trap "" TERM; echo $$ >%(here)s/child.pid; echo child; '
        "while :; do sleep 0.05; done' & wait"
    )
    daemon = daemons(program("tree", sh(script), startsecs=0, stopwaitsecs=1))
    daemon.wait_said("tree", "child")
    old = daemon.status("tree")["pid"]
    child = int(daemon.text("child.pid"))
    began = time.monotonic()
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: daemon.status("tree")["pid"] not in (None, old), limit=20)
    assert time.monotonic() - began >= 1.0
    assert not alive(child)
    wait_until(lambda: daemon.text("log/tree.stdout.log").count("child") == 2)
    assert "overlap" not in daemon.text("log/tree.stdout.log")


def test_leftovers_of_a_failed_start_and_of_an_exit_are_ended(daemons: Daemons) -> None:
    """Whatever way the main process ends by itself, its background children end too."""
    script = "setsid sleep 100000 & sleep 100000 & exit 1"
    daemon = daemons(
        program("failed", sh(script), startretries=0)
        + program("exited", sh(script), startsecs=0, autorestart=False)
    )
    daemon.wait_state("failed", "FATAL")
    daemon.wait_state("exited", "EXITED")
    wait_until(lambda: not daemon.pids_of("failed"), what="the family of failed is gone")
    wait_until(lambda: not daemon.pids_of("exited"), what="the family of exited is gone")


def test_leftovers_are_kept_when_the_definition_says_so(daemons: Daemons) -> None:
    """leftovers = "keep" leaves descendants alone on stop, crash and restart."""
    daemon = daemons(program("tree", FORKER, startsecs=0, leftovers="keep"), survivors=True)
    kept = family(daemon, "tree")
    first = daemon.status("tree")["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: daemon.status("tree")["pid"] not in (None, first))
    both = family(daemon, "tree", 8)
    assert set(kept) < set(both)
    daemon.ctl("restart", "tree")
    three = family(daemon, "tree", 12)
    daemon.ctl("stop", "tree")
    assert daemon.pids_of("tree") == three


def test_a_stop_that_takes_too_long_is_a_timeout(daemons: Daemons) -> None:
    """`--timeout` ends the wait with code 7; the stop goes on."""
    daemon = daemons(program("deaf", TERM_IGNORER, startsecs=0, stopwaitsecs=3))
    daemon.wait_said("deaf", "ready")
    daemon.ctl("stop", "--timeout", "0.3", "deaf", code=7)
    assert daemon.status("deaf")["state"] == "STOPPING"
    daemon.ctl("stop", "deaf")
    assert daemon.status("deaf")["state"] == "STOPPED"


def test_all_does_not_mean_whom_the_caller_runs_inside(daemons: Daemons) -> None:
    """A script that stops or restarts everything goes on to its end; by its name it is meant."""
    shell = 'while read -r line; do eval "$line"; done'
    daemon = daemons(
        program("shell", sh(shell), startsecs=0, stdin="pipe")
        + program("web", SLEEPER, startsecs=0)
        + program("worker", SLEEPER, startsecs=0)
    )
    before = daemon.wait_running("shell", "web", "worker")
    slctl = " ".join([*map(shlex.quote, slctl_command()), "-c", str(daemon.config)])

    def inside(words: str, how: str = "") -> tuple[str, str]:
        """Run slctl in there; also in a session of its own, or without its parent."""
        files = f">{daemon.dir}/out 2>{daemon.dir}/err"
        over = daemon.dir / "over"
        over.unlink(missing_ok=True)
        line = f"{how} sh -c '{slctl} {words} {files}; echo >{over}' &\n"
        daemon.call("send", name="shell", text=line)
        wait_until(over.exists, 30)
        return daemon.text("out"), daemon.text("err")

    left = "slctl: shell was left out: slctl runs inside it; `slctl {} shell` means it\n"
    assert inside("restart all", "setsid") == (
        "web: restarted\nworker: restarted\n", left.format("restart"),
    )  # fmt: skip
    assert inside('signal CONT "*"')[1] == left.format("signal CONT")
    assert inside('stop "w*" "s*" web') == ("web: stopped\nworker: stopped\n", left.format("stop"))
    assert inside("stop all", "nohup")[1].endswith("nothing else to stop: no process is up\n")
    after = daemon.wait_running("shell")
    assert after["shell"] == before["shell"]
    # From outside it is one of all, and from inside by its name.
    assert "left_out" not in daemon.call("signal", signal="CONT", names=["all"])
    daemon.call("send", name="shell", text=f"{slctl} restart shell\n")
    wait_until(lambda: daemon.status("shell")["pid"] not in (None, before["shell"]))
    assert daemon.ctl("stop", "all").stdout == "shell: stopped\n"
