"""Every command of slctl against a real daemon, with its exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from contextlib import ExitStack

import pytest

from supervisor_lite import __version__
from tests.client import CallError, environment_of, slctl_command
from tests.elsewhere import copy_packages, python_for
from tests.programs import SLEEPER, echoer, exits, program, sh, writes_and_stays
from tests.support import Daemon, Daemons, alive, wait_until

FLEET = (
    program(
        "web", SLEEPER, numprocs=2, process_name="%(program_name)s_%(process_num)d", startsecs=0
    )
    + program("a", SLEEPER, startsecs=0)
    + program("b", SLEEPER, startsecs=0)
    + program("idle", SLEEPER, autostart=False)
    + '[group.site]\nprograms = ["a", "b"]\n'
)
ALL = ("idle", "site:a", "site:b", "web:web_0", "web:web_1")


@pytest.fixture
def fleet(daemons: Daemons) -> Daemon:
    """A daemon with a program of two processes, a group of two programs, and an idle one."""
    daemon = daemons(FLEET)
    for name in ALL[1:]:
        daemon.wait_state(name, "RUNNING")
    return daemon


def test_status_shows_supervisors_columns(daemons: Daemons) -> None:
    """Name, state, and pid with uptime or the reason in words; sorted, no trailing blanks."""
    daemon = daemons(
        FLEET + program("failing", exits(3), backoff=60) + program("gone", "/no/such/program")
    )
    for name in ALL[1:]:
        daemon.wait_state(name, "RUNNING")
    daemon.wait_state("failing", "BACKOFF")
    lines = daemon.ctl("status", code=3).stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(["failing", "gone", *ALL])
    shown = {line.split()[0]: line for line in lines}
    assert re.fullmatch(r"site:a {27}RUNNING   pid \d+, uptime 0:00:\d\d", shown["site:a"])
    assert re.fullmatch(r"idle {29}STOPPED   Not started", shown["idle"])
    assert re.search(r" BACKOFF   backoff 60 s, try 2 of 4: exit 3$", shown["failing"])
    assert "/no/such/program" in shown["gone"]
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in "".join(lines)


def test_status_exit_codes(fleet: Daemon) -> None:
    """0 all up, 3 something is not, 4 no such process."""
    fleet.ctl("status", "site:*", code=0)
    fleet.ctl("status", "idle", code=3)
    fleet.ctl("status", "all", code=3)
    unknown = fleet.ctl("status", "nosuch", code=4)
    assert "nosuch" in unknown.stderr
    assert unknown.stdout == ""
    mixed = fleet.ctl("status", "site:a", "nosuch", code=4)
    assert "site:a" in mixed.stdout


def test_without_a_daemon(daemons: Daemons) -> None:
    """4 for status as in Supervisor, 7 for everything else, and a hint."""
    daemon = daemons.prepare()
    assert "running" in daemon.ctl("status", code=4).stderr
    daemon.ctl("start", "web", code=7)
    daemon.ctl("shutdown", code=7)
    (daemon.dir / "run").mkdir()
    daemon.socket.touch()
    daemon.ctl("status", code=4)


def test_status_json(fleet: Daemon) -> None:
    """One object with a list; uptime in seconds, times in RFC 3339."""
    answer = json.loads(fleet.ctl("status", "--json", code=3).stdout)
    assert list(answer) == ["processes"]
    by_name = {entry["fullname"]: entry for entry in answer["processes"]}
    assert sorted(by_name) == sorted(ALL)
    web = by_name["web:web_0"]
    assert set(web) == set(fleet.status("idle")) - {"up_since"} | {"uptime"}
    assert (web["name"], web["group"], web["program"]) == ("web_0", "web", "web")
    assert (web["state"], web["statecode"], web["wanted"]) == ("RUNNING", 20, True)
    assert (web["exitcode"], web["signal"], web["reason"]) == (None, None, "")
    assert alive(web["pid"])
    assert 0 <= web["uptime"] < 60
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", web["started"])
    idle = by_name["idle"]
    assert (idle["pid"], idle["uptime"], idle["run"], idle["started"]) == (None,) * 4
    assert idle["autostart"] is False


def test_usage_errors(fleet: Daemon) -> None:
    """Everything that makes no sense is 2, says why, and does nothing."""
    for line in (
        ["explode"],
        ["start"],
        ["stop"],
        ["signal", "HUP"],
        ["signal", "NOSUCH", "web"],
        ["tail"],
        ["tail", "site:a", "nostream"],
        ["status", "--nonsense"],
        ["stop", "--timeout", "soon", "web"],
    ):
        done = fleet.ctl(*line, code=2)
        assert done.stderr.strip()
        assert not done.stdout
    assert fleet.states()["site:a"] == "RUNNING"


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["web"], {"web:web_0", "web:web_1"}),
        (["web:web_1"], {"web:web_1"}),
        (["web:*"], {"web:web_0", "web:web_1"}),
        (["site"], {"site:a", "site:b"}),
        (["site:a"], {"site:a"}),
        (["*:*_0"], {"web:web_0"}),
        (["site:[ab]", "web:web_?"], {"site:a", "site:b", "web:web_0", "web:web_1"}),
        (["all"], set(ALL)),
        (["idle", "idle"], {"idle"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_names(fleet: Daemon, names: list[str], meant: set[str]) -> None:
    """A process, a program, a group, all of a group, globs, and all."""
    found = fleet.call("status", names=names)["processes"]
    assert [entry["fullname"] for entry in found] == sorted(meant)


def test_start_stop_restart(fleet: Daemon) -> None:
    """Done means done: the states are as asked when the command returns, for all names at once."""
    before = {name: fleet.status(name)["pid"] for name in ALL}
    done = fleet.ctl("stop", "site", "web:web_0")
    assert "site:a: stopped" in done.stdout
    states = fleet.states()
    assert [states[name] for name in ALL] == ["STOPPED"] * 4 + ["RUNNING"]
    assert not any(alive(before[name]) for name in ("site:a", "site:b", "web:web_0"))
    fleet.ctl("stop", "site:a")  # stopped already: that is what was asked for
    done = fleet.ctl("start", "all")
    assert "idle: started" in done.stdout
    assert set(fleet.states().values()) == {"RUNNING"}
    assert fleet.status("web:web_1")["pid"] == before["web:web_1"]
    fleet.ctl("start", "all")
    assert fleet.status("web:web_1")["pid"] == before["web:web_1"]
    fleet.ctl("restart", "web")
    assert fleet.status("web:web_1")["pid"] != before["web:web_1"]
    assert set(fleet.states().values()) == {"RUNNING"}


def test_a_failed_start_is_1_with_its_reason(daemons: Daemons) -> None:
    """The command says what failed and why; the others are started all the same."""
    daemon = daemons(
        program("bad", exits(3), autostart=False, startretries=0)
        + program("missing", "/no/such/program", autostart=False, startretries=0)
        + program("good", SLEEPER, autostart=False)
    )
    done = daemon.ctl("start", "all", code=1)
    assert "good: started" in done.stdout
    assert re.search(r"^bad: ERROR .*exit 3", done.stderr, re.MULTILINE)
    assert re.search(r"^missing: ERROR .*/no/such/program", done.stderr, re.MULTILINE)
    assert daemon.states() == {"bad": "FATAL", "good": "RUNNING", "missing": "FATAL"}


def test_unknown_names_are_4_and_nothing_is_done(fleet: Daemon) -> None:
    """All names are checked before anything happens."""
    for verb in ("start", "stop", "restart", "clear", "pid"):
        done = fleet.ctl(verb, "site:a", "nosuch", code=4)
        assert "nosuch" in done.stderr
    assert fleet.ctl("stop", "", code=4).stderr == '"": ERROR (no such process)\n'
    assert fleet.ctl("tail", "nosuch", code=4).stdout == ""
    assert fleet.ctl("signal", "HUP", "nosuch", code=4).stdout == ""
    assert fleet.states()["site:a"] == "RUNNING"


def test_no_wait(daemons: Daemons) -> None:
    """--no-wait returns before the process is RUNNING."""
    daemon = daemons(
        program("slow", SLEEPER, autostart=False, startsecs=100)
        + program("late", SLEEPER, autostart=False, startsecs=100)
    )
    daemon.ctl("start", "--no-wait", "slow")
    assert daemon.wait_state("slow", "STARTING")["wanted"] is True
    assert "timeout" in daemon.ctl("start", "--timeout", "0.2", "late", code=7).stderr
    assert daemon.status("late")["state"] == "STARTING"


def test_a_stop_ends_the_wait_of_a_start(daemons: Daemons) -> None:
    """Whoever waits for a start is told when somebody stops the process instead."""
    daemon = daemons(program("slow", SLEEPER, autostart=False, startsecs=100))
    with daemon.connect() as waiting:
        waiting.send("start", {"names": ["slow"]})
        daemon.wait_state("slow", "STARTING")
        daemon.ctl("stop", "slow")
        answer = waiting.receive()
    assert answer is not None
    (result,) = answer["result"]["results"]
    assert (result["ok"], result["result"]) == (False, "aborted")
    assert result["reason"]


def test_pid(fleet: Daemon) -> None:
    """Of the daemon, of processes, of all."""
    assert fleet.ctl("pid").stdout == f"{fleet.pid}\n"
    pid = fleet.status("site:a")["pid"]
    assert fleet.ctl("pid", "site:a").stdout == f"{pid}\n"
    everyone = [p["pid"] for p in fleet.call("status")["processes"] if p["pid"]]
    assert list(map(int, fleet.ctl("pid", "all").stdout.split())) == everyone
    down = fleet.ctl("pid", "idle", code=3)
    assert (down.stdout, down.stderr) == ("", "idle: ERROR (not running)\n")


def test_signal(daemons: Daemons) -> None:
    """By name with or without SIG, or by number; only to what runs."""
    script = "trap 'echo usr1' USR1; trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done"
    daemon = daemons(program("web", sh(script)) + program("idle", SLEEPER, autostart=False))
    wait_until(lambda: "ready" in daemon.text("log/web.stdout.log"))
    for name, said in (("USR1", "usr1"), ("SIGHUP", "hup"), ("10", "usr1")):
        before = daemon.text("log/web.stdout.log").count(said)
        assert "web: signalled" in daemon.ctl("signal", name, "web").stdout
        wait_until(lambda s=said, n=before: daemon.text("log/web.stdout.log").count(s) == n + 1)  # type: ignore[misc]
    assert daemon.status("web")["state"] in ("STARTING", "RUNNING")
    assert "not running" in daemon.ctl("signal", "USR1", "idle", code=1).stderr


def test_signals_by_pattern_leave_out_what_is_down(daemons: Daemons) -> None:
    """`signal CONT all` is no failure because one of many is down; nothing signalled is one."""
    idle = [program(name, SLEEPER, autostart=False) for name in ("idle", "idler")]
    daemon = daemons(program("web", SLEEPER, startsecs=0) + "".join(idle))
    daemon.wait_state("web", "RUNNING")
    assert daemon.ctl("signal", "CONT", "all").stdout == "web: signalled\n"
    named = daemon.ctl("signal", "CONT", "all", "idle", code=1)
    assert (named.stdout, named.stderr) == ("web: signalled\n", "idle: ERROR (not running)\n")
    assert daemon.ctl("signal", "CONT", "idle*", code=1).stderr.count("not running") == 2


def test_a_signal_that_kills_is_an_ordinary_death(daemons: Daemons) -> None:
    """The rules of restart apply to what an operator's signal does."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    old = daemon.wait_state("web", "RUNNING")["pid"]
    daemon.ctl("signal", "KILL", "web")
    wait_until(lambda: daemon.status("web")["pid"] not in (None, old))
    assert daemon.status("web")["signal"] == "SIGKILL"


