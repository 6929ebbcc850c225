"""The daemon dies; the next one takes over what is alive, and exactly that."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.tools import (
    check_journal,
    crash,
    edit,
    journal_path,
    kill,
    kill_process,
    last_run,
    no_zombies,
    rows,
    run_row,
    upgrade,
)
from tests.client import environment_of
from tests.programs import FORKER, SLEEPER, TERM_IGNORER, exits, program, sh, stamper
from tests.support import Daemon, Daemons, alive, wait_until

WEB, DB = (program(name, SLEEPER, startsecs=0) for name in ("web", "db"))

SETTABLE_PID = Path("/proc/sys/kernel/ns_last_pid")


# Taking over.


def test_a_killed_daemon_is_followed_by_one_that_knows_everything(daemons: Daemons) -> None:
    """State, pid, run id, start time, failures and wishes are what they were."""
    daemon = daemons(
        WEB
        + program("slow", SLEEPER, startsecs=100)
        + program("idle", SLEEPER, autostart=False)
        + program("stopped", SLEEPER, startsecs=0)
        + program("done", exits(0), startsecs=0)
        + program("fatal", exits(3), startretries=0)
        + program("failing", exits(4), backoff=100)
    )
    daemon.wait_running("web", "stopped")
    daemon.ctl("stop", "stopped")
    for name, state in (("done", "EXITED"), ("fatal", "FATAL"), ("failing", "BACKOFF")):
        daemon.wait_state(name, state)
    before = {p["fullname"]: p for p in daemon.call("status")["processes"]}
    crash(daemon)
    after = {p["fullname"]: p for p in daemon.call("status")["processes"]}
    assert after.pop("idle")["state"] == before.pop("idle")["state"] == "STOPPED"
    assert after == before
    assert "took over 2 running processes" in daemon.log()
    assert sorted(daemon.marked()) == sorted(
        [daemon.pid, before["web"]["pid"], before["slow"]["pid"]]
    )
    check_journal(daemon, open_runs=2)


def test_an_adopted_process_is_stopped_restarted_and_respawned_like_any_other(
    daemons: Daemons,
) -> None:
    """Nothing is different for the operator."""
    daemon = daemons(WEB + DB + program("job", SLEEPER, startsecs=0, autorestart=False))
    before = daemon.wait_running("web", "db", "job")
    crash(daemon)
    assert daemon.wait_running("web", "db", "job") == before
    daemon.ctl("restart", "web")
    assert daemon.status("web")["pid"] != before["web"]
    daemon.ctl("stop", "db")
    assert (daemon.states()["db"], alive(before["db"])) == ("STOPPED", False)
    assert daemon.status("db")["signal"] == "SIGTERM"
    daemon.ctl("signal", "KILL", "job")
    assert daemon.wait_state("job", "EXITED")["signal"] == "SIGKILL"
    daemon.ctl("start", "all")
    daemon.wait_running("web", "db", "job")


CODES = (
    ("seven", "exit 7", 7, None),
    ("zero", "exit 0", 0, None),
    ("segv", "kill -SEGV $$", None, "SIGSEGV"),
    ("kill", "kill -KILL $$", None, "SIGKILL"),
)


def test_the_exit_code_of_an_adopted_process_is_exact(daemons: Daemons) -> None:
    """It is init's child by now and reaped by that; the code is known all the same."""
    script = "while ! [ -e %(here)s/go ]; do sleep 0.1; done; "
    daemon = daemons(
        "".join(
            program(name, sh(script + end), startsecs=0, autorestart=False)
            for name, end, _, _ in CODES
        )
    )
    daemon.wait_running(*(name for name, *_ in CODES))
    crash(daemon)
    (daemon.dir / "go").touch()
    for name, _, code, number in CODES:
        status = daemon.wait_state(name, "EXITED")
        assert (status["exitcode"], status["signal"]) == (code, number), name
        row = last_run(daemon, name)
        assert (row["code"], row["signal"]) == (code, number)


