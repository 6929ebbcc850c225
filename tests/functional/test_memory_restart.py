"""memory_restart: whose memory counts, what is said, and what it costs those who do not ask."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

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
