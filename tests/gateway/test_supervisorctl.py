"""The real supervisorctl says the same, with the same exit code, to us and to supervisord."""

from __future__ import annotations

import pytest

from tests.gateway.peers import Prog, many
from tests.gateway.tools import Both, side_by_side

PROGRAMS = [
    Prog("cat", "cat"),
    Prog("chatty", "sh -c 'echo one; echo two; echo oops >&2; exec sleep 100000'"),
    Prog("done", "sh -c 'exit 0'", {"startsecs": 0, "autorestart": False}),
    Prog("failed", "sh -c 'exit 3'", {"startsecs": 0, "autorestart": False}),
    Prog("fatal", "sh -c 'exit 1'", {"startretries": 0}),
    Prog("manual", "sleep 100000", {"autostart": False, "priority": 5}),
    Prog("missing", "/no/such/command --x", {"startretries": 0}),
    Prog("silent", "sleep 100000", log=False),
    many("web", "sleep 100000", 2, startsecs=0),
    Prog("worker", "sleep 100000", {"startsecs": 0, "priority": 20}),
]
GROUPS = {"site": ["web", "worker"]}
SETTLED = {
    "cat": "RUNNING", "chatty": "RUNNING", "done": "EXITED", "failed": "EXITED",
    "fatal": "FATAL", "manual": "STOPPED", "missing": "FATAL", "silent": "RUNNING",
    "site": "RUNNING",
}  # fmt: skip


pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

QUOTES = "\"'"
"""Python quotes a text with what the text does not hold."""


def compare(both: Both, *commands: str, ordered: bool = True) -> None:
    """Fail unless each command says the same on both sides and ends with the same code."""
    for command in commands:
        ours, theirs = both.ctl(*command.split())
        mine, other = ours.lines, theirs.lines
        if not ordered:
            mine, other = sorted(mine), sorted(other)
        assert (mine, ours.code) == (other, theirs.code), (
            f"{command}\nours: {ours}\ntheirs: {theirs}"
        )


def test_looking_says_the_same() -> None:
    with side_by_side(PROGRAMS, GROUPS) as both:
        both.settle(**SETTLED)
        compare(
            both, "status", "status cat", "status cat chatty", "status site:*", "status site:",
            "status site:web_1 manual", "status all", "status nope", "status nope:*", "status site",
            "status cat nope", "status done", "status fatal missing", "pid", "pid all", "pid cat",
            "pid manual", "pid nope", "pid cat site:web_0", "avail", "avail x", "version",
            "version x", "tail chatty", "tail -3 chatty", "tail chatty stderr",
            "tail -2 chatty stderr", "tail chatty nope", "tail nope", "tail silent", "tail manual",
            "tail", "tail -x chatty",
            "maintail x", "help", "help start", "help nope", "nonsense", "reread", "update",
            "open foo", "add", "remove", "start missing", "status",
        )  # fmt: skip


def test_starting_and_stopping_says_the_same() -> None:
    # Supervisor sees a program that ends at once as started or as failed, as it happens; and
    # which of two different errors comes last, and so is the exit code, is chance there, too.
    left_out = ("done", "failed", "missing")
    settled = {name: state for name, state in SETTLED.items() if name not in left_out}
    with side_by_side([p for p in PROGRAMS if p.name not in left_out], GROUPS) as both:
        both.settle(**settled)
        compare(
            both, "start", "stop", "restart", "start cat", "start manual", "stop manual",
            "stop manual", "start fatal", "start nope",
            "start site:nope", "start nope:*", "stop nope", "stop nope:*", "stop fatal",
            "restart nope", "restart chatty", "restart manual", "stop cat manual nope",
            "start cat manual nope", "signal HUP nope", "signal NOPE cat", "signal HUP manual",
            "signal 0 cat", "signal SIGCONT cat", "signal CONT site:*", "signal CONT nope:*",
            "signal CONT fatal", "signal CONT", "signal NOPE site:*",
        )  # fmt: skip
        compare(
            both, "stop site:*", "stop site:*", "status", "start site:*", "start site:*",
            "restart site:*", "signal CONT all", "stop all", "status", "stop all",
            ordered=False,
        )  # fmt: skip
        compare(both, "start all", ordered=False)
        both.settle(**{**settled, "manual": "RUNNING"})
        compare(both, "restart all", "start all", ordered=False)


def test_clearing_says_the_same() -> None:
    with side_by_side(PROGRAMS, GROUPS) as both:
        both.settle(**SETTLED)
        compare(both, "clear", "clear cat", "clear chatty", "tail chatty", "clear nope",
                "clear site:*", "clear silent", "clear cat nope chatty")  # fmt: skip
        compare(both, "clear all", ordered=False)


@pytest.mark.parametrize("how", ["update", "reread add remove"])
def test_a_changed_configuration_says_the_same(how: str) -> None:
    before = [Prog("stays", "sleep 100000", {"startsecs": 0}),
              Prog("changes", "sleep 100000", {"startsecs": 0}),
              Prog("goes", "sleep 100000", {"startsecs": 0})]  # fmt: skip
    after = [before[0], Prog("changes", "sleep 100001", {"startsecs": 0}),
             Prog("comes", "sleep 100000", {"startsecs": 0}),
             Prog("later", "sleep 100000", {"startsecs": 0, "autostart": False})]  # fmt: skip
    with side_by_side(before) as both:
        both.settle(stays="RUNNING", changes="RUNNING", goes="RUNNING")
        pids = [side.rpc("supervisor.getProcessInfo", "stays")["pid"] for side in both.sides]
        both.configure(after, {})
        if how == "update":
            compare(both, "update nope", "update comes", "update", "update", "status", "avail")
        else:
            compare(both, "reread", "reread", "avail", "add comes", "add comes", "add nope",
                    "remove stays", "remove nope", "stop goes", "remove goes", "remove goes",
                    "stop changes", "remove changes", "add changes", "add later",
                    "status", "avail")  # fmt: skip
        assert pids == [
            side.rpc("supervisor.getProcessInfo", "stays")["pid"] for side in both.sides
        ]


def test_a_broken_configuration_is_refused_by_both() -> None:
    with side_by_side([Prog("cat", "cat")]) as both:
        both.settle(cat="RUNNING")
        both.configure([Prog("cat", "cat", {"startsecs": "soon"})], {})
        for command in ("reread", "update"):
            ours, theirs = both.ctl(command)
            assert ours.code == theirs.code == 1
            before = [
                ran.lines[0].split("CANT_REREAD: ")[0].rstrip(QUOTES) for ran in (ours, theirs)
            ]
            assert before[0] == before[1]
            assert "startsecs" in ours.raw
        compare(both, "status")
