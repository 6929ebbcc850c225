"""The client: replies of every bad kind, time limits, notifications."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.client import buffer
from supervisor_lite.client import sync as module
from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import (
    BadReply,
    ClientError,
    ConnectionLost,
    RemoteError,
    ReplyTimeout,
    Unreachable,
)
from supervisor_lite.client.sync import Client
from tests.ctl.conftest import Serve, Slctl
from tests.ctl.fake import Answer, Connection, Params, error, hang_up, process, raw, result, silence


def test_a_call_returns_the_result(serve: Serve, socket_path: str) -> None:
    """One connection serves many calls."""
    daemon = serve(version=result({"version": "1"}), status=result({"now": 1}))
    with Client(socket_path) as client:
        assert client.call("version") == {"version": "1"}
        assert client.call("status", {"names": ["é"]}) == {"now": 1}
    assert daemon.asked == [("version", {}), ("status", {"names": ["é"]})]


def test_an_error_carries_everything(serve: Serve, socket_path: str) -> None:
    data = {"code": "bad_configuration", "details": ["a", "b"], "names": ["c"]}
    serve(update=error(2, "bad", data), version=result({"version": "1"}))
    with Client(socket_path) as client:
        with pytest.raises(RemoteError) as caught:
            client.call("update", {"names": ["x"]})
        assert client.call("version") == {"version": "1"}
    seen = caught.value
    assert (seen.number, seen.code, str(seen)) == (2, "bad_configuration", "bad")
    assert (seen.details, seen.names) == (["a", "b"], ["c"])
    assert (seen.method, seen.params) == ("update", {"names": ["x"]})


def test_an_error_of_a_daemon_from_before_error_codes(serve: Serve, socket_path: str) -> None:
    """Its `data` is a list of texts; what its number says alone is the code."""
    serve(update=error(2, "bad", ["a", "b"]), stop=error(4, "x"), start=error(99, "?"))
    seen = []
    with Client(socket_path) as client:
        for method in ("update", "stop", "start"):
            with pytest.raises(RemoteError) as caught:
                client.call(method)
            seen.append((caught.value.number, caught.value.code, caught.value.details))
    assert seen == [
        (2, "bad_configuration", ["a", "b"]),
        (4, "no_such_process", []),
        (99, "failed", []),
    ]


GARBAGE: list[tuple[bytes, type[ClientError]]] = [
    (b"not json\n", BadReply),
    (b"\xff\xfe\n", BadReply),
    (b"[" * 100_000 + b"\n", BadReply),
    (b"[1]\n", BadReply),
    (b"{}\n", BadReply),
    (b'{"id": 77, "result": {}}\n', BadReply),
    (b'{"id": 1, "result": [1]}\n', BadReply),
    (b'{"id": 1, "error": 5}\n', RemoteError),
    (b'{"id": 1, "error": {"code": "x", "data": 3}}\n', RemoteError),
    (b'{"id": null, "error": {"code": -32700, "message": "?"}}\n', RemoteError),
]


@pytest.mark.parametrize(("data", "kind"), GARBAGE)
def test_garbage_is_refused(
    serve: Serve, slctl: Slctl, data: bytes, kind: type[ClientError]
) -> None:
    """From the client an exception, from slctl a message and 1; never a traceback."""
    serve(status=raw(data))
    with Client(slctl.path, 10) as client, pytest.raises(kind):
        client.call("status")
    code, out, err = slctl("status")
    assert (code, out) == (1, "")
    assert err.startswith("slctl: ")


@pytest.mark.parametrize(
    "value",
    [{}, {"processes": 5}, {"processes": [5]}, {"processes": [{"fullname": "web"}]}],
)
def test_a_reply_of_the_wrong_shape(serve: Serve, slctl: Slctl, value: Params) -> None:
    serve(status=result(value))
    code, out, err = slctl("status")
    assert (code, out) == (1, "")
    assert "cannot understand the answer" in err


@pytest.mark.parametrize("chunk", [1, 7, buffer.CHUNK])
def test_a_reply_in_pieces(
    serve: Serve, socket_path: str, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """A reply may come byte by byte, and with the next message in the same packet."""
    monkeypatch.setattr(module, "CHUNK", chunk)

    def answer(connection: Connection, number: Any, params: Params) -> None:
        for byte in json.dumps({"id": number, "result": {"a": "é"}}).encode():
            connection.raw(bytes([byte]))
        connection.raw(b'\n{"method": "output", "params": {"n": 1}}\n{"method": "out')
        connection.raw(b'put", "params": {"n": 2}}\n')

    serve(tail=answer)
    with Client(socket_path, 10) as client:
        assert client.call("tail") == {"a": "é"}
        notes = client.notifications()
        assert [next(notes), next(notes)] == [("output", {"n": 1}), ("output", {"n": 2})]


def test_notifications_before_a_reply_are_kept(serve: Serve, socket_path: str) -> None:
    def answer(connection: Connection, number: Any, params: Params) -> None:
        connection.send({"method": "change", "params": {"n": 1}})
        connection.send({"id": number, "result": {}})
        connection.hang_up()

    serve(events=answer)
    with Client(socket_path) as client:
        client.call("events")
        notes = client.notifications()
        assert next(notes) == ("change", {"n": 1})
        with pytest.raises(ConnectionLost):
            next(notes)


def test_a_big_reply(serve: Serve, slctl: Slctl) -> None:
    """Ten thousand processes are one line of some megabytes."""
    rows = [process(f"web_{number}") for number in range(10_000)]
    serve(status=result({"now": 99, "processes": rows}))
    code, out, _ = slctl("status")
    assert (code, out.count("\n")) == (0, 10_000)


def test_a_reply_that_does_not_end(
    serve: Serve, socket_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded, whoever has taken the daemon's place."""
    monkeypatch.setattr(buffer, "MAX_REPLY", 1 << 20)

    def flood(connection: Connection, number: Any, params: Params) -> None:
        while True:
            connection.raw(b"x" * 65536)

    serve(status=flood)
    with Client(socket_path) as client, pytest.raises(BadReply, match="does not end"):
        client.call("status")


