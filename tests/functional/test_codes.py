"""Errors and results carry codes: what programs decide by, whatever the words are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.protocol.codes import ErrorCode, ResultCode
from tests.client import CallError
from tests.programs import SLEEPER, exits, program, sh
from tests.support import Daemon, Daemons

PROGRAMS = (
    program("web", SLEEPER, numprocs=2, process_name="web_%(process_num)d", startsecs=0)
    + program("idle", SLEEPER, autostart=False, startsecs=0)
    + program("mute", SLEEPER, autostart=False, stdout_logfile="none", stderr_logfile="none")
    + program("gone", "/no/such/program", autostart=False, startretries=0)
    + program("bad", exits(3), autostart=False, startretries=0)
)

REFUSED: list[tuple[str, dict[str, Any], int, str, dict[str, Any]]] = [
    ("nope", {}, -32601, ErrorCode.UNKNOWN_METHOD, {}),
    ("start", {}, -32602, ErrorCode.INVALID_PARAMS, {}),
    ("start", {"names": ["idle", "x", "y:*"]}, 4, ErrorCode.NO_SUCH_PROCESS,
     {"names": ["x", "y:*"]}),
    ("why", {"names": ["x"]}, 4, ErrorCode.NO_SUCH_PROCESS, {"names": ["x"]}),
    ("add", {"names": ["x", "web"]}, 4, ErrorCode.NO_SUCH_GROUP, {"names": ["x"]}),
    ("update", {"names": ["x"]}, 4, ErrorCode.NO_SUCH_GROUP, {"names": ["x"]}),
    ("signal", {"names": ["web"], "signal": "FOO"}, 2, ErrorCode.BAD_SIGNAL, {}),
    ("tail", {"name": "web"}, 1, ErrorCode.AMBIGUOUS_NAME, {}),
    ("tail", {"name": "idle", "stream": "x"}, 1, ErrorCode.NO_SUCH_STREAM, {}),
    ("tail", {"name": "mute"}, 1, ErrorCode.NO_LOG_FILE, {}),
    ("read_log", {"name": "mute"}, 1, ErrorCode.NO_LOG_FILE, {}),
    ("send", {"name": "idle", "text": "x"}, 1, ErrorCode.NOT_RUNNING, {}),
    ("send", {"name": "web:web_0", "text": "x"}, 1, ErrorCode.NO_INPUT, {}),
    ("send", {"name": "idle", "text": "x" * 70_000}, 1, ErrorCode.INPUT_TOO_LONG, {}),
]  # fmt: skip

DONE: list[tuple[str, dict[str, Any], bool, str]] = [
    ("start", {"names": ["web:web_0"]}, True, ResultCode.ALREADY_STARTED),
    ("stop", {"names": ["idle"]}, True, ResultCode.NOT_RUNNING),
    ("signal", {"names": ["idle"], "signal": "0"}, False, ErrorCode.NOT_RUNNING),
    ("signal", {"names": ["web:web_0"], "signal": "0"}, True, ResultCode.SIGNALLED),
    ("clear", {"names": ["mute"]}, False, ErrorCode.NO_LOG_FILE),
    ("clear", {"names": ["idle"]}, True, ResultCode.CLEARED),
    ("start", {"names": ["gone"]}, False, ErrorCode.SPAWN_FAILED),
    ("start", {"names": ["bad"]}, False, ErrorCode.START_FAILED),
    ("add", {"names": ["web"]}, False, ErrorCode.ALREADY_ACTIVE),
    ("remove", {"names": ["web"]}, False, ErrorCode.STILL_RUNNING),
    ("start", {"names": ["idle"]}, True, ResultCode.STARTED),
    ("restart", {"names": ["idle"]}, True, ResultCode.RESTARTED),
    ("stop", {"names": ["idle"], "wait": False}, True, ResultCode.ACCEPTED),
    ("stop", {"names": ["web:web_1"]}, True, ResultCode.STOPPED),
    ("remove", {"names": ["gone"]}, True, ResultCode.REMOVED),
    ("add", {"names": ["gone"]}, True, ResultCode.ADDED),
]


@pytest.fixture(scope="module")
def daemon() -> Any:
    made = Daemon(PROGRAMS)
    try:
        made.start()
        made.wait_state("web:web_0", "RUNNING")
        made.wait_state("web:web_1", "RUNNING")
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(("method", "params", "number", "code", "fields"), REFUSED)
def test_a_refusal_has_a_code(
    daemon: Daemon,
    method: str,
    params: dict[str, Any],
    number: int,
    code: str,
    fields: dict[str, Any],
) -> None:
    with pytest.raises(CallError) as caught:
        daemon.call(method, **params)
    assert (caught.value.code, caught.value.data) == (number, {"code": code, **fields})


def test_what_became_of_each_has_a_code(daemon: Daemon) -> None:
    for method, params, ok, code in DONE:
        result = daemon.call(method, **params)["results"][0]
        assert (result["ok"], result["code"]) == (ok, code), (method, params, result)


def test_what_is_no_request_has_a_code(daemon: Daemon) -> None:
    for line, code in ((b"{", "parse_error"), (b"[]", "invalid_request")):
        with daemon.connect() as client:
            client.socket.sendall(line + b"\n")
            answer = client.receive()
        assert answer is not None
        assert answer["error"]["data"] == {"code": code}, json.dumps(answer)


def test_a_mistake_in_the_configuration_has_its_places(daemons: Daemons) -> None:
    daemon = daemons(program("web", SLEEPER, startsecs=0))
    daemon.configure("[program.web]\ncommand = 5\nautostrt = true\n")
    with pytest.raises(CallError) as caught:
        daemon.call("update")
    assert caught.value.code == 2
    assert caught.value.data["code"] == ErrorCode.BAD_CONFIGURATION
    assert len(caught.value.data["details"]) == 2


def test_a_stop_that_takes_too_long_is_timed_out(daemons: Daemons) -> None:
    daemon = daemons(program("deaf", ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
                             startsecs=0.1, stopwaitsecs=60))  # fmt: skip
    daemon.wait_state("deaf", "RUNNING")
    (result,) = daemon.call("stop", names=["deaf"], timeout=0.2)["results"]
    assert (result["ok"], result["code"]) == (False, ErrorCode.TIMED_OUT)
    daemon.call("signal", names=["deaf"], signal="KILL")


def test_the_check_of_health_is_about_what_is_wanted(daemons: Daemons) -> None:
    """A finished job and what an operator stopped are fine; BACKOFF and FATAL are not."""
    daemon = daemons(
        program("web", SLEEPER, startsecs=0)
        + program("job", sh("exit 0"), startsecs=0)
        + program("once", sh("exit 4"), startsecs=0, autorestart=False)
        + program("later", SLEEPER, autostart=False)
        + program("slow", SLEEPER, startsecs=1000)
        + program("flaky", exits(3), autostart=False, backoff=1000)
        + program("dead", exits(3), autostart=False, startretries=0)
    )
    for name in ("job", "once"):
        daemon.wait_state(name, "EXITED")
    daemon.wait_state("slow", "STARTING")
    daemon.ctl("status", code=3)
    assert daemon.ctl("status", "--health").stdout == "everything that is wanted is up: 2 of 7\n"
    daemon.ctl("start", "--no-wait", "flaky", "dead")
    daemon.wait_state("flaky", "BACKOFF")
    daemon.wait_state("dead", "FATAL")
    shown = daemon.ctl("status", "--health", code=3).stdout
    assert [line.split()[:2] for line in shown.splitlines()] == [
        ["dead", "FATAL"], ["flaky", "BACKOFF"]
    ]  # fmt: skip
    found = json.loads(daemon.ctl("status", "--health", "--json", code=3).stdout)
    assert (found["healthy"], found["not_up"]) == (False, ["dead", "flaky"])
    daemon.ctl("status", "--health", "web", "job")
    daemon.ctl("stop", "flaky", "dead")  # somebody has seen it, and does not want them any more
    daemon.ctl("status", "--health")
    daemon.ctl("shutdown")
    daemon.wait_exit()
    daemon.ctl("status", "--health", code=4)


def test_the_health_check_of_the_container_is_about_what_is_wanted() -> None:
    """Everywhere a check is shown it is this one."""
    root = Path(__file__).parents[2]
    dockerfile = (root / "packaging/container/Dockerfile").read_text()
    assert 'CMD ["slctl", "status", "--health"]' in dockerfile
    assert "slctl status --health" in (root / "docs/containers.md").read_text()
