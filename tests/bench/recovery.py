"""Scenarios: the daemon itself dies or is replaced, and its programs run on."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tests.bench.contenders import Lite
from tests.bench.measure import LITE, Goal
from tests.bench.place import wait_until
from tests.bench.session import Session, sitters
from tests.bench.venvs import BenchError
from tests.client import Connection

MS = 1000.0
_PAUSE = 0.002
"""Seconds between two questions of the client that notices the silence."""


def adoption(session: Session) -> None:
    """kill -9 → the next daemon has every process; and `upgrade`, as a client notices it."""
    for count in session.either((1, 100, 500, 1000), (1, 100)):
        large = count == 500
        adopted = session.metric(
            f"adoption of {count}: exec after kill -9 → all in its care", "ms",
            Goal(1000) if large else None,
        )  # fmt: skip
        silent = session.metric(
            f"upgrade with {count}: longest silence on the socket", "ms",
            Goal(150) if large else None,
        )  # fmt: skip
        burnt = session.metric(f"upgrade with {count}: CPU", "ms")
        with session.attempt(Lite), _running(session, count) as daemon:
            before = daemon.children()
            for _ in session.rounds(5, 2):
                adopted.add(LITE, _adopts(daemon, before) * MS)
            for _ in session.rounds(5, 2):
                used = daemon.usage()
                silent.add(LITE, _silence(daemon) * MS)
                burnt.add(LITE, daemon.usage().since(used).cpu * MS)
                if daemon.children() != before:
                    raise BenchError("an upgrade has lost or restarted a process")


@contextlib.contextmanager
def _running(session: Session, count: int) -> Iterator[Lite]:
    """Return our daemon with so many programs, up for longer than startsecs."""
    with session.contender(Lite, sitters(count)) as (daemon, beats):
        assert isinstance(daemon, Lite)
        daemon.launch()
        beats.collect(count, 120)
        daemon.wait_answer()
        time.sleep(1.5)  # startsecs are over: whatever happens from now on is asked for
        yield daemon


def _adopts(daemon: Lite, before: dict[str, int]) -> float:
    """Kill the daemon, start the next; return the seconds until it answers with all of them."""
    daemon.kill()
    began = time.monotonic()
    daemon.launch()
    daemon.wait_answer()
    found = daemon.children()
    took = time.monotonic() - began
    if found != before:
        raise BenchError(f"adopted {len(found.items() & before.items())} of {len(before)}")
    return took


def _silence(daemon: Lite) -> float:
    """Upgrade while a client asks all the time; return its longest wait for an answer."""
    answers: list[float] = []
    over = threading.Event()
    asker = threading.Thread(target=_ask, args=(daemon.socket, answers, over))
    asker.start()
    try:
        wait_until(lambda: len(answers) > 20, 20, "a client is answered")
        daemon.upgrade()
        daemon.wait_answer()
        count = len(answers)
        wait_until(lambda: len(answers) > count + 20, 20, "a client is answered again")
    finally:
        over.set()
        asker.join()
    return max(after - before for before, after in pairwise(answers))


def _ask(socket: Path, answers: list[float], over: threading.Event) -> None:
    while not over.is_set():
        with contextlib.suppress(OSError), Connection(socket, 30.0) as connection:
            connection.send("version")
            if connection.receive() is not None:
                answers.append(time.monotonic())
        time.sleep(_PAUSE)
