"""How long nobody answers: after kill -9 and in an upgrade, with many processes.

`python -m tests.chaos.recovery [PROCESSES] [ROUNDS]` prints medians: seconds, and the processor
time that the daemon has used in them: what it would be on a machine with nothing else to do.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

from tests.chaos.tools import kill, upgrade
from tests.client import Connection
from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, wait_until


def many(count: int) -> str:
    """Return a program of so many quiet processes."""
    name = "%(program_name)s_%(process_num)04d"
    return program("many", SLEEPER, numprocs=count, process_name=name, startsecs=0)


def pids(daemon: Daemon) -> dict[str, int]:
    """Return the pid of every process."""
    return {p["fullname"]: p["pid"] for p in daemon.call("status")["processes"]}


def started(daemons: Daemons, count: int) -> Daemon:
    """Return a daemon with so many processes RUNNING."""
    daemon = daemons.prepare(many(count), settings='log_level = "warn"')
    # As installed: with its modules compiled, whatever the environment of the tests says.
    daemon.environment["PYTHONDONTWRITEBYTECODE"] = ""
    daemon.environment["PYTHONPYCACHEPREFIX"] = str(daemon.dir / "compiled")
    daemon.start()
    wait_until(lambda: set(daemon.states().values()) == {"RUNNING"}, 120, "all are RUNNING")
    return daemon


def used(daemon: Daemon) -> float:
    """Return the processor seconds that a daemon has used so far."""
    fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def recovery(daemon: Daemon) -> tuple[float, float]:
    """Kill the daemon; return the time from the next one's exec until it has all and answers."""
    before = pids(daemon)
    kill(daemon)
    began = time.monotonic()
    process = daemon.launch()
    while True:
        try:
            with Connection(daemon.socket) as connection:
                after = {p["fullname"]: p["pid"] for p in connection.call("status")["processes"]}
            break
        except OSError:
            assert process.poll() is None, daemon.text("stderr")
            time.sleep(0.001)
    seconds = time.monotonic() - began
    busy = used(daemon)
    assert after == before
    return seconds, busy


def gap(daemon: Daemon) -> tuple[float, float]:
    """Upgrade; return the longest time for which a client got no answer."""
    before, busy = pids(daemon), used(daemon)
    answers: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                with Connection(daemon.socket, 60.0) as connection:
                    connection.send("version")
                    if connection.receive() is None:
                        continue
            except OSError:
                continue
            answers.append(time.monotonic())
            time.sleep(0.005)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        wait_until(lambda: len(answers) > 20)
        upgrade(daemon)
        busy = used(daemon) - busy
        count = len(answers)
        wait_until(lambda: len(answers) > count + 20)
    finally:
        over.set()
        asker.join()
    assert pids(daemon) == before
    return max(b - a for a, b in pairwise(answers)), busy


def main(count: int, rounds: int) -> None:
    made = Daemons()
    try:
        daemon = started(made, count)
        for name, measure in (("kill -9, then exec until it answers", recovery),
                              ("longest silence in an upgrade", gap)):  # fmt: skip
            found, busy = zip(*(measure(daemon) for _ in range(rounds)), strict=True)
            print(
                f"{count} processes, {name}: median {statistics.median(found):.3f} s"
                f" ({min(found):.3f} to {max(found):.3f}, {rounds} times),"
                f" {statistics.median(busy):.2f} s of them busy"
            )
    finally:
        made.close()


if __name__ == "__main__":
    main(*(int(word) for word in [*sys.argv[1:], *("500", "7")[len(sys.argv) - 1 :]]))
