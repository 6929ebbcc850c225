"""The Debian package on a bare Debian: installed, upgraded, removed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from supervisor_lite import __version__
from tests.programs import SLEEPER, program
from tests.support import wait_until
from tests.systemd.machine import REPO, Machine, Service

pytestmark = [
    pytest.mark.timeout(700),
    pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed"),
]

NEXT = "99.1"
BROKEN = "99.2"


def build(target: Path, *arguments: str) -> Path:
    """Build a package as `make deb` does."""
    command = [sys.executable, str(REPO / "packaging/deb/build.py"), "--output", str(target)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.split()[-1])


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this checkout."""
    try:
        return build(tmp_path_factory.mktemp("deb"))
    except AssertionError as error:
        if "No matching distribution" in str(error):
            pytest.skip("no package index is reached: what builds the package cannot be installed")
        raise


def changed(package: Path, version: str, broken: bool = False) -> Path:
    """Return the same package with another version, and perhaps a daemon that does not start."""
    tree = package.with_name(version)
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    for name in ("DEBIAN/control", "usr/lib/supervisor-lite/supervisor_lite/__init__.py"):
        path = tree / name
        path.write_text(path.read_text().replace(__version__, version))
    if broken:
        (tree / "usr/lib/supervisor-lite/supervisor_lite/takeover/adoption.py").write_text(
            "import nothing\n"
        )
    target = package.with_name(package.name.replace(__version__, version))
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, target],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return target


def bring(machine: Machine, package: Path) -> str:
    """Copy a package into the machine; return where it is there."""
    shutil.copy(package, machine.root / "root")
    return f"/root/{package.name}"


def commands() -> list[str]:
    """Return the three commands of packaging/README.md."""
    text = (REPO / "packaging/README.md").read_text()
    lines = text.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert len(lines) == 3, lines
    return lines


def test_the_three_commands_of_the_readme(bare: Machine, package: Path) -> None:
    """A running service, enabled, on a bare Debian; the program it runs answers."""
    bring(bare, package)
    for command in commands():
        bare.shell(f"cd /root; {command}", timeout=120)
    service = Service(bare)
    assert service.show("ActiveState") == "active"
    assert bare.run("systemctl", "is-enabled", service.NAME).stdout.strip() == "enabled"
    service.wait_state("web", "RUNNING")
    fetch = 'from urllib.request import urlopen; print(urlopen("http://127.0.0.1:8000").status)'
    assert bare.run("python3", "-c", fetch).stdout.strip() == "200"
    # The rest of what was installed is in order, too.
    verify = bare.run("systemd-analyze", "verify", "--man=no", service.NAME)
    assert verify.stdout + verify.stderr == ""
    assert "ok: 1 process in 1 group" in bare.run("slctl", "check").stdout
    assert bare.run("dpkg", "--verify", "supervisor-lite").stdout == ""
    assert bare.run("slctl", "version").stdout.strip().endswith(__version__)
    assert bare.run("supervisor-lite-gateway", "--version").stdout.strip() == __version__
    assert bare.run("id", "supervisor-lite").returncode == 0
    # Another user finds the daemon, and is told that it is not theirs.
    switch = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    refused = bare.run(*switch, "slctl", "status", check=False)
    assert (refused.returncode, refused.stdout) == (5, ""), refused.stderr


def install(machine: Machine, package: Path) -> Service:
    """Install it and let it run one program."""
    machine.run("dpkg", "-i", bring(machine, package), timeout=120)
    service = Service(machine)
    service.configure(program("web", SLEEPER, startsecs=0))
    service.ctl("update")
    return service


