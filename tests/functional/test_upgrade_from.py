"""From an earlier version to this one in place, with programs running: nobody notices.

By `slctl upgrade`, by a kill and a start, and with the descriptors that systemd had kept.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import supervisor_lite
from supervisor_lite.store.migrations import SCHEMA
from tests.chaos.tools import check_journal, check_lines, kill, no_zombies, rows, upgrade, writer
from tests.earlier import Versions
from tests.ears import ears, heard, make, told, unmake
from tests.fdstore import DescriptorStore
from tests.programs import FORKER, SLEEPER, TERM_IGNORER, exits, program, sh
from tests.servers import ask, server
from tests.support import Daemon, Daemons, alive, free_port, wait_until

MORTAL = sh("trap 'echo last words; exit 7' TERM; echo ready; sleep 100000 & wait")

WRITERS = ("writer", "quick")
LIVE = ("web", "served", "piped", "tree", "starting", "stopping", *WRITERS)
"""Whose main process has to be the same one all the time."""

PROGRAMS = (
    writer("writer", pause=0.01, batch=4, stdout_logfile_maxbytes="20KB",
           stdout_logfile_backups=500)
    + writer("quick", pause=0.001, batch=1)
    + program("web", SLEEPER, startsecs=0.1)
    + program("piped", sh("exec cat"), startsecs=0, stdin="pipe")
    + program("tree", FORKER, startsecs=0)
    + program("starting", SLEEPER, startsecs=1000)
    + program("stopping", TERM_IGNORER, startsecs=0, stopwaitsecs=1000)
    + program("failing", exits(4), backoff=1000)
    + program("missing", "/nowhere/nothing", startretries=0)
    + program("given_up", exits(1), startretries=1, backoff=0.1)
    + program("limited", exits(5), startsecs=0, autorestart=True, restart_limit="1/1m")
    + program("done", exits(0), startsecs=0)
    + program("odd", exits(3), startsecs=0, autorestart=False)
    + program("stopped", SLEEPER, startsecs=0)
    + program("killed", SLEEPER, startsecs=0)
    + program("idle", SLEEPER, autostart=False)
    + program("mortal", MORTAL, startsecs=0)
    + ears(["REMOTE_COMMUNICATION"])
)  # fmt: skip


class Before:
    """What the earlier version said just before it was replaced."""

    def __init__(self, daemon: Daemon) -> None:
        self.status = {p["fullname"]: p for p in daemon.call("status")["processes"]}
        del self.status["idle"]["since"]  # nothing is kept of what has never been started
        self.changes = daemon.call("events", limit=1000)["changes"]
        self.runs = daemon.call("runs", limit=1000)["runs"]
        self.why = {name: why(daemon, name) for name in self.status}
        self.pids = {name: self.status[name]["pid"] for name in LIVE}
        self.tree = set(daemon.pids_of("tree"))


def why(daemon: Daemon, name: str) -> list[str]:
    """Return what `why` says, without how long ago it was."""
    (told,) = daemon.call("why", names=[name])["processes"]
    # In milliseconds only its age, which stands in brackets, goes on; the rest is history.
    length = r"\d+(\.\d+)? (s|min|h)( \d+ s)?\b|(?<=\()\d+ ms(?=\))"
    # An earlier version does not say whose clock it is.
    lines = [re.sub(r" [+-]\d\d:\d\d (?=\()", " ", line) for line in told["lines"]]
    return [re.sub(length, "TIME", line) for line in lines]


class World:
    """A daemon of the earlier version with a program in every state."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.versions = Versions(daemon)
        self.addresses = [f"unix://{daemon.dir}/served.sock", f"tcp://127.0.0.1:{free_port()}"]
        daemon.configure(PROGRAMS + server("served", *self.addresses))

    def begin(self) -> Before:
        """Start it, and let there be something to tell of each program."""
        daemon = self.daemon.start()
        for name in ("web", "piped", "tree", "stopped", "killed", "mortal", "served", *WRITERS):
            daemon.wait_state(name, "RUNNING")
        for name in ("stopping", "mortal"):
            wait_until(lambda name=name: "ready" in daemon.text(f"log/{name}.stdout.log"))  # type: ignore[misc]
        wait_until(lambda: len(daemon.pids_of("tree", "sleep")) == 4)
        daemon.ctl("stop", "stopped")
        daemon.call("stop", names=["stopping"], wait=False)
        daemon.ctl("restart", "served")
        old = daemon.status("killed")["pid"]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: daemon.status("killed")["pid"] not in (None, old))
        daemon.wait_state("killed", "RUNNING")
        for name in ("missing", "given_up", "limited"):
            daemon.wait_state(name, "FATAL")
        for name in ("done", "odd"):
            daemon.wait_state(name, "EXITED")
        daemon.wait_state("failing", "BACKOFF")
        daemon.wait_state("ears", "RUNNING")
        daemon.ctl("send", "piped", "before")
        wait_until(lambda: daemon.text("log/piped.stdout.log") == "before\n")
        return Before(daemon)


