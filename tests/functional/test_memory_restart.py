"""memory_restart: whose memory counts, what is said, and what it costs those who do not ask."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from supervisor_lite.controllers.memory_limit import MemoryWatch, restart_cause
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.model.change import Change
from supervisor_lite.model.constants import MIB
from supervisor_lite.model.program import Program
from supervisor_lite.model.states import State
from tests.programs import SLEEPER, program, sh
from tests.support import Daemons, wait_until

HOG = """
import os, signal, sys, time
def told(number, frame):
    print("asked to stop", flush=True)
    sys.exit(0)
signal.signal(signal.SIGUSR1, told)
here = sys.argv[1]
while not os.path.exists(here + "/grow"):
    time.sleep(0.05)
try:
    os.mkdir(here + "/grown")
except FileExistsError:
    size = 0
else:
    size = 150
held = b"x" * (size << 20)
while True:
    time.sleep(0.1)  # a signal just before a long sleep would be heard only after it
"""
"""Once a file named "grow" is there, its first run takes 150 MB; then it waits for USR1."""

WATCH = {"memory_restart": "100MB", "memory_check_interval": 0.2, "stopsignal": "USR1"}


def hog(shape: str) -> list[str]:
    """Return a program that has the hog as its main process, a child or an orphan."""
    run = f"{sys.executable} -S %(here)s/hog.py %(here)s"
    return {
        "main": [sys.executable, "-S", "%(here)s/hog.py", "%(here)s"],
        "child": sh(f"trap 'exit 0' USR1; {run} & wait"),
        "orphan": sh(f"trap 'exit 0' USR1; (setsid {run} &); while :; do sleep 0.1; done"),
    }[shape]


@pytest.mark.parametrize("shape", ["main", "child", "orphan"])
def test_too_much_memory_is_a_reason_to_restart(daemons: Daemons, shape: str) -> None:
    """All of the family counts; it is asked to stop as always, and the cause is told."""
    daemon = daemons.prepare()
    (daemon.dir / "hog.py").write_text(HOG)
    daemon.configure(
        program("hog", hog(shape), startsecs=0, **WATCH)
        + program("modest", SLEEPER, startsecs=0, memory_restart="100MB",
                  memory_check_interval=0.1)
    )  # fmt: skip
    daemon.start()
    first, modest = daemon.wait_state("hog", "RUNNING"), daemon.wait_state("modest", "RUNNING")
    (daemon.dir / "grow").touch()
    wait_until(lambda: daemon.status("hog")["run"] > first["run"], 20, "it is restarted")
    daemon.wait_state("hog", "RUNNING")
    changes = daemon.call("events")["changes"]
    causes = [c["cause"] for c in changes if c["name"] == "hog" and c["to"] == "STOPPING"]
    assert len(causes) == 1
    found = re.fullmatch(r"memory ([0-9.]+) MB over memory_restart 100 MB", causes[0])
    assert found is not None
    assert 100 < float(found[1]) < 250  # it may still have been growing
    assert causes[0] in daemon.ctl("why", "hog").stdout
    if shape == "main":
        assert "asked to stop" in daemon.text("log/hog.stdout.log")
    assert daemon.status("modest")["pid"] == modest["pid"]


@pytest.mark.parametrize("shape", ["main", "orphan"])
def test_the_next_daemon_watches_on(daemons: Daemons, shape: str) -> None:
    """A process that an earlier daemon started, whose orphans go to somebody else."""
    daemon = daemons.prepare()
    (daemon.dir / "hog.py").write_text(HOG)
    daemon.configure(program("hog", hog(shape), startsecs=0, **WATCH))
    daemon.start()
    first = daemon.wait_state("hog", "RUNNING")
    wait_until(lambda: daemon.pids_of("hog", "python3") or daemon.pids_of("hog", "python"))
    daemon.signal(signal.SIGKILL)
    daemon.wait_exit()
    daemon.start()
    assert daemon.status("hog")["pid"] == first["pid"]
    (daemon.dir / "grow").touch()
    wait_until(lambda: daemon.status("hog")["run"] > first["run"], 20, "it is restarted")
    assert "over memory_restart 100 MB" in daemon.ctl("why", "hog").stdout


def test_an_update_is_heeded_without_a_restart(daemons: Daemons) -> None:
    """Who asks for it later keeps its process, until that has too much."""
    daemon = daemons.prepare()
    (daemon.dir / "hog.py").write_text(HOG)
    daemon.configure(program("hog", hog("main"), startsecs=0, stopsignal="USR1"))
    daemon.start()
    pid = daemon.wait_state("hog", "RUNNING")["pid"]
    daemon.configure(program("hog", hog("main"), startsecs=0, **WATCH))
    daemon.ctl("update")
    assert daemon.status("hog")["pid"] == pid
    (daemon.dir / "grow").touch()
    wait_until(lambda: daemon.status("hog")["pid"] not in (None, pid), 20, "it is restarted")
    changes = daemon.call("events")["changes"]
    assert [c["cause"] for c in changes if "over memory_restart" in c["cause"]]


def test_who_does_not_ask_does_not_pay(daemons: Daemons) -> None:
    """psutil is loaded by the first look, not by a daemon whose programs have no limit."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    maps = Path(f"/proc/{daemon.pid}/maps")
    daemon.wait_state("web", "RUNNING")
    assert "_sqlite3" in maps.read_text(), "modules in C can be seen there"
    assert "psutil" not in maps.read_text()
    options = {"memory_restart": "1GB", "memory_check_interval": 0.1}
    daemon.configure(program("web", SLEEPER, startsecs=0, **options))
    daemon.ctl("update")
    wait_until(lambda: "psutil" in maps.read_text(), what="its memory is looked at")


