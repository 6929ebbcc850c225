"""What is kept of the past and told of the future: events, runs, why, explain."""

from __future__ import annotations

import json
import os
import pwd
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from itertools import pairwise
from typing import Any

import pytest

from supervisor_lite.store.migrations import SCHEMA
from tests.chaos.tools import kill_process
from tests.client import CallError, Connection
from tests.programs import SLEEPER, exits, program, sh, stamper
from tests.support import TICK, Daemon, Daemons, alive, moment, wait_until

CRASHER = sh("exit 1")

LOOPS = "".join(program(f"loop{n}", CRASHER, startsecs=0) for n in range(25))
"""Some 500 changes a second."""


def journal(daemon: Daemon) -> str:
    return str(daemon.dir / "state" / "journal.db")


def crash(daemon: Daemon) -> None:
    """Kill the daemon as nobody should."""
    daemon.signal(signal.SIGKILL)
    assert daemon.wait_exit() == -signal.SIGKILL


def why(daemon: Daemon, name: str) -> list[str]:
    """Return what `slctl why` prints."""
    return daemon.ctl("why", name).stdout.splitlines()


def serials(changes: list[dict[str, Any]]) -> list[int]:
    return [change["serial"] for change in changes]


# What the policy says, and what happens.


def foretold(daemon: Daemon, name: str) -> list[float]:
    """Return when `explain` says that a process will be spawned."""
    (told,) = daemon.call("explain", names=[name])["processes"]
    starts = ("start", "try", "restart")
    return [step["at"] for step in told["schedule"] if step["what"].startswith(starts)]


POLICIES: dict[str, dict[str, object]] = {
    "linear": {"startretries": 2},
    "exponential": {"backoff": "exponential", "startretries": 2},
    "capped": {"backoff": "exponential", "backoff_max": 0.6, "startretries": 3},
    "constant": {"backoff": 0.4, "startretries": 4},
    "fatal": {"backoff": 0.3, "startretries": 9, "restart_limit": "3/1m"},
    "cooled": {
        "backoff": 0.2,
        "startretries": 6,
        "restart_limit": "2/1m",
        "restart_limit_action": "800ms",
    },
    "eager": {"startsecs": 0, "restart_limit": "4/1m"},
    "none": {"startretries": 0},
}


def test_what_explain_says_is_what_happens(daemons: Daemons) -> None:
    """Every spawn of a program that always fails comes when `explain` said, and no other."""
    daemon = daemons(
        "".join(
            program(name, stamper(name, "exit 3"), autostart=False, **policy)
            for name, policy in POLICIES.items()
        )
    )
    plans = {name: foretold(daemon, name) for name in POLICIES}
    assert plans["linear"] == [0, 1, 3]
    assert plans["cooled"] == pytest.approx([0, 0.2, 0.4, 1.2, 2.0, 2.8, 3.6])
    daemon.call("start", names=["all"], wait=False)
    for name, plan in plans.items():
        status = daemon.wait_state(name, "FATAL", limit=15)
        times = [up for up, _ in daemon.stamps(name)]
        assert len(times) == len(plan), (name, plan, times, status)
        for (before, now), (planned, then) in zip(pairwise(times), pairwise(plan), strict=True):
            late = (now - before) - (then - planned)
            assert late >= -TICK - 0.05, (name, plan, times)
    assert "gave up after 3 restarts in 60 s: exit 3" in daemon.status("fatal")["reason"]
    assert "gave up after 7 tries: exit 3" in daemon.status("cooled")["reason"]