def test_tail_and_clear(daemons: Daemons) -> None:
    """tail shows the last bytes of one stream, clear empties both."""
    script = "seq 1 1000; echo oops >&2"
    daemon = daemons(
        program("web", writes_and_stays(script))
        + program("silent", SLEEPER, stdout_logfile="none", stderr_logfile="none")
    )
    wait_until(lambda: "\n1000\n" in daemon.text("log/web.stdout.log"))
    wait_until(lambda: "oops" in daemon.text("log/web.stderr.log"))
    whole = daemon.text("log/web.stdout.log")
    assert daemon.ctl("tail", "web").stdout == whole[-1600:]
    assert daemon.ctl("tail", "-9", "web").stdout == whole[-9:]
    assert daemon.ctl("tail", "-100000", "web", "stdout").stdout == whole
    assert daemon.ctl("tail", "web", "stderr").stdout == "oops\n"
    assert "no log" in daemon.ctl("tail", "silent", code=1).stderr
    assert "web: cleared" in daemon.ctl("clear", "web").stdout
    assert daemon.ctl("tail", "web").stdout == ""
    assert daemon.text("log/web.stdout.log") == daemon.text("log/web.stderr.log") == ""


def test_clear_of_a_stopped_process(daemons: Daemons) -> None:
    """Its logs are there and are emptied, too."""
    daemon = daemons(program("job", sh("echo done"), startsecs=0))
    wait_until(lambda: "done" in daemon.text("log/job.stdout.log"))
    daemon.wait_state("job", "EXITED")
    daemon.ctl("clear", "job")
    assert daemon.text("log/job.stdout.log") == ""


