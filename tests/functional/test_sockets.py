"""Sockets that the daemon keeps open for its programs: no connection is ever refused."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import socket
import stat
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.tools import crash, upgrade
from tests.fdstore import DescriptorStore
from tests.programs import SLEEPER, program, sh
from tests.servers import SERVER, ask, server
from tests.support import Daemon, Daemons, free_port, wait_until

MAY_TRACE = (
    os.geteuid() == 0
    or not Path("/proc/sys/kernel/yama/ptrace_scope").exists()
    or Path("/proc/sys/kernel/yama/ptrace_scope").read_text().strip() == "0"
)


def said(daemon: Daemon, name: str) -> str:
    wait_until(lambda: "\n" in daemon.text(f"log/{name}.stdout.log"), what=f"{name} is up")
    return daemon.text(f"log/{name}.stdout.log")


@contextmanager
def load(port: int) -> Iterator[Counter[str]]:
    """Ask for pages all the time, four at once, each over a connection of its own."""
    found: Counter[str] = Counter()
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
                    sock.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
                    answer = sock.makefile("rb").read()
                found["ok" if answer.endswith(b"hello") else f"answer {answer!r}"] += 1
            except OSError as error:
                found[type(error).__name__] += 1

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


# Web servers.

WSGI = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""

ASGI = """
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200,
                    "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})
"""

GUNICORN = ["-m", "gunicorn", "--no-control-socket", "--workers", "2", "site_wsgi:application"]
UVICORN = ["-m", "uvicorn", "--fd", "3", "--log-level", "warning", "site_asgi:application"]


def web(daemon: Daemon, command: list[str], port: int) -> str:
    (daemon.dir / "site_wsgi.py").write_text(WSGI)
    (daemon.dir / "site_asgi.py").write_text(ASGI)
    return program(
        "web", [sys.executable, *command], directory=str(daemon.dir), startsecs=0,
        sockets=[f"tcp://127.0.0.1:{port}"], stopwaitsecs=20, autorestart=True,
    )  # fmt: skip


def gunicorn() -> list[str]:
    module = pytest.importorskip("gunicorn")
    major = int(module.__version__.split(".")[0])
    return [word for word in GUNICORN if major >= 25 or word != "--no-control-socket"]


def test_gunicorn_restarted_under_load_refuses_nobody(daemons: Daemons) -> None:
    daemon = daemons.prepare()
    port = free_port()
    daemon.configure(web(daemon, gunicorn(), port))
    daemon.start()
    with load(port) as found:
        wait_until(lambda: found["ok"] > 20, 20, "it serves")
        for _ in range(3):
            before = found["ok"]
            daemon.ctl("restart", "web")
            wait_until(lambda before=before: found["ok"] > before + 20, 20, "it serves again")  # type: ignore[misc]
    assert set(found) == {"ok"}, found


def test_gunicorn_and_its_daemon_killed_under_load_refuse_nobody(daemons: Daemons) -> None:
    """Who was being served is cut off when a server is killed; whoever comes then just waits."""
    if not MAY_TRACE:
        pytest.skip("this user may not take a socket out of another process")
    daemon = daemons.prepare()
    port = free_port()
    daemon.configure(web(daemon, gunicorn(), port))
    daemon.start()
    with load(port) as found:

        def serves() -> None:
            before = found["ok"]
            wait_until(lambda: found["ok"] > before + 20, 20, "it serves")

        serves()
        os.kill(daemon.status("web")["pid"], signal.SIGKILL)
        serves()
        upgrade(daemon)
        serves()
        daemon.ctl("restart", "web")
        serves()
        crash(daemon)
        serves()
        pid = daemon.status("web")["pid"]
        daemon.ctl("restart", "web")
        serves()
        assert daemon.status("web")["pid"] != pid
    assert "ConnectionRefusedError" not in found, found
    assert sum(count for what, count in found.items() if what != "ok") <= 8, found


def test_uvicorn_restarted_under_load_refuses_nobody(daemons: Daemons) -> None:
    pytest.importorskip("uvicorn")
    daemon = daemons.prepare()
    port = free_port()
    daemon.configure(web(daemon, UVICORN, port))
    daemon.start()
    with load(port) as found:
        wait_until(lambda: found["ok"] > 20, 20, "it serves")
        for _ in range(2):
            before = found["ok"]
            daemon.ctl("restart", "web")
            wait_until(lambda before=before: found["ok"] > before + 20, 20, "it serves again")  # type: ignore[misc]
    assert "ConnectionRefusedError" not in found, found
    # It closes what it had accepted and not read yet.
    assert sum(count for what, count in found.items() if what != "ok") <= 8, found


# What a program gets.


def test_sockets_are_passed_as_systemd_does(daemons: Daemons) -> None:
    """From 3 on, with pid, number and names; and nothing else that is open."""
    daemon = daemons.prepare()
    port, path = free_port(), f"{daemon.dir}/x.sock"
    show = "echo $$ $LISTEN_PID $LISTEN_FDS $LISTEN_FDNAMES; ls /proc/self/fd | tr '\\n' ' '"
    daemon.configure(
        program(
            "web", sh(f"{show}; exec sleep 1000"), startsecs=0,
            sockets=[f"tcp://127.0.0.1:{port}", {"listen": f"unix://{path}", "name": "admin"}],
        )
    )  # fmt: skip
    daemon.start()
    wait_until(lambda: daemon.text("log/web.stdout.log").count("\n") == 1)
    line, fds = said(daemon, "web").split("\n")
    pid = str(daemon.status("web")["pid"])
    assert line.split() == [pid, pid, "2", "web:admin"]
    wait_until(lambda: len(daemon.text("log/web.stdout.log").split("\n")[1].split()) == 6)
    fds = said(daemon, "web").split("\n")[1]
    assert fds.split()[:5] == ["0", "1", "2", "3", "4"]  # and that of ls itself


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run programs as another user")
def test_the_socket_of_another_user(daemons: Daemons) -> None:
    """It belongs to the program's user unless its table says something else."""
    daemon = daemons.prepare()
    one, two = f"{daemon.dir}/one.sock", f"{daemon.dir}/two.sock"
    mine = {"listen": f"unix://{two}", "mode": "0600", "owner": "root", "group": "daemon"}
    show = sh("echo $(id -un) $LISTEN_FDS; exec sleep 1000")
    daemon.configure(program("web", show, sockets=[f"unix://{one}", mine], user="nobody"))
    daemon.start()
    assert said(daemon, "web") == "nobody 2\n"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(one)
    first, second = os.stat(one), os.stat(two)
    assert stat.S_IMODE(first.st_mode) == 0o660
    assert first.st_uid == pwd.getpwnam("nobody").pw_uid
    assert stat.S_IMODE(second.st_mode) == 0o600
    assert (second.st_uid, second.st_gid) == (0, grp.getgrnam("daemon").gr_gid)


