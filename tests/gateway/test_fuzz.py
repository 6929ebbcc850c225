"""Whatever is sent, the gateway answers, and goes on: no crash, no hang, no bug in its log.

`make fuzz` looks for longer.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import strategies as st

from supervisor_lite.gateway.api import Api
from supervisor_lite.gateway.daemon import Daemon
from tests.fuzzing import TIMEOUT, fuzz
from tests.gateway.conftest import Served
from tests.gateway.tools import UnixConnection
from tests.support import wait_until

pytestmark = pytest.mark.timeout(TIMEOUT)

NAMES = st.sampled_from(
    ["cat", "manual", "web:web_0", "web:*", "nope", "", ":", "*", "all", "a/b", "..", "%", "%00",
     "\u20ac", "web:web_0:x", "[", "?" * 300]
)  # fmt: skip
TEXT = st.one_of(NAMES, st.text(max_size=40))
METHODS = [
    f"supervisor.{name}"
    for name in (
        "getProcessInfo",
        "getAllProcessInfo",
        "getAllConfigInfo",
        "readProcessStdoutLog",
        "tailProcessStderrLog",
        "readLog",
        "clearProcessLogs",
        "signalProcess",
        "stopProcess",
        "sendProcessStdin",
        "addProcessGroup",
        "removeProcessGroup",
        "sendRemoteCommEvent",
        "startProcess",
        "startProcessGroup",
        "getState",
        "reloadConfig",
        "_update",
        "nope",
    )
] + ["system.methodHelp", "system.methodSignature", "system.multicall", "system.listMethods", "x"]
VALUES = st.recursive(
    st.one_of(
        TEXT, st.integers(-(2**31), 2**31 - 1), st.booleans(), st.floats(allow_nan=False),
        st.none(), st.binary(max_size=20).map(xmlrpc.client.Binary),
        st.sampled_from(["KILL", "HUP", "0", "-1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip
JSON = st.recursive(
    st.one_of(TEXT, st.integers(), st.booleans(), st.floats(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


def answered(
    served: Served, method: str, path: str, body: bytes | None = None, **headers: str
) -> http.client.HTTPResponse:
    """Send a request; return the answer, its body read."""
    connection = UnixConnection(served.gateway.socket, timeout=30)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": "localhost", **headers}.items():
            connection.putheader(name.replace("_", "-"), value.encode("latin-1", "replace"))
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        reply = connection.getresponse()
        reply.read()
        return reply
    finally:
        connection.close()


def unharmed(served: Served) -> None:
    """Fail if the gateway or the daemon has noted a bug of its own."""
    for log in (served.gateway.log.read_text(), served.daemon.log()):
        assert "Traceback" not in log, log[-4000:]
        assert "internal error" not in log, log[-4000:]


def test_any_call_has_an_answer(served: Served) -> None:
    def check(method: str, params: list[Any]) -> None:
        if "stop" in method.lower() or "start" in method.lower():
            params = [*params[:1], False]  # what a start waits for may be an hour away
        try:
            body = xmlrpc.client.dumps(tuple(params), method, allow_none=True).encode()
        except (OverflowError, UnicodeEncodeError, TypeError):
            return
        reply = answered(served, "POST", "/RPC2", body, Content_Type="text/xml")
        assert reply.status in (200, 400)
        unharmed(served)

    fuzz(check, method=st.sampled_from(METHODS), params=st.lists(VALUES, max_size=4))


PIECES = [
    "<methodCall>", "<methodName>", "supervisor.getPID", "</methodName>", "<params>", "<param>",
    "<value>", "<int>", "1", "</int>", "<struct>", "<member>", "<name>", "</value>", "</param>",
    "</params>", "</methodCall>", "<array>", "<data>", "<nil/>", "&amp;", "&x;", "<!--", "-->",
    "<![CDATA[", "]]>", "<?xml version='1.0' encoding='utf-16'?>", "<base64>", "</base64>",
]  # fmt: skip


def test_any_body_has_an_answer(served: Served) -> None:
    def check(body: bytes) -> None:
        reply = answered(served, "POST", "/RPC2", body, Content_Type="text/xml")
        assert reply.status in (200, 400)
        unharmed(served)

    pieces = st.lists(st.sampled_from(PIECES), max_size=25)
    fuzz(
        check,
        body=st.one_of(st.binary(max_size=300), pieces.map(lambda words: "".join(words).encode())),
    )


_SHAPES = {re.sub("{.*?}", "{}", endpoint.path) for endpoint in Api(Daemon("")).endpoints}

PATHS = [*sorted(_SHAPES - {"/update"}), "/{}"]
"""All but what would make the configuration true, over and over."""


def test_any_request_to_the_api_has_an_answer(served: Served) -> None:
    def check(
        path: str, names: tuple[str, str], verb: str, query: dict[str, str], body: object
    ) -> None:
        if verb == "POST" and path.endswith(("start", "stop")):
            body = {"wait": False}  # what a start waits for may be an hour away
        if query.get("follow") == "true":
            del query["follow"]
        target = "/api/v1" + path.format(*(quote(w, safe="", errors="replace") for w in names))
        target += f"?{urlencode(query, errors='replace')}"
        data = None if body is None else json.dumps(body).encode("utf-8", "surrogatepass")
        reply = answered(served, verb, target, data, Content_Type="application/json")
        assert reply.status < 500 or reply.status == 504, (verb, target, body)
        if reply.status != 405 and verb != "HEAD":
            assert reply.getheader("content-type")
        unharmed(served)

    keys = st.sampled_from(["limit", "since", "bytes", "name", "follow", "x"])
    members = st.sampled_from(["wait", "timeout", "signal", "text", "names"])
    fuzz(
        check,
        path=st.sampled_from(PATHS),
        names=st.tuples(TEXT, TEXT),
        verb=st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
        query=st.dictionaries(keys, st.one_of(TEXT, st.integers().map(str)), max_size=3),
        body=st.one_of(st.none(), JSON, st.dictionaries(members, JSON, max_size=3)),
    )


HEADERS = [
    "Host", "Origin", "Authorization", "Content-Type", "Content-Length", "Cookie",
    "Sec-Fetch-Site", "Last-Event-ID", "If-None-Match", "X-Supervisor-Lite", "Expect",
    "Connection", "Upgrade", "Transfer-Encoding", "Range",
]  # fmt: skip


def test_any_headers_have_an_answer(served: Served) -> None:
    def check(headers: dict[str, str], path: str) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"
        said = spoken(served, request.encode("latin-1"))
        assert said.startswith(b"HTTP/1.1 ")
        assert int(said.split(b" ")[1]) < 500
        unharmed(served)

    printable = st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f")
    words = st.sampled_from(
        ["100-continue", "close", "websocket", "chunked", "Basic Og==", "[::1]:x", "null"]
    )
    values = st.one_of(st.text(printable, max_size=60), words)
    fuzz(
        check,
        headers=st.dictionaries(st.sampled_from(HEADERS), values, max_size=5),
        path=st.sampled_from(["/", "/api/v1/daemon", "/healthz", "/metrics", "/RPC2", "/nope"]),
    )


LINES = [
    b"GET / HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n", b"\n", b"\r", b"POST /RPC2 HTTP/1.1\r\n",
    b"0\r\n\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n",
    b"5\r\nhello\r\n", b"HEAD /healthz HTTP/1.0\r\n", b"X: \x00\r\n", b" folded\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
]  # fmt: skip


def test_any_bytes_are_survived(served: Served) -> None:
    def check(data: bytes) -> None:
        spoken(served, data, end=True)
        unharmed(served)

    lines = st.lists(st.sampled_from(LINES), min_size=1, max_size=8).map(b"".join)
    fuzz(check, data=st.one_of(st.binary(min_size=1, max_size=200), lines))


def spoken(served: Served, data: bytes, *, end: bool = False) -> bytes:
    """Send bytes; return what comes until the other side, or with `end` we, have hung up."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(served.gateway.socket))
        said = b""
        try:
            client.sendall(data)
            if end:
                client.shutdown(socket.SHUT_WR)
            while piece := client.recv(65536):
                said += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return said


def test_nothing_is_left_over(served: Served) -> None:
    """Runs last in this file: after all of that, no descriptor more than at the beginning."""
    assert served.gateway.process is not None
    fds = f"/proc/{served.gateway.process.pid}/fd"
    wait_until(lambda: len(os.listdir(fds)) < 25, 30, "connections are closed")
    assert answered(served, "GET", "/healthz").status == 200
    status = Path(f"/proc/{served.gateway.process.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 100_000, "it has not grown"