def test_logs_merges_many(daemons: Daemons) -> None:
    """Each line has the name of its process before it."""
    daemon = daemons(
        program("web", writes_and_stays("seq 1 30")) + program("db", writes_and_stays("echo hello"))
    )
    wait_until(lambda: "30\n" in daemon.text("log/web.stdout.log"))
    wait_until(lambda: "hello" in daemon.text("log/db.stdout.log"))
    lines = daemon.ctl("logs").stdout.splitlines()
    assert [line for line in lines if line.startswith("db")] == ["db  | hello"]
    assert [line for line in lines if line.startswith("web")] == [
        f"web | {n}" for n in range(21, 31)
    ]
    assert daemon.ctl("logs", "-n", "2", "web").stdout == "web | 29\nweb | 30\n"


def test_maintail_version_and_pid_agree(fleet: Daemon) -> None:
    """The daemon's own log, version and pid."""
    assert "RUNNING" in fleet.ctl("maintail").stdout
    assert fleet.ctl("version").stdout == f"{__version__}\n"
    version = fleet.call("version")
    assert (version["pid"], version["state"], version["protocol"]) == (fleet.pid, "running", 1)
    assert version["identifier"] == "supervisor"


def test_avail(fleet: Daemon) -> None:
    """Every process of the configuration, in use or not."""
    fleet.ctl("stop", "idle")
    fleet.ctl("remove", "idle")
    lines = fleet.ctl("avail").stdout.splitlines()
    shown = {line.split()[0]: line for line in lines}
    assert sorted(shown) == sorted(ALL)
    assert re.search(r"in use +auto +999:999$", shown["site:a"])
    assert re.search(r"avail +manual", shown["idle"])