def test_a_socket_as_stdin(daemons: Daemons) -> None:
    """So FastCGI programs are started."""
    daemon = daemons.prepare()
    where = f"unix://{daemon.dir}/fcgi.sock"
    daemon.configure(
        server("fcgi", where, stdin="socket", args=["0"], numprocs=2,
               process_name="fcgi%(process_num)d")
    )  # fmt: skip
    daemon.start()
    assert said(daemon, "fcgi.fcgi0") == "up False None None\n"
    assert said(daemon, "fcgi.fcgi1") == "up False None None\n"
    pids = {daemon.status(f"fcgi:fcgi{n}")["pid"] for n in range(2)}
    assert ask(where) in pids


def test_the_processes_of_a_program_share_a_socket_or_have_their_own(daemons: Daemons) -> None:
    daemon = daemons.prepare()
    own = [f"unix://{daemon.dir}/own{n}.sock" for n in range(2)]
    shared = f"tcp://127.0.0.1:{free_port()}"
    many = {"numprocs": 2, "process_name": "p%(process_num)d"}
    daemon.configure(
        server("own", f"unix://{daemon.dir}/own%(process_num)d.sock", **many)
        + server("shared", shared, **many)
    )
    daemon.start()
    for number in range(2):
        assert ask(own[number]) == daemon.status(f"own:p{number}")["pid"]
    pids = [daemon.status(f"shared:p{n}")["pid"] for n in range(2)]
    assert ask(shared) in pids
    daemon.ctl("stop", "shared:p0")
    assert ask(shared) == pids[1]
    daemon.ctl("stop", "shared:p1")
    with pytest.raises(ConnectionRefusedError):
        ask(shared)


@pytest.mark.parametrize("host", ["[::1]", "*", "localhost"])
def test_kinds_of_addresses(daemons: Daemons, host: str) -> None:
    port = free_port()
    daemon = daemons(server("web", f"tcp://{host}:{port}"))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    if host != "[::1]":
        assert ask(f"tcp://127.0.0.1:{port}") == pid
    if host != "localhost":
        assert ask(f"tcp://[::1]:{port}") == pid


# When it is open.