def test_an_end_that_nobody_saw_is_answered_by_the_rules(daemons: Daemons) -> None:
    """It counts as unexpected: respawned or not as the definition says; closed in the journal."""
    daemon = daemons(
        program("again", SLEEPER, startsecs=0)
        + program("never", SLEEPER, startsecs=0, autorestart=False)
        + program("starting", SLEEPER, startsecs=100, backoff=100)
    )
    daemon.wait_running("again", "never")
    status = {name: daemon.status(name) for name in ("again", "never", "starting")}
    kill(daemon, inherit=True)
    for one in status.values():
        kill_process(one["pid"])
    daemon.start()
    wait_until(lambda: daemon.status("again")["run"] > status["again"]["run"])
    daemon.wait_state("again", "RUNNING")
    never = daemon.wait_state("never", "EXITED")
    assert (never["exitcode"], never["signal"], never["pid"]) == (None, None, None)
    assert "unknown" in never["reason"]
    assert daemon.wait_state("starting", "BACKOFF", "RUNNING")["state"] == "BACKOFF"
    for name, one in status.items():
        row = run_row(daemon, one["run"])
        assert row["ended"] is not None, name
        assert row["code"] is row["signal"] is None
    check_journal(daemon, open_runs=1)


def test_the_exit_code_of_one_that_is_dead_but_not_reaped(daemons: Daemons) -> None:
    """It ended with nobody there; as long as it is a zombie, how is known at once."""
    daemon = daemons(program("job", SLEEPER, startsecs=0, autorestart=False))
    pid = daemon.wait_running("job")["job"]
    kill(daemon, inherit=True)
    kill_process(pid, reaped=False)
    daemon.start()
    assert daemon.wait_state("job", "EXITED")["signal"] == "SIGKILL"
    os.waitpid(pid, 0)


def test_a_backoff_goes_on_where_it_was(daemons: Daemons) -> None:
    """The next try comes when it was due, the count of failures is kept."""
    daemon = daemons(program("failing", stamper("failing", "exit 1"), backoff=4, startretries=9))
    daemon.wait_state("failing", "BACKOFF")
    (first, _) = daemon.stamps("failing")[0]
    due = daemon.status("failing")["next_try"]
    crash(daemon)
    status = daemon.status("failing")
    assert (status["failures"], status["next_try"]) == (1, due)
    wait_until(lambda: len(daemon.stamps("failing")) == 2)
    assert daemon.stamps("failing")[1][0] - first >= 4
    assert daemon.wait_state("failing", "BACKOFF")["failures"] == 2


def test_a_backoff_that_was_due_meanwhile_is_made_up_for_once(daemons: Daemons) -> None:
    """The try that nobody was there for comes at once, and only one of it."""
    daemon = daemons(program("failing", stamper("failing", "exit 1"), backoff=3, startretries=9))
    daemon.wait_state("failing", "BACKOFF")
    kill(daemon)
    due = daemon.stamps("failing")[0][0] + 3.2
    wait_until(lambda: float(Path("/proc/uptime").read_text().split()[0]) > due)
    daemon.start()
    wait_until(lambda: len(daemon.stamps("failing")) == 2, 2)
    daemon.wait_state("failing", "BACKOFF")
    assert len(daemon.stamps("failing")) == 2


def test_starting_becomes_running_when_it_would_have(daemons: Daemons) -> None:
    """`startsecs` counts from the spawn, not from the take-over."""
    later = program("later", SLEEPER, startsecs=3, autostart=False)
    daemon = daemons(program("web", SLEEPER, startsecs=3) + later)
    began = daemon.wait_state("web", "STARTING")["up_since"]
    crash(daemon)
    daemon.call("start", names=["later"], wait=False)
    assert daemon.status("web")["up_since"] == began
    daemon.wait_running("web")
    assert time.monotonic() - began >= 3
    daemon.wait_running("later")
    order = [event["name"] for event in daemon.events() if event["to"] == "RUNNING"]
    assert order == ["web", "later"], "it has not waited as long as one that began now"


def test_a_pending_kill_survives_the_daemon(daemons: Daemons) -> None:
    """A stop that was under way ends with SIGKILL when it was due; the wish stays down."""
    daemon = daemons(program("deaf", TERM_IGNORER, startsecs=0, stopwaitsecs=4, killasgroup=True))
    daemon.wait_said("deaf", "ready")
    pid = daemon.status("deaf")["pid"]
    daemon.call("stop", names=["deaf"], wait=False)
    began = time.monotonic()
    crash(daemon)
    status = daemon.status("deaf")
    assert (status["state"], status["pid"], status["wanted"]) == ("STOPPING", pid, False)
    status = daemon.wait_state("deaf", "STOPPED", limit=15)
    assert time.monotonic() - began > 3.5
    assert (status["signal"], alive(pid)) == ("SIGKILL", False)
    crash(daemon)
    assert daemon.states()["deaf"] == "STOPPED"


