"""The daemon itself: its options, signals, files and exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.client import environment_of
from tests.elsewhere import copy_packages, python_for
from tests.programs import SLEEPER, TERM_IGNORER, exits, program, sh
from tests.support import Daemon, Daemons, alive, wait_until

WEB = program("web", SLEEPER)


def run(daemon: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the daemon's program to its end."""
    line = [sys.executable, "-m", "supervisor_lite", *arguments]
    return subprocess.run(
        line, cwd=daemon.dir, env=environment_of(str(daemon.dir)), capture_output=True, text=True,
        timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_check(daemons: Daemons) -> None:
    """--check is 0 or 2, starts nothing and makes nothing."""
    daemon = daemons.prepare(WEB)
    before = sorted(daemon.dir.iterdir())
    assert run(daemon, "-c", str(daemon.config), "--check").returncode == 0
    daemon.configure(program("web", SLEEPER, startsecs="soon", colour=1) + "[program.db]\n")
    done = run(daemon, "-c", str(daemon.config), "--check")
    assert done.returncode == 2
    said = done.stdout + done.stderr
    for key in ("startsecs", "colour", "program.db"):
        assert any(key in line and f"{daemon.config}:" in line for line in said.splitlines()), said
    assert sorted(daemon.dir.iterdir()) == before


def test_a_bad_configuration_is_2(daemons: Daemons) -> None:
    """The daemon does not start, says where the mistake is, and makes nothing."""
    daemon = daemons.prepare(program("web", SLEEPER, autostrt=True))
    done = run(daemon, "-c", str(daemon.config))
    assert done.returncode == 2
    assert f"{daemon.config}:" in done.stderr
    assert "autostart" in done.stderr
    assert "Traceback" not in done.stderr
    assert not daemon.socket.exists()
    missing = run(daemon, "-c", str(daemon.dir / "nosuch.toml"))
    assert missing.returncode == 2
    assert "nosuch.toml" in missing.stderr
    assert run(daemon, "--nonsense").returncode == 2


def test_bad_toml_names_line_and_column(daemons: Daemons) -> None:
    """The parser's place is passed on."""
    daemon = daemons.prepare()
    daemon.config.write_text('[program.web]\ncommand = "sleep 1\n')
    done = run(daemon, "-c", str(daemon.config), "--check")
    assert done.returncode == 2
    assert f"{daemon.config}:2" in done.stdout + done.stderr


def test_a_socket_path_that_is_too_long(daemons: Daemons) -> None:
    """It is refused with the limit, before anything is started."""
    daemon = daemons.prepare(WEB)
    long = daemon.dir / ("x" * 100)
    daemon.config.write_text(f'[daemon]\nruntime_dir = "{long}"\nstate_dir = "{daemon.dir}/s"\n')
    done = run(daemon, "-c", str(daemon.config))
    assert done.returncode in (1, 2)
    assert "107" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["runtime", "state", "log"])
def test_a_directory_that_cannot_be_made(daemons: Daemons, name: str) -> None:
    """The daemon says which one and why, and does not start."""
    daemon = daemons.prepare(WEB)
    (daemon.dir / "file").touch()
    settings = {"runtime": "run", "state": "state", "log": "log", name: "file/inside"}
    lines = [f'{key}_dir = "{daemon.dir}/{value}"' for key, value in settings.items()]
    daemon.config.write_text("[daemon]\n" + "\n".join(lines) + f"\n{WEB}")
    done = run(daemon, "-c", str(daemon.config))
    assert done.returncode in (1, 2)
    assert f"{daemon.dir}/file" in done.stderr
    assert "Traceback" not in done.stderr
    assert daemon.marked() == []


