"""Every fault of Supervisor's interface is ours too, with its text, and in its order of checks."""

from __future__ import annotations

import os
import xmlrpc.client
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.peers import Prog
from tests.gateway.tools import Both, Side, side_by_side
from tests.support import comm, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PROGRAMS = [
    Prog("cat", "cat", {"startsecs": 0}),
    Prog("chatty", "sh -c 'printf 0123456789; exec sleep 100000'", {"startsecs": 0}),
    Prog("directory", "/tmp", {"startretries": 0, "autostart": False}),
    Prog("fatal", "sh -c 'exit 1'", {"startretries": 0}),
    Prog("manual", "sleep 100000", {"autostart": False, "startsecs": 0}),
    Prog("missing", "/no/such/command", {"startretries": 0}),
    Prog("nowhere", "no-such-command-anywhere", {"startretries": 0, "autostart": False}),
    Prog("plain", "/etc/passwd", {"startretries": 0, "autostart": False}),
    Prog("silent", "sleep 100000", {"startsecs": 0}, log=False),
    Prog("slow", "sleep 100000", {"startsecs": 3600, "autostart": False}),
    Prog("stubborn", "sh -c 'trap \"\" TERM; exec sleep 100000'",
         {"startsecs": 0, "autostart": False, "stopwaitsecs": 3600}),
]  # fmt: skip


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with side_by_side(PROGRAMS, {"pair": ["cat", "chatty"]}) as made:
        made.settle(fatal="FATAL", missing="FATAL", pair="RUNNING", silent="RUNNING")
        yield made


def outcome(side: Side, method: str, params: tuple[Any, ...]) -> Any:
    """Return the fault, or what kind of value came, or the status of HTTP."""
    try:
        value = side.rpc(method, *params)
    except xmlrpc.client.Fault as fault:
        return fault.faultCode, fault.faultString
    except xmlrpc.client.ProtocolError as error:
        return "HTTP", error.errcode
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sorted((v.get("name", ""), v.get("status"), v.get("description")) for v in value)
    return value


NAMES = [
    f"supervisor.{method}"
    for method in (
        "startProcess", "stopProcess", "getProcessInfo", "clearProcessLogs", "clearProcessLog",
        "startProcessGroup", "stopProcessGroup", "addProcessGroup", "removeProcessGroup",
    )
]  # fmt: skip
LOGS = [
    f"supervisor.{method}"
    for method in (
        "readProcessStdoutLog", "readProcessLog", "readProcessStderrLog", "tailProcessStdoutLog",
        "tailProcessLog", "tailProcessStderrLog",
    )
]  # fmt: skip

