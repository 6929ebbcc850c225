"""Attempts over HTTP: many connections, odd requests, and requests cut into pieces."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.gateway.conftest import Served, basic
from tests.gateway.tools import Gateway, ask
from tests.programs import program
from tests.support import Daemons


def say(served: Served, *pieces: bytes, end: bool = False, tcp: bool = False) -> bytes:
    """Send a request in these pieces; return what comes, to the end."""
    family = socket.AF_INET if tcp else socket.AF_UNIX
    with socket.socket(family) as client:
        client.settimeout(30)
        client.connect(("127.0.0.1", served.port) if tcp else str(served.gateway.socket))
        said = b""
        try:
            for piece in pieces:
                client.sendall(piece)
            if end:
                client.shutdown(socket.SHUT_WR)
            while found := client.recv(65536):
                said += found
        except (ConnectionResetError, BrokenPipeError):
            pass
        return said


def test_idle_connections_lock_nobody_out(served: Served) -> None:
    """More of them than there are seats, from everywhere; the Unix socket is another matter."""
    with ExitStack() as stack:
        for begin in (b"", b"GET / HTTP/1.1\r\n") * 150:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
            client.sendall(begin)
        assert served.unix("GET", "/api/v1/daemon").status == 200
        assert served.tcp("GET", "/api/v1/daemon", **basic("view")).status == 200
        for _ in range(300):
            local = stack.enter_context(socket.socket(socket.AF_UNIX))
            local.connect(str(served.gateway.socket))
        assert served.unix("GET", "/api/v1/daemon").status == 200
        assert served.tcp("GET", "/api/v1/daemon", **basic("view")).status == 200


HEAD = b"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n"
STOP = b"<methodCall><methodName>supervisor.getPID</methodName></methodCall>"
SMUGGLED = b"GET /api/v1/daemon HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        b"Content-Length: 0\r\ntransfer-encoding: Chunked\r\n",
    ],
)
def test_a_length_beside_chunks_ends_the_connection(served: Served, lengths: bytes) -> None:
    """What follows is taken for nobody's request."""
    said = say(served, HEAD + lengths + b"\r\n0\r\n\r\n" + SMUGGLED)
    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1") == 1


def test_chunks_in_http_1_0_end_the_connection(served: Served) -> None:
    head = (
        HEAD.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n"
    )
    said = say(served, head + b"\r\n0\r\n\r\n" + SMUGGLED)
    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1") == 1


MANY = b"".join(b"X-%d: y\r\n" % number for number in range(200))
LONG = b"X: " + b"y" * 20_000 + b"\r\n"
LARGE = b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000
CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 70_000 + b"0\r\n\r\n"
EXTENDED = b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"y" * 20_000 + b"\r\nx\r\n0\r\n\r\n"


@pytest.mark.parametrize("size", [0, 997], ids=["in one piece", "in many"])
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + MANY + b"\r\n", b"431"),
        (HEAD + LONG + b"\r\n", b"431 400"),
        (HEAD + LARGE, b"413"),
        (HEAD + CHUNKS, b"413 400"),
        (HEAD.replace(b"RPC2", b"RPC2?" + b"y" * 9000) + b"\r\n", b"414"),
    ],
    ids=["headers", "header", "body", "chunks", "address"],
)
def test_limits_hold_in_one_piece_and_in_many(
    served: Served, request_: bytes, status: bytes, size: int
) -> None:
    pieces = [request_]
    if size:
        pieces = [request_[start : start + size] for start in range(0, len(request_), size)]
    said = say(served, *pieces, end=True)
    # Who is hung up on while he still sends may not get to read why.
    assert not said or said.split()[1] in status.split(), said[:200]
    assert served.unix("GET", "/healthz").status == 200


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/processes", "/logtail/colours"])
def test_a_half_closed_client_gets_its_answer(served: Served, path: str, tcp: bool) -> None:
    """Of a stream what there is."""
    header = f"Authorization: {basic('view')['Authorization']}\r\n"
    said = say(
        served,
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n".encode(),
        end=True,
        tcp=tcp,
    )
    assert said.startswith(b"HTTP/1.1 200"), said
    assert said.count(b"HTTP/1.1") == 1


def test_pipelined_requests_of_a_half_closed_client(served: Served) -> None:
    said = say(served, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5, end=True)
    assert said.count(b"HTTP/1.1 200") == 5