class Clock:
    """Stands in for the loop: keeps timers, and calls nobody."""

    def __init__(self) -> None:
        self.timers: list[SimpleNamespace] = []

    def time(self) -> float:
        return 100.0

    def call_at(self, when: float, call: object) -> SimpleNamespace:
        timer = SimpleNamespace(when=lambda: when)
        timer.cancel = lambda: self.timers.remove(timer)
        self.timers.append(timer)
        return timer


def change(name: str, state: State) -> Change:
    return Change(
        serial=1, time=0.0, name=name, process=name, group=name, from_state="STARTING",
        to_state=state.name, cause="",
    )  # fmt: skip


def test_there_is_a_timer_only_while_somebody_asks() -> None:
    """Nothing wakes the daemon for programs without the key, or that do not run."""
    clock = Clock()
    # A stand-in: the methods of a loop that are used here.
    loop = cast(asyncio.AbstractEventLoop, clock)
    bus = Bus(loop)
    programs = [
        Program(name="plain", command=("x",)),
        Program(name="slow", command=("x",), memory_restart=MIB),
        Program(name="fast", command=("x",), memory_restart=MIB, memory_check_interval=5.0),
    ]
    processes = {each.name: Process(each, 0.0) for each in programs}
    supervisor = cast(Supervisor, SimpleNamespace(processes=processes))
    MemoryWatch(supervisor, bus, loop, "x").begin()
    for state in State:
        bus.publish(change("plain", state))
    assert clock.timers == []
    bus.publish(change("slow", State.STARTING))
    assert clock.timers == []
    bus.publish(change("slow", State.RUNNING))
    assert [timer.when() for timer in clock.timers] == [115.0]
    bus.publish(change("fast", State.RUNNING))
    assert [timer.when() for timer in clock.timers] == [105.0]
    bus.publish(change("fast", State.STOPPING))
    bus.publish(change("slow", State.EXITED))
    assert clock.timers == []


@pytest.mark.parametrize(
    ("used", "limit", "words"),
    [
        (612 * MIB, 600 * MIB, "memory 612 MB over memory_restart 600 MB"),
        (600 * MIB + 1, 600 * MIB, "memory 600.1 MB over memory_restart 600 MB"),
        (5 << 30, 4 << 30, "memory 5120 MB over memory_restart 4096 MB"),
        (2 * MIB, MIB + MIB // 2, "memory 2 MB over memory_restart 1.5 MB"),
    ],
)
def test_the_cause_never_looks_like_the_limit(used: int, limit: int, words: str) -> None:
    assert restart_cause(used, limit) == words