@pytest.fixture
def world(daemons: Daemons) -> Iterator[World]:
    world = World(daemons.prepare())
    yield world
    for pid in world.daemon.pids_of("stopping"):  # a test that has failed
        os.kill(pid, signal.SIGKILL)


def test_an_upgrade(world: World) -> None:
    """Same daemon process, same children, same listener, with the events that wait for it."""
    daemon = world.daemon
    before = world.begin()
    make(daemon, "hang")
    for number in range(3):
        daemon.call("remote_event", type="n", data=str(number))
    world.versions.switch()
    upgrade(daemon)
    unmake(daemon, "hang")
    told(daemon, *["REMOTE_COMMUNICATION"] * 3)
    assert [event.payload[7:] for event in heard(daemon)] == ["0", "1", "2"]
    same(world, before, unchanged=(*before.status,))
    goes_on(world, before)


def test_a_kill_and_a_start(world: World) -> None:
    """What was in the pipes meanwhile is not lost."""
    daemon = world.daemon
    before = world.begin()
    kill(daemon)
    world.versions.switch()
    daemon.start()
    same(world, before, unchanged=(*(before.status.keys() - {"ears"}),))
    goes_on(world, before)


def test_a_kill_and_a_start_with_what_systemd_has_kept(world: World) -> None:
    """Also a program that ended while no daemon was there: its last words are in its log."""
    daemon = world.daemon
    store = DescriptorStore(daemon)
    before = world.begin()
    mortal = before.status["mortal"]["pid"]
    kill(daemon)
    store.take()
    os.kill(mortal, signal.SIGTERM)
    wait_until(lambda: not alive(mortal))
    world.versions.switch()
    store.launch()
    same(world, before, unchanged=(*(before.status.keys() - {"ears", "mortal"}),))
    wait_until(lambda: daemon.status("mortal")["pid"] not in (None, mortal))
    assert daemon.text("log/mortal.stdout.log").startswith("ready\nlast words\n")
    goes_on(world, before)
    store.close()


def same(world: World, before: Before, unchanged: tuple[str, ...]) -> None:
    """Nothing has happened to these, and everything that was known is known."""
    daemon = world.daemon
    assert daemon.call("version")["version"] == supervisor_lite.__version__
    assert rows(daemon, "PRAGMA user_version") == [{"user_version": SCHEMA}]
    after = Before(daemon)
    assert after.pids == before.pids
    assert after.tree == before.tree
    for name in unchanged:
        assert of_before(after.status[name], before.status[name]) == before.status[name]
        assert [line for line in after.why[name] if "taken over" not in line] == before.why[name]
    changes = after.changes[: len(before.changes)]
    assert list(map(of_before, changes, before.changes)) == before.changes
    new = [change for change in after.changes[len(before.changes) :] if change["name"] in unchanged]
    assert all("taken over" in change["cause"] for change in new), new
    assert {change["name"] for change in new} == {n for n in unchanged if after.status[n]["pid"]}
    runs = {run["run"]: run for run in after.runs}
    for run in before.runs:
        if run["name"] in unchanged:
            now = of_before(runs[run["run"]], run)
            assert {**now, "duration": run["duration"]} == run


def of_before(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """Return what was told before, too; how long a process is up does not count."""
    told = {key: value for key, value in now.items() if key in before}
    if "uptime" in before:
        told["uptime"] = before["uptime"]
    return told


def goes_on(world: World, before: Before) -> None:
    """Whoever listens is answered, whoever writes is read, and every line is there at the end."""
    daemon = world.daemon
    assert {ask(address) for address in world.addresses} == {before.pids["served"]}
    daemon.ctl("send", "piped", "after")
    wait_until(lambda: daemon.text("log/piped.stdout.log") == "before\nafter\n")
    daemon.ctl("restart", "web")
    assert not alive(before.pids["web"])
    for pid in daemon.pids_of("stopping"):
        os.kill(pid, signal.SIGKILL)
    daemon.wait_state("stopping", "STOPPED")
    daemon.ctl("stop", "tree")
    assert daemon.pids_of("tree") == []
    daemon.ctl("stop", *WRITERS)
    for name in WRITERS:
        assert check_lines(daemon.dir / f"log/{name}.stdout.log") > 0
    no_zombies(daemon)
    daemon.ctl("shutdown")
    assert daemon.wait_exit() == 0
    check_journal(daemon)
    assert not list(Path(daemon.dir / "state").glob("*.corrupt-*"))
