"""A busy daemon, and everything that can happen to it, in an order that a seed decides."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.chaos import flood
from tests.chaos.tools import (
    ask,
    chain,
    check_flood,
    check_journal,
    check_lines,
    kill,
    kill_process,
    no_zombies,
    nothing_waits,
    state,
    upgrade,
    writer,
)
from tests.earlier import Versions
from tests.programs import FORKER, SLEEPER, TERM_IGNORER, program, sh
from tests.support import Daemon, Daemons, alive, wait_until

WRITERS = 3

WAVES = 5
"""Of the flood; they fit into its log together."""

LOOPER = sh(
    "mkdir %(here)s/loop.lock || echo overlap; echo run $SUPERVISOR_LITE_RUN; "
    "sleep 0.05; rmdir %(here)s/loop.lock; exit 1"
)
"""Crashes again and again, and notices if two of it run at a time."""

SLOW = sh("trap 'kill $!; sleep 0.4; exit 0' TERM; echo ready; sleep 100000 & wait")
"""Takes a while to end."""


def table(version: int) -> str:
    """Return the configuration; `changing` is another program with each version."""
    writers = "".join(
        writer(
            f"writer{n}",
            pause=0.01,
            batch=4,
            stdout_logfile_maxbytes="6KB",
            stdout_logfile_backups=1000,
        )
        for n in range(WRITERS)
    )
    return (
        writers
        + program("flood", [sys.executable, "-I", "-S", flood.__file__], startsecs=0,
                  stdout_logfile_maxbytes="4MB", stdout_logfile_backups=25)
        + program("looper", LOOPER, startsecs=0, autorestart=True)
        + program("family", FORKER, startsecs=0)
        + program("mortal", SLEEPER, startsecs=0)
        + program("slow", SLOW, startsecs=0)
        + program("deaf", TERM_IGNORER, startsecs=0, stopwaitsecs=1)
        + program("changing", SLEEPER, startsecs=0, environment={"VERSION": str(version)})
    )  # fmt: skip


STABLE = (*(f"writer{n}" for n in range(WRITERS)), "flood", "family")
"""Whoever is not touched; the pids of these must never change."""


def rotate_halfway(log: Path, chance: random.Random) -> None:
    """Do some of the renames that a rotation does, in its order, and stop."""
    files = [*reversed(chain(log)[:-1]), log] if log.exists() else []
    names = [log.with_name(f"{log.name}.{n}") for n in range(1, len(files) + 1)]
    if [*files[:-1]] != names[:-1]:
        return  # the last death left a gap: one rename would be the whole rotation
    moves = [(log, names[0]), *pairwise(names)]
    for old, new in list(reversed(moves))[: chance.randint(1, len(moves))]:
        old.rename(new)


@dataclass
class Havoc:
    """One daemon under attack. `rough`: it is killed; otherwise it is upgraded."""

    daemon: Daemon
    random: random.Random
    rough: bool
    versions: Versions | None = None
    """If the daemon is of an earlier version: the first blow brings this one."""
    version: int = 0
    strikes: int = 0
    flooded: int = 0
    """How many bytes of the flood have been checked."""
    pids: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def begin(cls, daemons: Daemons, seed: int, *, rough: bool, earlier: bool = False) -> Havoc:
        """Start the daemon, of the earlier version if so wished; wait until everyone is there."""
        daemon = daemons.prepare(table(0))
        versions = Versions(daemon) if earlier else None
        havoc = cls(daemon.start(), random.Random(seed), rough, versions)
        for name in (*STABLE, "mortal", "slow", "deaf", "changing"):
            havoc.daemon.wait_state(name, "RUNNING")
        wait_until(lambda: len(havoc.daemon.pids_of("family", "sleep")) == 4)
        wait_until(lambda: len(havoc.daemon.pids_of("family")) == 5, what="only the family")
        havoc.pids = {name: havoc.daemon.pids_of(name) for name in STABLE}
        flood_log = havoc.daemon.dir / "log/flood.stdout.log"
        wait_until(lambda: flood_log.stat().st_size, what="the flood has begun")
        havoc.dam()
        return havoc

    # What happens.

    def rounds(self, count: int) -> None:
        """Let so many things happen, each kind as often as the others, in random order."""
        kinds: list[Callable[[], None]] = [
            self.suddenly, self.while_starting, self.in_a_rotation, self.in_an_update,
            self.in_a_stop, self.in_a_restart, self.with_a_kill_pending, self.with_a_death_unseen,
        ]  # fmt: skip
        todo: list[Callable[[], None]] = []
        for _ in range(count):
            if not todo:
                todo = self.random.sample(kinds, len(kinds))
            todo.pop()()
            self.look()

    def pause(self, most: float) -> None:
        """Let a random time pass: when the blow falls is the point of it all."""
        time.sleep(self.random.uniform(0, most))

    def strike(self) -> None:
        """End the daemon, or upgrade it, in a flood; nobody is there after a kill."""
        self.strikes += 1
        if self.versions is not None:
            self.versions.switch()
        if self.rough:
            os.kill(self.flood, signal.SIGCONT)
            self.pause(0.03)
            kill(self.daemon)
            os.kill(self.flood, signal.SIGSTOP)
        else:
            with self.waves():
                upgrade(self.daemon)
            self.dam()

    @contextlib.contextmanager
    def waves(self) -> Iterator[None]:
        """Let the flood come in some waves, as many as the log has room for."""
        over = threading.Event()

        def roll() -> None:
            for _ in range(WAVES):
                os.kill(self.flood, signal.SIGCONT)
                if over.wait(0.15):
                    break

        roller = threading.Thread(target=roll)
        roller.start()
        try:
            yield
        finally:
            over.set()
            roller.join()

    def recover(self) -> None:
        """Start the next daemon, if this one is dead."""
        if self.rough:
            self.daemon.start()
            self.dam()

    @property
    def flood(self) -> int:
        """The pid of the flood. It is let go only around a blow: it would fill the disk."""
        return self.pids["flood"][0]

    def dam(self) -> None:
        """Hold the flood and check what it has written, before it is rotated away."""
        os.kill(self.flood, signal.SIGSTOP)
        wait_until(lambda: state(self.flood) == "T", what="the flood is held")
        nothing_waits(self.daemon, "flood")
        self.flooded = check_flood(self.daemon.dir / "log/flood.stdout.log", self.flooded)

    def suddenly(self) -> None:
        """At any moment: there is always a rotation going on."""
        self.pause(0.5)
        self.strike()
        self.pause(0.3)
        self.recover()

    def while_starting(self) -> None:
        """Again before it has begun, twice."""
        self.strike()
        for _ in range(2):
            if self.rough:
                self.daemon.launch()
                self.pause(0.4)
            self.strike()
        self.recover()

    def in_a_rotation(self) -> None:
        """Between two of its renames: seldom hit by chance, so its files are left like that."""
        self.strike()
        if self.rough:
            for number in range(WRITERS):
                rotate_halfway(self.daemon.dir / f"log/writer{number}.stdout.log", self.random)
        self.recover()

    def in_an_update(self) -> None:
        """While a program is being replaced by its next version."""
        daemon = self.daemon
        self.version += 1
        daemon.configure(table(self.version))
        before = daemon.status("changing")["pid"]
        with ask(daemon, "update"):
            self.pause(0.05)
            self.strike()
        self.recover()
        daemon.call("update")
        entry = f"VERSION={self.version}"
        name = "SUPERVISOR_PROCESS_NAME=changing"
        wait_until(lambda: len(daemon.marked(name, entry)) == 1, what=f"changing has {entry}")
        assert daemon.status("changing")["pid"] != before
        assert len(daemon.pids_of("changing")) == 1

    def in_a_stop(self) -> None:
        """While a process takes its time to end: the wish must not be forgotten."""
        self.stop_and_strike("slow", 0.5)

    def with_a_kill_pending(self) -> None:
        """While SIGKILL is due in a second for one that does not end."""
        self.stop_and_strike("deaf", 1.2)

    def stop_and_strike(self, name: str, most: float) -> None:
        daemon = self.daemon
        daemon.wait_state(name, "RUNNING")
        wait_until(lambda: "ready" in daemon.text(f"log/{name}.stdout.log"))
        daemon.call("stop", names=[name], wait=False)
        self.pause(most)
        self.strike()
        self.pause(0.2)
        self.recover()
        daemon.wait_state(name, "STOPPED", limit=15)
        assert daemon.status(name)["wanted"] is False
        assert daemon.pids_of(name) == []
        daemon.call("clear", names=[name])
        daemon.call("start", names=[name])

    def in_a_restart(self) -> None:
        """While a restart is on its way: it must come up again, once."""
        daemon = self.daemon
        before = daemon.wait_state("slow", "RUNNING")["pid"]
        wait_until(lambda: "ready" in daemon.text("log/slow.stdout.log"))
        daemon.call("restart", names=["slow"], wait=False)
        self.pause(0.5)
        self.strike()
        self.recover()
        wait_until(lambda: daemon.status("slow")["pid"] not in (None, before), 15, "restarted")
        daemon.wait_state("slow", "RUNNING")

    def with_a_death_unseen(self) -> None:
        """A process dies while no daemon is there: it is replaced by the next one."""
        daemon = self.daemon
        victim = daemon.wait_state("mortal", "RUNNING")["pid"]
        if self.rough:
            self.strike()
            kill_process(victim, reaped=self.random.random() < 0.5)
        else:
            kill_process(victim, reaped=False)
            self.strike()
        self.recover()
        wait_until(lambda: daemon.status("mortal")["pid"] not in (None, victim), what="replaced")
        daemon.wait_state("mortal", "RUNNING")
        assert len(daemon.pids_of("mortal")) == 1

    # What must be true.

    def look(self) -> None:
        """After each blow: the same processes, no second ones, no zombies."""
        daemon = self.daemon
        for name in STABLE:
            assert daemon.status(name)["state"] == "RUNNING", daemon.status(name)
            assert daemon.status(name)["pid"] in self.pids[name]
            assert daemon.pids_of(name) == self.pids[name]
        for name in ("mortal", "changing"):
            assert daemon.pids_of(name) == [daemon.status(name)["pid"]]
        assert "overlap" not in daemon.text("log/looper.stdout.log")
        no_zombies(daemon)

    def finish(self) -> dict[str, int]:
        """Stop everything; check all that was written. Returns the number of lines."""
        daemon = self.daemon
        spawned = daemon.text("log/looper.stdout.log").count("run ")
        wait_until(lambda: daemon.text("log/looper.stdout.log").count("run ") > spawned)
        os.kill(self.flood, signal.SIGCONT)
        daemon.ctl("shutdown")
        assert daemon.wait_exit() == 0
        for pids in self.pids.values():
            assert not any(map(alive, pids))
        assert daemon.marked() == []
        check_journal(daemon)
        numbers = [int(word.rpartition(":")[2]) for word in daemon.text("log/looper.stdout.log")
                   .split() if ":" in word]  # fmt: skip
        assert numbers == sorted(set(numbers)), "run ids grow and are never used again"
        log = daemon.dir / "log"
        lines = {n: check_lines(log / f"{n}.stdout.log") for n in STABLE[:WRITERS]}
        return {**lines, "flood": self.flooded // flood.LINE}
