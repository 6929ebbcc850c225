"""Who gets in, and from where: passwords, roles, hosts, origins, sizes, times."""

from __future__ import annotations

import os
import socket
import stat
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.gateway.conftest import PASSWORDS, Served, basic
from tests.gateway.tools import Gateway, ask, users
from tests.support import Daemons, free_port, wait_until

CALL = xmlrpc.client.dumps((), "supervisor.getPID")
XML = {"Content_Type": "text/xml"}


# Passwords


def test_tcp_asks_for_a_password(served: Served) -> None:
    for path in ("/", "/api/v1/processes", "/events", "/metrics", "/logtail/cat", "/app.js", "/no"):
        answer = served.tcp("GET", path)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        # The page asks its reader itself, and lets the browser not interrupt it.
        quiet = served.tcp("GET", path, X_Supervisor_Lite="page")
        assert (quiet.status, quiet.headers["www-authenticate"][:6]) == (401, "Page r")
    assert served.tcp("POST", "/RPC2", CALL, **XML).status == 401


def test_only_the_right_password_of_a_user_lets_in(served: Served) -> None:
    for name in PASSWORDS:
        assert served.tcp("GET", "/api/v1/daemon", **basic(name)).json()["role"] == name
    for header in (
        basic("view", "wrong"), basic("view", ""), basic("nobody", "look"), basic("view", "look "),
        basic("", ""), {"Authorization": "Basic %%%"}, {"Authorization": "Bearer look"},
        {"Authorization": "Basic " + "A" * 5000}, {"Authorization": "Basic"},
    ):  # fmt: skip
        assert served.tcp("GET", "/api/v1/daemon", **header).status == 401, header


def test_a_wrong_password_takes_as_long_as_an_unknown_name(daemons: Daemons) -> None:
    port = free_port()
    table = f'[gateway]\nlisten = ["http://127.0.0.1:{port}"]\n' + users(view="look")
    # With a work factor that can be measured.
    from supervisor_lite.passwords import make_hash

    table = table.replace(table.split('password_hash = "')[1].split('"')[0], make_hash("look"))
    with closing(Gateway(daemons(), table).start()):

        def seconds(header: dict[str, str]) -> float:
            began = time.monotonic()
            assert ask(("127.0.0.1", port), "GET", "/", **header).status == 401
            return time.monotonic() - began

        known = min(seconds(basic("view", f"wrong{n}")) for n in range(3))
        unknown = min(seconds(basic("nobody", f"wrong{n}")) for n in range(3))
        assert min(known, unknown) > 0.01
        assert 0.3 < known / unknown < 3


def test_wrong_passwords_are_noted_without_the_password_and_not_each(served: Served) -> None:
    for _ in range(20):
        served.tcp("GET", "/", **basic("view", "s3cret-typo"))
    said = served.gateway.log.read_text()
    assert 0 < said.count("wrong name or password from 127.0.0.1") < 10
    assert "s3cret-typo" not in said


def test_the_unix_socket_is_protected_by_its_mode(served: Served) -> None:
    assert stat.S_IMODE(served.gateway.socket.stat().st_mode) == 0o600
    me = served.unix("GET", "/api/v1/daemon").json()
    assert (me["role"], me["user"]) == ("admin", f"uid {os.geteuid()}")
    assert served.unix("GET", "/api/v1/daemon", **basic("view")).json()["role"] == "view"
    assert served.unix("GET", "/api/v1/daemon", **basic("view", "wrong")).status == 401


def test_the_unix_socket_can_have_a_mode_a_role_and_passwords(daemons: Daemons) -> None:
    daemon = daemons()
    sockets = [daemon.dir / "a.sock", daemon.dir / "b.sock"]
    table = (
        f'[gateway]\nlisten = ["unix://{sockets[0]}"]\nsocket_mode = "660"\nsocket_role = "view"\n'
    )
    with closing(Gateway(daemon, table).start()):
        assert stat.S_IMODE(sockets[0].stat().st_mode) == 0o660
        assert ask(sockets[0], "GET", "/api/v1/daemon").json()["role"] == "view"
        assert ask(sockets[0], "POST", "/RPC2", CALL, **XML).status == 200
    assert not sockets[0].exists()
    table = f'[gateway]\nlisten = ["unix://{sockets[1]}"]\nsocket_password = true\n' + users(
        admin="x"
    )
    gateway = Gateway(daemon, table)
    gateway.log.unlink()
    with closing(gateway.start()):
        assert ask(sockets[1], "GET", "/api/v1/daemon").status == 401
        assert ask(sockets[1], "GET", "/api/v1/daemon", **basic("admin", "x")).status == 200


def test_healthz_is_for_everybody_and_tells_nothing(served: Served) -> None:
    answer = served.tcp("GET", "/healthz", Host="10.0.0.1")
    assert (answer.status, answer.body) == (200, b"ok\n")


