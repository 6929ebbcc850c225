"""Who goes first: priorities up at start, down at stop."""

from __future__ import annotations

import pytest

from tests.programs import SLEEPER, program, sh
from tests.support import Daemon, Daemons, wait_until


def witness(name: str) -> list[str]:
    """Return a program that notes in `order` when it is told to end and when it does."""
    order = "%(here)s/order"
    return sh(
        f"trap 'echo term {name} >>{order}; sleep 0.8; echo gone {name} >>{order}; exit' TERM; "
        f"echo ready {name} >>{order}; while :; do sleep 0.05; done"
    )


PRIORITIES = {"low": 10, "mid1": 20, "mid2": 20, "high": 30}


def started(daemons: Daemons) -> Daemon:
    """Return a daemon whose witnesses are all listening."""
    daemon = daemons(
        "".join(
            program(name, witness(name), priority=priority, startsecs=0)
            for name, priority in PRIORITIES.items()
        )
    )
    wait_until(lambda: daemon.text("order").count("ready") == 4)
    return daemon


def check_waves(order: list[str]) -> None:
    """Each wave is told to end together, and only when the one before is gone."""
    assert order[:2] == ["term high", "gone high"]
    assert set(order[2:4]) == {"term mid1", "term mid2"}
    assert set(order[4:6]) == {"gone mid1", "gone mid2"}
    assert order[6:] == ["term low", "gone low"]


def ends(daemon: Daemon) -> list[str]:
    return [line for line in daemon.text("order").splitlines() if not line.startswith("ready")]


def test_start_goes_up_by_priority(daemons: Daemons) -> None:
    """The lowest priority is spawned first, at start and by `start all`."""
    daemon = daemons(
        program("zulu", SLEEPER, priority=1)
        + program("alpha", SLEEPER, priority=3)
        + program("mike", SLEEPER, priority=2)
        + program("none", SLEEPER)
    )
    for _ in range(2):
        for name in ("zulu", "alpha", "mike", "none"):
            daemon.wait_state(name, "RUNNING")
        runs = {p["name"]: p["run"] for p in daemon.call("status")["processes"]}
        assert runs["zulu"] < runs["mike"] < runs["alpha"] < runs["none"]
        daemon.ctl("stop", "all")
        daemon.ctl("start", "all")


def test_stop_all_goes_down_in_waves(daemons: Daemons) -> None:
    """`stop all` ends the highest priority first, equal ones together."""
    daemon = started(daemons)
    daemon.ctl("stop", "all")
    check_waves(ends(daemon))


@pytest.mark.parametrize("how", ["signal", "command"])
def test_shutdown_goes_down_in_waves(daemons: Daemons, how: str) -> None:
    """So does the daemon's own end, whoever asks for it."""
    daemon = started(daemons)
    if how == "signal":
        assert daemon.process is not None
        daemon.process.terminate()
    else:
        daemon.ctl("shutdown")
    assert daemon.wait_exit() == 0
    check_waves(ends(daemon))


def test_group_priority_goes_before_program_priority(daemons: Daemons) -> None:
    """Groups are ordered by their own priority, their programs by theirs within."""
    daemon = daemons(
        program("a1", SLEEPER, priority=2)
        + program("a2", SLEEPER, priority=1)
        + program("b1", SLEEPER, priority=0)
        + "".join(program(name, SLEEPER) for name in ("zulu", "mike", "alpha"))
        + '[group.c]\nprograms = ["mike", "zulu", "alpha"]\n'
        + '[group.a]\nprograms = ["a1", "a2"]\npriority = 1\n'
        + '[group.b]\nprograms = ["b1"]\npriority = 2\n'
    )
    for name in ("a:a1", "a:a2", "b:b1", "c:mike", "c:zulu", "c:alpha"):
        daemon.wait_state(name, "RUNNING")
    runs = {p["fullname"]: p["run"] for p in daemon.call("status")["processes"]}
    assert runs["a:a2"] < runs["a:a1"] < runs["b:b1"] < runs["c:mike"]
    assert runs["c:mike"] < runs["c:zulu"] < runs["c:alpha"], "as the group lists them"


def test_restart_all_goes_down_in_waves_and_up_in_order(daemons: Daemons) -> None:
    """First all of them end, the highest priority first; then they start, the lowest first."""
    daemon = started(daemons)
    daemon.ctl("restart", "all")
    check_waves(ends(daemon))
    runs = {p["name"]: p["run"] for p in daemon.call("status")["processes"]}
    assert min(runs.values()) == 5, "all of them are new"
    assert runs["low"] < min(runs["mid1"], runs["mid2"]) < runs["high"]


def test_restart_all_at_once(daemons: Daemons) -> None:
    """Nobody waits for anybody with --at-once."""
    daemon = started(daemons)
    daemon.ctl("restart", "--at-once", "all")
    assert [line.split()[0] for line in ends(daemon)] == ["term"] * 4 + ["gone"] * 4


FAILING = sh("echo ready loop >>%(here)s/order; exit 1")


@pytest.mark.parametrize("how", ["stop", "shutdown"])
def test_nothing_is_respawned_while_a_higher_wave_ends(daemons: Daemons, how: str) -> None:
    """The wish goes off for all at once; only the signals wait for their wave."""
    daemon = daemons(
        program("loop", FAILING, priority=1, startsecs=0)
        + program("high", witness("high"), priority=2, startsecs=0)
    )
    wait_until(lambda: {"ready high", "ready loop"} <= set(daemon.text("order").splitlines()))
    daemon.ctl(*(("stop", "all") if how == "stop" else ("shutdown",)))
    if how == "shutdown":
        assert daemon.wait_exit() == 0
    order = daemon.text("order").splitlines()
    after = order[order.index("term high") :]
    assert after.count("ready loop") <= 1, "the one that was spawned already"


def test_start_and_restart_of_what_waits_to_be_stopped(daemons: Daemons) -> None:
    """They mean what they say during `stop all`; a shutdown refuses them, and says why."""
    daemon = started(daemons)
    daemon.call("stop", names=["all"], wait=False)
    wait_until(lambda: "term high" in daemon.text("order"))
    before = {name: daemon.status(name)["run"] for name in ("low", "mid1")}
    daemon.ctl("start", "low")
    daemon.ctl("restart", "mid1")
    daemon.wait_state("high", "STOPPED")
    daemon.wait_state("mid2", "STOPPED")
    assert daemon.states()["low"] == daemon.states()["mid1"] == "RUNNING"
    assert daemon.status("low")["run"] == before["low"]
    assert daemon.status("mid1")["run"] > before["mid1"]
    assert "term low" not in daemon.text("order")

    daemon.ctl("start", "all")
    seen = daemon.text("order").count("term high")
    ending = daemon.spawn_ctl("shutdown")
    wait_until(lambda: daemon.text("order").count("term high") == seen + 1)
    for verb in ("start", "restart"):
        assert "the daemon is shutting down" in daemon.ctl(verb, "low", code=1).stderr
    assert daemon.wait_exit() == 0
    ending.communicate()
    assert ending.returncode == 0
    assert "gone low" in daemon.text("order")
