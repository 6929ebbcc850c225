"""The unit on a real systemd: started, stopped, killed, stuck, upgraded, hardened."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.programs import SLEEPER, program, sh
from tests.support import wait_until
from tests.systemd.conftest import SYSTEMD
from tests.systemd.machine import Service

pytestmark = pytest.mark.timeout(700)  # the first makes the root file system

TALKER = sh("trap 'echo goodbye; exit 42' TERM; echo hello; while :; do sleep 0.05; done")
SLOW_RESTART = "[Service]\nRestartSec=2s\n"
"""A while in which no daemon is there."""
WATCHDOG = "[Service]\nWatchdogSec=4s\nTimeoutAbortSec=1s\n"
LEAVE_RUNNING = (SYSTEMD / "leave-running.conf").read_text()
HARDENING = (SYSTEMD / "hardening.conf").read_text()
PRESERVE = (SYSTEMD / "preserve-store.conf").read_text()
LIMITS = (SYSTEMD / "limits.conf").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("name", ["supervisor-lite.service", "supervisor-lite-user.service"])
def test_the_units_are_without_fault_for_this_systemd(name: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` says nothing, once there is something in /opt."""
    text = (SYSTEMD / name).read_text()
    unit = tmp_path / name
    unit.write_text(re.sub(r"/opt/supervisor-lite/bin/[a-z-]+", "/bin/true", text))
    user = ["--user"] if "user" in name else []
    verify = ["systemd-analyze", *user, "verify", "--man=no", str(unit)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, env=environment)
    said = [line for line in done.stderr.splitlines() if name in line]
    assert (done.returncode, said) == (0, [])
    unit.write_text(f"{unit.read_text()}\nKilMode=process\n")
    done = subprocess.run(verify, capture_output=True, text=True, timeout=60, env=environment)
    assert name in done.stderr, "it would tell"


def test_the_units_are_without_fault_where_they_are_installed(service: Service) -> None:
    """With the drop-ins that this systemd knows, too."""
    later = (PRESERVE, LIMITS) if service.machine.systemd() >= 254 else ()
    service.begin("", HARDENING, LEAVE_RUNNING, *later)
    done = service.machine.run("systemd-analyze", "verify", "--man=no", service.NAME)
    assert done.stdout + done.stderr == ""
    unit = "/etc/systemd/user/supervisor-lite.service"
    verify = ("systemd-analyze", "--user", "verify", "--man=no", unit)
    done = service.machine.run(*verify, XDG_RUNTIME_DIR="/run")
    assert "supervisor-lite" not in done.stdout + done.stderr


def test_the_hardened_service_is_not_exposed(service: Service) -> None:
    """systemd rates the service 4.0 or better with the drop-in, and much worse without it."""
    service.begin("")
    plain = exposure(service)
    service.drop_in(HARDENING)
    assert exposure(service) <= 4.0 < plain


def exposure(service: Service) -> float:
    """Return what `systemd-analyze security` says, from 0 to 10."""
    said = service.machine.run("systemd-analyze", "security", "--no-pager", service.NAME).stdout
    match = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert match is not None, said
    return float(match[1])


def test_the_hardened_service_works(service: Service) -> None:
    """It spawns, also as another user, captures, stops, and survives kill -9."""
    service.begin(
        program("web", TALKER) + program("other", TALKER, user="nobody"), HARDENING, SLOW_RESTART
    )
    service.systemctl("start")
    for name in ("web", "other"):
        service.wait_state(name, "RUNNING")
    before = service.pids()
    crash(service, before["web"])
    assert service.run_of("web", before["web"])["exitcode"] == 42
    assert service.pids()["other"] == before["other"]
    log = service.machine.read("/var/log/supervisor-lite/web.stdout.log")
    assert log.splitlines()[:2] == ["hello", "goodbye"]
    service.ctl("stop", "other")
    log = service.machine.read("/var/log/supervisor-lite/other.stdout.log")
    assert log.splitlines() == ["hello", "goodbye"]
    service.systemctl("stop")