# Roles


ROLES = [
    ("view", "supervisor.getAllProcessInfo", ()),
    ("view", "supervisor.tailProcessLog", ("cat", 0, 9)),
    ("operate", "supervisor.stopProcess", ("manual",)),
    ("operate", "supervisor.startProcess", ("nope",)),
    ("operate", "supervisor.signalProcess", ("manual", "HUP")),
    ("operate", "supervisor.clearProcessLogs", ("manual",)),
    ("operate", "supervisor.sendProcessStdin", ("manual", "x")),
    ("admin", "supervisor.readLog", (-1, 0)), ("admin", "supervisor.reloadConfig", ()),
    ("admin", "supervisor.addProcessGroup", ("nope",)), ("admin", "supervisor.clearLog", ()),
]  # fmt: skip


@pytest.mark.parametrize(("role", "method", "params"), ROLES)
def test_a_method_needs_its_role(
    served: Served, role: str, method: str, params: tuple[Any, ...]
) -> None:
    order = ["view", "operate", "admin"]
    for name in order:
        body = xmlrpc.client.dumps(params, method)
        answer = served.tcp("POST", "/RPC2", body, **XML, **basic(name))
        assert answer.status == 200
        refused = f"needs the role {role}" in answer.text
        assert refused == (order.index(name) < order.index(role)), (name, answer.text)


def test_an_endpoint_needs_its_role(served: Served) -> None:
    json = {"Content_Type": "application/json"}
    for path, role in (("/processes/manual/stop", "operate"), ("/reread", "admin")):
        for name in ("view", "operate", "admin"):
            answer = served.tcp("POST", f"/api/v1{path}", "{}", **json, **basic(name))
            allowed = ["view", "operate", "admin"].index(name) >= [
                "view",
                "operate",
                "admin",
            ].index(role)
            assert (answer.status == 403) != allowed, (path, name, answer)
    assert served.tcp("GET", "/mainlogtail", **basic("operate")).status == 403


def test_shutdown_is_not_for_those_who_look(served: Served) -> None:
    for method in ("shutdown", "restart"):
        body = xmlrpc.client.dumps((), f"supervisor.{method}")
        assert (
            "needs the role admin"
            in served.tcp("POST", "/RPC2", body, **XML, **basic("operate")).text
        )
    assert served.daemon.answers()


# Other sites


def test_a_name_that_another_site_let_point_here_is_refused(served: Served) -> None:
    for host in ("evil.example", "evil.example:80", f"127.0.0.1.evil.example:{served.port}", "",
                 "[::1", "localhost.evil.example", "0x7f.1"):  # fmt: skip
        assert served.tcp("GET", "/api/v1/processes", Host=host, **basic("admin")).status == 421, (
            host
        )
    for host in ("localhost", f"localhost:{served.port}", "127.0.0.1", "[::1]:1", "super.example",
                 "SUPER.example:9001", "192.168.1.7"):  # fmt: skip
        assert served.tcp("GET", "/api/v1/processes", Host=host, **basic("admin")).status == 200, (
            host
        )


FOREIGN = [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"},
    {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Origin": "http://[::1"},
]  # fmt: skip


@pytest.mark.parametrize("sign", FOREIGN)
def test_a_page_of_another_site_changes_nothing(served: Served, sign: dict[str, str]) -> None:
    for path, body, kind in (
        ("/RPC2", xmlrpc.client.dumps(("manual",), "supervisor.startProcess"), "text/xml"),
        ("/api/v1/processes/manual/start", "{}", "application/json"),
    ):
        more = {**sign, **basic("admin"), "Content_Type": kind, "X_Supervisor_Lite": "1"}
        assert served.tcp("POST", path, body, **more).status == 403
    assert served.daemon.status("manual")["state"] == "STOPPED"


def test_what_a_form_can_send_changes_nothing(served: Served) -> None:
    call = xmlrpc.client.dumps(("manual",), "supervisor.startProcess")
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ):
        assert served.unix("POST", "/RPC2", call, Content_Type=kind).status == 403
        path = "/api/v1/processes/manual/start"
        assert served.unix("POST", path, "{}", Content_Type=kind).status == 403
    assert served.unix("POST", "/RPC2", call).status == 403
    assert served.daemon.status("manual")["state"] == "STOPPED"


def test_our_own_page_may_and_so_may_a_proxy_that_speaks_tls(served: Served) -> None:
    for origin in (f"http://127.0.0.1:{served.port}", f"https://127.0.0.1:{served.port}"):
        more = {"Origin": origin, "Sec_Fetch_Site": "same-origin", "X_Supervisor_Lite": "page"}
        path = "/api/v1/processes/manual/stop"
        assert served.tcp("POST", path, "{}", **more, **basic("operate")).status == 200


