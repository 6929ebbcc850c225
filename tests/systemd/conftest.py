"""A machine that is booted, and our service in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.systemd import machine as machines
from tests.systemd.machine import REPO, Machine, Service

SYSTEMD = REPO / "packaging/systemd"


def bare_machine() -> Machine:
    """Return a machine that is not booted, or skip the test with the reason."""
    if why := machines.missing():
        pytest.skip(why)
    try:
        return Machine()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"cannot make a root file system: {error}")


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """Our service as packaging/README.md installs it into /opt."""
    machine = bare_machine()
    try:
        (machine.root / "wheels").mkdir()
        machines.wheels(machine.root / "wheels")
        machine.chroot("python3", "-m", "venv", "/opt/supervisor-lite")
        machine.chroot(
            "/opt/supervisor-lite/bin/pip", "install", "-q", "--no-index",
            "--find-links=/wheels", "supervisor-lite",
        )  # fmt: skip
        machine.chroot("ln", "-s", "/opt/supervisor-lite/bin/slctl", "/usr/local/bin/slctl")
        for name, path in (
            ("supervisor-lite.service", "/etc/systemd/system/supervisor-lite.service"),
            ("supervisor-lite-user.service", "/etc/systemd/user/supervisor-lite.service"),
            ("tmpfiles.conf", "/etc/tmpfiles.d/supervisor-lite.conf"),
            ("sysusers.conf", "/etc/sysusers.d/supervisor-lite.conf"),
        ):
            machine.put(path, (SYSTEMD / name).read_text())
        config = REPO / "packaging/supervisor.toml"
        machine.put("/etc/supervisor-lite/supervisor.toml", config.read_text())
        # systemd forgets a unit that is down and that nothing wants, and its descriptors with it.
        machine.chroot("systemctl", "enable", Service.NAME)
        machine.boot()
        yield Service(machine)
    finally:
        machine.close()


@pytest.fixture
def bare() -> Iterator[Machine]:
    """A machine of one's own, booted, with nothing of ours."""
    machine = bare_machine()
    try:
        machine.boot()
        yield machine
    finally:
        machine.close()
