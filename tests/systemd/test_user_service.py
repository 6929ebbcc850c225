"""A daemon of one user's own, under `systemctl --user`."""

from __future__ import annotations

import subprocess

import pytest

from tests.programs import SLEEPER, program
from tests.support import wait_until
from tests.systemd.machine import Service

pytestmark = [pytest.mark.xdist_group("systemd"), pytest.mark.timeout(700)]

USER = "deploy"
UNIT = "supervisor-lite.service"


def test_a_service_of_a_user(service: Service) -> None:
    """Started, crashed and stopped by a user without privileges; the programs are theirs."""
    machine = service.machine
    machine.shell(f"id {USER} >/dev/null 2>&1 || useradd -m {USER}")
    uid = machine.shell(f"id -u {USER}").strip()
    home = f"/home/{USER}/.config/supervisor-lite"
    machine.shell(f"install -d -o {USER} /home/{USER}/.config {home}")
    machine.put(f"{home}/supervisor.toml", "[daemon]\n\n" + program("web", SLEEPER, startsecs=0))
    lingering = machine.run("loginctl", "enable-linger", USER, check=False)
    if lingering.returncode:
        pytest.skip(f"no lingering in this machine: {lingering.stderr}")
    bus = f"/run/user/{uid}/bus"
    wait_until(lambda: machine.exists(bus), 20, "the user's manager is up")

    def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return machine.run(
            "setpriv", f"--reuid={uid}", f"--regid={uid}", "--init-groups", *command, check=check,
            HOME=f"/home/{USER}", XDG_RUNTIME_DIR=f"/run/user/{uid}",
        )  # fmt: skip

    def show(name: str) -> str:
        return run("systemctl", "--user", "show", "--value", "-p", name, UNIT).stdout.strip()

    def web() -> int:
        config = ("-c", f"{home}/supervisor.toml")
        return int(run("slctl", *config, "pid", "web").stdout)

    run("systemctl", "--user", "start", UNIT)
    pid, daemon = web(), show("MainPID")
    assert machine.shell(f"stat -c %U /proc/{pid}").strip() == USER
    run("kill", "-KILL", daemon)
    wait_until(lambda: show("NRestarts") == "1", 20, "the daemon is replaced")
    wait_until(lambda: show("ActiveState") == "active", 20, "it is ready")
    assert web() == pid
    run("systemctl", "--user", "stop", UNIT)
    assert not service.is_alive(pid)
    assert show("ActiveState") == "inactive"
