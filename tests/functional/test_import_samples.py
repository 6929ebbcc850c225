"""Configurations as they are found in the world, run by Supervisor itself and, imported, by us.

The programs that they name are played by one script under many names, which writes down how it was
started. What is on the machine (paths, ports) is replaced by what is the test's own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tomli

from tests.chaos.tools import kill_process
from tests.client import ROOT
from tests.functional.test_servers import NGINX, NGINX_CONFIG, get
from tests.gateway.tools import call
from tests.migrate import samples
from tests.peer import supervisor_bin
from tests.support import Daemon, Daemons, free_port, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the samples change users")

ACTOR = r"""#!@PYTHON@ -S
import json, os, resource, signal, socket, stat, struct, sys

ROLE = os.path.basename(sys.argv[0])
GROUP, NAME = (os.environ[f"SUPERVISOR_{word}_NAME"] for word in ("GROUP", "PROCESS"))
KIND = stat.S_IFMT(os.fstat(0).st_mode)

def write_down():
    facts = {
        "argv": sys.argv, "cwd": os.getcwd(), "umask": os.umask(0), "environ": dict(os.environ),
        "uid": os.getuid(), "gid": os.getgid(), "groups": sorted({os.getgid(), *os.getgroups()}),
        "leader": os.getpgrp() == os.getpid(), "stdin": KIND,
    }
    file = os.open(f"{os.environ['OUT']}/{GROUP}:{NAME}.facts",
                   os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.write(file, json.dumps(facts).encode() + b"\n")

def serve(listener):
    # FastCGI, as much of it as a web server needs that sends no body.
    while True:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as file:
            while header := file.read(8):
                kind, length, padding = struct.unpack("!xBxxHBx", header)
                file.read(length + padding)
                if kind == 5 and not length:
                    break
            said = f"Content-Type: text/plain\r\n\r\n{GROUP}:{NAME}".encode()
            for kind, body in ((6, said), (6, b""), (3, bytes(8))):
                peer.sendall(struct.pack("!BBHHBx", 1, kind, 1, len(body), 0) + body)

for number in (signal.SIGINT, signal.SIGPIPE):
    signal.signal(number, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
write_down()
if ROLE in ("memmon", "listener"):
    print("READY", flush=True)
elif "schedule:run" in sys.argv:
    sys.exit()
else:
    print("out of", NAME, flush=True)
    print("err of", NAME, file=sys.stderr, flush=True)
if KIND == stat.S_IFSOCK:
    serve(socket.socket(fileno=0))
while True:
    signal.pause()
"""

ON_THE_PATH = ("php", "php-fpm", "nginx", "crond", "node", "memmon")
ABSOLUTE = ("/bin/cat", "/bin/true", "/bin/listener", "/bin/fcgi", "/usr/bin/search.fcgi")
IN_PLACE = ("venv/bin/gunicorn", "venv/bin/celery")

PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
"""Runs the actors; ours may be where other users cannot go."""

RPC = """
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = interface:make
"""
INTERFACE = """
from supervisor.rpcinterface import make_main_rpcinterface

def make(daemon, **settings):
    # [DEFAULT] sets things here, too, which Supervisor's own factory refuses.
    return make_main_rpcinterface(daemon)
"""

NO_ACTORS = {"size:size"}
"""What really is the program that it names."""

GIVEN_BY_US = ("SUPERVISOR_LITE_RUN", "SUPERVISOR_SERVER_URL", "HOME", "USER", "LOGNAME")
"""Variables that are different on purpose, see docs/migrating.md."""

AT_REST = ("RUNNING", "EXITED", "FATAL", "STOPPED")


class Peer(Daemon):
    """supervisord, in the foreground, with the umask and directory of one in the background."""

    umask = "022"
    directory = ""

    def command(self) -> list[str]:
        # Not by a shell, which would add to the environment.
        script = "import os, sys; os.umask(int(sys.argv[1], 8)); os.chdir(sys.argv[2]); "
        script += "os.execv(sys.argv[3], sys.argv[3:])"
        line = [str(supervisor_bin() / "supervisord"), "-n", "-c", str(self.config)]
        return [sys.executable, "-c", script, self.umask, self.directory or str(self.dir), *line]

    def rpc(self, method: str, *params: object) -> Any:
        return call(self.config.parent / "test.sock", f"supervisor.{method}", *params)

    def answers(self) -> bool:
        try:
            return bool(self.rpc("getState")["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def rows(self) -> Iterator[tuple[str, str, int]]:
        for row in self.rpc("getAllProcessInfo"):
            group, name = row["group"], row["name"]
            yield (name if group == name else f"{group}:{name}"), row["statename"], row["pid"]


def rows_of(daemon: Daemon) -> list[tuple[str, str, int]]:
    """Return name, state and pid of each process, 0 for none."""
    if isinstance(daemon, Peer):
        return sorted(daemon.rows())
    found = daemon.call("status")["processes"]
    return sorted((row["fullname"], row["state"], row["pid"] or 0) for row in found)


def settled(daemon: Daemon, gone: Collection[int] = ()) -> dict[str, str]:
    """Wait until nothing is about to change and these processes are gone; return the states."""

    def at_rest() -> dict[str, str]:
        rows = rows_of(daemon)
        if any(state not in AT_REST or pid in gone for _, state, pid in rows):
            return {}
        # EXITED is also what comes before a restart: it has to be so twice, half a second apart.
        time.sleep(0.5)
        if rows_of(daemon) != rows:
            return {}
        return {name: state for name, state, _ in rows}

    return wait_until(at_rest, 60, "nothing changes any more")


def facts_in(daemon: Daemon) -> dict[str, list[dict[str, Any]]]:
    """Return what the processes have written down, one entry for each run."""
    found = {}
    for path in (daemon.dir / "facts").glob("*.facts"):
        text = path.read_text().replace(str(daemon.dir), "/OUT")
        runs = [json.loads(line) for line in text.splitlines()]
        for run in runs:
            for name in GIVEN_BY_US:
                run["environ"].pop(name, None)
        found[path.stem] = runs
    return found


def engage(daemon: Daemon, *actors: str) -> None:
    """Put actors at these places below a daemon's directory."""
    for actor in actors:
        path = daemon.dir / actor
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(ACTOR.replace("@PYTHON@", PYTHON))
        path.chmod(0o755)
    for place in ("facts", "lib"):
        (daemon.dir / place).mkdir()
    (daemon.dir / "facts").chmod(0o777)
    (daemon.dir / "lib/interface.py").write_text(INTERFACE)
    daemon.environment |= samples.ENVIRON | {
        "OUT": str(daemon.dir / "facts"), "PYTHONWARNINGS": "ignore",
        "PATH": f"{daemon.dir}/bin:{os.environ['PATH']}",
        "PYTHONPATH": f"{daemon.dir}/lib:{ROOT}",
    }  # fmt: skip


def stage(daemon: Daemon, name: str) -> Path:
    """Lay out a sample below a daemon's directory, with actors for its programs; its main file."""
    main = samples.lay_out(name, daemon.dir)
    actors = [f"bin/{role}" for role in ON_THE_PATH]
    actors += [f"bin/{os.path.basename(path)}" for path in ABSOLUTE]
    actors += [f"{name}/{path}" for path in IN_PLACE]
    engage(daemon, *actors)
    changes: list[tuple[str, str]] = [
        *((rf"(?<== ){re.escape(path)}\b", f"{daemon.dir}/bin/{os.path.basename(path)}")
          for path in ABSOLUTE),
        (r"(?<=[=/])/var/run/|(?<=pidfile=)/run/", f"{main.parent}/run/"),
        (r"(?<=startsecs=)\d+|(?<=startsecs = )[1-9]\d*", "1"),
        (r"(?<=port = )\S*:9001", f"127.0.0.1:{free_port()}"),
        (r"größe(?=[\]_])", "size"),  # Supervisor cuts its answers short after such a name
        (r"(?<=localhost:)9002", str(free_port())),
    ]  # fmt: skip
    for path in (*main.parent.rglob("*.conf"), *main.parent.rglob("*.ini")):
        text = path.read_text()
        for pattern, new in changes:
            text = re.sub(pattern, new, text)
        path.write_text(text)
    return main


def import_into(daemon: Daemon, main: Path) -> Mapping[str, Any]:
    """Convert the sample, and point the daemon at it; return its [daemon]."""
    daemon.config.unlink()
    daemon.ctl("import", str(main), "-o", str(daemon.dir))
    text = samples.without_gateway(daemon.config.read_text())
    assert text.count("[daemon]\n") == 1
    # Directories of its own, so that it disturbs no other daemon of this machine.
    own = "".join(f'{name}_dir = "%(here)s/{name}"\n' for name in ("runtime", "state"))
    if "log_dir =" not in text:
        own += 'log_dir = "%(here)s/log"\n'
    daemon.config.write_text(text.replace("[daemon]\n", f"[daemon]\n{own}"))
    daemon.socket = daemon.dir / "runtime/supervisor.sock"
    settings: dict[str, Any] = tomli.loads(text)["daemon"]
    return settings


def counts(daemon: Daemon) -> dict[str, int]:
    """Return how many runs of each process have written their facts, nothing while one has not."""
    found = {name: len(runs) for name, runs in facts_in(daemon).items()}
    up = {n if ":" in n else f"{n}:{n}" for n, state, _ in rows_of(daemon) if state == "RUNNING"}
    return found if up - NO_ACTORS <= found.keys() else {}


@pytest.fixture
def peer() -> Iterator[Peer]:
    supervisor_bin()
    made = Peer(survivors=True)
    yield made
    made.close()


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", samples.NAMES)
def test_a_sample_runs_the_same(name: str, daemons: Daemons, peer: Peer) -> None:
    """At the start, after every process was killed, and when everything is stopped."""
    ours = daemons.prepare(survivors=True)
    settings = import_into(ours, stage(ours, name))
    peer.config = stage(peer, name)
    peer.umask = str(settings.get("umask", peer.umask))
    peer.directory = str(settings.get("directory", "")).replace(str(ours.dir), str(peer.dir))
    text = peer.config.read_text()
    text += "" if "rpcinterface:supervisor" in text else RPC
    peer.config.write_text(text + "\n[unix_http_server:test]\nfile = %(here)s/test.sock\n")
    pair: tuple[Daemon, Daemon] = (ours, peer)
    for daemon in pair:
        daemon.start()
    running: list[int] = []
    for _ in range(2):
        for pid in running:
            os.kill(pid, signal.SIGKILL)
        mine, theirs = (settled(daemon, running) for daemon in pair)
        assert mine == theirs
        assert "RUNNING" in mine.values()
        wait_until(lambda: counts(ours) == counts(peer) != {}, 30, "all have written")
        assert facts_in(ours) == facts_in(peer)
        running = [pid for daemon in pair for _, _, pid in rows_of(daemon) if pid]
    ours.ctl("stop", "all")
    peer.rpc("stopAllProcesses")
    stopped = {n: "STOPPED" if state == "RUNNING" else state for n, state in mine.items()}
    assert settled(ours) == settled(peer) == stopped


# FastCGI


def ask(address: str) -> str:
    """Ask a FastCGI program as a web server does; return the body of its answer."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    unix = address.startswith("unix://")
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as client:
        client.settimeout(30)
        client.connect(address.removeprefix("unix://") if unix else (host, int(port)))
        name, value = b"REQUEST_METHOD", b"GET"
        pair = bytes((len(name), len(value))) + name + value
        for kind, body in ((1, b"\0\1" + bytes(6)), (4, pair), (4, b""), (5, b"")):
            head = bytes((1, kind)) + (1).to_bytes(2) + len(body).to_bytes(2) + bytes(2)
            client.sendall(head + body)
        said = b""
        with client.makefile("rb") as file:
            while header := file.read(8):
                body = file.read(int.from_bytes(header[4:6]))
                if header[1] == 3:  # FCGI_END_REQUEST
                    return said.partition(b"\r\n\r\n")[2].decode()
                said += body
    raise AssertionError(f"an answer without an end: {said!r}")


FCGI = """
[supervisord]
logfile = %(here)s/daemon.log
pidfile = %(here)s/daemon.pid
{rpc}
[fcgi-program:shop]
command = {actor} --of=%(numprocs)d
socket = unix://%(here)s/%(program_name)s.sock
socket_mode = 0770
socket_owner = daemon:adm
numprocs = 3
process_name = shop-%(process_num)d
user = nobody
startsecs = 0

[fcgi-program:api]
command = {actor}
socket = tcp://localhost:{port}
socket_backlog = 16
startsecs = 0
"""

FCGI_RUNS = {"api:api": 2, "shop:shop-0": 1, "shop:shop-1": 1, "shop:shop-2": 1}


@pytest.mark.timeout(420)
def test_fastcgi_programs_answer_the_same(daemons: Daemons, peer: Peer) -> None:
    """On sockets with the same place, mode and owner, also after the program was killed."""
    ours = daemons.prepare(survivors=True)
    pair: tuple[Daemon, Daemon] = (ours, peer)
    ports = {}
    for daemon in pair:
        engage(daemon, "actor")
        ports[daemon] = free_port()
        text = FCGI.format(actor=daemon.dir / "actor", port=ports[daemon], rpc=RPC)
        text += "[unix_http_server:test]\nfile=%(here)s/test.sock\n" if daemon is peer else ""
        (daemon.dir / "supervisord.conf").write_text(text)
    peer.config = peer.dir / "supervisord.conf"
    import_into(ours, ours.dir / "supervisord.conf")
    seen = []
    for daemon in pair:
        daemon.start()
        path = daemon.dir / "shop.sock"
        wait_until(path.exists)
        answers = {ask(f"unix://{path}") for _ in range(3)}
        assert answers <= {f"shop:shop-{number}" for number in range(3)}
        assert ask(f"tcp://127.0.0.1:{ports[daemon]}") == "api:api"
        (pid,) = (pid for name, _, pid in rows_of(daemon) if name == "api")
        os.kill(pid, signal.SIGKILL)
        settled(daemon, [pid])
        assert ask(f"tcp://127.0.0.1:{ports[daemon]}") == "api:api"
        wait_until(lambda d=daemon: counts(d) == FCGI_RUNS, 30, "all have written")  # type: ignore[misc]
        found = path.stat()
        seen.append((oct(found.st_mode), found.st_uid, found.st_gid, facts_in(daemon)))
    assert seen[0] == seen[1]
    assert "0o140770" in seen[0]


BEHIND_NGINX = """
[program:nginx]
command = {nginx} -e stderr -p %(here)s -c %(here)s/nginx.conf

[fcgi-program:app]
command = %(here)s/actor
socket = unix://%(here)s/%(program_name)s.sock
socket_owner = nobody:nogroup
startsecs = 0

[supervisord]
logfile = %(here)s/daemon.log
"""


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)")
def test_nginx_speaks_to_an_imported_program(daemons: Daemons) -> None:
    """Who asks while the program is killed waits for the next one: no Bad Gateway."""
    daemon = daemons.prepare(survivors=True)
    engage(daemon, "actor")
    port = free_port()
    config = NGINX_CONFIG.format(dir=daemon.dir, port=port, text="")
    config = config.replace('return 200 "";', f"fastcgi_pass unix:{daemon.dir}/app.sock;")
    (daemon.dir / "nginx.conf").write_text(f"user nobody nogroup;\n{config}")
    (daemon.dir / "supervisord.conf").write_text(BEHIND_NGINX.format(nginx=NGINX))
    import_into(daemon, daemon.dir / "supervisord.conf")
    daemon.start()
    wait_until(lambda: get(port) == "app:app", what="nginx is up")
    for _ in range(3):
        pid = daemon.wait_state("app", "RUNNING")["pid"]
        # Waits for its end: until then it may take a connection that it cannot answer any more.
        kill_process(pid, reaped=False)
        assert get(port) == "app:app"
        settled(daemon, [pid])
