"""Where a program's output goes, and that none of it is lost."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.programs import SLEEPER, echoer, program, sh, stamper, writes_and_stays
from tests.support import Daemon, Daemons, wait_until


def test_files_of_their_own(daemons: Daemons) -> None:
    """ "auto" is NAME.stdout.log and NAME.stderr.log, a path is a path, "none" is nothing."""
    script = writes_and_stays("echo out; echo err >&2; echo x >%(here)s/SELF.done")
    daemon = daemons(
        program("auto", [*script[:2], script[2].replace("SELF", "auto")])
        + program(
            "named",
            [*script[:2], script[2].replace("SELF", "named")],
            stdout_logfile="%(here)s/log/%(program_name)s.out",
            stderr_logfile="none",
        )
        + program(
            "none",
            [*script[:2], script[2].replace("SELF", "none")],
            stdout_logfile="none",
            stderr_logfile="none",
        )
    )
    for name in ("auto", "named", "none"):
        wait_until((daemon.dir / f"{name}.done").exists)
    wait_until(lambda: daemon.text("log/auto.stdout.log") == "out\n")
    wait_until(lambda: daemon.text("log/auto.stderr.log") == "err\n")
    wait_until(lambda: daemon.text("log/named.out") == "out\n")
    names = {path.name for path in (daemon.dir / "log").iterdir()}
    assert not {name for name in names if name.startswith(("none", "named."))} - {"named.out"}
    status = daemon.status("none")
    assert (status["stdout_logfile"], status["stderr_logfile"]) == (None, None)
    assert daemon.status("named")["stdout_logfile"] == str(daemon.dir / "log/named.out")


def test_logs_are_appended_to_across_runs_and_daemons(daemons: Daemons) -> None:
    """A restart of the process or of the daemon never empties a log."""
    daemon = daemons(program("web", writes_and_stays("echo run")))
    daemon.wait_state("web", "RUNNING")
    daemon.ctl("restart", "web")
    wait_until(lambda: daemon.text("log/web.stdout.log") == "run\n" * 2)
    daemon.ctl("shutdown")
    daemon.wait_exit()
    daemon.start()
    wait_until(lambda: daemon.text("log/web.stdout.log") == "run\n" * 3)


def pieces(daemon: Daemon, name: str) -> list[str]:
    """Return the contents of a log and its backups, the oldest first, however it is rotated."""
    while True:
        with contextlib.suppress(FileNotFoundError):  # it was being rotated: look again
            return _pieces(daemon, name)


def _pieces(daemon: Daemon, name: str) -> list[str]:
    folder = daemon.dir / "log"
    numbers = [
        int(match[1])
        for path in folder.iterdir()
        if (match := re.fullmatch(rf"{re.escape(name)}\.(\d+)", path.name))
    ]
    backups = [(folder / f"{name}.{n}").read_text() for n in sorted(numbers, reverse=True)]
    return [*backups, (folder / name).read_text()]


def test_rotation_loses_nothing_and_cuts_no_line(daemons: Daemons) -> None:
    """Every line is in exactly one file, whole; no live file is left empty."""
    count = 40_000
    daemon = daemons(
        program(
            "spew",
            writes_and_stays(f"seq 1 {count}; touch %(here)s/spew.done"),
            stdout_logfile_maxbytes="10KB",
            stdout_logfile_backups=1000,
        )
    )
    wait_until((daemon.dir / "spew.done").exists, limit=60)

    def complete() -> bool:
        with contextlib.suppress(FileNotFoundError):  # it is being rotated
            return "".join(pieces(daemon, "spew.stdout.log")).endswith(f"\n{count}\n")
        return False

    wait_until(complete, 60)
    parts = pieces(daemon, "spew.stdout.log")
    assert len(parts) > 5
    assert all(part.endswith("\n") for part in parts)
    assert "".join(parts).split() == [str(n) for n in range(1, count + 1)]


def test_rotation_keeps_as_many_backups_as_asked(daemons: Daemons) -> None:
    """The newest lines are kept, in `backups` files beside the live one; none with 0."""
    daemon = daemons(
        program(
            "two",
            writes_and_stays("seq 1 20000; touch %(here)s/two.done"),
            stdout_logfile_maxbytes="10KB",
            stdout_logfile_backups=2,
        )
        + program(
            "zero",
            writes_and_stays("seq 1 20000; touch %(here)s/zero.done"),
            stdout_logfile_maxbytes="10KB",
            stdout_logfile_backups=0,
        )
        + program(
            "endless",
            writes_and_stays("seq 1 20000; touch %(here)s/endless.done"),
            stdout_logfile_maxbytes=0,
        )
    )
    for name in ("two", "zero", "endless"):
        wait_until((daemon.dir / f"{name}.done").exists, limit=30)
        wait_until(lambda n=name: pieces(daemon, f"{n}.stdout.log")[-1].endswith("20000\n"))  # type: ignore[misc]
    two = pieces(daemon, "two.stdout.log")
    assert len(two) == 3
    numbers = [int(word) for word in "".join(two).split()]
    assert numbers == list(range(numbers[0], 20001))
    assert all(two)
    assert len(pieces(daemon, "zero.stdout.log")) == 1
    assert pieces(daemon, "endless.stdout.log") == ["".join(f"{n}\n" for n in range(1, 20001))]


def test_bytes_that_are_no_text(daemons: Daemons) -> None:
    """NUL and invalid UTF-8 arrive in the file, and through tail, as they were written."""
    daemon = daemons(program("raw", echoer("raw")))
    data = bytes(range(256)) + "grün\n".encode() + b"\xff\xfe half \xc3"
    daemon.say("raw", data)
    path = daemon.dir / "log/raw.stdout.log"
    wait_until(lambda: path.exists() and path.read_bytes() == data)
    with daemon.spawn_ctl("tail", "raw") as client:
        assert client.communicate(timeout=20)[0] == data
    daemon.ctl("logs", "raw")


def test_dev_stdout(daemons: Daemons) -> None:
    """A log file of /dev/stdout is the daemon's own output, as containers want it."""
    daemon = daemons(
        program(
            "web",
            writes_and_stays("echo one; echo two >&2"),
            stdout_logfile="/dev/stdout",
            stdout_logfile_maxbytes=0,
            stderr_logfile="/dev/stderr",
            stderr_logfile_maxbytes=0,
        )
    )
    wait_until(lambda: "one\n" in daemon.text("stdout"))
    wait_until(lambda: "two\n" in daemon.text("stderr"))