def test_jitter_stays_within_what_explain_says(daemons: Daemons) -> None:
    """Pauses are never shorter than told, and not all the same.

    That they are at most the told part longer, every step of the rules is held to (tests/rules).
    """
    policy = {"backoff": 0.3, "backoff_jitter": 1, "startretries": 5, "autostart": False}
    names = ("a", "b", "c")
    daemon = daemons("".join(program(n, stamper(n, "exit 3"), **policy) for n in names))
    (told,) = daemon.call("explain", names=["a"])["processes"]
    assert any("each up to +100 %" in line for line in told["lines"])
    plan = foretold(daemon, "a")
    daemon.call("start", names=["all"], wait=False)
    gaps = []
    for name in names:
        daemon.wait_state(name, "FATAL", limit=15)
        times = [up for up, _ in daemon.stamps(name)]
        assert len(times) == len(plan) == 6
        gaps += [now - before for before, now in pairwise(times)]
    assert min(gaps) >= 0.3 - TICK - 0.05
    assert max(gaps) - min(gaps) > 0.1


def test_a_limit_that_slides_on_is_no_limit(daemons: Daemons) -> None:
    """What restarts less often than the limit allows goes on."""
    daemon = daemons(program("job", stamper("job", "exit 1"), startsecs=0, restart_limit="20/1s"))
    wait_until(lambda: len(daemon.stamps("job")) > 25, limit=20)
    assert daemon.status("job")["state"] in ("RUNNING", "EXITED", "STARTING")


def test_explain_from_where_a_process_is(daemons: Daemons) -> None:
    """In the middle of retries the rest of the schedule is told; `slctl explain` prints it."""
    daemon = daemons(
        program("web", SLEEPER, startsecs=0) + program("bad", exits(3), backoff=30, startretries=2)
    )
    daemon.wait_state("bad", "BACKOFF")
    daemon.wait_state("web", "RUNNING")
    due = moment(daemon.status("bad")["next_try"])
    before = time.time()
    plan = foretold(daemon, "bad")
    assert len(plan) == 2
    assert due - time.time() - 0.1 <= plan[0] <= due - before + 0.1
    assert plan[1] - plan[0] == pytest.approx(30)
    text = daemon.ctl("explain", "bad", "web").stdout
    assert "It waits for its next start." in text
    assert "It is RUNNING. If it ended unexpectedly now" in text
    assert re.search(r"at +\d+\.\d s  try 2 of 3\n", text)
    assert "FATAL: gave up after 3 tries" in text
    assert daemon.ctl("explain", "nobody", code=4).returncode == 4


# Why.


def test_a_failed_start_shows_its_last_words_at_once(daemons: Daemons) -> None:
    """`slctl start` prints the last lines of the output, and the history keeps them."""
    script = "echo to stdout; echo one >&2; printf 'Error: \\033[2J gone\\n' >&2; exit 3"
    daemon = daemons(
        program("bad", sh(script), autostart=False, startretries=0)
        + program("quiet", exits(1), autostart=False, startretries=0)
        + program("missing", ["/nonexistent/prog"], autostart=False, startretries=0)
    )
    said = daemon.ctl("start", "bad", code=1)
    assert said.stderr.splitlines()[1:] == ["    | one", "    | Error: \\x1b[2J gone"]
    assert said.stderr.startswith("bad: ERROR (gave up after 1 try: exit 3)\n")
    (result,) = daemon.call("restart", names=["bad"])["results"]
    assert (result["ok"], result["last_words"]) == (False, "one\nError: \x1b[2J gone")
    for name in ("quiet", "missing"):
        (result,) = daemon.call("start", names=[name])["results"]
        assert (result["ok"], result["last_words"]) == (False, "")
    runs = daemon.call("runs", names=["bad", "missing"])["runs"]
    assert [run["last_words"] for run in runs] == ["", *["one\nError: \x1b[2J gone"] * 2]
    lines = why(daemon, "bad")
    assert lines[0].startswith("bad is FATAL since ")
    assert re.fullmatch(
        r"gave up \S+ after 1 try: exit 3; next: fix it, then slctl start bad", lines[1]
    )
    assert re.fullmatch(
        r"failed to start \S+ \(try 1 of 1\): exit 3 after .* m?s; it said:", lines[2]
    )
    assert lines[3:5] == ["    | one", "    | Error: \\x1b[2J gone"]
    assert re.fullmatch(r"start asked \S+ by uid .*: slctl restart bad", lines[5])
    assert "/nonexistent/prog" in why(daemon, "missing")[1]