def crash(service: Service, *victims: int) -> None:
    """Kill -9 the daemon, and these processes while nobody is there; wait for the next daemon."""
    daemon = service.pid
    service.kill(signal.SIGKILL, daemon)
    wait_until(lambda: service.pid == 0, 10, "systemd has noticed")
    for pid in victims:
        service.kill(signal.SIGTERM, pid)
        wait_until(partial(service.is_gone, pid), 10, "the program has ended")
    assert service.pid == 0, "no daemon is there yet"
    wait_until(lambda: service.show("ActiveState") == "active", 20, "there is another daemon")
    assert service.pid not in (0, daemon)


def test_start_reload_restart_stop(service: Service) -> None:
    """What an administrator does, and what it means for the programs."""
    service.begin(program("web", SLEEPER, startsecs=0) + program("job", SLEEPER, startsecs=0))
    service.systemctl("start")
    assert service.show("ActiveState") == "active"
    first = service.pids()
    service.configure(program("web", SLEEPER, startsecs=0) + program("new", SLEEPER, startsecs=0))
    service.systemctl("reload")
    second = service.pids()
    assert sorted(second) == ["new", "web"]
    assert second["web"] == first["web"], "a reload touches what has changed and nothing else"
    assert service.show("MainPID") != "0"
    service.systemctl("restart")
    third = service.pids()
    assert sorted(third) == ["new", "web"]
    assert third["web"] != second["web"]
    service.systemctl("stop")
    assert service.show("ActiveState") == "inactive"
    assert not any(service.is_alive(pid) for pid in third.values())
    assert service.show("NFileDescriptorStore") == "0"


def test_a_stop_is_orderly(service: Service) -> None:
    """By descending priority, each with the time that it needs."""
    script = "trap 'sleep 0.2; echo {0} >>/srv/order; exit 0' TERM; while :; do sleep 0.05; done"
    service.begin(
        "".join(
            program(name, sh(script.format(name)), priority=number)
            for number, name in enumerate(("db", "app", "web"))
        )
    )
    service.systemctl("start")
    for name in ("db", "app", "web"):
        service.wait_state(name, "RUNNING")
    service.systemctl("stop")
    assert service.machine.read("/srv/order").split() == ["web", "app", "db"]
    assert service.show("Result") == "success"


def test_a_reload_of_a_bad_configuration_fails_and_changes_nothing(service: Service) -> None:
    service.begin(program("web", SLEEPER, startsecs=0))
    service.systemctl("start")
    before = service.pids()
    service.configure("[program.web]\ncomand = 5\n")
    assert service.systemctl("reload", check=False).returncode != 0
    assert "comand" in service.journal()
    assert service.show("ActiveState") == "active"
    assert service.pids() == before


def test_a_start_with_a_bad_configuration_fails_once(service: Service) -> None:
    """What cannot be read is told, and not tried for ever."""
    service.begin("[program.web]\ncomand = 5\n")
    assert service.systemctl("start", check=False).returncode != 0
    assert service.show("ActiveState") == "failed"
    assert service.show("NRestarts") == "0"
    assert "unknown key" in service.journal()


def test_started_means_ready(service: Service) -> None:
    """When `systemctl start` returns, everything is spawned, and what ran is taken over."""
    many = {"numprocs": 200, "process_name": "p%(process_num)03d", "startsecs": 0}
    service.begin(program("many", SLEEPER, **many), LEAVE_RUNNING)
    service.systemctl("start")
    before = service.pids()
    assert len(before) == 200
    service.systemctl("restart")
    assert service.pids() == before


def test_a_restart_that_leaves_everything_running(service: Service) -> None:
    """With leave-running.conf only the daemon is another one."""
    service.begin(program("web", TALKER, startsecs=0), LEAVE_RUNNING)
    service.systemctl("start")
    daemon, before = service.pid, service.pids()
    service.systemctl("restart")
    assert service.pid not in (0, daemon)
    assert service.pids() == before
    service.systemctl("stop")
    assert service.is_alive(before["web"])
    service.systemctl("start")
    assert service.pids() == before
    service.ctl("stop", "web")
    assert service.run_of("web", before["web"])["exitcode"] == 42
    log = service.machine.read("/var/log/supervisor-lite/web.stdout.log")
    assert log.splitlines() == ["hello", "goodbye"]


