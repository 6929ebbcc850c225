"""The gateway that the daemon runs by itself, because there is a [gateway] table."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.conftest import basic
from tests.gateway.tools import Answer, Gateway, ask, users
from tests.peer import supervisor_bin
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, free_port, wait_until

WEB = program("web", SLEEPER, startsecs=0) + program(
    "worker", sh("sleep 100001 & exec sleep 100000"), startsecs=0
)


def table(daemon: Daemon, more: str = "") -> str:
    return f'[gateway]\nlisten = ["unix://{daemon.dir}/http.sock"]\n{more}\n'


def served(daemon: Daemon) -> Answer:
    """Ask for all processes as soon as somebody answers."""

    def answer() -> Answer | None:
        with contextlib.suppress(OSError):
            return ask(daemon.dir / "http.sock", "GET", "/api/v1/processes")
        return None

    found = wait_until(answer, 20, "the gateway serves")
    assert found is not None
    return found


def supervisorctl(daemon: Daemon, *words: str) -> list[str]:
    command = [
        str(supervisor_bin() / "supervisorctl"),
        "-s",
        f"unix://{daemon.dir}/http.sock",
        *words,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done
    return sorted(done.stdout.splitlines())


def test_a_table_alone_is_served_by_an_unprivileged_process(daemons: Daemons) -> None:
    daemon = daemons.prepare()
    daemon.configure(WEB + table(daemon))
    daemon.start()
    names = {row["name"] for row in served(daemon).json()["processes"]}
    assert names == {"gateway", "web", "worker"}
    row = daemon.wait_state("gateway", "RUNNING")
    uid = re.search(r"^Uid:\t(\d+)", Path(f"/proc/{row['pid']}/status").read_text(), re.MULTILINE)
    assert uid is not None
    assert (uid[1] == "0") is False
    assert "serves unix://" in daemon.ctl("logs", "gateway").stdout

    # The metrics are of all processes of a run.
    text = ask(daemon.dir / "http.sock", "GET", "/metrics").text
    assert 'supervisor_lite_process_members{name="worker",group="worker"} 2\n' in text

    # What somebody asks for over HTTP, who is root by the mode of the socket, is noted as his.
    stop = ask(daemon.dir / "http.sock", "POST", "/api/v1/processes/worker/stop", "{}",
               Content_Type="application/json")  # fmt: skip
    assert stop.status == 200, stop
    assert "over HTTP" in daemon.events("worker")[-1]["by"]

    # `all` and patterns are not meant for it; its name is.
    web = daemon.status("web")["pid"]
    for verb in (("stop", "all"), ("start", "all"), ("restart", "*"), ("signal", "TERM", "g*")):
        daemon.ctl(*verb)
    assert daemon.status("gateway")["pid"] == row["pid"]
    assert daemon.wait_state("web", "RUNNING")["pid"] != web
    daemon.ctl("stop", "gateway")
    assert daemon.status("gateway")["state"] == "STOPPED"
    assert "gateway: started" in daemon.ctl("start", "all").stdout

    # It is killed, and comes back.
    pid = daemon.wait_state("gateway", "RUNNING")["pid"]
    os.kill(pid, 9)
    wait_until(lambda: daemon.status("gateway")["pid"] not in (None, pid))
    served(daemon)


def test_update_adds_changes_and_removes_it(daemons: Daemons) -> None:
    daemon = daemons(WEB)
    pids = daemon.wait_running("web", "worker")
    mode = daemon.socket.stat().st_mode
    port = free_port()

    def configure(**people: str) -> str:
        listen = f'listen = ["unix://{daemon.dir}/http.sock", "http://127.0.0.1:{port}"]\n'
        daemon.configure(f"{WEB}[gateway]\n{listen}{users(**people)}")
        return daemon.ctl("update").stdout.splitlines()[0]

    def status(name: str, password: str) -> int:
        served(daemon)
        return ask(("127.0.0.1", port), "GET", "/api/v1/daemon", **basic(name, password)).status

    assert configure(view="look", operate="do it") == "gateway: added process group"
    assert status("view", "look") == status("operate", "do it") == 200
    with socket.create_connection(("127.0.0.1", port)) as stream:
        head = "".join(f"{key}: {value}\r\n" for key, value in basic("operate", "do it").items())
        stream.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
        assert stream.recv(15) == b"HTTP/1.1 200 OK"

        # One is removed, the other has another password: the stream ends, nobody is known.
        assert configure(view="see") == "gateway: updated process group"
        stream.settimeout(20)
        while stream.recv(1 << 16):
            pass
    assert (status("operate", "do it"), status("view", "look"), status("view", "see")) == (
        401, 401, 200
    )  # fmt: skip
    assert "No config updates" in daemon.ctl("reread").stdout

    daemon.configure(WEB)
    said = daemon.ctl("update").stdout.splitlines()[:2]
    assert said == ["gateway: stopped", "gateway: removed process group"]
    assert daemon.socket.stat().st_mode == mode
    assert daemon.wait_running("web", "worker") == pids


MODULE = [sys.executable, "-m", "supervisor_lite.gateway", "-c", "%(here)s/supervisor.toml"]


def test_a_gateway_of_somebody_else_reads_its_table_anew(daemons: Daemons) -> None:
    daemon = daemons(WEB)
    port = free_port()

    def listening(more: str) -> str:
        return f'[gateway]\nlisten = ["http://127.0.0.1:{port}"]\n{more}'

    def status(name: str, password: str) -> int:
        return ask(("127.0.0.1", port), "GET", "/api/v1/daemon", **basic(name, password)).status

    gateway = Gateway(daemon, listening(users(view="look", operate="do it")))
    with contextlib.closing(gateway.start()):
        assert (status("view", "look"), status("operate", "do it")) == (200, 200)
        # It hears of an update as soon as it follows the daemon.
        wait_until(lambda: "supervisor_lite_up 1" in ask(
            ("127.0.0.1", port), "GET", "/metrics", **basic("view", "look")).text)  # fmt: skip
        with socket.create_connection(("127.0.0.1", port)) as stream:
            head = "".join(f"{key}: {value}\r\n" for key, value in basic("view", "look").items())
            stream.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
            text = b""
            while b"event: snapshot" not in text:
                text += stream.recv(1 << 16)
            config = daemon.dir / "gateway.toml"
            head = config.read_text().partition("[gateway]")[0]
            config.write_text(head + listening(users(view="see")))
            daemon.ctl("update")
            stream.settimeout(20)
            while stream.recv(1 << 16):
                pass
        assert (status("operate", "do it"), status("view", "look"), status("view", "see")) == (
            401, 401, 200
        )  # fmt: skip
        assert "[gateway] was read anew: users" in gateway.log.read_text()


OWN = program("http", MODULE, startsecs=0)


@pytest.mark.slow
@pytest.mark.parametrize("mine", ["", OWN])
def test_supervisorctl_restarts_all_but_the_gateway(daemons: Daemons, mine: str) -> None:
    daemon = daemons.prepare()
    access = "" if os.geteuid() else '[[access]]\nrole = "admin"\nusers = ["root"]\n'
    daemon.configure(access + WEB + mine + table(daemon))
    daemon.start()
    served(daemon)
    name = "http" if mine else "gateway"
    before = daemon.wait_running("web", "worker", name)
    assert supervisorctl(daemon, "restart", "all") == [
        "web: started", "web: stopped", "worker: started", "worker: stopped"
    ]  # fmt: skip
    after = daemon.wait_running("web", "worker", name)
    assert {key for key, pid in after.items() if before[key] == pid} == {name}
    assert supervisorctl(daemon, "signal", "TERM", "all") == ["web: signalled", "worker: signalled"]
    assert supervisorctl(daemon, "stop", "all") == ["web: stopped", "worker: stopped"]
    assert supervisorctl(daemon, "start", "all") == ["web: started", "worker: started"]


def test_a_container_of_jobs_ends_although_there_is_a_gateway(daemons: Daemons) -> None:
    daemon = daemons.prepare(settings='exit_when = "all-exited"')
    daemon.configure(program("job", "true", startsecs=0, autorestart=False) + table(daemon))
    daemon.launch()
    assert daemon.wait_exit() == 0
