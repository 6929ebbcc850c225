"""Limits that a real kernel keeps: its files, its killer, its throttle, its refusals.

They need the controllers of version 2, which many hosts bind to version 1: `make vm` has them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.host.delegation import locate, look
from tests.chaos.tools import crash, kill, kill_process
from tests.functional.test_cgroups import group, groups, in_group
from tests.programs import program, sh
from tests.support import Daemon, Daemons, alive, children, wait_until

__all__ = ["group"]

SLOW = 60.0
"""Seconds that a machine without acceleration may take for what others do in two."""

CONTROLLERS = ("memory", "pids", "cpu")

WHEN_TOLD = "while [ ! -e %(here)s/eat ]; do sleep 0.05; done; "
ONCE = "mkdir %(here)s/eaten || exec sleep 99999; "
"""Lets only the first run go on."""
EAT = "tail /dev/zero"
"""Looks for the end of an endless line: takes all the memory that there is."""
OUT = "out of memory (memory_max 32MB)"


@pytest.fixture
def daemons(group: Path) -> Iterator[Daemons]:
    """Real daemons whose runs can have limits."""
    mount, _ = locate(look())
    offered = Path(f"{mount}/cgroup.subtree_control").read_text().split()
    if lacking := [name for name in CONTROLLERS if name not in offered]:
        pytest.skip(f"the cgroup2 hierarchy does not offer the controllers {', '.join(lacking)}")
    made = Daemons()
    yield made
    made.close()


def begin(daemons: Daemons, group: Path, table: str) -> Daemon:
    """Start a daemon whose runs have their cgroups there."""
    return daemons(table, settings=in_group(group))


def run_of(daemon: Daemon, group: Path, name: str = "web") -> Path:
    """Return the cgroup of the run that a process has now."""
    (found,) = group.glob(f"supervisor-lite-*/run-{daemon.status(name)['run']}")
    return found


def value(run: Path, file: str) -> str:
    """Return what the kernel says in a file with one value."""
    return (run / file).read_text().strip()


def count(run: Path, file: str, key: str) -> int:
    """Return one of the counters in a file of the kernel."""
    pairs = map(str.split, (run / file).read_text().splitlines())
    return {name: int(number) for name, number in pairs}[key]


def eater(what: str = f"exec {EAT}", **options: object) -> str:
    """Return a program called web that eats memory as soon as there is a file `eat`."""
    settings = {"startsecs": 0, "memory_max": "32MB", **options}
    return program("web", sh(WHEN_TOLD + what), **settings)


def eat(daemon: Daemon) -> None:
    (daemon.dir / "eat").touch()


def test_the_kernel_has_the_limits(daemons: Daemons, group: Path) -> None:
    """All four, for the cgroup in which the program is; nothing is warned about."""
    limits = {"memory_max": "64MB", "memory_high": "48MB", "cpu_max": "50%", "pids_max": 7}
    daemon = begin(daemons, group, program("web", sh("sleep 99999 & wait"), startsecs=0, **limits))
    run = run_of(daemon, group)
    files = ("memory.max", "memory.high", "cpu.max", "pids.max")
    wanted = ["67108864", "50331648", "50000 100000", "7"]
    assert [value(run, file) for file in files] == wanted
    pid = daemon.status("web")["pid"]
    wait_until(lambda: len(children(pid)) == 1, SLOW)
    assert sorted(map(int, value(run, "cgroup.procs").split())) == [pid, *children(pid)]
    assert "not applied" not in daemon.log()
    daemon.ctl("stop", "web")
    assert groups(group) == []


def test_an_end_for_want_of_memory(daemons: Daemons, group: Path) -> None:
    """The kernel kills it; everything that is told names the reason and the limit."""
    daemon = begin(daemons, group, eater(autorestart=False))
    eat(daemon)
    reason = daemon.wait_state("web", "EXITED", limit=SLOW)["reason"]
    assert reason == f"killed by SIGKILL: {OUT} (not expected)"
    assert f"killed by SIGKILL: {OUT}" in daemon.ctl("status", "web", code=3).stdout
    assert f"run 1 ended by SIGKILL: {OUT} after" in daemon.ctl("why", "web").stdout
    assert f"SIGKILL: {OUT}" in daemon.ctl("runs", "web").stdout
    assert [c["cause"] for c in daemon.call("events")["changes"] if c["to"] == "EXITED"] == [reason]
    assert reason in daemon.log()
    assert groups(group) == []


@pytest.mark.parametrize("limit", ["32MB", "200KB"])
def test_a_start_that_has_too_little_memory(daemons: Daemons, group: Path, limit: str) -> None:
    """Given up with the reason, not with a bare signal; even if there is not enough for an exec."""
    table = program("web", EAT.split(), startsecs=SLOW, startretries=0, memory_max=limit)
    daemon = begin(daemons, group, table)
    reason = daemon.wait_state("web", "FATAL", limit=SLOW)["reason"]
    assert f"out of memory (memory_max {limit})" in reason
    assert groups(group) == []


def test_the_next_run_has_the_limits_again(daemons: Daemons, group: Path) -> None:
    """After an end for want of memory, in a cgroup of its own, whose counters begin anew."""
    daemon = begin(daemons, group, eater(f"{ONCE}exec {EAT}"))
    first = daemon.status("web")["run"]
    eat(daemon)
    wait_until(lambda: daemon.status("web")["run"] > first, SLOW, "it is restarted")
    daemon.wait_state("web", "RUNNING", limit=SLOW)
    (run,) = groups(group)
    assert run.name == f"run-{daemon.status('web')['run']}"
    assert value(run, "memory.max") == str(32 << 20)
    assert count(run, "memory.events", "oom_kill") == 0
    assert OUT in daemon.ctl("why", "web").stdout


@pytest.mark.parametrize("adopted", [False, True])
def test_a_child_is_killed_and_the_main_process_lives(
    daemons: Daemons, group: Path, adopted: bool
) -> None:
    """That is told; and when somebody kills the main process later, memory is not to blame."""
    script = f"{EAT}; echo $? >%(here)s/code; exec sleep 99999"
    daemon = begin(daemons, group, eater(script, autorestart=False))
    before = daemon.status("web")
    eat(daemon)
    wait_until(lambda: daemon.text("code"), SLOW, "its child is killed")
    assert daemon.text("code") == "137\n"
    assert count(run_of(daemon, group), "memory.events", "oom_kill") == 1
    told = f"web: {OUT}: the kernel killed one of its processes; its main process runs on"
    wait_until(lambda: told in daemon.log(), SLOW, "it is told")
    now = daemon.status("web")
    assert (now["state"], now["pid"]) == ("RUNNING", before["pid"])
    if adopted:
        crash(daemon)
    kill_process(now["pid"], reaped=False)
    reason = daemon.wait_state("web", "EXITED", limit=SLOW)["reason"]
    assert reason in (
        "killed by SIGKILL (not expected)",
        "ended with an unknown exit code (not expected)",
    )
    assert daemon.log().count(told) == 1


def test_the_memory_of_all_together_is_no_fault_of_its_limit(daemons: Daemons, group: Path) -> None:
    """A cgroup above ran out: that is told, and not the limit that was never met."""
    daemon = begin(daemons, group, eater(memory_max="1GB", autorestart=False))
    (group / "memory.max").write_text(str(48 << 20))
    eat(daemon)
    reason = daemon.wait_state("web", "EXITED", limit=SLOW)["reason"]
    assert reason == "killed by SIGKILL: out of memory (not expected)"


def test_memory_high_slows_down(daemons: Daemons, group: Path) -> None:
    """Nobody is killed: who wants more and more has to wait longer and longer."""
    daemon = begin(daemons, group, eater(memory_max="1GB", memory_high="16MB"))
    run, pid = run_of(daemon, group), daemon.status("web")["pid"]
    eat(daemon)
    wait_until(lambda: count(run, "memory.events", "high") > 20, SLOW, "it is slowed down")
    assert daemon.status("web")["pid"] == pid
    assert alive(pid)
    assert count(run, "memory.events", "oom_kill") == 0
    assert (16 << 20) - 4096 * 64 < int(value(run, "memory.current")) < 128 << 20


def test_cpu_max_throttles(daemons: Daemons, group: Path) -> None:
    """A loop gets its share of the time on the clock and no more."""
    table = program("web", sh("while :; do :; done"), startsecs=0, cpu_max="20%")
    run = run_of(begin(daemons, group, table), group)
    wait_until(lambda: count(run, "cpu.stat", "nr_throttled") > 1, SLOW, "it is throttled")
    began, used = time.monotonic(), count(run, "cpu.stat", "usage_usec")
    periods = count(run, "cpu.stat", "nr_periods")
    wait_until(lambda: count(run, "cpu.stat", "nr_periods") >= periods + 30, SLOW, "3 s have gone")
    share = (count(run, "cpu.stat", "usage_usec") - used) / 1e6 / (time.monotonic() - began)
    print(f"cpu_max 20%: {share:.1%} of a processor")
    assert 0.05 < share < 0.3


FORKS = """
import os, signal, sys
for number in range(9):
    try:
        pid = os.fork()
    except OSError as error:
        print(number, error.errno, flush=True)
        break
    if not pid:
        signal.pause()
