"""What programs, clients and systems do when they do not behave."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.client import CallError, environment_of
from tests.programs import SLEEPER, exits, program, sh, stamper, writes_and_stays
from tests.support import Daemon, Daemons, alive, wait_until


def pid_in(daemon: Daemon, name: str) -> int:
    """Wait for a file with a pid in it."""
    return int(wait_until(lambda: daemon.text(name).strip(), what=f"a pid in {name}"))


@pytest.mark.parametrize("how", ["stop", "crash"])
def test_no_descendant_hides(daemons: Daemons, how: str) -> None:
    """A descendant without our environment, in a session of its own, ends all the same."""
    hidden = 'exec env -i setsid sh -c "echo \\$\\$ >%(here)s/hidden; exec sleep 100000"'
    orphan = 'exec env -i setsid sh -c "echo \\$\\$ >%(here)s/orphan; exec sleep 100000"'
    script = f"({hidden}) & (({orphan}) &) ; wait; wait"
    daemon = daemons(program("tree", sh(script), startsecs=0, autorestart=False))
    pids = [pid_in(daemon, "hidden"), pid_in(daemon, "orphan")]
    wait_until(lambda: all(map(alive, pids)))
    try:
        if how == "stop":
            daemon.ctl("stop", "tree")
        else:
            os.kill(daemon.status("tree")["pid"], signal.SIGKILL)
            daemon.wait_state("tree", "EXITED")
        wait_until(lambda: not any(map(alive, pids)), limit=5, what=f"{pids} are gone")
    finally:
        for pid in pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_orphans_are_reaped(daemons: Daemons) -> None:
    """Strangers that end as children of the daemon leave no zombies."""
    script = "i=0; while [ $i -lt 50 ]; do i=$((i+1)); (sleep 0.2 &); done; touch %(here)s/made"
    daemon = daemons(program("maker", writes_and_stays(script), leftovers="keep"), survivors=True)
    wait_until((daemon.dir / "made").exists)

    def offspring() -> list[str]:
        path = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children")
        return path.read_text().split()

    wait_until(lambda: len(offspring()) == 1, what="only the program is left")


def test_last_words_are_kept(daemons: Daemons) -> None:
    """What a process writes right before its end is in its log, line end or not."""
    text = "x" * 60_000
    daemon = daemons(
        program("dying", sh(f"printf {text}; printf end; kill -9 $$"), startretries=0)
        + program("short", sh("printf one; printf two >&2; exit 3"), startretries=0)
    )
    daemon.wait_state("dying", "FATAL")
    daemon.wait_state("short", "FATAL")
    wait_until(lambda: daemon.text("log/dying.stdout.log") == text + "end")
    wait_until(lambda: daemon.text("log/short.stdout.log") == "one")
    wait_until(lambda: daemon.text("log/short.stderr.log") == "two")


def test_many_hands_on_one_process(daemons: Daemons) -> None:
    """Whatever several operators do at once: never two processes, and the last stop holds."""
    check = (
        "[ -e %(here)s/main.pid ] && kill -0 $(cat %(here)s/main.pid) 2>/dev/null "
        "&& echo overlap >>%(here)s/overlap; echo $$ >%(here)s/main.pid; exec sleep 100000"
    )
    daemon = daemons(
        program("web", stamper("web", check), startsecs=0) + program("db", SLEEPER, startsecs=0)
    )
    daemon.wait_state("web", "RUNNING")

    def operator(seed: int) -> None:
        choose = random.Random(seed).choice
        for _ in range(40):
            time.sleep(choose([0, 0.02, 0.1]))  # between two starts there is 0.1 s
            verb = choose(["start", "stop", "restart", "kill"])
            if verb == "kill":
                pid = daemon.status("web")["pid"]
                with contextlib.suppress(ProcessLookupError):
                    if pid in daemon.pids_of("web"):
                        os.kill(pid, signal.SIGKILL)
            else:
                daemon.call(verb, names=["web"], wait=choose([True, False]), timeout=5)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(operator, range(6), timeout=60))
    daemon.ctl("stop", "web")
    assert daemon.pids_of("web") == []
    assert daemon.status("web")["state"] == "STOPPED"
    assert daemon.text("overlap") == ""
    assert len(daemon.stamps("web")) > 3
    assert daemon.states()["db"] == "RUNNING"


def test_names_need_not_be_ascii(daemons: Daemons) -> None:
    """Program names may be of any script."""
    daemon = daemons(program('"grün-店"', writes_and_stays("echo hallo"), startsecs=0))
    daemon.wait_state("grün-店", "RUNNING")
    wait_until(lambda: daemon.text("log/grün-店.stdout.log") == "hallo\n")
    assert "grün-店" in daemon.ctl("status").stdout
    assert daemon.ctl("tail", "grün-店").stdout == "hallo\n"
    daemon.ctl("restart", "grün*")


def test_an_environment_that_is_too_large(daemons: Daemons) -> None:
    """It is a failed start with its reason."""
    daemon = daemons(program("big", SLEEPER, environment={"HUGE": "x" * 200_000}, startretries=0))
    status = daemon.wait_state("big", "FATAL")
    assert "too long" in status["reason"].lower()
    assert "xxxx" not in status["reason"] + daemon.log()


def test_no_descriptors_left(daemons: Daemons) -> None:
    """With a low hard limit some programs fail with the reason; the daemon and the others work."""
    daemon = daemons.prepare(
        "".join(program(f"p{n:02}", SLEEPER, startretries=0, startsecs=0) for n in range(60))
    )
    command = daemon.command()
    limited = ["sh", "-c", 'ulimit -n 100; exec "$@"', "sh", *command]
    daemon.command = lambda: limited  # type: ignore[method-assign]
    daemon.start()
    wait_until(lambda: set(daemon.states().values()) <= {"RUNNING", "FATAL"}, limit=20)
    states = daemon.states()
    assert "RUNNING" in states.values()
    failed = [name for name, state in states.items() if state == "FATAL"]
    assert failed
    assert "too many open files" in daemon.status(failed[0])["reason"].lower()
    up = [name for name, state in states.items() if state == "RUNNING"]
    daemon.ctl("stop", *up[:20])
    daemon.ctl("start", failed[0])
    daemon.ctl("shutdown")


def test_a_closed_stderr_does_not_end_the_daemon(daemons: Daemons) -> None:
    """Whoever started the daemon and read its log may go away."""
    daemon = daemons.prepare(program("web", SLEEPER, startsecs=0))
    read, write = os.pipe()
    process = subprocess.Popen(
        daemon.command(), cwd=daemon.dir, stdin=subprocess.DEVNULL, stdout=write, stderr=write,
        env=environment_of(str(daemon.dir)), start_new_session=True,
    )  # fmt: skip
    daemon.process = process
    os.close(write)
    wait_until(daemon.answers)
    os.close(read)
    for _ in range(5):
        daemon.ctl("restart", "web")
    assert daemon.answers()
    assert daemon.log().count("RUNNING") >= 5


def test_a_pipeline_of_requests(daemons: Daemons) -> None:
    """Two thousand requests in one go are all answered, in order."""
    daemon = daemons("".join(program(f"p{n}", SLEEPER) for n in range(10)))
    with daemon.connect() as connection:

        def send() -> None:
            for number in range(2000):
                connection.send("status", number=number)

        sender = threading.Thread(target=send)
        sender.start()
        for number in range(2000):
            answer = connection.receive()
            assert answer is not None
            assert answer["id"] == number
        sender.join(10)


def test_restart_limit(daemons: Daemons) -> None:
    """restart_limit = "3/1m": after three automatic restarts it gives up and says so."""
    daemon = daemons(program("loop", stamper("loop", "exit 1"), startsecs=0, restart_limit="3/1m"))
    status = daemon.wait_state("loop", "FATAL")
    assert len(daemon.stamps("loop")) == 4
    assert "3 restarts" in status["reason"]
    daemon.ctl("start", "--no-wait", "loop")
    wait_until(lambda: len(daemon.stamps("loop")) == 8)
    daemon.wait_state("loop", "FATAL")


def test_backoff_policies(daemons: Daemons) -> None:
    """A number is a constant pause, "exponential" doubles it, backoff_max bounds it."""
    daemon = daemons(
        program("constant", stamper("constant", "exit 1"), backoff=0.5, startretries=3)
        + program(
            "doubling",
            stamper("doubling", "exit 1"),
            backoff="exponential",
            backoff_max=1.5,
            startretries=3,
        )
    )
    planned = daemon.planned_pauses("doubling", "FATAL")
    assert planned == pytest.approx([1.0, 1.5, 1.5], abs=0.05)
    for name, pauses in (("constant", [0.5, 0.5, 0.5]), ("doubling", [1.0, 1.5, 1.5])):
        times = [up for up, _ in daemon.stamps(name)]
        gaps = [late - early for early, late in itertools.pairwise(times)]
        assert len(gaps) == 3
        assert all(p - 0.02 <= gap for gap, p in zip(gaps, pauses, strict=True)), gaps


def test_stopwaitsecs_zero_kills_at_once(daemons: Daemons) -> None:
    """stopwaitsecs = 0 leaves no time between the stop signal and SIGKILL."""
    daemon = daemons(
        program("deaf", sh("trap '' TERM; echo x >%(here)s/ready; while :; do sleep 9; done"),
                startsecs=0, stopwaitsecs=0)
    )  # fmt: skip
    wait_until((daemon.dir / "ready").exists)
    daemon.ctl("stop", "deaf")
    assert daemon.status("deaf")["signal"] == "SIGKILL"
    assert daemon.pids_of("deaf") == []


def test_a_frozen_process_is_stopped(daemons: Daemons) -> None:
    """SIGSTOP does not protect from a stop."""
    daemon = daemons(program("frozen", SLEEPER, startsecs=0, stopwaitsecs=1))
    pid = daemon.wait_state("frozen", "RUNNING")["pid"]
    os.kill(pid, signal.SIGSTOP)
    daemon.ctl("stop", "frozen")
    assert not alive(pid)


def test_words_that_would_be_ambiguous_are_no_names(daemons: Daemons) -> None:
    """A program name cannot be mistaken for several words, a group or a path."""
    daemon = daemons.prepare()
    for name in ("a b", "a:b", "a/b", ""):
        daemon.configure(program(f'"{name}"', SLEEPER))
        done = daemon.ctl("check", code=2)
        assert f"{daemon.config}:" in done.stderr + done.stdout, name


def test_an_unhappy_start_of_a_daemon_leaves_nothing(daemons: Daemons) -> None:
    """A TERM in the middle of starting ends it without a traceback and without survivors."""
    daemon = daemons.prepare("".join(program(f"p{n}", SLEEPER) for n in range(50)))
    for pause in (0.05, 0.15, 0.25, 0.35, 0.5):
        process = daemon.launch()
        time.sleep(pause)  # the moment is what is varied here
        process.terminate()
        assert process.wait(20) in (0, -signal.SIGTERM)
        assert daemon.marked() == []
    assert "Traceback" not in daemon.text("stderr")


def test_calls_that_need_one_process(daemons: Daemons) -> None:
    """tail of a pattern that means several is refused with a reason."""
    daemon = daemons(program("a", SLEEPER) + program("b", SLEEPER))
    with pytest.raises(CallError, match="2 processes"):
        daemon.call("tail", name="*")


def test_exit_codes_from_0_to_255(daemons: Daemons) -> None:
    """Every exit code is told as it was."""
    codes = (0, 1, 2, 77, 126, 127, 128, 137, 255)
    daemon = daemons("".join(program(f"c{n}", exits(n), startretries=0) for n in codes))
    for n in codes:
        assert daemon.wait_state(f"c{n}", "FATAL")["exitcode"] == n


@pytest.mark.parametrize("options", [{}, {"nice": 1}])
def test_a_failure_that_utf8_cannot_carry(daemons: Daemons, options: dict[str, object]) -> None:
    """A path with a byte that is no text: that program fails with a reason, the others start."""
    daemon = daemons(
        program("aaa", SLEEPER, directory="%(ENV_ODD)s", startretries=0, **options)
        + program("bbb", SLEEPER, startsecs=0),
        environment={"ODD": os.fsdecode(b"/tmp/\xffodd")},
    )
    assert "directory" in daemon.wait_state("aaa", "FATAL")["reason"]
    daemon.wait_state("bbb", "RUNNING")
    assert "directory" in daemon.ctl("why", "aaa").stdout
    assert "odd" in daemon.ctl("runs", "aaa").stdout


def test_a_failure_with_a_very_long_reason(daemons: Daemons) -> None:
    """What the child reports may be cut anywhere: the others start, and it says what it can."""
    place = "/tmp/a" + ("/" + "é" * 100) * 3
    daemon = daemons(
        program("aaa", SLEEPER, directory=place, startretries=0, nice=1)
        + program("bbb", SLEEPER, startsecs=0)
    )
    assert place in daemon.wait_state("aaa", "FATAL")["reason"]
    daemon.wait_state("bbb", "RUNNING")


def test_a_request_that_utf8_cannot_carry_is_answered(daemons: Daemons) -> None:
    """JSON can say half a surrogate pair: the answer says it the same way."""
    daemon = daemons(program("web", SLEEPER))
    with daemon.connect() as connection:
        line = b'{"jsonrpc":"2.0","id":1,"method":"stop","params":{"names":["a\\udcff"]}}\n'
        connection.socket.sendall(line)
        answer = connection.receive()
        assert answer is not None
        assert "a\udcff" in answer["error"]["message"]
