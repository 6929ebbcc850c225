"""Servers that replace their master by themselves: the run goes on with the new one."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.chaos.tools import crash, kill, last_run, upgrade
from tests.functional.test_servers import APPLICATION, NGINX, NGINX_CONFIG, get, stop_and_check
from tests.programs import program, sh
from tests.support import Daemon, Daemons, alive, children, comm, free_port, wait_until

MASTER = """
import os, signal, sys, time
def renew(*_):
    if os.fork() == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **TOLD})
TOLD = dict(word.split("=") for word in sys.argv[2:])
TOLD = {name: value.replace("PID", str(os.getpid())) for name, value in TOLD.items()}
signal.signal(signal.SIGUSR2, renew)
signal.signal(signal.SIGQUIT, lambda *_: sys.exit(0))
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))
if os.fork() == 0:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    time.sleep(100000)
if sys.argv[1] != "-":
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(f"{os.getpid()}\\n")
    os.rename(sys.argv[1] + ".new", sys.argv[1])
print("master", os.getpid(), flush=True)
while True:
    time.sleep(1000)
"""

SETTINGS = 'cgroups = "off"'


def begin(daemon: Daemon, *told: str, pidfile: bool, **options: object) -> int:
    """Start a master, with a worker; return its pid."""
    (daemon.dir / "master.py").write_text(MASTER)
    place = str(daemon.dir / "pid") if pidfile else "-"
    command = [sys.executable, "-S", str(daemon.dir / "master.py"), place, *told]
    settings = {"startsecs": 0, "stopsignal": "QUIT", "stopwaitsecs": 5, **options}
    if pidfile:
        settings["pidfile"] = place
    daemon.configure(program("web", command, **settings))
    daemon.start()
    return masters(daemon, 1)[0]


def masters(daemon: Daemon, count: int) -> list[int]:
    """Wait until so many masters have been there; return them in their order."""

    def found() -> list[int]:
        lines = daemon.text("log/web.stdout.log").splitlines()
        return [int(line.split()[1]) for line in lines if line.startswith("master ")]

    wait_until(lambda: len(found()) >= count, 20, f"{count} masters")
    return found()


def renewed(daemon: Daemon, count: int = 2) -> int:
    """Have it replace itself; return the new master, which is the main process now."""
    run = daemon.status("web")["run"]
    old = daemon.status("web")["pid"]
    daemon.ctl("signal", "USR2", "web")
    new = masters(daemon, count)[-1]
    assert daemon.status("web")["pid"] == old, "the old one is the main process until its end"
    daemon.ctl("signal", "QUIT", "web")
    wait_until(lambda: daemon.status("web")["pid"] == new, 20, "the new master is followed")
    status = daemon.status("web")
    assert (status["state"], status["run"], status["restarts"]) == ("RUNNING", run, 0)
    wait_until(lambda: not alive(old), what="the old one is gone")
    assert alive(new)
    return int(new)


@pytest.mark.parametrize(("told", "pidfile"), [("", True), ("GUNICORN_PID=PID", False)])
def test_the_run_goes_on_with_the_new_master(daemons: Daemons, told: str, pidfile: bool) -> None:
    """By its pid file, or by what the old one has told it: same run, RUNNING all the time."""
    daemon = daemons.prepare(settings=SETTINGS)
    old = begin(daemon, *told.split(), pidfile=pidfile)
    new = renewed(daemon)
    event = daemon.events("web")[-1]
    assert (event["from"], event["to"]) == ("RUNNING", "RUNNING")
    assert event["cause"] == f"main process replaced: {old} by {new}"
    assert f"web: main process replaced: {old} by {new}" in daemon.log()
    assert f": {old} by {new}" in daemon.ctl("why", "web").stdout
    assert last_run(daemon, "web")["pid"] == new
    third = renewed(daemon, 3)
    os.kill(third, signal.SIGUSR1)
    wait_until(lambda: daemon.status("web")["exitcode"] == 7, what="its exit code is known")
    assert not any(map(alive, masters(daemon, 3)[:3]))


@pytest.mark.parametrize("life", [crash, upgrade])
def test_the_next_daemon_takes_the_new_master_over(daemons: Daemons, life: object) -> None:
    """Under its identity, in the session of the old one; a stop ends all of it."""
    daemon = daemons.prepare(settings=SETTINGS)
    begin(daemon, pidfile=True)
    new = renewed(daemon)
    assert callable(life)
    life(daemon)
    assert daemon.status("web")["pid"] == new
    new = renewed(daemon, 3)
    daemon.ctl("stop", "web")
    assert not alive(new)
    assert daemon.pids_of("web") == []
    assert "leftover" in daemon.status("web")["reason"], "workers"


def test_it_is_followed_while_no_daemon_is_there(daemons: Daemons) -> None:
    """The next one finds the old master ended, and the new one in its place."""
    daemon = daemons.prepare(settings=SETTINGS)
    old = begin(daemon, pidfile=True)
    run = daemon.status("web")["run"]
    kill(daemon)
    os.kill(old, signal.SIGUSR2)
    file = daemon.dir / "pid"
    wait_until(lambda: int(file.read_text()) != old, what="a new master")
    new = int(file.read_text())
    os.kill(old, signal.SIGQUIT)
    wait_until(lambda: not alive(old))
    daemon.start()
    status = daemon.status("web")
    assert (status["pid"], status["run"], status["state"]) == (new, run, "RUNNING")
    daemon.ctl("restart", "web")
    assert not alive(new)


@pytest.mark.parametrize("told", [(), ("GUNICORN_PID=1",)])
def test_nobody_is_taken_for_a_new_master_on_a_guess(
    daemons: Daemons, told: tuple[str, ...]
) -> None:
    """Without a file, and without having been told by this master: a leftover, as it was."""
    daemon = daemons.prepare(settings=SETTINGS)
    old = begin(daemon, *told, pidfile=False, autorestart=True)
    run = daemon.status("web")["run"]
    daemon.ctl("signal", "USR2", "web")
    other = masters(daemon, 2)[-1]
    daemon.ctl("signal", "QUIT", "web")
    wait_until(lambda: daemon.status("web")["run"] > run)
    assert not alive(old)
    assert not alive(other)


def test_one_that_goes_into_the_background(daemons: Daemons) -> None:
    """Its first process ends well before the file is there; without the file the run is over."""
    daemon = daemons.prepare(settings=SETTINGS)
    place = daemon.dir / "pid"
    script = "(setsid sh -c 'sleep 0.3; {}; exec sleep 99999' &)"
    written = script.format(f"echo $$ >{place}.new; mv {place}.new {place}")
    options = {"pidfile": str(place), "startretries": 0}
    daemon.configure(
        program("well", sh(written), **options)
        + program("never", sh(script.format(":")), **options)
    )
    daemon.start()
    status = daemon.wait_state("well", "RUNNING")
    assert (status["restarts"], comm(status["pid"])) == (0, "sleep")
    assert status["pid"] == int(place.read_text())
    daemon.wait_state("never", "FATAL", "EXITED", "BACKOFF")
    daemon.ctl("stop", "all")
    assert daemon.pids_of("well") == daemon.pids_of("never") == []


def test_a_stale_file_names_nobody(daemons: Daemons) -> None:
    """The pid must be of a process of the run; a worker that lost its master is a leftover."""
    daemon = daemons.prepare(settings=SETTINGS)
    old = begin(daemon, pidfile=True, autorestart=True)
    (daemon.dir / "pid").write_text(f"{daemon.pid}\n")
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: daemon.status("web")["pid"] not in (None, old), 20)
    assert alive(daemon.pid)


@pytest.mark.parametrize("both", [True, False], ids=["both", "the new one"])
def test_a_stop_ends_both_masters(daemons: Daemons, *, both: bool) -> None:
    """While both are there, and the group's signal reaches the new one that does not lead it."""
    daemon = daemons.prepare(settings=SETTINGS)
    old = begin(daemon, pidfile=True, stopasgroup=True, killasgroup=True)
    if both:
        daemon.ctl("signal", "USR2", "web")
        new = masters(daemon, 2)[-1]
    else:
        new = renewed(daemon)
    daemon.ctl("stop", "web")
    assert not alive(old)
    assert not alive(new)
    assert daemon.pids_of("web") == []
    assert "killed" not in daemon.status("web")["reason"], "the signal has reached all"


