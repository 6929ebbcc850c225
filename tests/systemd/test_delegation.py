"""Limits of the service's programs: with either of the remedies of docs/cgroups.md."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial

import pytest

from tests.programs import SLEEPER, program, sh
from tests.support import wait_until
from tests.systemd.machine import Service
from tests.systemd.test_service import LIMITS, SLOW_RESTART, WATCHDOG, wait_beats

pytestmark = pytest.mark.timeout(700)  # the first makes the root file system

ELSEWHERE = "/sys/fs/cgroup/supervisor"
OWN = f"/sys/fs/cgroup/system.slice/{Service.NAME}"
MAIN = f"{Service.CONFIG}/supervisor.toml"

WEB = program(
    "web", SLEEPER, startsecs=0, memory_max="32MB", memory_high="24MB", cpu_max="50%", pids_max=7
)
HOG = program(
    "hog", ["tail", "/dev/zero"], startsecs=0, autorestart=False, autostart=False, memory_max="32MB"
)
FILES = {
    "memory.max": f"{32 << 20}",
    "memory.high": f"{24 << 20}",
    "cpu.max": "50000 100000",
    "pids.max": "7",
}


@pytest.fixture(params=["named", "subgroup"])
def limited(service: Service, request: pytest.FixtureRequest) -> Iterator[tuple[Service, str]]:
    """The service with limits by one of the remedies, and below what its runs have their cgroups.

    Not started; with the drop-in that the remedy needs.
    """
    machine = service.machine
    offered = machine.read("/sys/fs/cgroup/cgroup.controllers").split()
    if lacking := [name for name in ("memory", "cpu", "pids") if name not in offered]:
        pytest.skip(f"the machine has no controllers {', '.join(lacking)}: see `make vm`")
    before = machine.read(MAIN)
    if request.param == "named":
        service.begin(WEB + HOG, SLOW_RESTART, WATCHDOG)
        machine.put(MAIN, before.replace("[daemon]\n", f'[daemon]\ncgroups = "{ELSEWHERE}"\n'))
    elif (version := machine.systemd()) < 254:
        pytest.skip(f"systemd {version} has no DelegateSubgroup=, 254 has")
    else:
        service.begin(WEB + HOG, SLOW_RESTART, WATCHDOG, LIMITS)
    yield service, ELSEWHERE if request.param == "named" else OWN
    machine.put(MAIN, before)


def run_of_web(service: Service, place: str) -> str:
    """Return the cgroup of the run of web, below that cgroup."""
    run = service.processes()["web"]["run"]
    found = service.machine.run("find", place, "-type", "d", "-name", f"run-{run}").stdout.split()
    assert len(found) == 1, found
    assert "not applied" not in (said := service.journal("-o", "cat")), said
    return found[0]


def limits(service: Service, place: str) -> dict[str, str]:
    """Return what the kernel says of the limits of web."""
    run = run_of_web(service, place)
    return {name: service.machine.read(f"{run}/{name}").strip() for name in FILES}


def cgroup_of(service: Service, pid: int) -> str:
    return "/sys/fs/cgroup" + service.machine.read(f"/proc/{pid}/cgroup").strip().partition("::")[2]


def is_replaced(service: Service, daemon: int) -> bool:
    """Tell whether another daemon is there and ready."""
    return service.pid not in (0, daemon) and service.show("ActiveState") == "active"


def test_limits_apply(limited: tuple[Service, str]) -> None:
    """The kernel has them, nothing is warned about, and an end for want of memory is named."""
    service, place = limited
    service.systemctl("start")
    assert limits(service, place) == FILES
    if place == OWN:
        assert cgroup_of(service, service.pid) == f"{OWN}/supervisor"
    service.ctl("start", "hog")
    reason = service.wait_state("hog", "EXITED")["reason"]
    assert reason == "killed by SIGKILL: out of memory (memory_max 32MB) (not expected)"
    service.systemctl("stop")
    runs = ("find", "/sys/fs/cgroup", "-type", "d", "-name", "run-[0-9]*")
    assert service.machine.run(*runs).stdout == ""


def test_the_next_daemon_can_be_started(limited: tuple[Service, str]) -> None:
    """After a restart, a kill and the watchdog: systemd finds a place for it, limits stay."""
    service, place = limited
    service.systemctl("start")
    service.systemctl("restart")
    assert limits(service, place) == FILES
    before = service.pids()
    for number in (signal.SIGKILL, signal.SIGSTOP):
        wait_beats(service)
        daemon = service.pid
        service.kill(number, daemon)
        wait_until(partial(is_replaced, service, daemon), 60, "there is another daemon")
        assert service.pids() == before
        assert limits(service, place) == FILES
    assert "Watchdog timeout" in service.journal()
    service.ctl("restart", "web")
    assert limits(service, place) == FILES
    assert "219/CGROUP" not in service.journal()
    service.systemctl("stop")
    assert service.show("Result") == "success"
    assert not any(service.is_alive(pid) for pid in before.values())


def test_a_hog_that_comes_back(limited: tuple[Service, str]) -> None:
    """It was killed while no daemon was there: that is answered, and its cgroup tells why.

    Not if systemd has removed what was empty of the dead service's cgroup, as newer ones do.
    """
    service, place = limited
    eats = sh("while [ ! -e /srv/eat ]; do sleep 0.05; done; rm /srv/eat; exec tail /dev/zero")
    service.configure(program("web", eats, startsecs=0, memory_max="32MB"))
    service.systemctl("start")
    web, daemon = service.pids()["web"], service.pid
    service.kill(signal.SIGKILL, daemon)
    service.machine.put("/srv/eat", "")
    wait_until(lambda: service.is_gone(web), 60, "the kernel kills it")
    wait_until(partial(is_replaced, service, daemon), 60, "there is another daemon")
    wait_until(lambda: service.pids().get("web", web) != web, 60, "it is restarted")
    if place == ELSEWHERE:
        assert "out of memory (memory_max 32MB)" in service.ctl("why", "web").stdout
    run = run_of_web(service, place)
    assert service.machine.read(f"{run}/memory.max").strip() == FILES["memory.max"]
    service.systemctl("stop")