def test_a_restart_under_way_is_completed(daemons: Daemons) -> None:
    """The old run ends after the daemon's death, the new one begins after its return."""
    script = "trap 'kill $!; sleep 1.5; exit 0' TERM; echo ready; sleep 100000 & wait"
    daemon = daemons(program("slow", sh(script), startsecs=0))
    daemon.wait_said("slow", "ready")
    before = daemon.status("slow")["pid"]
    daemon.call("restart", names=["slow"], wait=False)
    crash(daemon)
    wait_until(lambda: daemon.status("slow")["pid"] not in (None, before))
    assert daemon.wait_running("slow")["slow"] != before
    assert not alive(before)


def test_output_goes_on_at_the_next_byte(daemons: Daemons) -> None:
    """What is written while no daemon is there waits in the pipe, in both streams."""
    script = "while read -r line; do echo out $line; echo err $line >&2; done <>%(here)s/in"
    daemon = daemons.prepare(program("web", sh(script), startsecs=0))
    os.mkfifo(daemon.dir / "in")
    daemon.start()
    pipe = (daemon.dir / "in").open("r+b", buffering=0)
    daemon.wait_running("web")
    for number in range(3):
        pipe.write(b"a%d\n" % number)
        daemon.wait_said("web", f"out a{number}")
        kill(daemon)
        pipe.write(b"b%d\n" % number)
        daemon.start()
        daemon.wait_said("web", f"out b{number}")
    pipe.close()
    expected = [f"{letter}{number}" for number in range(3) for letter in "ab"]
    for stream, word in (("stdout", "out"), ("stderr", "err")):
        assert daemon.text(f"log/web.{stream}.log").splitlines() == [
            f"{word} {line}" for line in expected
        ]


