"""Scenarios: how fast a daemon answers, at rest and under load."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter

from tests.bench.beats import Beats
from tests.bench.contenders import Circus, Contender, Daemontools, Lite, interpreter
from tests.bench.measure import BARE, Goal
from tests.bench.place import is_over, open_pidfd, timed
from tests.bench.session import DAEMONS, Session, crashers, sitters
from tests.bench.venvs import ROOT, BenchError

MS = 1000.0


def status(session: Session) -> None:
    """The whole `status` command, beside a Python that does nothing."""
    goals = {1: Goal(40), 1000: Goal(60)}
    nothing = interpreter(session.lite_bin)
    for count in session.either((1, 100, 1000), (1, 100)):
        metric = session.metric(f"status command, {count} programs", "ms", goals.get(count))
        for kind in session.turn(DAEMONS):
            programs = sitters(count)
            with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                contender.launch()
                beats.collect(count, 120)
                contender.wait_answer()
                time.sleep(1.5)  # until startsecs are over: nothing else happens meanwhile
                command = contender.status_command()
                for _ in range(
                    session.either(25, 9) if kind is Lite else 5 if kind in DAEMONS else 3
                ):
                    if kind is Lite:
                        metric.add(BARE, timed(nothing, contender.environment())[0] * MS)
                    took, code = timed(command, contender.environment())
                    if code:
                        raise BenchError(f"{' '.join(command)} ended with {code}")
                    metric.add(kind.name, took * MS)


def restart_command(session: Session) -> None:
    """An operator restarts one program: until the command is done, and until it runs again."""
    for count in session.either((1, 100, 1000), (1, 100)):
        done = session.metric(f"restart command, {count} programs: done", "ms")
        alive = session.metric(f"restart command, {count} programs: → alive again", "ms")
        for kind in session.turn(DAEMONS):
            programs = sitters(count)
            with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                contender.launch()
                beats.collect(count, 120)
                contender.wait_answer()
                for number in range(session.either(6, 3) if kind is Lite else 3):
                    if number == 0 or count == 1:
                        time.sleep(1.5)  # it is up by its own rules before it is restarted
                    over, again = _restarted(contender, beats, f"p{number % count:04}")
                    done.add(kind.name, over * MS)
                    alive.add(kind.name, again * MS)


def _restarted(contender: Contender, beats: Beats, program: str) -> tuple[float, float]:
    """Restart by command; return seconds until it was done and until the program ran."""
    beats.ready()
    command = contender.restart_command(program)
    ended: list[float] = []
    began = time.monotonic()
    with contender.place.popen(command) as client, open_pidfd(client.pid) as pidfd:
        watcher = threading.Thread(
            target=lambda: ended.extend([time.monotonic()] if is_over(pidfd, 60) else [])
        )
        watcher.start()
        try:
            (beat, *_rest) = beats.wait(30)
        finally:
            watcher.join()
            client.kill()  # no more than a formality, unless it hangs
    if client.returncode or not ended:
        raise BenchError(f"the restart failed: {contender.place.said()}")
    return ended[0] - began, beat.at - began


def listing(session: Session) -> None:
    """Requests for the whole list per second, over the socket, by one client and by eight."""
    seconds = session.either(2, 1)
    for count in session.either((1, 100, 1000), (1, 100)):
        for kind in session.fit((*DAEMONS, Circus)):
            programs = sitters(count)
            with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                contender.launch()
                beats.collect(count, 120)
                contender.wait_answer()
                time.sleep(1.5)  # as above
                for clients in (1, 8):
                    goal = Goal(600, least=True) if (count, clients) == (1000, 1) else None
                    name = f"list, {count} programs, {clients} client" + "s" * (clients > 1)
                    rate = _rate(session, contender, clients, seconds)
                    session.metric(name, "/s", goal).add(kind.name, rate)


def _rate(session: Session, contender: Contender, clients: int, seconds: int) -> float:
    protocol, path = contender.lister()
    script = str(ROOT / "tests/bench/lister.py")
    command = [str(session.lite_bin / "python"), "-I", "-S", script, protocol, str(path)]
    running = [
        contender.place.popen([*command, str(seconds)], stdout=subprocess.PIPE)
        for _ in range(clients)
    ]
    said = [process.communicate(timeout=seconds + 60)[0] for process in running]
    if any(process.returncode for process in running):
        raise BenchError(f"a client of {contender.name} failed: {contender.place.said()}")
    return sum(map(float, said))


def crash_loop(session: Session) -> None:
    """100 programs that fail at once: what a restart costs, and that the loop is held."""
    count, seconds = 100, 6.0  # circus looks every 5 s
    rate = session.metric("crash loop, 100 programs: restarts", "/s")
    fastest = session.metric("crash loop: restarts of the busiest program", "/s", Goal(10.5))
    cost = session.metric("crash loop: daemon CPU a restart", "µs", Goal(500))
    for number in session.rounds(2):
        for kind in session.turn(DAEMONS, number):
            programs = crashers(count)
            with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                contender.launch()
                contender.wait_answer()
                time.sleep(1.0)  # the start is not measured
                beats.ready()
                before, began = contender.usage(), time.monotonic()
                seen: Counter[str] = Counter()
                while time.monotonic() < began + seconds:
                    time.sleep(0.02)
                    seen.update(beat.name for beat in beats.ready())
                if not seen:
                    raise BenchError("no program was started again")
                took = time.monotonic() - began
                used = contender.usage().since(before)
                rate.add(kind.name, seen.total() / took)
                fastest.add(kind.name, max(seen.values()) / took)
                cost.add(kind.name, used.cpu / seen.total() * 1e6)


def status_in_crash_loop(session: Session) -> None:
    """The status command while 1000 programs fail all the time."""
    count, limit = 1000, 10.0
    name = f"status command while {count} programs crash-loop"
    metric = session.metric(name, "ms", Goal(100))
    rate = session.metric(f"{name}: restarts", "/s")
    kinds = session.fit((Lite,)) if session.quick else session.turn(DAEMONS)
    for kind in kinds:
        if kind is Daemontools:
            continue  # a thousand of its supervisors that respawn cannot be got rid of
        programs = crashers(count)
        with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
            contender.launch()
            contender.wait_answer(120)
            time.sleep(2.0)  # the loop is on its way
            beats.ready()
            seen, began = 0, time.monotonic()
            for _ in range(session.either(15, 5) if kind is Lite else 3):
                took, code = timed(contender.status_command(), contender.environment(), limit)
                metric.add(kind.name, took * MS)
                seen += len(beats.ready())
                if code == -9:
                    metric.of(kind.name).note = f"no answer in {limit:g} s"
                    break
            rate.add(kind.name, seen / (time.monotonic() - began))
