"""The control socket under bad clients, many clients, and foreign ones."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.client import ROOT, CallError, Connection
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, wait_until

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602


def raw(daemon: Daemon, line: bytes) -> dict[str, Any] | None:
    """Send bytes as they are and return the first answer."""
    with daemon.connect() as connection:
        connection.socket.sendall(line)
        return connection.receive()


def test_status_has_the_documented_keys(daemons: Daemons) -> None:
    """The keys of a process are those of docs/protocol.md, no more and no less."""
    text = (ROOT / "docs/protocol.md").read_text().partition("## A process")[2]
    rows = [line.split("|")[1] for line in text.partition("## ")[0].splitlines() if "|" in line]
    documented = {word for row in rows for word in row.split("`")[1::2]}
    assert {"name", "state", "wanted", "stale"} < documented
    daemon = daemons(program("web", SLEEPER) + program("idle", SLEEPER, autostart=False))
    daemon.wait_state("web", "RUNNING")
    for name in ("web", "idle"):
        assert set(daemon.status(name)) == documented


def test_the_socket_belongs_to_its_owner_alone(daemons: Daemons) -> None:
    """Mode 0600 unless configured otherwise."""
    daemon = daemons()
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
    other = daemons(settings='socket_mode = "0660"')
    assert stat.S_IMODE(other.socket.stat().st_mode) == 0o660


def test_a_stale_socket_is_replaced(daemons: Daemons) -> None:
    """What a killed daemon left behind does not stop the next one."""
    daemon = daemons(program("idle", SLEEPER, autostart=False))
    daemon.signal(signal.SIGKILL)
    daemon.wait_exit()
    assert daemon.socket.exists()
    daemon.start()
    assert daemon.states() == {"idle": "STOPPED"}


def test_a_second_daemon_is_refused_and_told_the_pid(daemons: Daemons) -> None:
    """Two daemons never share their directories; the first is not disturbed."""
    daemon = daemons(program("web", SLEEPER))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    first = daemon.process
    assert first is not None
    second = daemon.launch()
    assert second.wait(20) not in (0, None)
    assert str(first.pid) in daemon.text("stderr")
    daemon.process = first
    assert daemon.status("web")["pid"] == pid


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"this is not JSON\n", PARSE_ERROR),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "stat\n', PARSE_ERROR),
        (b"\xff\xfe\x00\n", PARSE_ERROR),
        (b"[]\n", INVALID_REQUEST),
        (b"42\n", INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1}\n', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}\n', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "explode", "params": {}}\n', METHOD_NOT_FOUND),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "status", "params": [1]}\n', INVALID_PARAMS),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "stop", "params": {"names": 5}}\n',
            INVALID_PARAMS,
        ),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "stop", "params": {"names": [5]}}\n',
            INVALID_PARAMS,
        ),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "stop", "params": {}}\n', INVALID_PARAMS),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "stop", '
            b'"params": {"names": ["web"], "colour": 1}}\n',
            INVALID_PARAMS,
        ),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "stop", '
            b'"params": {"names": ["web"], "timeout": "soon"}}\n',
            INVALID_PARAMS,
        ),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "tail", '
            b'"params": {"name": "web", "bytes": -1}}\n',
            INVALID_PARAMS,
        ),
        (
            b'{"jsonrpc": "2.0", "id": 1, "method": "send", '
            b'"params": {"name": "web", "text": "\\ud800"}}\n',
            INVALID_PARAMS,
        ),
        (b'{"jsonrpc": "2.0", "id": true, "method": "version"}\n', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": NaN, "method": "version"}\n', INVALID_REQUEST),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "version"}\n', INVALID_REQUEST),
        (b"[" * 100_000 + b"\n", PARSE_ERROR),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, bytes) else None,
)
def test_bad_messages_get_an_answer(daemons: Daemons, line: bytes, code: int) -> None:
    """Each kind of nonsense has its JSON-RPC error, and changes nothing."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    answer = raw(daemon, line)
    assert answer is not None
    assert answer["error"]["code"] == code, answer
    assert answer["error"]["message"]
    assert daemon.wait_state("web", "RUNNING")["wanted"] is True


def test_ids_come_back_and_notifications_are_not_answered(daemons: Daemons) -> None:
    """Any id that JSON-RPC knows; without one there is no answer, not even to a mistake."""
    daemon = daemons(program("web", SLEEPER, startsecs=0, autostart=False))
    messages: list[dict[str, Any]] = [
        {"method": "explode"},
        {"method": "status", "params": {"colour": 1}},
        {"method": "start", "params": {"names": ["web"]}},
        *({"id": number, "method": "pid"} for number in (7, "x", 1.5, None)),
    ]
    with daemon.connect() as connection:
        for message in messages:
            connection.socket.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        answers = [connection.receive() for _ in range(4)]
    assert [answer and answer["id"] for answer in answers] == [7, "x", 1.5, None]
    daemon.wait_state("web", "RUNNING")