def test_why_it_was_restarted(daemons: Daemons) -> None:
    """The signal, how long the run was up, and how soon the next one came."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    os.kill(pid, signal.SIGSEGV)
    wait_until(lambda: daemon.status("web")["pid"] not in (None, pid))
    daemon.wait_state("web", "RUNNING")
    lines = why(daemon, "web")
    assert re.match(
        r"web is RUNNING since \d\d:\d\d:\d\d [+-]\d\d:\d\d \(.*\): pid \d+, run 2$", lines[0]
    )
    assert re.match(
        r"restarted \d\d:\d\d:\d\d: run 1 ended by SIGSEGV(?: \(core dumped\))? after .* m?s"
        r" \(unexpected\); run 2 started [\d.]+ m?s later$",
        lines[1],
    )
    assert re.match(r"started \d\d:\d\d:\d\d: autostart; run 1 \(pid \d+\)", lines[2])
    assert len(lines) == 3


def test_why_it_was_stopped(daemons: Daemons) -> None:
    """Who asked, what had to be done, and the names of what was left of it."""
    script = "trap '' TERM; sleep 100001 & while :; do sleep 100; done"
    daemon = daemons(program("web", sh(script), startsecs=0, stopwaitsecs=0.3))
    wait_until(lambda: len(daemon.pids_of("web", "sleep")) == 2)
    daemon.ctl("stop", "web")
    lines = why(daemon, "web")
    assert re.match(
        r"stopped \d\d:\d\d:\d\d by uid \d+ \(\w+\), pid \d+: slctl stop web;"
        r" TERM, KILL after 0.3 s; 2 leftovers killed: \d+ sleep, \d+ sleep$",
        lines[1],
    )
    daemon.ctl("start", "web")
    wait_until(lambda: len(daemon.pids_of("web", "sleep")) == 2)
    daemon.ctl("restart", "web")
    assert re.match(
        r"restarted .*: slctl restart web; TERM, KILL after 0.3 s; 2 l", why(daemon, "web")[1]
    )


def test_why_tells_what_is_repeated_once(daemons: Daemons) -> None:
    daemon = daemons(program("loop", CRASHER, startsecs=0, restart_limit="5/1m"))
    daemon.wait_state("loop", "FATAL")
    lines = why(daemon, "loop")
    assert re.match(r"gave up \S+ after 5 restarts in 60 s: exit 1; next: fix it", lines[1])
    assert lines[2].startswith("exited ")
    times = r"restarted 5 times (at|between \S+ and) \S+: ended with exit 1 after"
    assert re.match(times, lines[3])
    assert len(lines) == 5


def test_why_knows_of_new_daemons(daemons: Daemons) -> None:
    """A take-over is told, after a crash and after an upgrade, and an end that nobody saw."""
    daemon = daemons(program("web", SLEEPER, startsecs=0) + program("job", SLEEPER, startsecs=0))
    web, job = (daemon.wait_state(name, "RUNNING")["pid"] for name in ("web", "job"))
    crash(daemon)
    kill_process(job)
    daemon.start()
    assert daemon.wait_state("web", "RUNNING")["pid"] == web
    daemon.wait_state("job", "RUNNING")
    taken = f"by a new daemon (pid {daemon.pid}): the one before had ended"
    assert re.fullmatch(rf"taken over \S+ {re.escape(taken)}", why(daemon, "web")[1])
    lines = why(daemon, "job")
    assert lines[1].startswith("restarted ")
    assert re.fullmatch(rf"found ended \S+ {re.escape(taken)}", lines[2])
    daemon.ctl("upgrade")
    assert "the last time by its new version (pid" in why(daemon, "web")[1]
    (noted,) = [
        change for change in daemon.call("events")["changes"]
        if change["name"] == "web" and taken in change["cause"]
    ]  # fmt: skip
    assert (noted["from"], noted["to"], noted["pid"]) == ("RUNNING", "RUNNING", web)
    assert "RUNNING -> RUNNING" not in daemon.log()


def test_who_signals_sends_and_clears_is_known(daemons: Daemons) -> None:
    """What somebody does without a change of state is in events, why and the log, and survives."""
    daemon = daemons(
        program("db", sh("trap 'echo got it' HUP; while :; do sleep 0.05; done"), startsecs=0)
        + program("echo", ["cat"], startsecs=0, stdin="pipe")
        + program("idle", SLEEPER, autostart=False)
    )
    daemon.wait_running("db", "echo")
    user = f"uid {os.getuid()} ({pwd.getpwuid(os.getuid()).pw_name})"
    me = f"{re.escape(user)}, pid \\d+: slctl"
    daemon.ctl("signal", "HUP", "db")
    daemon.wait_said("db", "got it")
    daemon.ctl("signal", "0", "db")  # only asks whether it is there
    daemon.ctl("clear", "db")
    daemon.ctl("send", "echo", "secret words")
    fg = daemon.spawn_ctl("fg", "echo", stdin=subprocess.PIPE)
    assert fg.stdin is not None
    for line in (b"one\n", b"two\n"):
        fg.stdin.write(line)
        fg.stdin.flush()
    daemon.wait_said("echo", "secret words", "one", "two")
    fg.kill()
    fg.communicate()
    daemon.ctl("remove", "idle")
    daemon.ctl("signal", "USR1", "db")
    (ended,) = wait_until(lambda: [c for c in daemon.events("db") if c["to"] == "EXITED"])
    assert ended["cause_data"]["exit"]["signal"] == "SIGUSR1"
    assert re.fullmatch(f"{me} signal USR1 db", ended["cause_data"]["exit"]["sent_by"])
    done = [c for c in daemon.events() if c["from"] == c["to"]]
    assert [(c["name"], c["cause_data"], c["by"].partition(": ")[2]) for c in done] == [
        ("db", {"kind": "signal_sent", "signal": "SIGHUP"}, "slctl signal HUP db"),
        ("db", {"kind": "log_cleared"}, "slctl clear db"),
        ("echo", {"kind": "input_sent", "used": 13}, "slctl send echo"),
        ("echo", {"kind": "input_sent", "used": 8}, "slctl fg echo"),
        ("idle", {"kind": "removed"}, "slctl remove idle"),
        ("db", {"kind": "signal_sent", "signal": "SIGUSR1"}, "slctl signal USR1 db"),
    ]
    assert all(re.fullmatch(f"{me} .*", c["by"]) for c in done)
    for text in ("SIGHUP sent", "log cleared", "13 bytes of input sent", "slctl fg echo"):
        assert text in daemon.log()
        assert text in daemon.ctl("events").stdout
    assert "secret words" not in daemon.log() + daemon.ctl("events").stdout
    crash(daemon)
    daemon.start()
    told = "\n".join(why(daemon, "db"))
    assert re.search(f"signalled [0-9:]+: SIGHUP by {me} signal HUP db\n", told)
    assert re.search(f"log cleared [0-9:]+ by {me} clear db\n", told)
    assert re.search(f"ended by SIGUSR1, sent by {me} signal USR1 db; after ", told)
    assert re.search(
        f"taken out of use [0-9:]+ by {me} remove idle", "\n".join(why(daemon, "idle"))
    )


def test_input_and_signals_do_not_displace_the_story(daemons: Daemons) -> None:
    """However many there are: a program that is fed line by line still has a cause."""
    daemon = daemons(program("echo", ["cat"], startsecs=0, stdin="pipe"))
    daemon.wait_running("echo")
    with daemon.connect() as client:
        for _ in range(200):
            client.call("signal", names=["echo"], signal="CONT")
            client.call("send", name="echo", text="x\n")
    told = why(daemon, "echo")
    assert any(line.startswith("started ") for line in told)
    assert any(line.startswith("signalled ") for line in told)
    sent = [
        c for c in daemon.call("events", limit=1000)["changes"] if c["by"].endswith("send echo")
    ]
    assert [c["cause_data"] for c in sent] == [{"kind": "input_sent", "used": 400}]


def test_the_past_of_what_is_no_longer_defined(daemons: Daemons) -> None:
    daemon = daemons(program("web", SLEEPER, startsecs=0) + program("old", SLEEPER, startsecs=0))
    daemon.wait_state("old", "RUNNING")
    daemon.configure(program("web", SLEEPER, startsecs=0))
    daemon.ctl("update")
    assert why(daemon, "old")[0] == "it is not defined any more"
    assert why(daemon, "old")[1].startswith("stopped ")
    assert [run["name"] for run in daemon.call("runs", names=["old"])["runs"]] == ["old"]
    assert "old" in [run["name"] for run in daemon.call("runs")["runs"]]
    for verb in ("why", "runs", "explain"):
        assert "nobody" in daemon.ctl(verb, "web", "nobody", code=4).stderr


# Runs.


def test_runs(daemons: Daemons) -> None:
    """Live ones have no end; the newest comes first; what is known of each is there."""
    daemon = daemons(
        program("web", SLEEPER, startsecs=0)
        + program("job", sh("exit 7"), startsecs=0, autorestart=False)
        + program(
            "big",
            [sys.executable, "-c", "(b'x' * (100 << 20)).replace(b'x', b'y')"],
            startsecs=0,
            autorestart=False,
        )
        + program("missing", ["/nonexistent/prog"], startretries=0)
    )
    web = daemon.wait_state("web", "RUNNING")
    daemon.wait_state("job", "EXITED")
    assert daemon.wait_state("big", "EXITED")["exitcode"] == 0
    daemon.wait_state("missing", "FATAL")
    runs = daemon.call("runs")["runs"]
    assert [run["run"] for run in runs] == sorted((run["run"] for run in runs), reverse=True)
    table = {run["name"]: run for run in runs}
    live, job, missing = table["web"], table["job"], table["missing"]
    assert (live["run"], live["pid"], live["ended"]) == (web["run"], web["pid"], None)
    assert live["duration"] >= 0
    assert (live["exitcode"], live["signal"], live["maxrss"]) == (None, None, None)
    assert (job["exitcode"], job["signal"], job["reason"]) == (7, None, "")
    assert job["maxrss"] is None, "the kernel tells what the daemon has"
    assert table["big"]["maxrss"] > 100 << 20
    assert job["utime"] >= 0
    assert job["stime"] >= 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job["ended"])
    assert (missing["pid"], missing["spawned"], missing["duration"]) == (None, None, None)
    assert "/nonexistent/prog" in missing["reason"]
    daemon.ctl("restart", "web")
    runs = daemon.call("runs", names=["web"], limit=1)["runs"]
    assert [run["pid"] for run in runs] == [daemon.status("web")["pid"]]
    (_, first) = daemon.call("runs", names=["web"])["runs"]
    assert (first["signal"], first["exitcode"]) == ("SIGTERM", None)
    document = json.loads(daemon.ctl("runs", "--json").stdout)
    assert document["runs"] == [
        {**run, "duration": other["duration"]}
        for run, other in zip(daemon.call("runs")["runs"], document["runs"], strict=True)
    ]
    assert "still running" in daemon.ctl("runs", "web").stdout


# Events.


KEYS = (
    "serial", "time", "name", "process", "group", "from", "to", "cause", "note", "by", "run", "pid",
    "exitcode", "signal", "expected", "tries", "last_words", "cause_data", "notes",
)  # fmt: skip


def test_events(daemons: Daemons) -> None:
    daemon = daemons(
        program("web", SLEEPER, startsecs=0)
        + program("job", sh("exit 7"), startsecs=0, autorestart=False)
    )
    daemon.wait_state("web", "RUNNING")
    daemon.wait_state("job", "EXITED")
    changes = daemon.call("events")["changes"]
    assert all(tuple(change) == KEYS for change in changes)
    assert serials(changes) == list(range(1, len(changes) + 1))
    (ended,) = [change for change in changes if change["to"] == "EXITED"]
    assert (ended["name"], ended["exitcode"], ended["expected"]) == ("job", 7, False)
    assert serials(daemon.call("events", limit=2)["changes"]) == serials(changes)[-2:]
    assert serials(daemon.call("events", since=2)["changes"]) == serials(changes)[2:]
    assert serials(daemon.call("events", since=2, limit=1)["changes"]) == [3]
    assert daemon.call("events", since=10**9) == {"changes": []}
    assert daemon.call("events", limit=0) == {"changes": []}
    printed = daemon.ctl("events", "--json", "--since", "1").stdout.splitlines()
    assert [json.loads(line) for line in printed] == changes[1:]
    with pytest.raises(CallError, match="whole number"):
        daemon.call("events", limit=-1)


def follow(daemon: Daemon, **params: object) -> tuple[Connection, list[dict[str, Any]]]:
    """Subscribe to changes; return the connection and the stored ones."""
    connection = daemon.connect(20)
    result = connection.call("events", follow=True, **params)
    assert result["subscription"] > 0
    return connection, result["changes"]


def more(connection: Connection, until: int) -> list[dict[str, Any]]:
    """Read notifications until this serial."""
    found: list[dict[str, Any]] = []
    while not found or found[-1]["serial"] < until:
        message = connection.receive()
        assert message is not None
        assert message["method"] == "change", message
        found.append(message["params"]["change"])
    return found


def last_serial(daemon: Daemon) -> int:
    serial: int = daemon.call("events", limit=1)["changes"][0]["serial"]
    return serial


def test_events_go_on_without_gap_or_double(daemons: Daemons) -> None:
    """Stored and live changes join exactly, also if a limit cuts the stored ones short."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    daemon.wait_state("web", "RUNNING")
    for _ in range(3):
        daemon.ctl("restart", "web")
    stored = last_serial(daemon)
    subscribers = [follow(daemon, since=0), follow(daemon, since=3, limit=2), follow(daemon)]
    subscribers.append(follow(daemon, since=stored))
    subscribers.append(follow(daemon, since=2, limit=0))
    daemon.ctl("restart", "web")
    last = last_serial(daemon)
    for (connection, first), start in zip(subscribers, (1, 4, 1, stored + 1, 3), strict=True):
        with connection:
            found = serials(first) + serials(more(connection, last))
            assert found == list(range(start, last + 1))