def test_shutdown_that_leaves_running(daemons: Daemons) -> None:
    """The daemon ends, the programs do not; the next daemon has them, the stopped stay stopped."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    daemon.ctl("stop", "db")
    said = daemon.ctl("shutdown", "--leave-running").stdout
    assert "keep running" in said
    assert daemon.wait_exit() == 0
    assert alive(before["web"])
    assert not daemon.socket.exists()
    daemon.start()
    assert daemon.states() == {"web": "RUNNING", "db": "STOPPED"}
    assert daemon.status("web")["pid"] == before["web"]
    daemon.ctl("start", "db")


def test_an_orderly_shutdown_starts_afresh(daemons: Daemons) -> None:
    """After a full stop the configuration alone decides; run ids go on."""
    daemon = daemons(WEB + DB)
    daemon.wait_running("web", "db")
    daemon.ctl("stop", "db")
    used = max(row["run"] for row in rows(daemon, "SELECT run FROM runs"))
    daemon.ctl("shutdown")
    daemon.wait_exit()
    daemon.start()
    daemon.wait_running("web", "db")
    assert min(daemon.status(name)["run"] for name in ("web", "db")) > used


# Groups that were taken out of use.


def leave(daemon: Daemon) -> None:
    """End the daemon alone, and start the next one."""
    daemon.ctl("shutdown", "--leave-running")
    assert daemon.wait_exit() == 0
    daemon.start()


def in_use(daemon: Daemon) -> list[str]:
    listed = daemon.call("avail")["processes"]
    return sorted(row["fullname"] for row in listed if row["in_use"])


def without_db(daemon: Daemon) -> int:
    """Take db out of use; return the pid of web."""
    pid = daemon.wait_running("web", "db")["web"]
    daemon.ctl("stop", "db")
    daemon.ctl("remove", "db")
    return pid


@pytest.mark.parametrize("ending", [crash, upgrade, leave])
def test_a_removed_group_stays_out_of_use(
    daemons: Daemons, ending: Callable[[Daemon], None]
) -> None:
    """However often the daemon is replaced; until somebody wants it back."""
    daemon = daemons(WEB + DB)
    pid = without_db(daemon)
    for _ in range(2):
        ending(daemon)
        assert daemon.states() == {"web": "RUNNING"}
        assert daemon.status("web")["pid"] == pid
        assert in_use(daemon) == ["web"]
    assert "db: not started, it was taken out of use" in daemon.log()
    daemon.ctl("add", "db")
    daemon.wait_running("db")
    ending(daemon)
    assert daemon.wait_running("web", "db")["web"] == pid


@pytest.mark.parametrize("verb", ["update", "update db", "reload", "SIGHUP"])
def test_a_removed_group_is_brought_back_by_what_applies_the_configuration(
    daemons: Daemons, verb: str
) -> None:
    """As in Supervisor, and also for the daemon after the next one."""
    daemon = daemons(WEB + DB)
    without_db(daemon)
    crash(daemon)
    assert daemon.ctl("reread").stdout == "db: available\n"
    if verb == "SIGHUP":
        daemon.signal(signal.SIGHUP)
    else:
        daemon.ctl(*verb.split())
    wait_until(lambda: "db" in daemon.states(), what="db is in use")
    pid = daemon.wait_running("db")["db"]
    crash(daemon)
    assert daemon.wait_running("web", "db")["db"] == pid


def test_an_update_of_other_groups_brings_no_removed_one_back(daemons: Daemons) -> None:
    daemon = daemons(WEB + DB)
    without_db(daemon)
    daemon.configure(WEB + DB + program("more", SLEEPER, startsecs=0))
    daemon.ctl("update", "more")
    daemon.wait_running("more")
    crash(daemon)
    assert sorted(daemon.states()) == ["more", "web"]


def test_an_orderly_shutdown_ends_a_removal(daemons: Daemons) -> None:
    """A new supervisord starts everything in its file, and so does a daemon after a full stop."""
    daemon = daemons(WEB + DB)
    without_db(daemon)
    daemon.ctl("shutdown")
    daemon.wait_exit()
    daemon.start()
    daemon.wait_running("web", "db")


def test_a_removal_does_not_outlive_the_machine(daemons: Daemons) -> None:
    daemon = daemons(WEB + DB)
    pid = without_db(daemon)
    kill(daemon)
    kill_process(pid)
    edit(daemon, "UPDATE meta SET value = replace(value, ?, ?) WHERE key = 'world'",
         Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "another-boot")  # fmt: skip
    daemon.start()
    daemon.wait_running("web", "db")


def test_a_removal_outlives_a_configuration_that_is_broken_meanwhile(daemons: Daemons) -> None:
    """What was last in force has no such group: that does not mean that it is gone."""
    daemon = daemons(WEB + DB)
    without_db(daemon)
    whole = daemon.config.read_text()
    daemon.config.write_text(whole + "[program.broken]\n")
    crash(daemon)
    assert daemon.call("version")["refused"]
    daemon.config.write_text(whole)
    crash(daemon)
    assert daemon.states() == {"web": "RUNNING"}


def test_a_removed_group_that_leaves_the_configuration_is_new_when_it_returns(
    daemons: Daemons,
) -> None:
    daemon = daemons(WEB + DB)
    without_db(daemon)
    daemon.configure(WEB)
    crash(daemon)
    daemon.configure(WEB + DB)
    crash(daemon)
    daemon.wait_running("web", "db")


def test_a_removed_group_that_runs_all_the_same_is_in_use(daemons: Daemons) -> None:
    """A version that knew nothing of its removal has started it: it is not left to itself."""
    daemon = daemons(WEB + DB)
    before = daemon.wait_running("web", "db")
    kill(daemon)
    edit(daemon, "INSERT INTO meta VALUES ('unused:db', '')")
    daemon.start()
    assert daemon.wait_running("web", "db") == before
    assert rows(daemon, "SELECT key FROM meta WHERE key GLOB 'unused:*'") == []


# A configuration that changed meanwhile.


def test_a_definition_that_changed_meanwhile(daemons: Daemons) -> None:
    """The live process is kept under the old one and shown as stale; `update` replaces it."""
    daemon = daemons(WEB + DB + program("gone", SLEEPER, startsecs=0))
    before = daemon.wait_running("web", "db", "gone")
    kill(daemon)
    changed = program("web", SLEEPER, startsecs=0, environment={"CHANGED": "1"})
    daemon.configure(changed + DB + program("new", SLEEPER, startsecs=0))
    daemon.start()
    assert daemon.wait_running("web", "db", "new")["web"] == before["web"]
    assert (daemon.status("web")["stale"], daemon.status("db")["stale"]) == (True, False)
    assert daemon.marked("CHANGED=1") == []
    wait_until(lambda: "gone" not in daemon.states(), what="what is no longer defined is gone")
    assert not alive(before["gone"])
    daemon.ctl("update")
    assert not alive(before["web"])
    assert daemon.marked("CHANGED=1") == [daemon.wait_running("web")["web"]]
    assert daemon.status("web")["stale"] is False
    assert daemon.wait_running("db")["db"] == before["db"]
    assert sorted(row["name"] for row in rows(daemon, "SELECT name FROM processes")) == [
        "db", "new", "web",
    ]  # fmt: skip


def test_the_dead_are_replaced_under_the_new_definition(daemons: Daemons) -> None:
    """Nothing of the old one is alive, so there is no reason to run it once more."""
    daemon = daemons(WEB + program("gone", stamper("gone", "exec sleep 100000"), startsecs=0))
    before = daemon.wait_running("web", "gone")
    wait_until(lambda: len(daemon.stamps("gone")) == 1)
    kill(daemon, inherit=True)
    for pid in before.values():
        kill_process(pid)
    daemon.configure(program("web", SLEEPER, startsecs=0, environment={"CHANGED": "1"}))
    daemon.start()
    pid = daemon.wait_running("web")["web"]
    assert daemon.marked("CHANGED=1") == [pid]
    assert daemon.status("web")["stale"] is False
    wait_until(lambda: "gone" not in daemon.states())
    assert len(daemon.stamps("gone")) == 1, "what is not defined any more was started once more"
    daemon.ctl("update")
    assert daemon.wait_running("web")["web"] == pid


def test_a_program_that_was_removed_takes_its_family_with_it(daemons: Daemons) -> None:
    """Stopped means stopped, also for what the next daemon does not know."""
    daemon = daemons(WEB + program("tree", FORKER, startsecs=0))
    daemon.wait_running("web", "tree")
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
    kill(daemon)
    daemon.configure(WEB)
    daemon.start()
    wait_until(lambda: daemon.pids_of("tree") == [] and "tree" not in daemon.states())


@pytest.mark.parametrize("dead", [False, True])
def test_leftovers_of_what_is_dead_and_removed(daemons: Daemons, dead: bool) -> None:
    """Its main process died with nobody there; what it left does not outlive the definition."""
    daemon = daemons(WEB + program("tree", FORKER, startsecs=0))
    pid = daemon.wait_running("web", "tree")["tree"]
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
    kill(daemon, inherit=True)
    if dead:
        kill_process(pid)
    daemon.configure(WEB)
    daemon.start()
    wait_until(lambda: daemon.pids_of("tree") == [], what="the family of tree is gone")
    wait_until(lambda: "tree" not in daemon.states())


# A journal that does not tell the truth.


def test_killed_between_intent_and_record(daemons: Daemons) -> None:
    """A run of which only the intention was written is found by its identity, and taken over."""
    daemon = daemons(WEB + program("idle", SLEEPER, autostart=False, startsecs=0))
    daemon.wait_running("web")
    daemon.ctl("start", "idle")
    before = daemon.wait_running("web", "idle")
    kill(daemon)
    for name in before:
        run = last_run(daemon, name)["run"]
        edit(daemon, "UPDATE runs SET pid = NULL, boot = NULL, start = NULL, inode = NULL,"
             " spawned = NULL WHERE run = ?", run)  # fmt: skip
        (row,) = rows(daemon, "SELECT record FROM processes WHERE name = ?", name)
        record = {**json.loads(row["record"]), "state": 10, "pid": None, "run": None}
        edit(daemon, "UPDATE processes SET record = ? WHERE name = ?", json.dumps(record), name)
    daemon.start()
    assert daemon.wait_running("web", "idle") == before
    for name, pid in before.items():
        assert daemon.pids_of(name) == [pid]
        row = last_run(daemon, name)
        assert (row["pid"], row["ended"]) == (pid, None)
        assert daemon.status(name)["run"] == row["run"]


def test_killed_before_the_fork(daemons: Daemons) -> None:
    """An intention without a process is closed, and the spawn that was due is made up for."""
    daemon = daemons(WEB)
    pid = daemon.wait_running("web")["web"]
    kill(daemon, inherit=True)
    kill_process(pid)
    run = last_run(daemon, "web")["run"]
    edit(daemon, "UPDATE runs SET pid = NULL, boot = NULL, start = NULL WHERE run = ?", run)
    (row,) = rows(daemon, "SELECT record FROM processes")
    record = {**json.loads(row["record"]), "state": 10, "pid": None, "run": None}
    edit(daemon, "UPDATE processes SET record = ?", json.dumps(record))
    daemon.start()
    daemon.wait_running("web")
    row = run_row(daemon, run)
    assert row["ended"] is not None
    assert json.loads(row["cause"]) == {"kind": "never_spawned"}
    check_journal(daemon, open_runs=1)


def test_killed_between_the_end_of_a_run_and_its_record(daemons: Daemons) -> None:
    """The record says RUNNING, the run says how it ended: that is believed, and kept."""
    daemon = daemons(program("job", SLEEPER, startsecs=0, autorestart=False))
    pid = daemon.wait_running("job")["job"]
    run = last_run(daemon, "job")["run"]
    kill(daemon, inherit=True)
    kill_process(pid)
    cause = '{"kind":"exited","exit":{"code":7}}'
    sql = "UPDATE runs SET ended = 12345, code = 7, cause = ? WHERE run = ?"
    edit(daemon, sql, cause, run)
    daemon.start()
    assert daemon.wait_state("job", "EXITED")["exitcode"] == 7
    row = run_row(daemon, run)
    assert (row["ended"], row["code"], row["cause"]) == (12345, 7, cause)


def test_the_last_commits_are_lost(daemons: Daemons) -> None:
    """As after a loss of power: what is alive is taken over under its run id, nothing twice."""
    names = ("kept", "stopped", "restarted", "died")
    daemon = daemons(
        "".join(program(name, SLEEPER, startsecs=0) for name in names)
        + program("later", SLEEPER, startsecs=0, autostart=False)
    )
    daemon.wait_running(*names)
    copy = daemon.dir / "copy"
    copy.mkdir()
    for path in sorted(journal_path(daemon).parent.glob("journal.db*")):
        shutil.copy(path, copy)
    daemon.ctl("stop", "stopped")
    daemon.ctl("restart", "restarted")
    old = daemon.status("died")["pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: daemon.status("died")["pid"] not in (None, old))
    daemon.ctl("start", "later")
    added = program("added", SLEEPER, startsecs=0)
    daemon.configure(daemon.config.read_text().partition("\n\n")[2] + added)
    daemon.ctl("update")
    alive_ones = daemon.wait_running("kept", "restarted", "died", "later", "added")
    used = {row["run"] for row in rows(daemon, "SELECT run FROM runs")}
    for path in journal_path(daemon).parent.glob("journal.db*"):
        path.unlink()
    kill(daemon)
    for path in journal_path(daemon).parent.glob("journal.db*"):
        path.unlink()
    for path in copy.iterdir():
        shutil.copy(path, journal_path(daemon).parent)
    daemon.start()
    assert daemon.wait_running(*alive_ones) == alive_ones
    # That it had been stopped is what was lost: it is as it was when the copy was taken.
    daemon.wait_running("stopped")
    for name in (*alive_ones, "stopped"):
        assert daemon.pids_of(name) == [daemon.status(name)["pid"]], name
    assert daemon.status("stopped")["run"] not in used
    check_journal(daemon, open_runs=6, times=False)


@pytest.mark.parametrize("damage", ["missing", "garbage", "truncated"])
def test_a_journal_that_is_lost(daemons: Daemons, damage: str) -> None:
    """The processes are found by their identity; nothing is started twice; it is said."""
    daemon = daemons(WEB + DB + program("tree", FORKER, startsecs=0))
    before = daemon.wait_running("web", "db", "tree")
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
    tree = daemon.pids_of("tree")
    used = max(daemon.status(name)["run"] for name in before)
    kill(daemon)
    path = journal_path(daemon)
    rows(daemon, "PRAGMA wal_checkpoint(TRUNCATE)")
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    match damage:
        case "missing":
            path.unlink()
        case "garbage":
            path.write_bytes(os.urandom(65536))
        case "truncated":
            os.truncate(path, path.stat().st_size // 2)
    daemon.start()
    assert daemon.wait_running("web", "db", "tree") == before
    assert daemon.pids_of("tree") == tree
    assert len(daemon.marked()) == 1 + 2 + len(tree)
    assert "3 running processes are not in the journal" in daemon.log()
    if damage != "missing":
        assert "set aside" in daemon.log()
        assert list(path.parent.glob("journal.db.corrupt-*"))
    daemon.ctl("restart", "web")
    assert daemon.status("web")["run"] > used
    daemon.ctl("stop", "tree")
    assert daemon.pids_of("tree") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("lost", [False, True])
def test_processes_of_another_user(daemons: Daemons, lost: bool) -> None:
    """Taken over, found without a journal and ended with their family like root's own."""
    daemon = daemons(program("tree", FORKER, startsecs=0, user="nobody"))
    before = daemon.wait_running("tree")
    wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
    tree = daemon.pids_of("tree")
    kill(daemon)
    if lost:
        for file in journal_path(daemon).parent.glob("journal.db*"):
            file.unlink()
    daemon.start()
    assert daemon.wait_running("tree") == before
    assert daemon.pids_of("tree") == tree
    daemon.ctl("stop", "tree")
    assert daemon.pids_of("tree") == []