def test_sigusr2_reopens_the_logs(daemons: Daemons) -> None:
    """After logrotate moved the files, new ones are begun and nothing is lost."""
    daemon = daemons(program("web", echoer("web")))
    log = daemon.dir / "log/web.stdout.log"
    daemon.say("web", "one\n")
    wait_until(lambda: log.exists() and log.read_text() == "one\n")
    own = daemon.dir / "log/supervisor-lite.log"
    log.rename(daemon.dir / "log/moved")
    own.rename(daemon.dir / "log/own.moved")
    daemon.say("web", "two\n")
    wait_until(lambda: daemon.text("log/moved") == "one\ntwo\n")
    daemon.signal(signal.SIGUSR2)
    wait_until(log.exists)
    wait_until(own.exists)
    daemon.say("web", "three\n")
    wait_until(lambda: log.read_text() == "three\n")
    assert daemon.text("log/moved") == "one\ntwo\n"


def test_tail_f_is_woken_by_output_and_survives_rotation(daemons: Daemons) -> None:
    """A line is on the reader's screen at once; no line is missed when the file is rotated."""
    daemon = daemons(
        program("web", echoer("web"), stdout_logfile_maxbytes="2KB", stdout_logfile_backups=3)
    )
    daemon.say("web", "before\n")
    wait_until(lambda: "before" in daemon.text("log/web.stdout.log"))
    with daemon.spawn_ctl("tail", "-f", "web") as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == b"before\n"
            for n in range(300):  # each is waited for: who looked now and then would take for ever
                daemon.say("web", f"line number {n} of three hundred\n")
                assert client.stdout.readline() == f"line number {n} of three hundred\n".encode()
            assert len(pieces(daemon, "web.stdout.log")) > 2
        finally:
            client.terminate()