H = b"Host: localhost\r\n"
ODD = (
    b"", b"\r\n" * 50, b"\0" * 100, b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n" + H,
    b"GET  / HTTP/1.1\r\n" + H, b" GET / HTTP/1.1\r\n" + H, b"get / HTTP/1.1\r\n" + H,
    b"G\xffT / HTTP/1.1\r\n" + H, b"GET /\0 HTTP/1.1\r\n" + H, b"GET /\xff HTTP/1.1\r\n" + H,
    b"GET http://localhost/ HTTP/1.1\r\n" + H, b"GET * HTTP/1.1\r\n" + H,
    b"OPTIONS * HTTP/1.1\r\n" + H, b"CONNECT localhost:80 HTTP/1.1\r\n" + H,
    b"TRACE / HTTP/1.1\r\n" + H, b"GET /../../etc/passwd HTTP/1.1\r\n" + H,
    b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + H, b"GET //etc/passwd HTTP/1.1\r\n" + H,
    b"GET /api/v1/processes/..%2f..%2fx HTTP/1.1\r\n" + H, b"GET /%00 HTTP/1.1\r\n" + H,
    b"GET /api/v1/processes/%ff HTTP/1.1\r\n" + H, b"GET /logtail/%0d%0aX:y HTTP/1.1\r\n" + H,
    b"GET /api/v1/events?since=99999999999999999999 HTTP/1.1\r\n" + H,
    b"GET /api/v1/events?limit=-1 HTTP/1.1\r\n" + H, b"GET / HTTP/1.1\r\n" + H + H,
    b"GET / HTTP/1.1\r\nHost: evil\r\n", b"GET / HTTP/1.1\r\nHost: [\r\n",
    b"GET / HTTP/1.1\r\n X: folded\r\n" + H, b"GET / HTTP/1.1\r\nX : y\r\n" + H,
    b"GET / HTTP/1.1\r\nX\r\n" + H, b"GET / HTTP/1.1\r\n: y\r\n" + H,
    b"GET / HTTP/1.1\r\nX: a\0b\r\n" + H, b"GET / HTTP/1.1\nHost: localhost\n",
    b"POST /RPC2 HTTP/1.1\r\nContent-Length: -1\r\n" + H,
    b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1, 2\r\n" + H,
    b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + H,
    b"POST /RPC2 HTTP/1.1\r\nContent-Length: 0x10\r\n" + H,
    b"POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n" + H,
    b"POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + H + b"\r\nzz\r\n",
    b"POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + H + b"\r\nffffffffffffffff\r\nx",
    b"POST /RPC2 HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" + H,
    b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\n" + H,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HEAD /events HTTP/1.1\r\n" + H,
    b"GET / HTTP/1.1\r\nAuthorization: Basic \xff\xff\r\n" + H,
)  # fmt: skip


def test_odd_requests_are_answered_or_refused(served: Served) -> None:
    """None ends in an error of ours, none shows a file, and the gateway goes on."""
    for request_ in ODD:
        said = say(served, request_ + b"\r\n", end=True)
        assert not said or said.startswith(b"HTTP/1.1 "), (request_, said[:200])
        assert not said.startswith(b"HTTP/1.1 5") or said.startswith(b"HTTP/1.1 501"), request_
        assert b"root:" not in said, request_
    assert served.unix("GET", "/healthz").status == 200
    assert "Traceback" not in served.gateway.log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_user_who_cannot_read_python_has_passwords_checked_all_the_same(
    daemons: Daemons,
) -> None:
    """All that is needed is loaded before root is given up; also when nothing can be read then."""
    from tests.gateway.tools import users
    from tests.support import free_port

    daemon = daemons(program("web", "sleep 100000", startsecs=0))
    port = free_port()
    table = f'[gateway]\nlisten = ["http://127.0.0.1:{port}"]\nuser = "nobody"\n'
    gateway = Gateway(daemon, table + users(view="look"))
    # A copy of ours that only root can read is imported before the one that everybody can.
    hidden = daemon.dir / "hidden"
    shutil.copytree(
        Path(__file__).parents[2] / "supervisor_lite", hidden / "supervisor_lite",
        ignore=shutil.ignore_patterns("__pycache__"),
    )  # fmt: skip
    hidden.chmod(0o700)
    code = (
        f"import sys; sys.path.insert(0, {str(hidden)!r}); sys.dont_write_bytecode = True;"
        "import supervisor_lite.gateway.listen as listen; before = listen.become;"
        "import importlib.abc\n"
        "class Deaf(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        raise ImportError(f'{name} is loaded too late')\n"
        "def become(user):\n"
        "    before(user); sys.meta_path.insert(0, Deaf())\n"
        "listen.become = become\n"
        "from supervisor_lite.gateway.__main__ import main; sys.exit(main())"
    )
    gateway.command = [sys.executable, "-c", code]
    with closing(gateway.start()):
        for password, status in (("wrong", 401), ("look", 503)):
            # The control socket does not let nobody in: that is said, and no error 500.
            header = basic("view", password)
            answer = ask(("127.0.0.1", port), "GET", "/api/v1/processes", **header)
            assert answer.status == status, answer
        assert ask(("127.0.0.1", port), "GET", "/", **basic("view", "look")).status == 200


def test_what_is_wrong_is_told_at_the_start(daemons: Daemons) -> None:
    """A gateway that could answer nothing but errors does not serve."""
    daemon = daemons()
    code = (
        "import sys, hashlib; hashlib.scrypt = None;"
        "from supervisor_lite.gateway.__main__ import main; sys.exit(main())"
    )
    config = daemon.dir / "gateway.toml"
    config.write_text(f'[gateway]\nlisten = ["unix://{daemon.dir}/http.sock"]\n')
    done = subprocess.run(
        [sys.executable, "-c", code, "-c", str(config), "-s", str(daemon.socket)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot serve as uid" in done.stderr
    assert "Traceback" not in done.stderr
