"""Limits and placement of a child: what it finds, and what is said when the kernel refuses."""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path

import pytest

from tests.programs import SLEEPER, program, writes_and_stays
from tests.support import Daemon, Daemons, comm, wait_until

as_nobody = 'user = "nobody"' if os.geteuid() == 0 else ""


def placed(daemon: Daemon, name: str) -> int:
    """Wait until a sleeper runs; return its pid."""
    pid: int = daemon.wait_state(name, "RUNNING")["pid"]
    wait_until(lambda: comm(pid) == "sleep", what=f"{name} runs its command")
    return pid


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def oom_score_adj(pid: int) -> int:
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def test_limits(daemons: Daemons) -> None:
    """Soft and hard, also of memory; what is not set is as it was for the daemon."""
    daemon = daemons(
        program(
            "web",
            SLEEPER,
            startsecs=0,
            rlimits={
                "nofile": [64, 128], "core": 0, "as": "512MB", "data": ["32MB", "64MB"],
                "cpu": "1h", "fsize": ["1GB", "2GB"], "stack": ["1MB", "2MB"],
            },
        )
        + program("plain", SLEEPER, startsecs=0)
    )  # fmt: skip
    pid, plain = placed(daemon, "web"), placed(daemon, "plain")

    def limits(of: int) -> list[tuple[int, int]]:
        names = ("NOFILE", "CORE", "AS", "DATA", "CPU", "FSIZE", "STACK")
        return [resource.prlimit(of, getattr(resource, f"RLIMIT_{name}")) for name in names]

    mib = 1 << 20
    assert limits(pid) == [
        (64, 128), (0, 0), (512 * mib, 512 * mib), (32 * mib, 64 * mib), (3600, 3600),
        (1024 * mib, 2048 * mib), (mib, 2 * mib),
    ]  # fmt: skip
    assert limits(plain)[1:] == limits(daemon.pid)[1:]
    nproc = resource.RLIMIT_NPROC
    assert resource.prlimit(pid, nproc) == resource.prlimit(daemon.pid, nproc)


def test_place(daemons: Daemons) -> None:
    """Niceness, OOM score, CPU and privileges are its own; the daemon keeps its."""
    cpu = max(os.sched_getaffinity(0))
    daemon = daemons(
        program(
            "web",
            SLEEPER,
            startsecs=0,
            nice=7,
            oom_score_adj=500,
            cpu_affinity=[cpu],
            no_new_privileges=True,
        )
        + program("plain", SLEEPER, startsecs=0)
    )
    before = os.getpriority(os.PRIO_PROCESS, 0), oom_score_adj(os.getpid()), os.sched_getaffinity(0)
    pid = placed(daemon, "web")
    assert os.getpriority(os.PRIO_PROCESS, pid) == 7
    assert oom_score_adj(pid) == 500
    assert os.sched_getaffinity(pid) == {cpu}
    assert status_of(pid)["NoNewPrivs"] == "1"
    for other in (placed(daemon, "plain"), daemon.pid):
        found = os.getpriority(os.PRIO_PROCESS, other), oom_score_adj(other)
        assert (*found, os.sched_getaffinity(other)) == before
        assert status_of(other)["NoNewPrivs"] == status_of(os.getpid())["NoNewPrivs"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_limits_of_another_user(daemons: Daemons) -> None:
    """They are set with the daemon's rights, and the child is the user all the same."""
    daemon = daemons(
        program(
            "web", SLEEPER, startsecs=0, user="nobody", nice=-3, rlimits={"nofile": [32, 64]},
            no_new_privileges=True,
        )
    )  # fmt: skip
    pid = placed(daemon, "web")
    assert os.getpriority(os.PRIO_PROCESS, pid) == -3
    # Who has become another user is not open to prlimit(2), not even of root without capabilities.
    assert re.search(r"Max open files +32 +64 ", Path(f"/proc/{pid}/limits").read_text())
    assert set(status_of(pid)["Uid"].split()) != {"0"}


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("nice", -5, "cannot set nice to -5: Permission denied"),
        ("oom_score_adj", -1000, "cannot set oom_score_adj to -1000: Permission denied"),
        (
            "rlimits",
            {"nofile": 100000},
            "cannot set the limit nofile to 100000, above the hard limit 4096 of the daemon:"
            " Operation not permitted",
        ),
    ],
)
def test_what_the_kernel_refuses_is_a_failed_start(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch, option: str, value: object, said: str
) -> None:
    """Without the right to do it, the program does not run as if it had been done."""
    daemon = daemons.prepare(settings=as_nobody)
    daemon.configure(program("web", SLEEPER, startretries=0, **{option: value}))
    limited = ["sh", "-c", 'ulimit -n 4096; exec "$@"', "sh", *daemon.command()]
    monkeypatch.setattr(daemon, "command", lambda: limited)
    daemon.start()
    assert daemon.wait_state("web", "FATAL")["reason"].endswith(said)


def test_a_cpu_that_is_not_there(daemons: Daemons) -> None:
    """It is said which the daemon has; of several, one that exists is enough."""
    mine = sorted(os.sched_getaffinity(0))
    daemon = daemons(
        program("none", SLEEPER, startretries=0, cpu_affinity=8000)
        + program("some", SLEEPER, startsecs=0, cpu_affinity=f"{mine[0]},8000")
    )
    reason = daemon.wait_state("none", "FATAL")["reason"]
    assert f"cannot run on CPU 8000 (the daemon runs on {mine[0]}" in reason
    assert reason.endswith("Invalid argument")
    assert os.sched_getaffinity(placed(daemon, "some")) == {mine[0]}


def test_no_new_privileges_keeps_setuid_bits_from_working(daemons: Daemons) -> None:
    """The program and what it starts have the flag: it is inherited for ever."""
    script = writes_and_stays("grep NoNewPrivs /proc/self/status; echo done")
    daemon = daemons(program("web", script, no_new_privileges=True))
    wait_until(lambda: "done\n" in daemon.text("log/web.stdout.log"), what="it has printed")
    assert daemon.text("log/web.stdout.log").split() == ["NoNewPrivs:", "1", "done"]


def test_a_limit_of_memory_below_that_of_the_daemon(daemons: Daemons) -> None:
    """The forked copy of the daemon is above the limit; the program is not, and runs."""
    limit = {"as": "16MB", "data": "8MB"}
    daemon = daemons(program("web", SLEEPER, startsecs=0, rlimits=limit))
    size = int(status_of(daemon.pid)["VmSize"].split()[0])
    assert size > 16 * 1024
    assert resource.prlimit(placed(daemon, "web"), resource.RLIMIT_AS)[0] == 16 << 20


def test_changed_limits_come_with_the_next_run(daemons: Daemons) -> None:
    """An update restarts a program whose limits are others now."""
    daemon = daemons(program("web", SLEEPER, startsecs=0, rlimits={"nofile": 64}))
    first = placed(daemon, "web")
    daemon.configure(program("web", SLEEPER, startsecs=0, rlimits={"nofile": 65}))
    daemon.ctl("update")
    second = placed(daemon, "web")
    assert second != first
    assert resource.prlimit(second, resource.RLIMIT_NOFILE) == (65, 65)