def test_a_preserved_store(service: Service) -> None:
    """With preserve-store.conf, how a program ended between stop and start is known, too."""
    if (version := service.machine.systemd()) < 254:
        pytest.skip(f"systemd {version} has no FileDescriptorStorePreserve=, 254 has")
    service.begin(program("web", TALKER, startsecs=0), LEAVE_RUNNING, PRESERVE)
    service.systemctl("start")
    web = service.pids()["web"]
    service.systemctl("stop")
    service.kill(signal.SIGTERM, web)
    wait_until(partial(service.is_gone, web), 10, "the program has ended")
    service.systemctl("start")
    assert service.run_of("web", web)["exitcode"] == 42
    log = service.machine.read("/var/log/supervisor-lite/web.stdout.log")
    assert log.splitlines()[:2] == ["hello", "goodbye"]


def test_a_killed_daemon_loses_nothing(service: Service) -> None:
    """Pids stay; how programs ended meanwhile, and what they said last, is known exactly."""
    service.begin(
        program("web", TALKER, startsecs=0)
        + program("deaf", SLEEPER, startsecs=0)
        + program("stays", TALKER, startsecs=0),
        SLOW_RESTART,
    )
    service.systemctl("start")
    before = service.pids()
    crash(service, before["web"], before["deaf"])
    assert service.show("NRestarts") == "1"
    after = service.pids()
    assert after["stays"] == before["stays"]
    assert service.run_of("web", before["web"])["exitcode"] == 42
    assert service.run_of("deaf", before["deaf"])["signal"] == "SIGTERM"
    log = service.machine.read("/var/log/supervisor-lite/web.stdout.log")
    assert log.splitlines()[:2] == ["hello", "goodbye"]
    wait_until(lambda: len(service.pids()) == 3, 10, "they are respawned")
    # An adopted program's exit code is exact, too.
    service.ctl("stop", "stays")
    assert service.run_of("stays", before["stays"])["exitcode"] == 42


def test_the_store_holds_what_lives_and_nothing_else(service: Service) -> None:
    """A run's pidfd goes with the run, a program's pipes with the program, also over a crash."""
    service.begin(
        program("web", SLEEPER, startsecs=0) + program("job", TALKER, startsecs=0), SLOW_RESTART
    )
    service.systemctl("start")
    assert stored(service) == 6
    service.ctl("stop", "job")
    wait_until(lambda: stored(service) == 5, 10, "the run that has ended is forgotten")
    for _ in range(3):
        service.ctl("restart", "web")
    wait_until(lambda: stored(service) == 5, 10, "old runs are forgotten")
    before = service.pids()
    service.ctl("start", "job")
    crash(service, service.pids()["job"])
    wait_until(lambda: service.processes()["job"]["pid"], 10, "job is respawned")
    wait_until(lambda: stored(service) == 6, 10, "the next daemon puts things in order")
    assert service.pids()["web"] == before["web"]
    # Defined no more, and gone with a daemon that cannot tidy up behind it.
    service.configure(program("web", SLEEPER, startsecs=0))
    service.ctl("stop", "job")
    crash(service)
    wait_until(lambda: stored(service) == 3, 10, "what nobody defines is forgotten")


def stored(service: Service) -> int:
    """Return how many descriptors systemd keeps."""
    return int(service.show("NFileDescriptorStore"))


def test_nobody_gets_out_of_the_cgroup_of_a_run(service: Service) -> None:
    """The unit delegates its own; over the daemon's death, too. No limits, and it says why."""
    away = "env -i PATH=$PATH setsid sh -c 'echo $$ >>/srv/members; exec sleep 99999'"
    web = sh(f"({away} <&- >&- 2>&- &)\nexec sleep 88888")
    service.begin(
        program("web", web, startsecs=0, memory_max="64MB")
        + program("other", SLEEPER, startsecs=0),
        SLOW_RESTART,
    )
    service.systemctl("start")
    machine, before = service.machine, service.pids()
    wait_until(lambda: machine.run("cat", "/srv/members", check=False).stdout, 10, "its child")
    member = int(machine.read("/srv/members"))
    runs = ("find", f"/sys/fs/cgroup/system.slice/{service.NAME}", "-name", "run-*")
    assert machine.run(*runs).stdout.count("\n") == 2
    crash(service)
    assert service.pids() == before
    service.ctl("stop", "web")
    assert service.is_gone(member)
    assert f"1 leftover ended: {member} sleep" in service.journal()
    assert service.pids() == {"other": before["other"]}
    assert machine.run(*runs).stdout.count("\n") == 1
    told = service.journal("-o", "cat").splitlines()
    assert any(
        line.startswith("web: memory_max is not applied: ") and "DelegateSubgroup=" in line
        for line in told
    )