def test_events_are_resumed_with_another_daemon(daemons: Daemons) -> None:
    """The serial of the last change seen is all that a client has to remember."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    connection, first = follow(daemon)
    seen = serials(first)
    crash(daemon)
    with connection:
        assert connection.receive() is None
    daemon.start()
    assert daemon.status("web")["pid"] == pid
    connection, missed = follow(daemon, since=seen[-1])
    assert [(change["from"], change["to"]) for change in missed] == [("RUNNING", "RUNNING")]
    daemon.ctl("stop", "web")
    with connection:
        last = last_serial(daemon)
        assert seen + serials(missed) + serials(more(connection, last)) == list(range(1, last + 1))


def test_a_slow_reader_misses_nothing_and_delays_nobody(daemons: Daemons) -> None:
    """What it has not read waits in the journal; the daemon goes on at its own speed."""
    daemon = daemons(LOOPS + program("web", SLEEPER, startsecs=0))
    slow, first = follow(daemon, limit=0)
    with slow:
        assert first == []
        begun = last_serial(daemon)
        wait_until(lambda: last_serial(daemon) > begun + 1500, limit=60)
        daemon.call("restart", names=["web"])
        daemon.call("stop", names=["all"])
        last = last_serial(daemon)
        found = serials(more(slow, last))
    assert found[0] <= begun + 1
    assert found == list(range(found[0], last + 1))


def test_what_is_lost_is_counted(daemons: Daemons) -> None:
    """On a full disk a slow reader is told how many changes it has missed, then goes on."""
    daemon = daemons(LOOPS)
    slow, _ = follow(daemon, limit=0)
    with slow:
        no_space(daemon, True)

        def restarts() -> int:
            return sum(p["restarts"] for p in daemon.call("status")["processes"])

        wait_until(lambda: restarts() > 600, limit=60)
        daemon.call("stop", names=["all"])
        place, missed = None, 0
        while True:
            message = slow.receive()
            assert message is not None
            if message["method"] == "missed":
                missed += message["params"]["changes"]
                assert place is not None
                place += message["params"]["changes"]
                continue
            change = message["params"]["change"]
            assert place is None or change["serial"] == place + 1
            place = change["serial"]
            if (
                missed
                and set(daemon.states().values()) == {"STOPPED"}
                and change["to"] == "STOPPED"
            ):
                break
        assert missed > 100
        no_space(daemon, False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
def test_everyone_sees_what_concerns_them(daemons: Daemons) -> None:
    """Stored and live changes, runs and stories of other programs are not shown."""
    rule = '[[access]]\nrole = "view"\nusers = ["nobody"]\nprograms = ["web*"]\n'
    table = program("web", SLEEPER, startsecs=0) + program("db", SLEEPER, startsecs=0)
    daemon = daemons(table + rule, settings='socket_mode = "0666"')
    for name in ("web", "db"):
        daemon.wait_state(name, "RUNNING")
    os.seteuid(65534)
    try:
        nobody = daemon.connect()
    finally:
        os.seteuid(0)
    with nobody:
        assert {run["name"] for run in nobody.call("runs")["runs"]} == {"web"}
        for method in ("runs", "why", "explain"):
            for name, code in (("db", 5), ("unheard-of", 4)):
                with pytest.raises(CallError) as refused:
                    nobody.call(method, names=[name])
                assert refused.value.code == code
        assert nobody.call("why", names=["web"])["processes"][0]["fullname"] == "web"
        first = nobody.call("events", follow=True, since=0)["changes"]
        assert {change["name"] for change in first} == {"web"}
        daemon.ctl("restart", "db")
        daemon.ctl("restart", "web")
        last = last_serial(daemon)
        assert {change["name"] for change in more(nobody, last)} == {"web"}


# The journal, from outside.


def test_the_history_is_bounded_as_configured(daemons: Daemons) -> None:
    """`journal_count` bounds it while the daemon runs, `journal_age` when it starts."""
    daemon = daemons(LOOPS, settings="journal_count = 30")
    wait_until(lambda: last_serial(daemon) > 600, limit=60)
    changes = daemon.call("events", since=0, limit=1000)["changes"]
    assert changes[0]["serial"] > 200
    assert len(changes) < 30 + 256 + 100
    daemon.ctl("stop", "all")
    daemon.ctl("shutdown")
    daemon.wait_exit()
    daemon.settings = 'journal_age = "1ms"'
    daemon.configure(program("loop", CRASHER, startsecs=0, autostart=False))
    daemon.start()
    assert daemon.call("events")["changes"] == []
    assert daemon.call("runs")["runs"] == []


def test_a_corrupt_journal_costs_the_history_and_nothing_else(daemons: Daemons) -> None:
    """It is set aside and said; the children are found by the identity that they carry."""
    daemon = daemons(
        program("web", SLEEPER, startsecs=0)
        + program("two", SLEEPER, startsecs=0, numprocs=2, process_name="two_%(process_num)d")
    )
    names = ("web", "two:two_0", "two:two_1")
    before = {name: daemon.wait_state(name, "RUNNING") for name in names}
    crash(daemon)
    for suffix in ("-wal", "-shm"):
        if os.path.exists(journal(daemon) + suffix):
            os.unlink(journal(daemon) + suffix)
    with open(journal(daemon), "r+b") as file:
        file.write(b"garbage" * 1000)
    daemon.start()
    for name in names:
        status = daemon.wait_state(name, "RUNNING")
        assert (status["pid"], status["run"]) == (before[name]["pid"], before[name]["run"])
        assert "taken over" in why(daemon, name)[1]
    assert "is unusable" in daemon.log()
    assert [p.name for p in (daemon.dir / "state").iterdir() if ".corrupt-" in p.name]
    os.kill(before["web"]["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.status("web")["pid"] not in (None, before["web"]["pid"]))
    assert daemon.wait_state("web", "RUNNING")["run"] > before["web"]["run"]


def test_a_journal_of_a_newer_version_is_refused(daemons: Daemons) -> None:
    """The daemon says so and ends; processes and journal stay for the right version."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    crash(daemon)

    def version(number: int) -> None:
        with sqlite3.connect(journal(daemon)) as database:
            database.execute(f"PRAGMA user_version = {number}")
        database.close()

    version(SCHEMA + 1)
    daemon.launch()
    assert daemon.wait_exit() == 1
    newer = f"it was written by a newer version (schema {SCHEMA + 1}, this one knows {SCHEMA})"
    assert newer in daemon.text("stderr")
    assert alive(pid)
    version(SCHEMA)
    daemon.start()
    assert daemon.status("web")["pid"] == pid


