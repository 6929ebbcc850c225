"""What another user on the control socket can cost the daemon, and what it gets to see."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
import sys

import pytest

from tests.client import Connection
from tests.functional.test_access import as_nobody
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY = pwd.getpwnam("nobody").pw_uid

VIEWER = '[[access]]\nusers = ["nobody"]\nrole = "view"\n'

SECRET = "hunter2"


@pytest.fixture
def viewed(daemons: Daemons) -> Daemon:
    """A daemon that nobody may look at, with a secret in a command line."""
    programs = program("web", ["sleep", "1000", "--password=hunter2"], startretries=0)
    programs += program("none", "/nope --token=hunter2", startretries=0)
    programs += program("one", '"/nope --token=hunter2"', startretries=0)
    programs += program("env", SLEEPER, startsecs=0, environment={"PORT": SECRET})
    daemon = daemons(programs + VIEWER, settings='socket_mode = "0666"')
    daemon.wait_state("one", "FATAL")
    daemon.wait_state("web", "FATAL")
    return daemon


@as_root
def test_a_viewer_sees_no_secrets_in_command_lines(viewed: Daemon) -> None:
    """In nothing that can be asked; root sees the definition whole, and no text has it."""
    asked = [
        "definitions", "status", "avail", "events", "runs", 'why {"names": ["all"]}',
        'explain {"names": ["all"]}', 'trouble {"names": ["all"]}',
    ]  # fmt: skip
    replies = as_nobody(viewed, *asked)
    assert len(replies) == len(asked)
    for question, reply in zip(asked, replies, strict=True):
        assert "result" in reply, (question, reply)
        # `web` writes its own command line: that is output, which a viewer may see.
        text = json.dumps(reply).replace("sleep: unrecognized option '--password=hunter2'", "")
        assert SECRET not in text, question
    commands = {row["name"]: row["command"] for row in viewed.call("definitions")["processes"]}
    assert commands["web"] == "sleep 1000 --password=hunter2"
    for method, params in (("status", {}), ("events", {}), ("trouble", {"names": ["one"]})):
        said = json.dumps(viewed.call(method, **params)).replace("option '--password=hunter2'", "")
        assert SECRET not in said, method
    assert "--token=***" in viewed.status("one")["reason"]


@as_root
@pytest.mark.parametrize(
    "names",
    [
        [f"*{number}*" for number in range(94_000)],
        ["*a*a*a*a*a*a*a*a*a*a*b"],
        [f"nope{number}" for number in range(50_000)],
        ["*" * 100_000],
    ],
    ids=["patterns", "asterisks", "names", "long"],
)
def test_a_request_that_would_cost_much_is_refused(viewed: Daemon, names: list[str]) -> None:
    """At once, by every method that takes names."""
    request = json.dumps({"names": names}, separators=(",", ":"))
    for method in ("status", "why", "logs", "pid"):
        (reply,) = as_file(viewed, f"{method} {request}")
        assert reply["error"]["data"]["code"] == "limit_exceeded", reply
        assert len(reply["error"]["message"]) < 300
    assert viewed.answers()


def as_file(daemon: Daemon, request: str) -> list[dict[str, dict[str, dict[str, str]]]]:
    """Return the replies that another user gets to a request too long for an argument."""
    method, _, params = request.partition(" ")
    script = """
import os, socket, sys
sock = socket.socket(socket.AF_UNIX)
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
sock.connect(sys.argv[1])
sock.sendall(sys.stdin.buffer.read())
sock.shutdown(socket.SHUT_WR)
for line in sock.makefile("rb"):
    print(line.decode(), end="")
"""
    line = f'{{"jsonrpc": "2.0", "id": 1, "method": "{method}", "params": {params}}}'
    done = subprocess.run(
        [sys.executable, "-c", script, str(daemon.socket), str(NOBODY)],
        input=line, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return [json.loads(answer) for answer in done.stdout.splitlines()]


@as_root
def test_connections_of_others_keep_nobody_out(daemons: Daemons) -> None:
    """A user who opens all that he can, and leaves them idle; root and the first are served."""
    daemon = daemons(program("web", SLEEPER, startsecs=0) + VIEWER, settings='socket_mode = "0666"')
    script = """
import os, resource, socket, sys
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
held = []
for _ in range(700):
    sock = socket.socket(socket.AF_UNIX); sock.connect(sys.argv[1])
    held.append(sock); sock.sendall(b'{"half')
last = held[-1].makefile().readline()
print(last, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(daemon.socket), str(NOBODY)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as crowd:  # fmt: skip
        assert crowd.stdout is not None
        assert b"limit_exceeded" in crowd.stdout.readline()
        assert daemon.states() == {"web": "RUNNING"}
        daemon.ctl("restart", "web")
        crowd.communicate(timeout=30)
    assert daemon.log().count("too many connections") == 1
    assert "result" in as_nobody(daemon, "status")[0]


class FewDescriptors(Daemon):
    """A daemon that cannot have more than 128 descriptors."""

    def command(self) -> list[str]:
        return ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh", *super().command()]


BROOD = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(150):
    if not os.fork():
        os.setsid()
        time.sleep(100000)
print("ready", flush=True)
time.sleep(100000)
"""


def test_who_takes_all_descriptors_takes_no_program(daemons: Daemons) -> None:
    """Clients of our own user that never hang up, and what a program leaves behind.

    The deaths of others are answered, with all that they have left; an operator gets in.
    """
    daemon = FewDescriptors(
        program("web", sh("sleep 99999 & exec sleep 99998"), startsecs=0)
        + program("brood", [sys.executable, "-c", BROOD], startsecs=0, stopwaitsecs=1),
        settings="minfds = 64",
    )  # fmt: skip
    try:
        daemon.start().wait_said("brood", "ready")
        held = [Connection(daemon.socket) for _ in range(200)]
        first = daemon.wait_state("web", "RUNNING")["pid"]
        stop = daemon.spawn_ctl("stop", "brood")
        wait_until(lambda: daemon.status("brood")["state"] == "STOPPING")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: daemon.status("web")["pid"] not in (None, first))
        assert stop.communicate(timeout=60) == (b"brood: stopped (killed after 1 s)\n", b"")
        assert daemon.pids_of("brood") == []
        wait_until(lambda: len(daemon.pids_of("web")) == 2, what="nothing is left of the first run")
        changes = daemon.changes("web")
        assert changes.count(("STARTING", "BACKOFF")) == 0, changes
        assert "Exception" not in daemon.log()
        for connection in held:
            connection.socket.close()
    finally:
        daemon.close()


@as_root
def test_refusals_do_not_fill_the_log(daemons: Daemons) -> None:
    daemon = daemons(program("web", SLEEPER, startsecs=0) + VIEWER, settings='socket_mode = "0666"')
    replies = as_nobody(daemon, *['stop {"names": ["web"]}'] * 300)
    assert len(replies) == 300
    assert daemon.log().count("not permitted") == 1


def test_a_half_closed_client_gets_its_answer(daemons: Daemons) -> None:
    """As `printf … | nc -N -U` is; also one that has to be waited for, and a stream."""
    daemon = daemons(program("web", SLEEPER, startsecs=0.2))
    for method, params in (("status", {}), ("restart", {"names": ["web"]})):
        with daemon.connect() as client:
            client.send(method, params)
            client.socket.shutdown(socket.SHUT_WR)
            answer = client.receive()
            assert answer is not None
            assert "result" in answer
            assert client.receive() is None
    with daemon.connect() as client:
        client.send("events", {"limit": 0, "follow": True})
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive() is not None
        daemon.ctl("stop", "web")
        assert client.receive() is not None