def test_nothing_changes_by_get(served: Served) -> None:
    posts = [
        (method, path)
        for path, operations in served.get("/api/v1/openapi.json").json()["paths"].items()
        for method in operations
        if method == "post"
    ]
    assert len(posts) >= 8
    for _, path in posts:
        for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"):
            answer = served.unix(method, path.replace("{name}", "manual"), X_Supervisor_Lite="1")
            assert answer.status == 405, (method, path)
    assert served.unix("GET", "/RPC2").status == 405
    assert served.daemon.status("manual")["state"] == "STOPPED"


def test_a_browser_is_told_to_be_careful(served: Served) -> None:
    for path in ("/", "/api/v1/processes", "/no", "/metrics"):
        headers = served.unix("GET", path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


# Sizes and times


def test_a_body_has_its_limit(served: Served) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    def status(body: Any, **headers: str) -> int:
        try:
            return ask(served.gateway.socket, "POST", "/RPC2", body, **XML, **headers).status
        except (BrokenPipeError, ConnectionResetError):
            return 413  # it did not even read on

    assert status("<methodCall>" + "x" * (65 << 10)) == 413
    assert status(CALL, Content_Length="99999999999") in (400, 413)
    assert status(pieces(), Transfer_Encoding="chunked") == 413
    assert status("<methodCall>" + "x" * (60 << 10)) == 400
    assert status(CALL) == 200


@pytest.mark.parametrize("body", [
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "e">]><methodCall>&e;</methodCall>',
    '<!DOCTYPE methodCall SYSTEM "file:///etc/passwd"><methodCall/>',
    '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/">%p;]><methodCall/>',
    "<methodCall>", "", "not xml", "<methodCall/>", "<methodCall><methodName/></methodCall>",
    "<methodCall><methodName>a</methodName><params><param><value><int>x</int></value></param>"
    "</params></methodCall>",
    "<a>" * 5000 + "</a>" * 5000, "\x00", "<methodResponse><fault/></methodResponse>",
])  # fmt: skip
def test_what_is_no_request_is_refused(served: Served, body: str) -> None:
    answer = served.unix("POST", "/RPC2", body, **XML)
    assert answer.status == 400
    assert ("DOCTYPE" in body) == ("document types" in answer.text)


def test_heads_have_their_limit_and_rubbish_is_answered(served: Served) -> None:
    def say(data: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(served.gateway.socket))
            client.sendall(data)
            said = b""
            try:
                while piece := client.recv(65536):
                    said += piece
            except ConnectionResetError:
                pass
            return said

    assert say(b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert say(b"\x16\x03\x01\x02\x00rubbish\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert say(b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400")  # no Host at all
    assert say(b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")
    upgrade = (
        b"GET /events HTTP/1.1\r\nHost:\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    assert b" 200 " in say(upgrade.replace(b"/events", b"/healthz"))


def test_a_client_that_sends_no_request_is_dropped(daemons: Daemons) -> None:
    daemon = daemons()
    gateway = Gateway(daemon)
    code = (
        "import sys; from supervisor_lite.gateway import serve; serve.REQUEST_TIMEOUT = 0.5;"
        "from supervisor_lite.gateway.__main__ import main; sys.exit(main())"
    )
    gateway.command = [sys.executable, "-c", code]
    with closing(gateway.start()):
        for begin in (b"", b"GET /healthz HTTP/1.1\r\n", b"POST /RPC2 HTTP/1.1\r\nHost: x\r\n"
                      b"Content-Type: text/xml\r\nContent-Length: 9\r\n\r\n"):  # fmt: skip
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(str(gateway.socket))
                client.sendall(begin)
                try:
                    while client.recv(65536):
                        pass
                except ConnectionResetError:
                    pass
        assert ask(gateway.socket, "GET", "/healthz").status == 200


def test_a_client_that_hangs_up_on_a_stream_is_forgotten(served: Served) -> None:
    assert served.gateway.process is not None
    fds = f"/proc/{served.gateway.process.pid}/fd"
    wait_until(lambda: len(os.listdir(fds)) < 40)
    before = len(os.listdir(fds))
    clients = []
    for path in ("/logtail/cat/stdout", "/events", "/api/v1/processes/cat/log/stdout?follow=true"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(20)
        client.connect(str(served.gateway.socket))
        # As supervisorctl does: an empty Host, and one empty line too many.
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: \r\n\r\n\r\n".encode())
        assert client.recv(17) == b"HTTP/1.1 200 OK\r\n"
        clients.append(client)
    assert len(os.listdir(fds)) >= before + 3
    for client in clients:
        client.close()
    wait_until(lambda: len(os.listdir(fds)) <= before + 1, what="the gateway has let go of them")
