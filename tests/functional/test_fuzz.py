"""Whatever is said to the control socket, the daemon answers or hangs up, and goes on.

`make fuzz` looks for longer.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from supervisor_lite.protocol import codes, commands
from tests.fuzzing import TIMEOUT, fuzz
from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, wait_until

pytestmark = pytest.mark.timeout(TIMEOUT)

PROGRAMS = (
    program("cat", "cat", stdin="pipe", startsecs=0)
    + program("fatal", sh("echo no; exit 3"), startretries=0)
    + program("manual", SLEEPER, autostart=False, startsecs=0)
    + program("web", SLEEPER, numprocs=2, process_name="web_%(process_num)d", startsecs=0)
)

ENDING = ("reload", "shutdown", "upgrade", "clear_main_log")
"""Those end the daemon, begin anew or empty the log that is looked at."""

METHODS = [name for name in commands.METHODS if name not in ENDING] + ["nope", ""]

PARAMETERS = [*sorted({name for row in commands.TABLE for name in row.parameters()}), "nope"]

NAMES = st.sampled_from(
    ["cat", "manual", "fatal", "web", "web:web_0", "web:*", "all", "nope", "", ":", "*", "[", "a/b",
     "..", "\x00", "\ud800", "€", "web:web_0:x", "x" * 5000, "stdout", "stderr", "HUP", "0", "-1"]
)  # fmt: skip
TEXT = st.one_of(NAMES, st.text(max_size=30))
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from([0, -1, 1 << 31, 1 << 63, 10**400, 1e308])
)
JSON: st.SearchStrategy[object] = st.recursive(
    st.one_of(TEXT, NUMBERS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
LIKELY = st.one_of(JSON, TEXT, st.lists(NAMES, max_size=3), st.booleans(), st.integers(0, 5000))
CALLS = st.tuples(
    st.sampled_from(METHODS), st.dictionaries(st.sampled_from(PARAMETERS), LIKELY, max_size=4)
)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    made = Daemon(PROGRAMS)
    try:
        made.start()
        made.wait_state("fatal", "FATAL")
        made.call("status")
        yield made
    finally:
        made.close()


def unharmed(daemon: Daemon) -> None:
    """Fail if the daemon has noted a bug of its own, or does not answer."""
    assert "Traceback" not in daemon.log(), daemon.log()[-4000:]
    assert "internal error" not in daemon.log(), daemon.log()[-4000:]
    assert daemon.call("version")["state"] == "running"


def answers(daemon: Daemon, data: bytes, count: int) -> dict[object, dict[str, Any]]:
    """Send bytes; return so many answers by their id."""
    found: dict[object, dict[str, Any]] = {}
    with daemon.connect() as client:
        client.socket.sendall(data)
        while len(found) < count:
            message = client.receive()
            assert message is not None, f"hung up after {found} on {data!r}"
            if "id" in message:  # else what it has subscribed to
                found[message["id"]] = message
    return found


def test_any_request_has_an_answer(daemon: Daemon) -> None:
    """A result or an error that is not our bug, also to several requests in one piece."""

    def check(calls: list[tuple[str, dict[str, object]]]) -> None:
        lines = [
            json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
            for number, (method, params) in enumerate(calls)
        ]
        found = answers(daemon, "".join(f"{line}\n" for line in lines).encode(), len(calls))
        assert found.keys() == set(range(len(calls)))
        for number, answer in found.items():
            assert answer["jsonrpc"] == "2.0"
            assert ("result" in answer) != ("error" in answer), answer
            code = answer.get("error", {}).get("code")
            assert code != codes.INTERNAL_ERROR, (calls, number, answer)
        unharmed(daemon)

    fuzz(check, calls=st.lists(CALLS, min_size=1, max_size=4))


def test_any_message_has_an_answer(daemon: Daemon) -> None:
    """JSON that is no request is an error, whatever its parts are."""

    def check(message: object) -> None:
        line = json.dumps(message).encode() + b"\n"
        with daemon.connect() as client:
            client.socket.sendall(line + b'{"jsonrpc":"2.0","id":"last","method":"pid"}\n')
            while (answer := client.receive()) is not None and answer.get("id") != "last":
                code = answer.get("error", {}).get("code")
                assert code != codes.INTERNAL_ERROR, (message, answer)
            assert answer is not None, message
        unharmed(daemon)

    member = st.sampled_from(["jsonrpc", "id", "method", "params", "x"])
    methods = st.sampled_from(["version", "status", "start", "tail"])
    odd = st.dictionaries(member, st.one_of(JSON, methods), max_size=5)
    fuzz(check, message=st.one_of(JSON, odd))


def test_any_bytes_are_survived(daemon: Daemon) -> None:
    """Half a line, a line that is no text, brackets without an end."""

    def check(data: bytes) -> None:
        with daemon.connect() as client:
            client.socket.sendall(data)
            client.socket.shutdown(socket.SHUT_WR)
            while (answer := client.receive()) is not None:
                code = answer.get("error", {}).get("code")
                assert code != codes.INTERNAL_ERROR, (data, answer)
        unharmed(daemon)

    words = st.sampled_from(
        [b"\n", b"{", b"}", b"[", b'"', b"\\", b"\xff", b"\x00", b" ", b",", b":", b"1e999", b"NaN",
         b'"id"', b'"method"', b'"status"', b'"params"', b'{"id":1,"method":"pid"}\n',
         b'{"id":1,"method":"status","params":{"names":[', b"[" * 5000, b"9" * 5000, b"\r\n"]
    )  # fmt: skip
    pieces = st.lists(words, max_size=12).map(b"".join)
    fuzz(check, data=st.one_of(st.binary(max_size=200), pieces))


def test_nothing_is_left_over(daemon: Daemon) -> None:
    """Runs last in this file: after all of that, no client and no memory more than before."""
    fds = f"/proc/{daemon.pid}/fd"
    # About 45 are the daemon's own with four processes up; a fuzzed client leaves dozens.
    wait_until(lambda: len(os.listdir(fds)) < 60, 30, "connections are closed")
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 100_000, "it has not grown"