def test_who_comes_during_a_restart_waits(daemons: Daemons) -> None:
    """Also while the program waits for its next try."""
    daemon = daemons.prepare()
    where = f"unix://{daemon.dir}/x.sock"
    # Fails until the test allows it.
    script = f'[ -e {daemon.dir}/go ] || exit 1; exec "$@"'
    command = ["sh", "-c", script, "sh", sys.executable, "-c", SERVER.replace("%", "%%")]
    daemon.configure(
        program("web", command, sockets=[where], startsecs=0.1, startretries=100, backoff=0.2)
    )
    daemon.start()
    daemon.wait_state("web", "BACKOFF")
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(ask(where, 30)))
    thread.start()
    daemon.wait_state("web", "STARTING")
    (daemon.dir / "go").touch()
    thread.join(30)
    assert answers == [daemon.status("web")["pid"]]


def test_a_program_that_is_down_refuses(daemons: Daemons) -> None:
    """An honest answer at once, instead of a queue that nobody serves."""
    daemon = daemons.prepare()
    path = f"{daemon.dir}/x.sock"
    port = free_port()
    daemon.configure(
        server("web", f"unix://{path}", f"tcp://127.0.0.1:{port}", autostart=False)
        + program("fatal", "false", sockets=[f"unix://{path}2"], startretries=0)
    )
    daemon.start()
    assert not Path(path).exists()
    daemon.ctl("start", "web")
    assert ask(f"unix://{path}") == daemon.status("web")["pid"]
    daemon.ctl("stop", "web")
    assert not Path(path).exists()
    with pytest.raises(ConnectionRefusedError):
        ask(f"tcp://127.0.0.1:{port}")
    daemon.wait_state("fatal", "FATAL")
    assert not Path(f"{path}2").exists()


def test_what_was_left_by_a_crash_is_replaced_and_what_lives_is_not(daemons: Daemons) -> None:
    daemon = daemons.prepare()
    stale, live, file = (daemon.dir / name for name in ("stale", "live", "file"))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(stale))
    file.write_text("precious")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(live))
        sock.listen()
        daemon.configure(
            "".join(
                server(path.name, f"unix://{path}", startretries=0) for path in (stale, live, file)
            )
            + server("port", "tcp://192.0.2.1:80", startretries=0)
        )
        daemon.start()
        for name, cause in (
            ("live", "Address already in use"), ("file", "something else is there"),
            ("port", "Cannot assign requested address"),
        ):  # fmt: skip
            assert cause in daemon.wait_state(name, "FATAL")["reason"]
    assert ask(f"unix://{stale}") == daemon.status("stale")["pid"]
    assert file.read_text() == "precious"


def test_an_update_moves_a_socket(daemons: Daemons) -> None:
    """A changed address restarts the program, and the old place is closed."""
    daemon = daemons.prepare()
    old, new = f"{daemon.dir}/old.sock", f"{daemon.dir}/new.sock"
    daemon.configure(server("web", f"unix://{old}"))
    daemon.start()
    daemon.wait_state("web", "RUNNING")
    inode = os.stat(old).st_ino
    daemon.configure(server("web", f"unix://{old}", stopwaitsecs=3))
    daemon.ctl("update")
    assert os.stat(old).st_ino == inode
    daemon.configure(server("web", f"unix://{new}"))
    daemon.ctl("update")
    daemon.wait_state("web", "RUNNING")
    assert ask(f"unix://{new}") == daemon.status("web")["pid"]
    assert not Path(old).exists()


def test_an_upgrade_keeps_what_waits(daemons: Daemons) -> None:
    """The very same socket, with those who are in its queue."""
    daemon = daemons.prepare()
    where = f"unix://{daemon.dir}/x.sock"
    daemon.configure(server("web", where))
    daemon.start()
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    ask(where)
    os.kill(pid, signal.SIGSTOP)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(ask(where, 30)))
    thread.start()
    wait_until(lambda: _waiting(daemon.dir / "x.sock"), what="it is in the queue")
    upgrade(daemon)
    daemon.ctl("signal", "KILL", "web")
    thread.join(30)
    assert answers == [daemon.wait_state("web", "RUNNING")["pid"]]
    assert answers != [pid]