CALLS: list[tuple[str, tuple[Any, ...]]] = [
    # 1 UNKNOWN_METHOD
    ("nope", ()), ("supervisor.nope", ()), ("nope.getVersion", ()), ("supervisor._update", ("x",)),
    ("supervisor.supervisord.options.getpid", ()), ("supervisor.getVersion.x", ()),
    ("system.x", ()),
    # 2 INCORRECT_PARAMETERS
    ("supervisor.getVersion", (1,)), ("supervisor.startProcess", ()),
    ("supervisor.startProcess", ("a", True, 3)), ("supervisor.sendProcessStdin", ("pair:cat", 5)),
    ("system.methodHelp", ()), ("system.multicall", ()),
    ("supervisor.signalProcess", ("pair:cat",)),
    ("system.multicall", ([{"methodName": "system.multicall", "params": [[]]}],)),
    ("system.multicall", ([{"params": []}],)),
    # 3 BAD_ARGUMENTS
    ("supervisor.readProcessStdoutLog", ("pair:chatty", -5, 5)),
    ("supervisor.readProcessStdoutLog", ("pair:chatty", 0, -5)),
    ("supervisor.readLog", (-1, 1)), ("supervisor.readMainLog", (1, -1)),
    # 4 SIGNATURE_UNSUPPORTED
    ("system.methodHelp", ("nope",)), ("system.methodSignature", ("supervisor.nope",)),
    # 10 BAD_NAME
    *[(method, (name,)) for method in NAMES
      for name in ("nope", "nope:nope", "pair:nope", "nope:*", "", "pair", "pai*", "a:b:c")
      if not (method.endswith("Group") and name == "pair")],
    ("supervisor.getProcessInfo", ("pair:*",)), ("supervisor.clearProcessLogs", ("pair:*",)),
    *[(method, ("nope", 0, 0)) for method in LOGS],
    *[(method, ("pair:*", 0, 0)) for method in LOGS],
    ("supervisor.signalProcess", ("nope", "NOPE")), ("supervisor.signalProcess", ("nope:*", "HUP")),
    ("supervisor.signalProcessGroup", ("nope", "HUP")),
    ("supervisor.sendProcessStdin", ("nope", "x")),
    # 11 BAD_SIGNAL, before NOT_RUNNING
    ("supervisor.signalProcess", ("manual", "NOPE")),
    ("supervisor.signalProcess", ("pair:cat", "999")),
    ("supervisor.signalProcess", ("pair:cat", "")), ("supervisor.signalProcess", ("pair:cat", -1)),
    ("supervisor.signalProcessGroup", ("pair", "NOPE")),
    ("supervisor.signalProcess", ("pair:*", "NOPE")),
    ("supervisor.signalProcess", ("pair:cat", "cont")),
    ("supervisor.signalProcess", ("pair:cat", 18)),
    ("supervisor.signalProcess", ("pair:cat", "SIGCONT")),
    ("supervisor.signalProcess", ("pair:cat", 0)),
    ("supervisor.signalProcess", ("pair:*", "CONT")),
    # 20 NO_FILE
    *[(method, ("silent", 0, 0)) for method in LOGS],
    ("supervisor.startProcess", ("missing",)), ("supervisor.startProcess", ("nowhere",)),
    # 21 NOT_EXECUTABLE
    ("supervisor.startProcess", ("plain",)), ("supervisor.startProcess", ("directory",)),
    # 50 SPAWN_ERROR
    ("supervisor.startProcess", ("fatal",)),
    # 60 ALREADY_STARTED
    ("supervisor.startProcess", ("pair:cat",)), ("supervisor.startProcess", ("pair:cat", False)),
    # 70 NOT_RUNNING
    ("supervisor.stopProcess", ("manual",)), ("supervisor.signalProcess", ("manual", "HUP")),
    ("supervisor.stopProcess", ("missing",)), ("supervisor.sendProcessStdin", ("manual", "x")),
    # 90 ALREADY_ADDED, 91 STILL_RUNNING
    ("supervisor.addProcessGroup", ("pair",)), ("supervisor.removeProcessGroup", ("pair",)),
    # and what is no fault
    ("supervisor.getAPIVersion", ()), ("supervisor.getVersion", ()), ("supervisor.getState", ()),
    ("supervisor.getIdentification", ()), ("supervisor.getSupervisorVersion", ()),
    ("system.listMethods", ()), ("supervisor.reloadConfig", ()),
    ("supervisor.sendProcessStdin", ("pair:cat", "x\n")),
    ("supervisor.sendProcessStdin", ("silent", "")),
    ("supervisor.sendRemoteCommEvent", ("type", "data")),
    ("supervisor.startProcessGroup", ("pair",)),
    ("supervisor.readProcessLog", ("pair:chatty", 0, 0)),
    ("supervisor.readProcessLog", ("pair:chatty", 3, 4)),
    ("supervisor.readProcessLog", ("pair:chatty", -4, 0)),
    ("supervisor.readProcessLog", ("pair:chatty", 99, 4)),
    ("supervisor.readProcessLog", ("pair:chatty", -99, 0)),
    ("supervisor.readProcessLog", ("pair:chatty", "2", "3")),
    *[("supervisor.tailProcessLog", ("pair:chatty", offset, length))
      for offset in (-3, 0, 3, 9, 10, 11, 99) for length in (-1, 0, 1, 4, 10, 99)],
    ("system.multicall", ([{"methodName": "supervisor.getVersion", "params": []},
                           {"methodName": "supervisor.startProcess", "params": ["nope"]},
                           {"methodName": "supervisor.nope"},
                           {"methodName": "supervisor.getPID", "params": [1]}],)),
]  # fmt: skip