signal.pause()
"""


def test_pids_max_refuses(daemons: Daemons, group: Path) -> None:
    """One process too many is refused, with EAGAIN; the program lives."""
    daemon = daemons.prepare(settings=in_group(group))
    (daemon.dir / "forks.py").write_text(FORKS)
    command = [sys.executable, "-I", "-S", "%(here)s/forks.py"]
    daemon.configure(program("web", command, startsecs=0, pids_max=4))
    daemon.start()
    wait_until(lambda: daemon.text("log/web.stdout.log"), SLOW, "a fork is refused")
    assert daemon.text("log/web.stdout.log") == "3 11\n"
    run = run_of(daemon, group)
    assert count(run, "pids.events", "max") == 1
    assert value(run, "pids.current") == "4"
    assert daemon.status("web")["state"] == "RUNNING"
    daemon.ctl("stop", "web")
    assert groups(group) == []


def test_a_change_of_limits(daemons: Daemons, group: Path) -> None:
    """`update` begins another run, which has the new ones; nothing remains of the old cgroup."""
    daemon = begin(daemons, group, eater(pids_max=9))
    first = daemon.status("web")["run"]
    daemon.configure(eater(memory_max="24MB", cpu_max="30%"))
    daemon.ctl("update")
    daemon.wait_state("web", "RUNNING", limit=SLOW)
    assert daemon.status("web")["run"] > first
    (run,) = groups(group)
    files = ("memory.max", "cpu.max", "pids.max")
    assert [value(run, file) for file in files] == [str(24 << 20), "30000 100000", "max"]


def test_the_next_daemon_knows_why(daemons: Daemons, group: Path) -> None:
    """Its predecessor was killed: the limit is still there, and so is the reason of an end.

    Before Linux 6.15 it may not be able to tell how a process ended that is not its child.
    """
    daemon = begin(daemons, group, eater(autorestart=False))
    pid = daemon.status("web")["pid"]
    crash(daemon)
    assert daemon.status("web")["pid"] == pid
    assert value(run_of(daemon, group), "memory.max") == str(32 << 20)
    eat(daemon)
    reason = daemon.wait_state("web", "EXITED", limit=SLOW)["reason"]
    assert reason in (
        f"killed by SIGKILL: {OUT} (not expected)",
        f"ended with an unknown exit code: probably {OUT} (not expected)",
    )
    assert OUT in daemon.ctl("why", "web").stdout
    assert OUT in daemon.ctl("runs", "web").stdout
    assert groups(group) == []


def test_an_end_while_no_daemon_was_there(daemons: Daemons, group: Path) -> None:
    """Its cgroup has kept the reason for the next one."""
    daemon = begin(daemons, group, eater(autorestart=False))
    pid = daemon.status("web")["pid"]
    kill(daemon, inherit=True)
    eat(daemon)
    kill_process_gone(pid)
    daemon.start()
    assert OUT in daemon.status("web")["reason"]
    assert groups(group) == []


def kill_process_gone(pid: int) -> None:
    """Wait for the end of a process whose daemon is dead, and collect it."""
    wait_until(lambda: not alive(pid), SLOW, "the kernel kills it")
    kill_process(pid)


def test_a_restart_before_the_limit_is_met(daemons: Daemons, group: Path) -> None:
    """memory_restart asks in good time, where memory_max would kill."""
    grow = "x=0123456789; while [ ${#x} -lt 50000000 ]; do x=$x$x; done; "
    watch = {"memory_restart": "40MB", "memory_check_interval": 0.2}
    table = eater(f"{ONCE}{grow}while :; do sleep 0.1; done", memory_max="1GB", **watch)
    daemon = begin(daemons, group, table)
    first = daemon.status("web")["run"]
    eat(daemon)
    wait_until(lambda: daemon.status("web")["run"] > first, SLOW, "it is restarted")
    daemon.wait_state("web", "RUNNING", limit=SLOW)
    told = daemon.ctl("why", "web").stdout
    assert "over memory_restart 40 MB" in told
    assert "out of memory" not in told
    assert value(run_of(daemon, group), "memory.max") == str(1 << 30)
