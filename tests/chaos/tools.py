"""Ways to end a daemon badly, to look into its journal, and to count lines."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sqlite3
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

from supervisor_lite.host import syscalls
from tests.chaos import flood
from tests.chaos.writer import line
from tests.client import CallError, Connection
from tests.programs import program
from tests.support import Daemon, alive, wait_until

_PR_SET_CHILD_SUBREAPER = 36

WRITER = Path(__file__).with_name("writer.py")


def writer(name: str, *, pause: float, batch: int, width: int = 40, **options: object) -> str:
    """Return the table of a program that writes numbered lines."""
    words = [sys.executable, "-I", "-S", str(WRITER), str(pause), str(batch), str(width)]
    return program(name, words, startsecs=0, **options)


def kill(daemon: Daemon, *, inherit: bool = False) -> None:
    """Kill the daemon as nobody should.

    `inherit`: its processes become ours and not init's, which may take seconds to reap them.
    """
    libc = ctypes.CDLL(None)
    if inherit:
        assert libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        daemon.signal(signal.SIGKILL)
        assert daemon.wait_exit() == -signal.SIGKILL
    finally:
        if inherit:
            libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def crash(daemon: Daemon) -> None:
    """Kill the daemon and start the next one."""
    kill(daemon)
    daemon.start()


def upgrade(daemon: Daemon) -> None:
    """Let the daemon execute itself anew and wait for the new one's first answer."""
    pid = daemon.pid
    with daemon.connect(60.0) as connection:
        connection.send("upgrade")
        answer = connection.receive()
        assert answer is None, f"the upgrade did not happen: {answer}"
    assert daemon.call("version")["pid"] == pid
    assert daemon.process is not None
    assert daemon.process.poll() is None


def refused_upgrade(daemon: Daemon) -> CallError:
    """Ask for an upgrade that must not happen; return how it was refused."""
    try:
        daemon.call("upgrade")
    except CallError as error:
        return error
    raise AssertionError("the upgrade happened")


def ask(daemon: Daemon, method: str, **params: object) -> Connection:
    """Send a request and do not wait for its answer."""
    connection = daemon.connect(60.0)
    connection.send(method, params)
    return connection


# The journal.


def journal_path(daemon: Daemon) -> Path:
    return daemon.dir / "state" / "journal.db"


def rows(daemon: Daemon, query: str, *values: object) -> list[dict[str, Any]]:
    """Return what the journal says; the daemon may be running."""
    with contextlib.closing(sqlite3.connect(journal_path(daemon), timeout=10)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query, values)]


def edit(daemon: Daemon, query: str, *values: object) -> None:
    """Change the journal of a daemon that is not running."""
    with contextlib.closing(sqlite3.connect(journal_path(daemon), timeout=10)) as database:
        assert database.execute(query, values).rowcount > 0, query
        database.commit()


def last_run(daemon: Daemon, name: str) -> dict[str, Any]:
    """Return the latest run of a process."""
    (row,) = rows(daemon, "SELECT * FROM runs WHERE name = ? ORDER BY run DESC LIMIT 1", name)
    return row


def run_row(daemon: Daemon, run: int) -> dict[str, Any]:
    (row,) = rows(daemon, "SELECT * FROM runs WHERE run = ?", run)
    return row


def check_journal(daemon: Daemon, *, open_runs: int = 0, times: bool = True) -> None:
    """Everything is closed but so many runs, no process had two at a time, the file is sound.

    `times`: nothing that was written is lost, so that the times of the runs are true as well.
    """
    assert rows(daemon, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    runs = rows(daemon, "SELECT * FROM runs ORDER BY name, run")
    still = [row for row in runs if row["ended"] is None]
    assert len(still) == open_runs, still
    for before, after in pairwise(runs):
        if before["name"] == after["name"]:
            assert before["ended"] is not None, (before, after)
            assert not times or before["ended"] <= after["intended"] + 0.01, (before, after)
    seen = [(row["boot"], row["pid"], row["start"]) for row in runs if row["pid"] is not None]
    assert len(seen) == len(set(seen)), "one process was written down as two runs"


# Processes.


def state(pid: int) -> str:
    """Return the letter that /proc has for the state of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def zombies_of(pid: int) -> list[int]:
    """Return the children of a process that it has not reaped."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid and fields[0] == "Z":
                    found.append(int(entry.name))
    return found


def no_zombies(daemon: Daemon) -> None:
    """Whatever dies is reaped at once: no child of the daemon stays a zombie."""
    wait_until(lambda: not zombies_of(daemon.pid), 5, "the daemon has reaped its children")


def kill_process(pid: int, *, reaped: bool = True) -> None:
    """Kill a process and wait until it is dead; whoever inherited it may reap it seconds later."""
    os.kill(pid, signal.SIGKILL)
    if reaped:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)  # if it was we who inherited it
    wait_until(lambda: not alive(pid), what=f"{pid} is dead")
    if reaped:
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), what=f"{pid} is reaped")


# Lines.


def chain(log: Path) -> list[Path]:
    """Return a log file and its rotated predecessors, the oldest first."""
    rotated = [p for p in log.parent.glob(f"{log.name}.*") if p.suffix[1:].isdigit()]
    rotated.sort(key=lambda p: int(p.suffix[1:]), reverse=True)
    return [*rotated, *([log] if log.exists() else [])]


def check_lines(log: Path, *, width: int = 40) -> int:
    """Check that every line of a writer that has ended is there; return how many.

    Once, in order, unbroken, from the first to the last, which tells their number.
    """
    lines = b"".join(path.read_bytes() for path in chain(log)).split(b"\n")
    assert lines.pop() == b"", f"{log}: the last line is broken"
    last = lines.pop()
    for number, found in enumerate(lines):
        expected = line(number, width)[:-1]
        assert found == expected, f"{log}: {found[:60]!r} in place of {expected[:60]!r}"
    assert last == b"end %d" % len(lines), f"{log}: {last!r} after {len(lines)} lines"
    return len(lines)


def check_flood(log: Path, since: int) -> int:
    """Check that the stream of a flood goes on in its log without a gap; return where it ends.

    `since` is where it ended when it was checked before: what came earlier may be rotated away.
    The flood must not be running.
    """
    data = b"".join(path.read_bytes() for path in chain(log))
    cut = (data.find(b"\n") + 1) % flood.LINE  # the oldest file may begin within a line
    at = start = flood.position(data[cut : cut + flood.LINE])
    assert start <= since, f"{log}: nothing is left of the bytes {since} to {start}"
    while cut < len(data):
        offset = at % flood.SIZE
        expected = flood.block(at // flood.SIZE)[offset:]
        found = data[cut : cut + len(expected)]
        assert expected.startswith(found), f"{log}: lost, doubled or broken near byte {at}"
        cut += len(found)
        at += len(found)
    assert at >= since, f"{log}: it ended at {since} before, and now at {at}"
    return at


def nothing_waits(daemon: Daemon, name: str) -> None:
    """Wait until the daemon has taken everything out of the FIFO of a process."""
    path = daemon.dir / f"run/fifo/{name}:{name}.stdout"
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        wait_until(lambda: syscalls.bytes_in_pipe(fd) == 0, what=f"{path} is empty")
    finally:
        os.close(fd)