@pytest.mark.parametrize("part", range(4))
def test_each_call_has_the_outcome_that_it_has_there(both: Both, part: int) -> None:
    different = []
    for method, params in CALLS[part::4]:
        ours, theirs = (outcome(side, method, params) for side in both.sides)
        if ours != theirs and not known(method, params, theirs):
            different.append(f"{method}{params}: ours {ours!r}, theirs {theirs!r}")
    assert not different, "\n".join(different)


def known(method: str, params: tuple[Any, ...], theirs: Any) -> bool:
    """Tell whether Supervisor breaks here, so that there is nothing to be the same as."""
    return isinstance(theirs, tuple) and theirs[0] == "HTTP"


def test_every_method_has_the_same_signature(both: Both) -> None:
    for name in both.theirs.rpc("system.listMethods"):
        ours, theirs = (outcome(side, "system.methodSignature", (name,)) for side in both.sides)
        assert ours == theirs, name
        assert len(both.ours.rpc("system.methodHelp", name)) > 20


def test_a_start_that_is_stopped_meanwhile_is_an_abnormal_termination(both: Both) -> None:
    for side in both.sides:
        waiting = side.spawn("start", "slow")
        wait_until(
            lambda side=side: side.states()["slow:slow"] == "STARTING",  # type: ignore[misc]
            what="it is starting",
        )
        side.rpc("supervisor.stopProcess", "slow")
        ran = side.finish(waiting)
        assert (ran.code, ran.lines[0]) == (7, "slow: ERROR (abnormal termination)")


def test_what_is_being_stopped_is_neither_running_nor_startable(both: Both) -> None:
    said: list[tuple[Any, ...]] = []
    for side in both.sides:
        side.rpc("supervisor.startProcess", "stubborn")
        pid = side.rpc("supervisor.getProcessInfo", "stubborn")["pid"]
        wait_until(lambda pid=pid: comm(pid) == "sleep", what="it ignores TERM")  # type: ignore[misc]
        side.rpc("supervisor.stopProcess", "stubborn", False)
        assert side.states()["stubborn:stubborn"] == "STOPPING"
        answers = [
            outcome(side, f"supervisor.{method}", ("stubborn", *more))
            for method, *more in (["stopProcess"], ["startProcess"], ["sendProcessStdin", "x"])
        ]
        info = side.rpc("supervisor.getProcessInfo", "stubborn")
        said.append((answers, info["description"], info["exitstatus"], info["spawnerr"]))
        os.kill(pid, 9)
        wait_until(lambda side=side: side.states()["stubborn:stubborn"] == "STOPPED")  # type: ignore[misc]
        after = side.rpc("supervisor.getProcessInfo", "stubborn")
        said[-1] += (after["exitstatus"], after["pid"], after["statename"])
    assert said[0] == said[1]


def test_everything_is_a_shutdown_state_while_the_daemon_ends() -> None:
    programs = [Prog("stubborn", PROGRAMS[-1].script, {"stopwaitsecs": 8, "startsecs": 0})]
    with side_by_side(programs) as both:
        both.settle(stubborn="RUNNING")
        said: list[list[Any]] = []
        for side in both.sides:
            pid = side.rpc("supervisor.getProcessInfo", "stubborn")["pid"]
            wait_until(lambda pid=pid: comm(pid) == "sleep", what="it ignores TERM")  # type: ignore[misc]
            assert side.rpc("supervisor.shutdown") is True
            methods = [name for name in side.rpc("system.listMethods") if "Remote" not in name]
            said.append([
                (name, outcome(side, name, params))
                for name in methods if name.startswith("supervisor.")
                for params in [PARAMS.get(len(side.rpc("system.methodSignature", name)), ())]
            ])  # fmt: skip
            said[-1].append(side.ctl("shutdown").lines)
        assert said[0] == said[1]
        assert {answer[1][0] for answer in said[0][:-1] if isinstance(answer[1], tuple)} == {6}


PARAMS: dict[int, tuple[Any, ...]] = {1: (), 2: ("stubborn",), 3: ("stubborn", 1), 4: ("x", 0, 0)}
