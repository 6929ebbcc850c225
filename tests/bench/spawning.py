"""Scenarios: how fast things start, come back and stop."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.beats import Beats
from tests.bench.contenders import Bare, Contender, Lite, Supervisor
from tests.bench.measure import BARE, LITE, PEER, Goal
from tests.bench.place import usage
from tests.bench.session import ALL, DAEMONS, Session, sitters
from tests.bench.venvs import BenchError

MS = 1000.0


class Spawning(Bare):
    """The floor of a respawn: no Popen object, only what the kernel wants."""

    how = "spawn"


def cold_start(session: Session) -> None:
    """Exec of the daemon → its first answer, with one program."""
    answer = session.metric("cold start → first answer", "ms", Goal(1, PEER))
    alive = session.metric("cold start → its program alive", "ms", Goal(1, PEER))
    burnt = session.metric("cold start: CPU until then", "ms", Goal(1, PEER))
    for _ in session.rounds(11, 3):
        for kind in DAEMONS:
            with session.contender(kind, sitters(1)) as (contender, beats):
                began = time.monotonic()
                contender.launch()
                contender.wait_answer()
                answer.add(kind.name, (time.monotonic() - began) * MS)
                (beat, *_rest) = beats.wait(20)
                alive.add(kind.name, (beat.at - began) * MS)
                burnt.add(kind.name, usage(contender.pid).cpu * MS)


def start(session: Session) -> None:
    """Exec of the daemon, or a request to start everything → the last of N children alive."""
    for count, rounds in ((500, session.rounds(5)), (1000, session.rounds(3, 0))):
        cold = session.metric(
            f"start {count}: exec → last alive", "ms", Goal(1.5, BARE, later="1.6 ×, ≤ 700 ms")
        )
        asked = session.metric(f"start {count}: asked → last alive", "ms")
        burnt = session.metric(f"start {count}: daemon CPU a child, its own start included", "µs")
        for _ in rounds:
            for kind in ALL:
                with session.contender(kind, sitters(count)) as (contender, beats):
                    began = time.monotonic()
                    contender.launch()
                    cold.add(kind.name, _last(beats, count, began))
                    burnt.add(kind.name, usage(contender.pid).cpu / count * 1e6)
            for kind in ALL:
                programs = sitters(count, autostart=False)
                with session.contender(kind, programs) as (contender, beats):
                    contender.launch()
                    contender.wait_answer()
                    began = time.monotonic()
                    contender.start_all()
                    asked.add(kind.name, _last(beats, count, began))


def _last(beats: Beats, count: int, began: float) -> float:
    return (beats.collect(count, 120)[-1].at - began) * MS


def stop(session: Session) -> None:
    """SIGTERM to the daemon → every child gone and the daemon too."""
    for count, rounds in ((100, session.rounds(5)), (1000, session.rounds(3, 0))):
        goal = Goal(200) if count == 1000 else None
        metric = session.metric(f"stop {count}: SIGTERM → all gone", "ms", goal)
        for _ in rounds:
            for kind in DAEMONS:
                with session.contender(kind, sitters(count)) as (contender, beats):
                    contender.launch()
                    children = [beat.pid for beat in beats.collect(count, 120)]
                    contender.wait_answer()
                    began = time.monotonic()
                    contender.terminate()
                    metric.add(kind.name, (time.monotonic() - began) * MS)
                    left = [pid for pid in children if _runs(pid)]
                    if left:
                        raise BenchError(f"{kind.name} left {len(left)} of {count} running")


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


class Victims:
    """The programs of one contender, killed one after another."""

    UP = 1.15
    """Seconds that one has been up before it is killed: it is RUNNING, this is no failed start."""

    def __init__(self, contender: Contender, beats: Beats, count: int, *, spared: str = "") -> None:
        self.name = contender.name
        self._beats = beats
        self._latest = {beat.name: beat for beat in beats.collect(count, 60)}
        self._latest.pop(spared, None)

    def kill_next(self) -> float:
        """Kill -9 the one that is up for longest; return the seconds until its replacement ran."""
        victim = min(self._latest.values(), key=lambda beat: beat.at)
        time.sleep(max(0.0, victim.at + self.UP - time.monotonic()))
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
    median = session.metric("death → replacement, median", "ms", Goal(2, BARE, later="1.4 ×"))
    kinds: Sequence[type[Contender]] = (Lite, Spawning, Supervisor)
    with contextlib.ExitStack() as stack:
        victims = []
        for kind in kinds:
            contender, beats = stack.enter_context(session.contender(kind, sitters(count)))
            contender.launch()
            victims.append(Victims(contender, beats, count))
        ours, bare, peer = victims
        for number in range(session.either(300, 60)):
            for who in (ours, bare):
                median.add(who.name, who.kill_next() * MS)
            if number < session.either(15, 2):
                median.add(peer.name, peer.kill_next() * MS)
    tail = session.metric("death → replacement, p99", "ms", Goal(2, BARE, later="3 ms"))
    for name in (LITE, BARE):
        tail.series[name] = median.of(name).tail(99)