def drip(connection: Connection, number: Any, params: Params) -> None:
    """A byte now and then: each is in time, the whole is not."""
    while True:
        connection.raw(b" ")
        time.sleep(0.02)  # nothing to wait for: slowness is the point


@pytest.mark.parametrize("answer", [silence, drip])
def test_a_slow_daemon_is_given_up(serve: Serve, socket_path: str, answer: Answer) -> None:
    serve(status=answer)
    began = time.monotonic()
    with Client(socket_path, 0.3) as client, pytest.raises(ReplyTimeout, match=r"in 0\.3 s"):
        client.call("status")
    assert time.monotonic() - began >= 0.3


def test_a_full_queue_is_waited_for(socket_path: str) -> None:
    """While the daemon is too busy to accept, clients queue up instead of failing at once."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(socket_path)
        listener.listen(0)
        with Client(socket_path, 0.2) as first, Client(socket_path, 0.2) as second:
            first.connect()
            with pytest.raises(ReplyTimeout):
                second.connect()
            listener.accept()[0].close()
            second.connect()
            assert second.fileno() >= 0


def test_hanging_up_before_the_reply(serve: Serve, socket_path: str) -> None:
    """The next call connects afresh."""
    serve(status=hang_up, version=result({"version": "1"}))
    with Client(socket_path) as client:
        with pytest.raises(ConnectionLost):
            client.call("status")
        assert client.fileno() == -1
        assert client.call("version") == {"version": "1"}


@pytest.mark.parametrize(
    ("params", "text"),
    [({"text": "x" * (1 << 20)}, "over 1 MB"), ({"text": "\udcff"}, "not UTF-8")],
)
def test_what_cannot_be_asked(socket_path: str, params: Params, text: str) -> None:
    """It is refused before anything is sent: there is no daemon at all."""
    with Client(socket_path) as client, pytest.raises(ClientError, match=text):
        client.call("send", params)


def test_no_daemon(slctl: Slctl) -> None:
    """status says 4, everything else 7."""
    text = (
        f"slctl: cannot reach the daemon at {slctl.path}: no such file; "
        "is supervisor-lite running?\n"
    )
    assert slctl("status") == (4, "", text)
    assert slctl() == (4, "", text)
    assert slctl("stop", "all") == (7, "", text)


def test_a_stale_socket(slctl: Slctl) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(slctl.path)
    code, _, err = slctl("version")
    assert code == 7
    assert "connection refused" in err


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with Client(f"{tmp_path}/{'x' * 200}") as client, pytest.raises(Unreachable, match="too long"):
        client.connect()


def test_the_permissions_keep_us_out(serve: Serve, slctl: Slctl) -> None:
    """5, not "no daemon"; the message says who we are and whose the socket is."""
    serve()
    os.chmod(os.path.dirname(slctl.path), 0o755)
    os.chmod(slctl.path, 0)
    before, stranger = os.geteuid(), 65534
    if before == 0:  # to whom nothing is forbidden
        os.seteuid(stranger)
    try:
        code, out, err = slctl("status")
        uid = os.geteuid()
    finally:
        os.seteuid(before)
    assert (code, out) == (5, "")
    assert f"permission denied (you are uid {uid}; the socket belongs to uid {before}, " in err
    assert err.endswith("mode 0000)\n")


def test_a_forbidden_socket(slctl: Slctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """5, and the message says whose it is."""

    def refuse(self: Client, connection: object) -> None:
        raise Unreachable(self.path, "permission denied", denied=True)

    monkeypatch.setattr(Client, "_connect", refuse)
    code, out, err = slctl("status")
    assert (code, out, err) == (
        5,
        "",
        f"slctl: cannot reach the daemon at {slctl.path}: permission denied\n",
    )


def test_listed_checks_every_row() -> None:
    assert listed({"a": [{"b": 1}]}, "a", "b") == [{"b": 1}]
    bad: list[Params] = [{}, {"a": {}}, {"a": [{"b": 1}, {"c": 1}]}, {"a": ["b"]}]
    for value in bad:
        with pytest.raises(BadReply):
            listed(value, "a", "b")