@pytest.mark.parametrize("name", ["runtime", "state", "log"])
def test_a_directory_that_the_system_refuses(daemons: Daemons, name: str) -> None:
    """What only the attempt shows is said as clearly, and nothing is started either."""
    daemon = daemons.prepare(WEB)
    settings = {"runtime": "run", "state": "state", "log": "log"}
    places = {key: f"{daemon.dir}/{value}" for key, value in settings.items()}
    places[name] = "/proc/nowhere"
    lines = [f'{key}_dir = "{value}"' for key, value in places.items()]
    daemon.config.write_text("[daemon]\n" + "\n".join(lines) + f"\n{WEB}")
    done = run(daemon, "-c", str(daemon.config))
    assert done.returncode in (1, 2)
    assert "/proc" in done.stderr
    assert "Traceback" not in done.stderr
    assert daemon.marked() == []


def test_logs_that_cannot_be_written(daemons: Daemons) -> None:
    """A missing directory, or one file for two programs, is found before anything starts."""
    daemon = daemons.prepare(
        program("lost", SLEEPER, stdout_logfile="/nonexistent/place/x.log")
        + program("one", SLEEPER, stdout_logfile="%(here)s/same.log")
        + program("two", SLEEPER, stderr_logfile="%(here)s/./same.log")
    )
    done = run(daemon, "-c", str(daemon.config))
    assert done.returncode == 2
    complaints = done.stderr.splitlines()
    assert any("lost.stdout_logfile" in c and "/nonexistent/place" in c for c in complaints)
    assert any("same.log" in c and "one" in c and "two" in c for c in complaints)
    assert daemon.marked() == []


def test_a_directory_is_read_as_conf_d(daemons: Daemons) -> None:
    """-c DIR reads all its *.toml files."""
    daemon = daemons.prepare()
    folder = daemon.dir / "conf.d"
    folder.mkdir()
    (folder / "10-daemon.toml").write_text(daemon.config.read_text())
    (folder / "web.toml").write_text(WEB)
    (folder / "db.toml").write_text(program("db", SLEEPER))
    (folder / "notes.txt").write_text("not TOML")
    daemon.config.unlink()
    daemon.config = folder
    daemon.start()
    assert sorted(daemon.states()) == ["db", "web"]
    daemon.wait_state("web", "RUNNING")
    daemon.ctl("status", "web")


def closed(daemon: Daemon, *arguments: str) -> list[str]:
    """Return the command line of the daemon without standard descriptors."""
    line = [sys.executable, "-m", "supervisor_lite", "-c", str(daemon.config), *arguments]
    return ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *line]