def test_logs_f_follows_many(daemons: Daemons) -> None:
    """Lines of several processes arrive as they are written, each with its name."""
    daemon = daemons(program("web", echoer("web")) + program("db", echoer("db")))
    daemon.say("web", "first\n")
    wait_until(lambda: "first" in daemon.text("log/web.stdout.log"))
    with daemon.spawn_ctl("logs", "-f") as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == b"web | first\n"
            for name, line in (("db", "hello"), ("web", "second"), ("db", "again")):
                daemon.say(name, f"{line}\n")
                assert client.stdout.readline() == f"{name:<3} | {line}\n".encode()
        finally:
            client.terminate()


def test_a_slow_reader_is_told_what_it_missed(daemons: Daemons) -> None:
    """What was read and what was missed add up; the end of the output is not lost."""
    daemon = daemons(program("web", echoer("web"), stdout_logfile_maxbytes=0))
    daemon.say("web", "start\n")
    log = daemon.dir / "log/web.stdout.log"
    wait_until(lambda: log.exists() and log.stat().st_size == 6)
    line = b"x" * 99 + b"\n"
    with daemon.connect() as follower:
        follower.send("tail", {"name": "web", "follow": True})
        first = follower.receive()
        assert first is not None
        assert first["result"]["data"] == "start\n"
        for _ in range(320):
            daemon.say("web", line * 600)  # 18 MB in all, within a pipe at a time
        daemon.say("web", "the end\n")
        total = 320 * 600 * 100 + 8
        wait_until(lambda: log.stat().st_size == total + 6, limit=60)
        read = missed = 0
        text = ""
        while read + missed < total:
            note = follower.receive()
            assert note is not None
            if note["method"] == "missed":
                missed += note["params"]["bytes"]
            else:
                text = note["params"]["data"]
                read += len(text)
        assert read + missed == total
        assert text.endswith("the end\n")


def test_clear_while_a_program_writes(daemons: Daemons) -> None:
    """The file is emptied and goes on, without a hole of NULs."""
    daemon = daemons(program("web", echoer("web")))
    daemon.say("web", "one\n")
    wait_until(lambda: daemon.text("log/web.stdout.log") == "one\n")
    daemon.ctl("clear", "web")
    daemon.say("web", "two\n")
    wait_until(lambda: daemon.text("log/web.stdout.log") == "two\n")


