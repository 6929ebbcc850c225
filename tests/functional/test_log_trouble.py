"""Logs under trouble: a full disk, a reader that stalls, others that write to the same file."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.functional.test_logs import fill
from tests.logs.tools import files
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, wait_until

CHATTY = sh(
    f"i=0; while :; do i=$((i+1)); echo line $i of many {'x' * 2000}; echo $i > count; done"
)


@contextmanager
def small_disk(place: Path, size: str = "256k") -> Iterator[None]:
    """Mount a file system that is soon full."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def count(daemon: Daemon) -> int:
    """Return how far the program has come."""
    text = (daemon.dir / "count").read_text().strip()
    return int(text) if text else 0


def replaced(daemon: Daemon, name: str) -> None:
    """Kill a process and wait for its replacement."""
    old = daemon.status(name)["pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: daemon.status(name)["pid"] not in (None, old), what="it is restarted")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_stops_no_program_and_what_is_lost_is_told(daemons: Daemons) -> None:
    daemon = daemons.prepare()
    place = daemon.dir / "small"
    with small_disk(place):
        fill(place / "filler")
        daemon.configure(
            program("web", CHATTY, stdout_logfile="%(here)s/small/web.log", directory="%(here)s")
            + program("quiet", SLEEPER, startsecs=0)
        )
        daemon.start()
        try:
            daemon.wait_state("web", "RUNNING")
            wait_until(
                lambda: daemon.status("web")["output_dropped"]["bytes"],
                limit=60,
                what="some is lost",
            )
            before = count(daemon)
            wait_until(lambda: count(daemon) > before + 100, what="the program goes on")
            row = daemon.status("web")
            trouble = row["output_trouble"]
            assert (trouble["stream"], trouble["dropping"]) == ("stdout", True)
            assert trouble["error"] == "No space left on device"
            assert "No space left on device" in row["reason"]
            shown = daemon.ctl("status", "web").stdout
            assert "RUNNING" in shown
            assert "No space left on device" in shown
            story = daemon.ctl("why", "web").stdout
            assert "No space left on device" in story
            assert "of its output were lost" in story
            assert daemon.status("quiet")["output_trouble"] is None
            (place / "filler").unlink()
            log = place / "web.log"
            wait_until(lambda: b"of output lost here" in log.read_bytes(), what="the mark")
            wait_until(lambda: "were lost" in daemon.ctl("why", "web").stdout)
        finally:
            daemon.ctl("shutdown", code=None)
            daemon.wait_exit()


def test_a_default_for_all_programs_and_a_change_without_a_restart(daemons: Daemons) -> None:
    both = program("web", SLEEPER, startsecs=0) + program(
        "audit", SLEEPER, startsecs=0, on_full="drop"
    )
    daemon = daemons(both, settings='on_full = "wait"')
    pids = daemon.wait_running("web", "audit")
    daemon.configure(both.replace('"drop"', '"wait"'))
    daemon.ctl("update")
    assert daemon.wait_running("web", "audit") == pids
    rows = daemon.call("definitions")["processes"]
    assert [row["on_full"] for row in rows] == ["wait", "wait"]


def test_a_reader_of_stderr_that_does_not_read_freezes_nobody(daemons: Daemons) -> None:
    """The daemon answers, restarts what dies, and says how much of its log nobody has read."""
    daemon = daemons.prepare(
        program("web", SLEEPER, startsecs=0)
        + program("loud", sh("while :; do echo x; sleep 0.1; done"), stdout_logfile="/dev/stderr")
    )
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    daemon.launch(writer)
    os.close(writer)
    wait_until(daemon.answers, limit=30)
    while not daemon.call("version")["log_lines_lost"]:
        daemon.ctl("restart", "web")
    replaced(daemon, "web")
    assert "lines of the daemon's own log are lost" in daemon.ctl("version").stderr
    os.set_blocking(reader, False)
    seen = b""

    def said() -> bool:
        nonlocal seen
        with suppress(BlockingIOError):
            seen += os.read(reader, 1 << 16)
        return b"of this log could not be written here and are lost" in seen

    wait_until(said, what="it is told how many are missing")
    daemon.ctl("shutdown")
    assert daemon.wait_exit() == 0
    os.close(reader)


def test_a_daemon_that_cannot_start_ends_although_nobody_reads_why(daemons: Daemons) -> None:
    daemon = daemons.prepare("[program.web]\ncommand = 7\n")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    assert daemon.launch(writer).wait(60) == 2
    os.close(reader)
    os.close(writer)


LOUD = [
    sys.executable, "-I", "-S", "-c",
    "import os\nn = 0\nwhile True:\n"
    "    os.write(1, b''.join(b'%%09d %%s\\n' %% (n + i, b'x' * 29) for i in range(100)))\n"
    "    n += 100\n",
]  # fmt: skip


def test_a_log_with_tiny_limits_in_a_flood_delays_nobody(daemons: Daemons) -> None:
    """A thousand rotated files of 10 KB: the daemon answers and restarts; the order is kept."""
    daemon = daemons(
        program("loud", LOUD, startsecs=0, stdout_logfile_maxbytes=10_000,
                stdout_logfile_backups=1000)
        + program("web", SLEEPER, startsecs=0)
    )  # fmt: skip
    log = daemon.dir / "log" / "loud.stdout.log"
    wait_until(lambda: Path(f"{log}.300").exists(), limit=60, what="it is rotated")
    for _ in range(5):
        replaced(daemon, "web")
    # After a mere stop a rotation may be under way for a while.
    daemon.ctl("shutdown")
    daemon.wait_exit()
    text = b"".join(path.read_bytes() for path in files(log))
    numbers = [int(line.split()[0]) for line in text.splitlines() if line]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert max(path.stat().st_size for path in files(log)) <= 20_000


EMPTYING = """
import os, sys, time
for _ in range(300):
    time.sleep(0.002)
    os.truncate(sys.argv[1], 0)
"""


def test_a_log_that_is_emptied_in_a_flood_has_no_nuls(daemons: Daemons) -> None:
    daemon = daemons(program("loud", LOUD, startsecs=0))
    log = daemon.dir / "log" / "loud.stdout.log"
    wait_until(lambda: log.exists() and log.stat().st_size)
    subprocess.run([sys.executable, "-c", EMPTYING, str(log)], check=True)
    daemon.ctl("stop", "loud")
    assert b"\0" not in log.read_bytes()


BOTH = """
import os, sys
with open(sys.argv[1], "ab", buffering=0) as log:
    for n in range(20000):
        log.write(b"own %%09d\\n" %% n)
        os.write(1, b"out %%09d\\n" %% n)
"""


def test_a_program_that_writes_into_its_own_log(daemons: Daemons) -> None:
    command = [sys.executable, "-c", BOTH, "%(here)s/both.log"]
    daemon = daemons(
        program("both", command, startsecs=0, autorestart=False, stdout_logfile="%(here)s/both.log")
    )
    daemon.wait_state("both", "EXITED", limit=60)
    lines = (daemon.dir / "both.log").read_bytes().splitlines()
    for kind in (b"own", b"out"):
        assert [line for line in lines if line[:3] == kind] == [
            b"%s %09d" % (kind, n) for n in range(20000)
        ]
    assert "somebody else writes to it, too" in daemon.log()