def test_the_exit_code_needs_no_stderr(daemons: Daemons) -> None:
    daemon = daemons.prepare("[program.web]\n")
    environment = environment_of(str(daemon.dir))
    done = subprocess.run(closed(daemon), cwd=daemon.dir, env=environment, timeout=60, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize("key", ["socket", "pidfile"])
def test_a_mistyped_path_costs_nobody_a_file(daemons: Daemons, key: str) -> None:
    """What is no socket, or no pid file, is neither replaced nor removed; it is named."""
    daemon = daemons.prepare(WEB, settings=f'{key} = "precious"')
    precious = daemon.dir / "precious"
    precious.write_text("[program.mine]\n")
    done = run(daemon, "-c", str(daemon.config))
    assert done.returncode == 1
    assert "there is something else" in done.stderr
    assert str(precious) in done.stderr
    assert precious.read_text() == "[program.mine]\n"


def test_a_socket_that_is_served_is_left_alone(daemons: Daemons) -> None:
    """Another daemon, with directories of its own, does not take it away."""
    first = daemons(WEB)
    second = daemons.prepare(WEB, settings=f'socket = "{first.socket}"')
    done = run(second, "-c", str(second.config))
    assert done.returncode == 1
    assert f"somebody is listening there already: {first.socket}" in done.stderr
    assert first.answers()


def test_a_pid_file_that_is_a_device_is_none(daemons: Daemons) -> None:
    """/dev/null stays what it is, when the daemon starts and when it ends."""
    daemon = daemons(WEB, settings='pidfile = "/dev/null"')
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_pid_file_of_another_daemon_stays(daemons: Daemons) -> None:
    """One that was written since is not ours to remove; a stale one is replaced."""
    daemon = daemons.prepare(WEB, settings='pidfile = "my.pid"')
    file = daemon.dir / "my.pid"
    file.write_text("99999\n")
    daemon.start()
    assert file.read_text() == f"{daemon.pid}\n"
    file.write_text("99999\n")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0
    assert file.read_text() == "99999\n"


@pytest.mark.parametrize("name", ["TERM", "INT", "QUIT"])
def test_signals_end_it_in_order(daemons: Daemons, name: str) -> None:
    """Everything is stopped, socket and pid file are gone, the exit code is 0."""
    daemon = daemons(WEB + program("fatal", exits(1), startretries=0))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    daemon.wait_state("fatal", "FATAL")
    assert daemon.text("run/supervisor.pid").strip() == str(daemon.pid)
    daemon.signal(getattr(signal, f"SIG{name}"))
    assert daemon.wait_exit() == 0
    assert not alive(pid)
    assert not daemon.socket.exists()
    assert not (daemon.dir / "run/supervisor.pid").exists()


def test_a_second_signal_hurries(daemons: Daemons) -> None:
    """What has not ended by then is killed at once."""
    daemon = daemons(program("deaf", TERM_IGNORER, startsecs=0, stopwaitsecs=100))
    wait_until(lambda: "ready" in daemon.text("log/deaf.stdout.log"))
    daemon.signal(signal.SIGTERM)
    daemon.wait_state("deaf", "STOPPING")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit(10) == 0


def test_shutdown_of_one_that_waits(daemons: Daemons) -> None:
    """Processes in BACKOFF or with leftovers do not hold the shutdown up."""
    daemon = daemons(
        program("failing", exits(1), backoff=1000)
        + program("leaving", sh("setsid sleep 100000 & exit 0"), startsecs=0, autorestart=True)
    )
    daemon.wait_state("failing", "BACKOFF")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit(20) == 0


def test_unhandled_signals_do_not_kill_it(daemons: Daemons) -> None:
    """SIGUSR1, SIGPIPE and the like change nothing."""
    daemon = daemons(WEB)
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    for number in (signal.SIGUSR1, signal.SIGPIPE, signal.SIGCHLD, signal.SIGWINCH):
        daemon.signal(number)
    assert daemon.answers()
    assert daemon.status("web")["pid"] == pid


def test_daemonize(daemons: Daemons) -> None:
    """The command returns when the daemon answers; it has a session of its own and a pid file."""
    daemon = daemons.prepare(WEB)
    done = run(daemon, "-c", str(daemon.config), "--daemonize")
    assert done.returncode == 0, done
    assert daemon.answers()
    pid = int(daemon.text("run/supervisor.pid"))
    assert done.stdout == (
        f'supervisor-lite runs as pid {pid} with 1 program, socket "{daemon.socket}": '
        f"`slctl -c {daemon.config} status`\n"
    )
    assert daemon.call("version")["pid"] == pid
    assert os.getsid(pid) != os.getsid(0)
    for number in range(3):
        assert not os.readlink(f"/proc/{pid}/fd/{number}").startswith("pipe:")
    daemon.wait_state("web", "RUNNING")
    daemon.ctl("shutdown")
    wait_until(lambda: not alive(pid))
    assert daemon.marked() == []


@pytest.mark.parametrize("how", ["foreground", "background"])
def test_without_standard_streams(daemons: Daemons, how: str) -> None:
    """Closed stdin, stdout and stderr are /dev/null; the lock does not get their numbers."""
    daemon = daemons.prepare(WEB)
    more = ["--daemonize"] if how == "background" else []
    daemon.process = subprocess.Popen(
        closed(daemon, *more), cwd=daemon.dir,
        env=environment_of(str(daemon.dir)), start_new_session=True,
    )  # fmt: skip
    wait_until(daemon.answers)
    pid = int(daemon.ctl("pid").stdout)
    assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
    second = run(daemon, "-c", str(daemon.config))
    assert second.returncode == 1
    assert str(pid) in second.stderr
    daemon.ctl("shutdown")
    wait_until(lambda: not alive(pid))


def test_in_a_directory_that_was_deleted(daemons: Daemons) -> None:
    """An absolute -c is all that it needs; without one it says what is wrong."""
    daemon = daemons.prepare(WEB)
    script = f'mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m supervisor_lite "$@"'

    def there(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", script, "sh", *arguments], cwd=daemon.dir, text=True, timeout=60,
            env=environment_of(str(daemon.dir)), capture_output=True,
        )  # fmt: skip

    lost = there("--daemonize")
    assert lost.returncode == 1
    assert "current directory" in lost.stderr
    assert "Traceback" not in lost.stderr
    assert there("-c", str(daemon.config), "--daemonize").returncode == 0
    pid = int(daemon.ctl("pid").stdout)
    daemon.ctl("shutdown")
    wait_until(lambda: not alive(pid))


def test_daemonize_reports_what_goes_wrong(daemons: Daemons) -> None:
    """A daemon that cannot start says so to whoever called it."""
    daemon = daemons.prepare(program("web", ""))
    done = run(daemon, "-c", str(daemon.config), "--daemonize")
    assert done.returncode == 2
    assert f"{daemon.config}:" in done.stderr
    other = daemons(WEB)
    done = run(other, "-c", str(other.config), "--daemonize")
    assert done.returncode != 0
    assert str(other.pid) in done.stderr


def test_sd_notify(daemons: Daemons) -> None:
    """systemd hears READY when the socket is served, STOPPING at the end; and of a reload."""
    daemon = daemons.prepare(WEB)
    address = str(daemon.dir / "notify")
    daemon.environment["NOTIFY_SOCKET"] = address
    said = ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
        service.bind(address)
        service.settimeout(20)
        daemon.launch()
        while "READY=1" not in said.splitlines():
            said += service.recv(4096).decode() + "\n"
        assert daemon.answers()
        assert "STATUS=supervising 1 process" in said.splitlines()
        daemon.configure("this is not TOML")  # which changes nothing, and is over, too
        daemon.signal(signal.SIGHUP)
        reload = ""
        while "READY=1" not in reload.splitlines():
            reload += service.recv(4096).decode() + "\n"
        assert re.match(r"RELOADING=1\nMONOTONIC_USEC=\d+\nREADY=1\n", reload)
        daemon.signal(signal.SIGTERM)
        while "STOPPING=1" not in said.splitlines():
            said += service.recv(4096).decode() + "\n"
    assert "STATUS=" in said
    assert daemon.wait_exit() == 0


def test_the_status_of_sd_notify_is_always_true(daemons: Daemons) -> None:
    """It follows whatever puts processes on the table or takes them off it, and upgrades."""
    daemon = daemons.prepare(WEB)
    address = str(daemon.dir / "notify")
    daemon.environment["NOTIFY_SOCKET"] = address
    said: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
        service.bind(address)
        service.settimeout(20)

        def heard(*texts: str) -> None:
            """Wait until the last statuses are these, with nothing between them."""
            seen = len(said)
            while said[-len(texts) :] != list(texts) or len(said) < seen + len(texts):
                lines = service.recv(4096).decode().splitlines()
                said.extend(line[7:] for line in lines if line.startswith("STATUS="))

        daemon.launch()
        heard("supervising 1 process")
        wait_until(daemon.answers)
        daemon.configure(WEB + program("two", SLEEPER) + program("three", SLEEPER, numprocs=2,
                         process_name="n%(process_num)d", startsecs=0))  # fmt: skip
        daemon.ctl("update")
        heard("supervising 4 processes")
        daemon.ctl("stop", "two")
        daemon.ctl("remove", "two")
        heard("supervising 3 processes")
        daemon.ctl("add", "two")
        heard("supervising 4 processes")
        daemon.configure(WEB)
        daemon.ctl("reload")
        heard("reloading: everything is stopped and started anew", "supervising 1 process")
        daemon.configure(WEB + program("two", SLEEPER))
        daemon.signal(signal.SIGHUP)
        heard("supervising 2 processes")
        daemon.ctl("upgrade")
        heard("supervising 2 processes")
        daemon.configure(program("two", SLEEPER))
        daemon.ctl("update")
        heard("supervising 1 process")
        daemon.ctl("shutdown")
        heard("stopping")
    assert daemon.wait_exit() == 0


def test_the_log_is_json_on_demand_and_keeps_secrets(daemons: Daemons) -> None:
    """Every line parses, every change of state has its line, no environment value is in it."""
    secret = "hunter2-do-not-log"
    daemon = daemons(
        program("web", SLEEPER, environment={"PASSWORD": secret})
        + program("bad", "/no/such/program", environment={"PASSWORD": secret}, startretries=0),
        settings='log_format = "json"\nlog_level = "debug"',
        environment={"SECRET": secret},
    )
    daemon.wait_state("web", "RUNNING")
    daemon.wait_state("bad", "FATAL")
    daemon.configure(program("web", SLEEPER, environment={"PASSWORD": secret + "2"}))
    daemon.ctl("update")
    daemon.ctl("shutdown")
    daemon.wait_exit()
    lines = [json.loads(line) for line in daemon.log().splitlines()]
    assert len(lines) > 4
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines), lines[0]
    assert any("STARTING -> RUNNING" in line["event"] for line in lines)
    assert secret not in daemon.log() + daemon.text("stderr")