def test_check_and_schema(daemons: Daemons) -> None:
    """check is 0 or 2 with file and line; schema is JSON. Neither needs a daemon."""
    daemon = daemons.prepare(FLEET)
    daemon.ctl("check")
    daemon.configure(program("web", SLEEPER, autostrt=False) + program("db", SLEEPER, priority="x"))
    done = daemon.ctl("check", code=2)
    said = done.stdout + done.stderr
    text = daemon.config.read_text().splitlines()
    for key, word in (("autostrt", "autostart"), ("priority", "number|integer")):
        line = next(n for n, content in enumerate(text, 1) if content.startswith(key))
        assert re.search(rf"{re.escape(str(daemon.config))}:{line}: .*{key}.*({word})", said), said
    schema = json.loads(daemon.ctl("schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_shutdown(fleet: Daemon) -> None:
    """It returns when everything is stopped and the daemon is gone."""
    pids = [fleet.status(name)["pid"] for name in ALL[1:]]
    fleet.ctl("shutdown")
    assert not any(alive(pid) for pid in pids)
    assert fleet.wait_exit(5) == 0
    assert not fleet.socket.exists()
    fleet.ctl("status", code=4)


def test_everybody_who_waits_is_answered_before_the_end(daemons: Daemons) -> None:
    """Also who asked for the end a second time, or for a stop: nobody is just hung up on."""
    script = "trap 'sleep 0.3; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    daemon = daemons(program("slow", sh(script)))
    wait_until(lambda: "ready" in daemon.text("log/slow.stdout.log"))
    with ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(6)]
        for client in clients:
            client.send("shutdown")
        stopping = stack.enter_context(daemon.connect())
        stopping.send("stop", {"names": ["slow"]})
        answers = [client.receive() for client in (*clients, stopping)]
        assert all(answer and "result" in answer for answer in answers), answers
        assert [client.receive() for client in (*clients, stopping)] == [None] * 7
    assert daemon.wait_exit(5) == 0


def test_every_method_says_no_while_stopping(daemons: Daemons) -> None:
    """During the shutdown nothing can be started, and status still answers."""
    script = "trap 'sleep 1.5; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    daemon = daemons(program("slow", sh(script)) + program("idle", SLEEPER, autostart=False))
    wait_until(lambda: "ready" in daemon.text("log/slow.stdout.log"))
    daemon.signal(signal.SIGTERM)
    daemon.wait_state("slow", "STOPPING")
    assert daemon.call("version")["state"] == "stopping"
    with pytest.raises(CallError) as error:
        daemon.call("start", names=["idle"])
    assert error.value.code == 1
    assert daemon.wait_exit() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
def test_not_permitted_is_5(fleet: Daemon) -> None:
    """Whoever may not open the socket is told so."""
    python, packages = python_for(65534), fleet.dir / "packages"
    copy_packages(packages)
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, "-c",
         "import sys; from supervisor_lite.ctl.main import main; sys.exit(main())",
         "-s", str(fleet.socket), "status"],
        env=environment_of("client", PYTHONPATH=str(packages)), capture_output=True, cwd="/",
    )  # fmt: skip
    assert done.returncode == 5, done


def test_follow_ends_with_the_process_of_the_reader(daemons: Daemons) -> None:
    """`slctl tail -f | head -1` ends by itself."""
    daemon = daemons(program("echo", echoer("echo")))
    line = shlex.join([*slctl_command(), "-c", str(daemon.config), "tail", "-f", "echo"])
    with subprocess.Popen(
        ["sh", "-c", f"{line} | head -1"], env=environment_of("client"), stdout=subprocess.PIPE
    ) as pipeline:
        daemon.say("echo", "one\n")
        assert pipeline.communicate(timeout=20)[0] == b"one\n"
