"""Scenarios: how fast things start, come back and stop."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence

from tests.bench.beats import Beats
from tests.bench.contenders import GUESTS, Bare, Contender, Lite, Supervisor
from tests.bench.measure import BARE, LITE, PEER, Goal
from tests.bench.place import runs
from tests.bench.session import ALL, DAEMONS, Session, sitters
from tests.bench.venvs import BenchError

MS = 1000.0
_UP = 1.15
"""Seconds that a program has been up before it ends: it is RUNNING, this is no failed start."""


class Spawning(Bare):
    """The floor of a respawn: no Popen object, only what the kernel wants."""

    how = "spawn"


def cold_start(session: Session) -> None:
    """Exec of the daemon → its first answer, with one program."""
    answer = session.metric("cold start → first answer", "ms", Goal(1, PEER))
    alive = session.metric("cold start → its program alive", "ms", Goal(1, PEER))
    burnt = session.metric("cold start: CPU until then", "ms", Goal(1, PEER))
    for number in session.rounds(11, 3):
        for kind in session.turn(DAEMONS, number, guests=3):
            with session.attempt(kind), session.contender(kind, sitters(1)) as (contender, beats):
                began = time.monotonic()
                contender.launch()
                contender.wait_answer()
                answer.add(kind.name, (time.monotonic() - began) * MS)
                (beat, *_rest) = beats.wait(20)
                alive.add(kind.name, (beat.at - began) * MS)
                burnt.add(kind.name, contender.usage().cpu * MS)


def start(session: Session) -> None:
    """Exec of the daemon, or a request to start everything → the last of N children alive."""
    for count, rounds in _counts(session):
        goal = Goal(1.6, BARE, later="≤ 700 ms") if count == 1000 else None
        cold = session.metric(f"start {count}: exec → last alive", "ms", goal)
        asked = session.metric(f"start {count}: asked → last alive", "ms", Goal(1.5, BARE))
        burnt = session.metric(f"start {count}: daemon CPU a child, its own start included", "µs")
        for number in rounds:
            for kind in session.turn(ALL, number):
                programs = sitters(count)
                with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                    began = time.monotonic()
                    contender.launch()
                    cold.add(kind.name, _last(beats, count, began))
                    burnt.add(kind.name, contender.usage().cpu / count * 1e6)
            for kind in session.turn(ALL, number):
                programs = sitters(count, autostart=False)
                with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                    contender.launch()
                    contender.wait_answer()
                    began = time.monotonic()
                    contender.start_all()
                    asked.add(kind.name, _last(beats, count, began))


def _counts(session: Session) -> Sequence[tuple[int, range]]:
    """Return how many programs, and how often."""
    both = (500, session.rounds(3)), (1000, session.rounds(2))
    return session.either(both, ((100, session.rounds(3)),))


def _last(beats: Beats, count: int, began: float) -> float:
    return (beats.collect(count, 120)[-1].at - began) * MS


def stop(session: Session) -> None:
    """Ask the daemon to end, with SIGTERM or as it wants it → it and every child gone."""
    for count, rounds in _counts(session):
        goal = Goal(200) if count == 1000 else None
        metric = session.metric(f"stop {count}: asked → all gone", "ms", goal)
        for number in rounds:
            for kind in session.turn(DAEMONS, number):
                programs = sitters(count)
                with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                    contender.launch()
                    children = [beat.pid for beat in beats.collect(count, 120)]
                    contender.wait_answer()
                    time.sleep(_UP)
                    began = time.monotonic()
                    contender.terminate()
                    metric.add(kind.name, (time.monotonic() - began) * MS)
                    left = [pid for pid in children if runs(pid)]
                    if left:
                        raise BenchError(f"{kind.name} left {len(left)} of {count} running")


class Victims:
    """The programs of one contender, killed one after another."""

    def __init__(self, contender: Contender, beats: Beats, count: int, *, spared: str = "") -> None:
        self.name = contender.name
        self._beats = beats
        self._latest = {beat.name: beat for beat in beats.collect(count, 60)}
        self._latest.pop(spared, None)

    def kill_next(self) -> float:
        """Kill -9 the one that is up for longest; return the seconds until its replacement ran."""
        victim = min(self._latest.values(), key=lambda beat: beat.at)
        time.sleep(max(0.0, victim.at + _UP - time.monotonic()))
        began = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        end = began + 20
        while True:
            for beat in self._beats.wait(max(end - time.monotonic(), 0.001)):
                self._latest[beat.name] = beat
                if beat.name == victim.name:
                    return beat.at - began


def restart(session: Session) -> None:
    """kill -9 → the replacement says that it runs. Two daemons are killed in turns."""
    count = 40
    median = session.metric("death → replacement, median", "ms", Goal(1.4, BARE))
    for kind, kills in ((Supervisor, 9), *((guest, 4) for guest in GUESTS)):
        for here in session.fit([kind]):
            with session.attempt(here), session.contender(here, sitters(count)) as (slow, beats):
                slow.launch()
                victims = Victims(slow, beats, count)
                for _ in range(session.either(kills, 2)):
                    median.add(here.name, victims.kill_next() * MS)
    with contextlib.ExitStack() as stack:
        pair = []
        for kind in (Lite, Spawning):
            contender, beats = stack.enter_context(session.contender(kind, sitters(count)))
            contender.launch()
            pair.append(Victims(contender, beats, count))
        for _ in range(session.either(300, 60)):
            for who in pair:
                median.add(who.name, who.kill_next() * MS)
    tail = session.metric("death → replacement, p99", "ms", Goal(3))
    for name in (LITE, BARE):
        tail.series[name] = median.of(name).tail(99)