def test_umask_of_the_daemon(daemons: Daemons) -> None:
    """Logs are made with the configured umask."""
    daemon = daemons(program("web", SLEEPER), settings='umask = "027"')
    daemon.wait_state("web", "RUNNING")
    for name in ("web.stdout.log", "supervisor-lite.log"):
        mode = stat.S_IMODE((daemon.dir / "log" / name).stat().st_mode)
        assert mode & 0o027 == 0, (name, oct(mode))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_the_daemon_drops_privileges(daemons: Daemons, monkeypatch: pytest.MonkeyPatch) -> None:
    """[daemon] user: everything runs as that user, in directories that belong to it."""
    python = python_for(65534)
    daemon = daemons.prepare(WEB, settings='user = "nobody"')
    copy_packages(daemon.dir / "packages")
    daemon.environment["PYTHONPATH"] = str(daemon.dir / "packages")
    line = [python, "-m", "supervisor_lite", "-c", str(daemon.config)]
    monkeypatch.setattr(daemon, "command", lambda: line)
    os.chown(daemon.dir, 65534, 65534)
    daemon.start()
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    for number in (daemon.pid, pid):
        status = Path(f"/proc/{number}/status").read_text()
        assert (
            re.findall(r"^[UG]id:\t(.+)$", status, re.MULTILINE) == ["\t".join(["65534"] * 4)] * 2
        )
    for path in (daemon.socket, daemon.dir / "state" / "journal.db"):
        assert path.stat().st_uid == 65534
    # It cannot get back what it gave up, and does not need it.
    daemon.ctl("restart", "web")
    assert "cannot" not in daemon.log()
    daemon.ctl("shutdown")
    assert daemon.wait_exit() == 0


def test_nothing_wakes_an_idle_daemon(daemons: Daemons) -> None:
    """With everything RUNNING it sleeps: no context switch of its own for three seconds."""
    daemon = daemons("".join(program(f"p{n}", SLEEPER) for n in range(20)))
    for n in range(20):
        daemon.wait_state(f"p{n}", "RUNNING")

    def switches() -> str:
        text = Path(f"/proc/{daemon.pid}/status").read_text()
        return next(line for line in text.splitlines() if line.startswith("voluntary"))

    def quiet() -> bool:
        before = switches()
        time.sleep(3)  # the time in which nothing may happen
        return before == switches()

    wait_until(quiet, limit=12, what="three seconds without a wake-up")