def no_space(daemon: Daemon, full: bool) -> None:
    """Let no file of the daemon grow, as on a disk without space; or let them again."""
    limit = 1 if full else resource.RLIM_INFINITY
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def test_a_full_disk_loses_no_spawn(daemons: Daemons) -> None:
    """The daemon goes on; what it spawned meanwhile is restarted, stopped and taken over."""
    daemon = daemons(
        program("web", SLEEPER, startsecs=0)
        + program("idle", SLEEPER, startsecs=0, autostart=False)
    )
    old = daemon.wait_state("web", "RUNNING")["pid"]
    no_space(daemon, True)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: daemon.status("web")["pid"] not in (None, old))
    web = daemon.wait_state("web", "RUNNING")["pid"]
    daemon.ctl("start", "idle")
    idle = daemon.status("idle")["pid"]
    connection, _ = follow(daemon, limit=0)
    with connection:
        daemon.ctl("restart", "idle")
        assert connection.receive() is not None  # live changes are told all the same
    idle = daemon.status("idle")["pid"]
    crash(daemon)
    daemon.start()
    assert daemon.wait_state("web", "RUNNING")["pid"] == web
    assert daemon.wait_state("idle", "RUNNING")["pid"] == idle
    assert daemon.pids_of("web") == [web]
    assert daemon.pids_of("idle") == [idle]


def test_the_journal_is_written_again_when_there_is_space(daemons: Daemons) -> None:
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    daemon.wait_state("web", "RUNNING")
    no_space(daemon, True)
    daemon.ctl("restart", "web")
    no_space(daemon, False)
    daemon.ctl("restart", "web")
    daemon.ctl("restart", "web")
    assert "can be written again" in daemon.log()
    run = daemon.status("web")["run"]
    assert daemon.call("runs", names=["web"])["runs"][0]["run"] == run
    crash(daemon)
    daemon.start()
    assert daemon.wait_state("web", "RUNNING")["run"] == run


def test_a_state_directory_that_vanished_stops_nothing(daemons: Daemons) -> None:
    """Its journal is open; the next daemon begins a new one and finds the children."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    old = daemon.wait_state("web", "RUNNING")["pid"]
    shutil.rmtree(daemon.dir / "state")
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: daemon.status("web")["pid"] not in (None, old))
    daemon.ctl("restart", "web")
    assert daemon.wait_state("web", "RUNNING")["pid"] != old
    assert [c["to"] for c in daemon.call("events")["changes"]]