def _waiting(path: Path) -> bool:
    """Has somebody connected? Each end of a connection has a line."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(str(path)) for line in lines) >= 2


def test_after_a_kill_the_socket_is_taken_out_of_the_live_program(daemons: Daemons) -> None:
    if not MAY_TRACE:
        pytest.skip("this user may not take a socket out of another process")
    daemon = daemons.prepare()
    path = daemon.dir / "x.sock"
    port = free_port()
    daemon.configure(server("web", f"unix://{path}", f"tcp://*:{port}"))
    daemon.start()
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    ask(f"unix://{path}")
    inode = path.stat().st_ino
    crash(daemon)
    assert daemon.status("web")["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.status("web")["pid"] not in (None, pid))
    assert path.stat().st_ino == inode  # the file was not made again: it is the same socket
    assert ask(f"unix://{path}") == ask(f"tcp://127.0.0.1:{port}") == daemon.status("web")["pid"]
    daemon.ctl("stop", "web")
    assert not path.exists()


def test_systemd_keeps_sockets_for_the_next_daemon(daemons: Daemons) -> None:
    """Also when daemon and program are killed together; who was in the queue is still there."""
    daemon = daemons.prepare()
    where = f"unix://{daemon.dir}/x.sock"
    daemon.configure(server("web", where))
    store = DescriptorStore(daemon)
    daemon.start()
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    ask(where)
    inode = (daemon.dir / "x.sock").stat().st_ino
    os.kill(pid, signal.SIGSTOP)
    daemon.signal(signal.SIGKILL)
    daemon.wait_exit()
    store.take()
    os.kill(pid, signal.SIGKILL)
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(ask(where, 30)))
    thread.start()
    wait_until(lambda: _waiting(daemon.dir / "x.sock"), what="it is in the queue")
    store.launch()
    thread.join(30)
    assert answers == [daemon.wait_state("web", "RUNNING")["pid"]]
    assert answers != [pid]
    assert (daemon.dir / "x.sock").stat().st_ino == inode
    daemon.ctl("stop", "web")

    def let_go() -> bool:
        store.take()
        return "socket" not in " ".join(store.fds)

    wait_until(let_go, what="systemd is told to close it")
    store.close()


def test_after_a_kill_without_a_live_program_it_is_bound_again(daemons: Daemons) -> None:
    daemon = daemons.prepare()
    path, port = daemon.dir / "x.sock", free_port()
    daemon.configure(server("web", f"unix://{path}", f"tcp://127.0.0.1:{port}"))
    daemon.start()
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    daemon.signal(signal.SIGKILL)
    daemon.wait_exit()
    os.kill(pid, signal.SIGKILL)
    daemon.start()
    wait_until(lambda: daemon.status("web")["pid"] not in (None, pid))
    assert ask(f"unix://{path}") == ask(f"tcp://127.0.0.1:{port}") == daemon.status("web")["pid"]


# Configuration.


@pytest.mark.parametrize(
    ("sockets", "complaint"),
    [
        ('"http://x"', "it begins with tcp:// or unix://"),
        ('"tcp://127.0.0.1"', "it ends with a port"),
        ('"tcp://127.0.0.1:99999"', "it ends with a port"),
        ('"tcp://example.org:80"', "names are not looked up"),
        ('"unix://relative"', "the path must be absolute"),
        (f'"unix:///{"x" * 120}"', "107 bytes"),
        ('"tcp://*:80", "tcp://*:80"', "twice"),
        ('{ mode = "0600" }', "without listen"),
        ('{ listen = "tcp://*:80", mode = "0600" }', "for unix:// only"),
        ('{ listen = "unix:///x", mode = 600 }', "mode is a string"),
        ('{ listen = "unix:///x", mod = "0600" }', 'unknown key "mod"'),
        (
            '{ listen = "unix:///x", owner = "nobodyy" }',
            'owner: expected a user of this system, got the string "nobodyy", did you mean',
        ),
        ('{ listen = "unix:///x", backlog = 0 }', "backlog: expected a whole number from 1 to"),
        ('{ listen = "unix:///x", mode = "9" }', "mode: expected "),
        ('{ listen = "unix:///x", name = "a:b" }', "its name has"),
    ],
)
def test_what_cannot_be_is_complained_of(daemons: Daemons, sockets: str, complaint: str) -> None:
    daemon = daemons.prepare(f'[program.x]\ncommand = "y"\nsockets = [{sockets}]\n')
    assert complaint in daemon.ctl("check", str(daemon.config), code=2).stderr


def test_two_programs_cannot_listen_in_one_place(daemons: Daemons) -> None:
    daemon = daemons.prepare(
        server("a", "tcp://127.0.0.1:80") + server("b", "tcp://localhost:80")
        + program("c", SLEEPER, stdin="socket")
    )  # fmt: skip
    said = daemon.ctl("check", str(daemon.config), code=2).stderr
    assert 'has tcp://127.0.0.1:80, where "a" listens already' in said
    assert 'cannot be "socket" unless sockets has exactly one' in said