def test_the_second_of_two_wishes_at_once_holds(daemons: Daemons) -> None:
    """A start right behind a stop, on one connection, is carried out after it."""
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    old = daemon.wait_state("web", "RUNNING")["pid"]
    lines = [
        {"jsonrpc": "2.0", "id": number, "method": verb, "params": {"names": ["web"]}}
        for number, verb in enumerate(("stop", "start"))
    ]
    with daemon.connect() as connection:
        connection.socket.sendall("".join(f"{json.dumps(line)}\n" for line in lines).encode())
        answers = {
            a["id"]: a["result"]["results"]
            for a in (connection.receive(), connection.receive())
            if a
        }
    assert answers[1][0]["result"] == "started"
    assert daemon.status("web")["pid"] not in (None, old)


def test_an_oversized_message_is_refused_and_the_connection_closed(daemons: Daemons) -> None:
    """More than 1 MiB in a line is not read to its end."""
    daemon = daemons(program("web", SLEEPER))
    with daemon.connect() as connection:
        text = '{"jsonrpc": "2.0", "id": 1, "method": "status", "params": {"names": ["'
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.socket.sendall(text.encode() + b"x" * (8 << 20))
    with daemon.connect() as connection:
        connection.socket.sendall(b"x" * ((1 << 20) + 10))
        answer = connection.receive()
        assert answer is not None
        assert answer["error"]["code"] in (PARSE_ERROR, INVALID_REQUEST)
        assert connection.receive() is None
    assert daemon.answers()


def test_a_message_may_come_in_pieces_or_in_numbers(daemons: Daemons) -> None:
    """Lines are put together from pieces; several in one packet are all answered, in order."""
    daemon = daemons(program("web", SLEEPER))
    with daemon.connect() as connection:
        line = b'{"jsonrpc": "2.0", "id": 7, "method": "version", "params": {}}\n'
        for byte in line:
            connection.socket.sendall(bytes([byte]))
        answer = connection.receive()
        assert answer is not None
        assert answer["id"] == 7
        connection.socket.sendall(line.replace(b"7", b"8") + line.replace(b"7", b"9"))
        answers = [connection.receive(), connection.receive()]
        assert [answer["id"] for answer in answers if answer] == [8, 9]


def test_half_a_line_is_no_message(daemons: Daemons) -> None:
    """A client that dies in the middle of a line asked for nothing."""
    daemon = daemons(program("web", SLEEPER))
    daemon.wait_state("web", "RUNNING")
    with daemon.connect() as connection:
        connection.socket.sendall(
            b'{"jsonrpc": "2.0", "id": 1, "method": "stop", "params": {"names": ["all"]}}'
        )
    assert daemon.call("version")["pid"] == daemon.pid
    assert daemon.status("web")["state"] == "RUNNING"


def test_a_message_without_id_gets_no_reply(daemons: Daemons) -> None:
    """A notification is carried out in silence."""
    daemon = daemons(program("web", SLEEPER))
    daemon.wait_state("web", "RUNNING")
    with daemon.connect() as connection:
        message = {"jsonrpc": "2.0", "method": "stop", "params": {"names": ["web"]}}
        connection.socket.sendall(json.dumps(message).encode() + b"\n")
        daemon.wait_state("web", "STOPPED")
        connection.send("version", number=5)
        answer = connection.receive()
        assert answer is not None
        assert answer["id"] == 5


def test_unknown_names_change_nothing(daemons: Daemons) -> None:
    """One name that matches nothing, and none of the others is touched."""
    daemon = daemons(program("web", SLEEPER))
    pid = daemon.wait_state("web", "RUNNING")["pid"]
    for names in (["web", "nosuch"], ["nosuch:*", "web"], ["web", "x*"], ["site:web"]):
        with pytest.raises(CallError) as error:
            daemon.call("stop", names=names)
        assert error.value.code == 4
        assert (set(names) - {"web"}).pop() in str(error.value)
    assert daemon.status("web")["pid"] == pid


def test_two_hundred_clients_at_once(daemons: Daemons) -> None:
    """All are answered, and idle connections cost the others nothing."""
    daemon = daemons("".join(program(f"p{n}", SLEEPER) for n in range(10)))
    with ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(200)]
        for client in clients:
            client.send("status")
        for client in clients:
            answer = client.receive()
            assert answer is not None
            assert len(answer["result"]["processes"]) == 10
        assert daemon.answers()
    wait_until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) < 200, what="sockets are closed")