# The real ones.


@pytest.fixture
def port() -> int:
    return free_port()


def replaced(daemon: Daemon, name: str, find: str) -> int:
    """SIGUSR2, wait for the new master, SIGQUIT to the old one; return the new one."""
    old, run = daemon.status(name)["pid"], daemon.status(name)["run"]

    def new_masters() -> list[int]:
        return [pid for pid in children(old) if comm(pid) == find and len(children(pid)) == 2]

    daemon.ctl("signal", "USR2", name)
    (new,) = wait_until(new_masters, 30, "a new master with its workers")
    daemon.ctl("signal", "QUIT", name)
    wait_until(lambda: daemon.status(name)["pid"] != old, 30, "the old one has ended")
    status = daemon.status(name)
    assert (status["pid"], status["run"], status["state"]) == (new, run, "RUNNING")
    return new


def nginx(daemon: Daemon, port: int, first_line: str, **options: object) -> None:
    """Start nginx and wait until it serves."""
    config = daemon.dir / "nginx.conf"
    text = NGINX_CONFIG.format(dir=daemon.dir, port=port, text="one")
    config.write_text(text.replace("daemon off;", first_line))
    command = [str(NGINX), "-e", "stderr", "-p", str(daemon.dir), "-c", str(config)]
    daemon.configure(program("nginx", command, stopsignal="QUIT", **options))
    daemon.start()
    daemon.wait_state("nginx", "RUNNING")
    wait_until(lambda: get(port) == "one")


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")
def test_nginx_in_the_background(daemons: Daemons, port: int) -> None:
    """It is followed by its pid file: from its start, with SIGUSR2, by the next daemon."""
    daemon = daemons.prepare(settings=SETTINGS)
    place = daemon.dir / "nginx.pid"
    nginx(daemon, port, "", pidfile=str(place))
    assert daemon.status("nginx")["restarts"] == 0
    assert place.read_text().strip() == str(daemon.status("nginx")["pid"])
    replaced(daemon, "nginx", "nginx")
    assert get(port) == "one"
    crash(daemon)
    new = replaced(daemon, "nginx", "nginx")
    assert get(port) == "one"
    assert place.read_text().strip() == str(new)
    stop_and_check(daemon, "nginx")
    assert get(port) == ""


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")
def test_nginx_that_tells_it(daemons: Daemons, port: int) -> None:
    """In the foreground, once its parent is gone: it ignores SIGUSR2 before. No file is named."""
    daemon = daemons.prepare(settings=SETTINGS)
    nginx(daemon, port, "daemon off;")
    crash(daemon)
    replaced(daemon, "nginx", "nginx")
    assert get(port) == "one"
    stop_and_check(daemon, "nginx")


@pytest.mark.skipif(
    importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed (PyPI)"
)
@pytest.mark.parametrize("named", [True, False], ids=["pidfile", "by itself"])
def test_gunicorn(daemons: Daemons, port: int, *, named: bool) -> None:
    daemon = daemons.prepare(settings=SETTINGS)
    (daemon.dir / "application.py").write_text(APPLICATION.format(text="one"))
    place = str(daemon.dir / "gunicorn.pid")
    script = [sys.executable, "-B", str(Path(sys.executable).with_name("gunicorn"))]
    command = [*script, "-w", "2", "-b", f"127.0.0.1:{port}", "application:app"]
    if named:
        command += ["--pid", place]
    options = {"pidfile": place} if named else {}
    daemon.configure(program("site", command, directory="%(here)s", **options))
    daemon.start()
    daemon.wait_state("site", "RUNNING")
    wait_until(lambda: get(port) == "one", limit=30)
    replaced(daemon, "site", comm(daemon.status("site")["pid"]))
    assert get(port) == "one"
    upgrade(daemon)
    replaced(daemon, "site", comm(daemon.status("site")["pid"]))
    assert get(port) == "one"
    stop_and_check(daemon, "site")
    assert get(port) == ""