def test_a_flood_delays_nobody(daemons: Daemons) -> None:
    """While a program floods its log, status answers and neighbours are restarted.

    How soon, is measured (`make bench`); that turns are bounded, tests/logs/test_capture.py holds.
    """
    daemon = daemons(
        program(
            "flood",
            sh("exec yes 01234567890123456789012345678901234567890123456789012345678"),
            stdout_logfile_maxbytes="5MB",
            stdout_logfile_backups=1,
        )
        + program("crash", stamper("crash", "exit 1"), startretries=2)
        + program("web", SLEEPER, startsecs=0)
    )
    for _ in range(50):
        daemon.call("status")
    daemon.wait_state("crash", "FATAL", limit=20)
    assert len(daemon.stamps("crash")) == 3
    old = daemon.status("web")["pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: daemon.status("web")["pid"] not in (None, old))

    def size() -> int:
        with contextlib.suppress(FileNotFoundError):  # it is being rotated
            return (daemon.dir / "log/flood.stdout.log").stat().st_size
        return 0

    assert wait_until(size) <= 16 << 20
    daemon.ctl("stop", "flood")


def test_a_vanished_directory_neither_kills_nor_blocks(daemons: Daemons) -> None:
    """It is reported, the program runs on, and capture resumes when the directory is back."""
    ticker = sh("i=0; while :; do i=$((i+1)); echo line $i; sleep 0.05; done")
    daemon = daemons.prepare()
    place = daemon.dir / "place"
    place.mkdir()
    daemon.configure(
        program("tick", ticker, stdout_logfile="%(here)s/place/tick.log") + program("web", SLEEPER)
    )
    daemon.start()
    log = place / "tick.log"
    wait_until(lambda: log.exists() and "line 1\n" in log.read_text())
    pid = daemon.wait_state("tick", "RUNNING")["pid"]
    shutil.rmtree(place)
    daemon.signal(signal.SIGUSR2)
    wait_until(lambda: str(place) in daemon.log(), what="the loss is reported")
    assert daemon.status("tick")["pid"] == pid
    place.mkdir(exist_ok=True)
    daemon.signal(signal.SIGUSR2)
    wait_until(lambda: log.exists() and "line" in log.read_text(), what="capture resumes")
    assert daemon.status("tick")["pid"] == pid
    assert daemon.log().count(str(place)) <= 6, "reported once, not at every line"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_neither_kills_nor_blocks(daemons: Daemons) -> None:
    """The program runs on, the loss is reported, and capture resumes when there is room."""
    daemon = daemons.prepare()
    place = daemon.dir / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    try:
        ticker = sh("i=0; while :; do i=$((i+1)); echo line $i of many; sleep 0.02; done")
        daemon.configure(
            program("tick", ticker, stdout_logfile="%(here)s/small/tick.log")
            + program("web", SLEEPER, startsecs=0)
        )
        daemon.start()
        log = place / "tick.log"
        wait_until(lambda: log.exists() and log.stat().st_size)
        pid = daemon.wait_state("tick", "RUNNING")["pid"]
        fill(place / "filler")
        wait_until(lambda: "tick.log" in daemon.log(), limit=20, what="the full disk is reported")
        size = log.stat().st_size
        old = daemon.status("web")["pid"]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: daemon.status("web")["pid"] not in (None, old))
        assert daemon.status("tick")["pid"] == pid
        reports = daemon.log().count("tick.log")
        assert reports <= 3
        (place / "filler").unlink()
        wait_until(lambda: log.stat().st_size > size, limit=30, what="capture resumes")
        assert daemon.status("tick")["pid"] == pid
        daemon.ctl("stop", "all")
    finally:
        daemon.ctl("shutdown", code=None)
        daemon.wait_exit()
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> None:
    """Write to a file until its file system is full."""
    with path.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 512)
        except OSError:
            return


def test_an_empty_log_of_a_python_program_has_a_hint(daemons: Daemons) -> None:
    """It runs and has printed; nothing shows, and nothing but a hint says why."""
    script = ["python3", "-c", "print('hello'); import time; time.sleep(1000)"]
    said = "Python holds it back"
    daemon = daemons(
        program("held", script, startsecs=0, environment={"PYTHONUNBUFFERED": ""})
        + program("told", script, startsecs=0, environment={"PYTHONUNBUFFERED": "1"})
        + program("other", ["sleep", "1000"], startsecs=0)
    )
    daemon.wait_running("held", "told", "other")
    daemon.wait_said("told", "hello")
    wait_until(lambda: said in daemon.ctl("tail", "held").stderr)
    for command in (("tail", "held"), ("logs",), ("logs", "held", "other")):
        done = daemon.ctl(*command)
        assert (done.stderr.count(said), done.stderr.count("[held: ")) == (1, 1), command
        assert "PYTHONUNBUFFERED" in done.stderr
    for command in (("tail", "told"), ("tail", "other"), ("tail", "held", "stderr")):
        assert daemon.ctl(*command).stderr == ""