def test_a_stuck_daemon_is_replaced(service: Service) -> None:
    """The watchdog sees that it does not turn; its programs do not notice."""
    service.begin(program("web", TALKER, startsecs=0), WATCHDOG)
    service.systemctl("start")
    daemon, before = service.pid, service.pids()
    wait_beats(service)
    assert service.pid == daemon
    service.kill(signal.SIGSTOP, daemon)
    wait_until(lambda: service.show("NRestarts") == "1", 20, "systemd has replaced it")
    wait_until(lambda: service.show("ActiveState") == "active", 20, "it is ready")
    assert service.pid not in (0, daemon)
    assert service.pids() == before
    assert "Watchdog timeout" in service.journal()


def wait_beats(service: Service) -> None:
    """Wait until the daemon has told the watchdog twice that it turns."""
    for _ in range(2):
        last = service.show("WatchdogTimestampMonotonic")
        beat = partial(heard, service, last)
        wait_until(beat, 20, "the daemon tells that it turns")


def heard(service: Service, last: str) -> bool:
    """Tell whether systemd has heard of the daemon since."""
    return service.show("WatchdogTimestampMonotonic") not in ("0", last)


def test_the_journal_is_readable(service: Service) -> None:
    """One time stamp a line, the levels are systemd's, and failures stand out."""
    service.begin(program("web", SLEEPER) + program("bad", sh("exit 3"), startretries=0))
    service.systemctl("start")
    service.wait_state("bad", "FATAL")
    lines = service.journal("-o", "cat").splitlines()
    assert any(line.startswith("web: STOPPED -> STARTING") for line in lines)
    ours = [line for line in lines if "->" in line]
    assert not [line for line in ours if re.match(r"[<0-9]|info|warning|error", line)]
    grave = service.journal("-o", "cat", "-p", "err").splitlines()
    assert [line for line in grave if line.startswith("bad: BACKOFF -> FATAL")]
    assert not [line for line in grave if line.startswith("web")]
    # The daemon's own file has times of its own, and a program is not told of the journal.
    own = service.machine.read("/var/log/supervisor-lite/supervisor-lite.log")
    assert re.search(r"^\d{4}-\d\d-\d\d [0-9:.]+ error +bad: BACKOFF -> FATAL", own, re.MULTILINE)
    environ = service.machine.read(f"/proc/{service.pids()['web']}/environ")
    assert "SUPERVISOR_ENABLED=1" in environ
    for name in ("JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"):
        assert f"{name}=" not in environ


def test_an_upgrade_in_place(service: Service) -> None:
    """The same main pid, ready again, the watchdog still served, the journal still readable."""
    service.begin(program("web", TALKER, startsecs=0), WATCHDOG)
    service.systemctl("start")
    daemon, before = service.pid, service.pids()
    assert f"pid {daemon}" in service.ctl("upgrade").stdout
    assert service.show("ActiveState") == "active"
    assert service.show("SubState") == "running"
    assert (service.pid, service.pids()) == (daemon, before)
    wait_beats(service)
    assert (service.pid, service.show("NRestarts")) == (daemon, "0")
    lines = service.journal("-o", "cat").splitlines()
    assert any(re.match(r"supervisor-lite \S+ upgraded", line) for line in lines)
    # What the store holds is still of use to the daemon after the next.
    service.drop_in(WATCHDOG, SLOW_RESTART)
    crash(service, before["web"])
    assert service.run_of("web", before["web"])["exitcode"] == 42


def test_slctl_shutdown_is_an_end(service: Service) -> None:
    """Restart=always brings back what dies, not what somebody has ended."""
    service.begin(program("web", SLEEPER, startsecs=0))
    service.systemctl("start")
    web = service.pids()["web"]
    service.ctl("shutdown")
    wait_until(lambda: service.show("ActiveState") == "inactive", 10, "the unit has ended")
    assert service.show("NRestarts") == "0"
    assert not service.is_alive(web)
    assert service.show("Result") == "success"


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