def test_a_journal_of_a_newer_version_is_refused(daemons: Daemons) -> None:
    """Politely, with nothing touched."""
    daemon = daemons(WEB)
    pid = daemon.wait_running("web")["web"]
    kill(daemon)
    (before,) = rows(daemon, "PRAGMA user_version")
    edit_pragma(daemon, 99)
    process = daemon.launch()
    assert process.wait(20) == 1
    assert "newer version" in daemon.text("stderr")
    assert alive(pid)
    edit_pragma(daemon, before["user_version"])
    daemon.start()
    assert daemon.wait_running("web")["web"] == pid


def edit_pragma(daemon: Daemon, version: int) -> None:
    rows(daemon, f"PRAGMA user_version = {version}")


# Two daemons.


def second(daemon: Daemon, config: Path) -> subprocess.CompletedProcess[str]:
    """Run another daemon to its end."""
    return subprocess.run(
        [sys.executable, "-m", "supervisor_lite", "-c", str(config)],
        cwd=daemon.dir, env=environment_of(str(daemon.dir)), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip


@pytest.mark.parametrize("shared", ["everything", "state", "runtime", "link"])
def test_a_second_daemon_refuses_and_touches_nothing(daemons: Daemons, shared: str) -> None:
    """One directory in common is enough, by whatever path."""
    daemon = daemons(WEB + program("done", exits(0), startsecs=0))
    before = daemon.wait_running("web")
    daemon.wait_state("done", "EXITED")
    other = daemon.dir / "other.toml"
    text = daemon.config.read_text()
    if shared == "state":
        text = text.replace('/run"', '/run2"').replace('/log"', '/log2"')
    elif shared == "runtime":
        text = text.replace('/state"', '/state2"')
    elif shared == "link":
        (daemon.dir / "elsewhere").symlink_to(daemon.dir / "state")
        text = text.replace('/run"', '/run2"').replace('/state"', '/elsewhere"')
    other.write_text(text)
    journal = rows(daemon, "SELECT * FROM runs"), rows(daemon, "SELECT * FROM processes")
    done = second(daemon, other)
    assert done.returncode == 1
    assert f"pid {daemon.pid}" in done.stderr
    assert "another supervisor-lite is running" in done.stderr
    assert daemon.wait_running("web") == before
    assert (rows(daemon, "SELECT * FROM runs"), rows(daemon, "SELECT * FROM processes")) == journal
    assert daemon.call("version")["pid"] == daemon.pid
    assert len(daemon.marked("SUPERVISOR_ENABLED=1")) == 1


# A pid that somebody else has got.


def pids_can_be_chosen() -> bool:
    try:
        SETTABLE_PID.write_text(SETTABLE_PID.read_text())
    except OSError:
        return False
    return True


needs_pids = pytest.mark.skipif(
    not pids_can_be_chosen(), reason=f"{SETTABLE_PID} cannot be written"
)


def take_pid(pid: int, script: str, daemon: Daemon) -> subprocess.Popen[bytes]:
    """Start an innocent session leader that has exactly this pid."""
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), what=f"{pid} is reaped")
    environment = {**environment_of(str(daemon.dir))}
    for _ in range(500):
        SETTABLE_PID.write_text(str(pid - 1))
        innocent = subprocess.Popen(
            ["sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            env=environment, start_new_session=True, cwd=daemon.dir,
        )  # fmt: skip
        if innocent.pid == pid:
            return innocent
        innocent.kill()
        innocent.wait()
    pytest.skip(f"pid {pid} was always taken by somebody else")


@needs_pids
@pytest.mark.parametrize("leader_stays", [True, False])
def test_a_reused_pid_is_neither_adopted_nor_signalled(
    daemons: Daemons, leader_stays: bool
) -> None:
    """An innocent has the pid of a dead run: as a session leader with children, or those alone."""
    daemon = daemons(
        program("web", SLEEPER, startsecs=0) + program("once", SLEEPER, startsecs=0,
                                                       autorestart=False),
    )  # fmt: skip
    for name in ("once", "web"):
        pid = daemon.wait_running(name)[name]
        kill(daemon, inherit=True)
        kill_process(pid)
        children = "sleep 100 & sleep 100 & echo $! >children; "
        innocent = take_pid(pid, children + ("wait" if leader_stays else "exit 0"), daemon)
        wait_until(lambda: daemon.text("children").strip())
        if not leader_stays:
            innocent.wait()
        mine = [p for p in daemon.marked() if p != innocent.pid]
        family = [p for p in mine if os.getsid(p) == innocent.pid]
        assert len(family) == 2
        daemon.start()
        daemon.wait_state(name, "RUNNING" if name == "web" else "EXITED")
        assert daemon.status(name)["pid"] != pid
        daemon.ctl("stop", "all")
        daemon.ctl("start", name)
        daemon.ctl("stop", name)
        assert all(map(alive, family)), "children of an innocent were killed"
        if leader_stays:
            assert innocent.poll() is None
            innocent.kill()
            innocent.wait()
        for child in family:
            kill_process(child)
        (daemon.dir / "children").unlink()
        daemon.ctl("start", "all")


@needs_pids
def test_a_reused_pid_while_the_leftovers_wait_for_their_kill(daemons: Daemons) -> None:
    """The main process is long gone; an innocent with its pid is not taken for its family."""
    script = (
        "setsid sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 0.1; done' & exec sleep 9999"
    )
    daemon = daemons(program("web", sh(script), startsecs=0, stopwaitsecs=3))
    pid = daemon.wait_running("web")["web"]
    daemon.wait_said("web", "deaf")
    daemon.call("stop", names=["web"], wait=False)
    wait_until(lambda: daemon.status("web")["pid"] is None)
    kill(daemon)
    innocent = take_pid(pid, "sleep 100 & wait", daemon)
    wait_until(lambda: len([p for p in daemon.marked() if os.getsid(p) == pid]) == 2)
    family = [p for p in daemon.marked() if os.getsid(p) == pid]
    daemon.start()
    daemon.wait_state("web", "STOPPED")
    assert daemon.pids_of("web") == []
    assert all(map(alive, family))
    for member in family:
        with contextlib.suppress(ProcessLookupError):  # one ends with the other
            os.kill(member, signal.SIGKILL)
    innocent.wait()


# The end of it all.


def test_no_zombies_and_no_strangers_after_many_lives(daemons: Daemons) -> None:
    """Killed, upgraded, left and started again, with a program that crashes all the time."""
    daemon = daemons(WEB + program("looper", sh("exit 1"), startsecs=0, autorestart=True))
    before = daemon.wait_running("web")
    for _ in range(2):
        crash(daemon)
        upgrade(daemon)
        daemon.ctl("shutdown", "--leave-running")
        assert daemon.wait_exit() == 0
        daemon.start()
    assert daemon.wait_running("web") == before
    no_zombies(daemon)
    daemon.ctl("stop", "looper")
    assert set(daemon.marked()) == {daemon.pid, before["web"]}
    assert not re.search(r"internal error", daemon.log())