def rss(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    with open(f"/proc/{pid}/statm") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def deafen(daemon: Daemon, stack: ExitStack) -> Connection:
    """Open a connection with a small receive buffer, from which nobody will read."""
    connection = stack.enter_context(daemon.connect(4))
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return connection


def test_a_client_beyond_the_descriptors_takes_the_place_of_the_oldest_idle_one(
    daemons: Daemons,
) -> None:
    """An operator gets in whoever has left connections open, and is answered."""
    daemon = daemons.prepare(program("web", SLEEPER, startsecs=0))
    limited = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *daemon.command()]
    daemon.command = lambda: limited  # type: ignore[method-assign]
    daemon.start()
    with ExitStack() as stack:
        held = [stack.enter_context(daemon.connect()) for _ in range(80)]
        with daemon.connect() as late:
            assert late.call("pid") == {"pid": daemon.pid}
        assert held[0].socket.recv(1) == b"", "the oldest one was hung up on"
    assert daemon.call("pid") == {"pid": daemon.pid}
    assert daemon.log().count("cannot accept a client") <= 1


def test_a_client_that_never_reads_is_dropped(daemons: Daemons) -> None:
    """It is not waited for, and what it does not read does not pile up in memory."""
    daemon = daemons("".join(program(f"p{n}", SLEEPER) for n in range(50)))
    with ExitStack() as stack:
        deaf = deafen(daemon, stack)
        before = rss(daemon.pid)
        end = time.monotonic() + 15
        dropped = False
        while not dropped and time.monotonic() < end:
            try:
                deaf.send("status")  # 20 KB each
            except (BrokenPipeError, ConnectionResetError):
                dropped = True
            except TimeoutError:
                break  # the daemon stopped reading: memory is safe, too
        assert rss(daemon.pid) - before < 64 << 20
        assert daemon.answers()


def test_deaf_followers_of_a_flood_do_not_delay_the_others(daemons: Daemons) -> None:
    """Twenty followers that never read, on a flood: status answers, restarts happen."""
    daemon = daemons(
        program(
            "flood",
            sh("exec yes 0123456789012345678901234567890123456789"),
            stdout_logfile_maxbytes="1MB",
            stdout_logfile_backups=1,
        )
        + program("web", SLEEPER, startsecs=0)
    )
    daemon.wait_state("flood", "RUNNING")
    with ExitStack() as stack:
        for _ in range(20):
            deafen(daemon, stack).send("tail", {"name": "flood", "follow": True})
        before = rss(daemon.pid)
        for _ in range(10):
            old = daemon.wait_state("web", "RUNNING")["pid"]
            os.kill(old, signal.SIGKILL)
            wait_until(lambda old=old: daemon.status("web")["pid"] not in (None, old))  # type: ignore[misc]
        assert rss(daemon.pid) - before < 128 << 20


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
def test_who_may_do_what(daemons: Daemons) -> None:
    """Others are refused with code 5, unless `[[access]]` grants them a role."""
    rule = '[[access]]\nrole = "{role}"\nusers = ["nobody"]\nprograms = ["web"]\n'
    table = program("web", SLEEPER) + program("db", SLEEPER)
    closed = daemons(table, settings='socket_mode = "0666"')
    viewer = daemons(table + rule.format(role="view"), settings='socket_mode = "0666"')
    operator = daemons(table + rule.format(role="operate"), settings='socket_mode = "0666"')
    for daemon in (closed, viewer, operator):
        daemon.wait_state("web", "RUNNING")

    def as_nobody(daemon: Daemon, method: str, **params: object) -> int:
        os.seteuid(65534)
        try:
            daemon.call(method, **params)
        except CallError as error:
            return error.code
        finally:
            os.seteuid(0)
        return 0

    assert as_nobody(closed, "status", names=["web"]) == 5
    assert as_nobody(closed, "stop", names=["web"]) == 5
    assert as_nobody(viewer, "status", names=["web"]) == 0
    assert as_nobody(viewer, "stop", names=["web"]) == 5
    assert as_nobody(viewer, "shutdown") == 5
    assert as_nobody(operator, "stop", names=["db"]) == 5
    assert as_nobody(operator, "stop", names=["web", "db"]) == 5
    assert operator.states() == {"web": "RUNNING", "db": "RUNNING"}
    assert as_nobody(operator, "stop", names=["web"]) == 0
    assert as_nobody(operator, "shutdown") == 5
    assert as_nobody(operator, "update") == 5
    assert operator.states() == {"web": "STOPPED", "db": "RUNNING"}