def test_an_upgrade_stops_nothing(bare: Machine, package: Path) -> None:
    """The daemon and the program keep their pids; a version that does not start changes nothing."""
    service = install(bare, package)
    machine = bare
    daemon, before = service.pid, service.pids()
    machine.run("sh", "-c", "echo '# mine' >>/etc/supervisor-lite/supervisor.toml")
    said = machine.run("dpkg", "-i", bring(machine, changed(package, NEXT)), timeout=120).stdout
    assert f"Upgraded from {__version__} to {NEXT}" in said
    assert machine.run("slctl", "version").stdout.strip().endswith(NEXT)
    assert (service.pid, service.pids()) == (daemon, before)
    assert "# mine" in machine.read("/etc/supervisor-lite/supervisor.toml")
    done = machine.run("dpkg", "-i", bring(machine, changed(package, BROKEN, True)), timeout=120)
    assert "the old version is still running" in done.stderr
    assert (service.pid, service.pids()) == (daemon, before)
    # What was stopped stays stopped.
    service.systemctl("stop")
    machine.run("dpkg", "--force-downgrade", "-i", bring(machine, package), timeout=120)
    assert service.show("ActiveState") == "inactive"


def test_a_removal_asks(bare: Machine, package: Path) -> None:
    """Nothing is stopped without a yes; after a purge nothing is left."""
    service = install(bare, package)
    before = service.pids()
    for answer, said in (("n", "not removed"), ("", "not removed")):
        shown = at_terminal(bare, answer, "dpkg -r supervisor-lite")
        assert "stops 1 running process. Go on?" in shown
        assert said in shown
        assert service.pids() == before
    done = bare.run("dpkg", "-r", "supervisor-lite", check=False)
    assert done.returncode != 0
    assert "nobody can be asked" in done.stderr
    done = bare.run(
        "dpkg", "-r", "supervisor-lite", check=False,
        DEBIAN_FRONTEND="noninteractive", SUPERVISOR_LITE_REMOVE="refuse",
    )  # fmt: skip
    assert done.returncode != 0
    assert service.pids() == before
    assert service.show("ActiveState") == "active"
    at_terminal(bare, "y", "dpkg -r supervisor-lite")
    assert not service.is_alive(before["web"])
    assert not bare.exists("/usr/bin/supervisor-lite")
    assert bare.exists("/etc/supervisor-lite/conf.d/test.toml")
    bare.run("dpkg", "-P", "supervisor-lite")
    for path in ("/etc/supervisor-lite", "/usr/lib/supervisor-lite", "/var/lib/supervisor-lite",
                 "/var/log/supervisor-lite", "/run/supervisor-lite"):  # fmt: skip
        assert not bare.exists(path), path
    links = bare.shell("find /etc/systemd/system -name 'supervisor-lite*'")
    assert links == ""


def at_terminal(machine: Machine, answer: str, command: str) -> str:
    """Run a command on a terminal, where somebody types the answer; return what it shows."""
    # script(1) hands on what it reads; the typist waits for the question.
    typist = f"until grep -q 'y/N' /tmp/typescript; do sleep 0.1; done; echo '{answer}'; sleep 1"
    machine.run("rm", "-f", "/tmp/typescript")
    machine.run("touch", "/tmp/typescript")
    machine.run("sh", "-c", f"({typist}) | script -qefc '{command}' /tmp/typescript", check=False)
    return machine.read("/tmp/typescript")


def test_a_removal_by_a_program(bare: Machine, package: Path) -> None:
    """Without anybody to ask, as the documentation says: everything is stopped in order."""
    service = install(bare, package)
    web = service.pids()["web"]
    bare.run("apt-get", "-y", "remove", "supervisor-lite", DEBIAN_FRONTEND="noninteractive")
    wait_until(lambda: not service.is_alive(web), 10, "the program has ended")
    assert not bare.exists("/usr/bin/supervisor-lite")


def test_a_package_is_without_fault(package: Path) -> None:
    """lintian has nothing to say but what the overrides explain."""
    if shutil.which("lintian") is None:
        pytest.skip("lintian is not installed")
    done = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error,warning", package],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_manual_has_every_command(package: Path, tmp_path: Path) -> None:
    """They are made from the programs' own words."""
    subprocess.run(["dpkg-deb", "-x", package, tmp_path], check=True)
    page = subprocess.run(
        ["gzip", "-dc", tmp_path / "usr/share/man/man1/slctl.1.gz"], capture_output=True, text=True
    ).stdout
    terms = re.findall(r"^\.TP\n\.B (\S+)", page, re.MULTILINE)
    assert {"status", "start", "why", "upgrade"} <= set(terms)
