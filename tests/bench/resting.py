"""Scenarios: what a daemon costs while nothing happens."""

from __future__ import annotations

import contextlib
import time

from tests.bench.contenders import GUESTS
from tests.bench.measure import PEER, Goal
from tests.bench.session import DAEMONS, Session, sitters

_SETTLED = 3.0
"""Seconds after the last child was alive: startsecs are over, nothing is left to do."""


def idle(session: Session) -> None:
    """How often a daemon wakes up and what it burns; all daemons at the same time."""
    seconds = session.either(30, 5)
    for count in session.either((100, 1000), (100,)):
        wakes = session.metric(f"idle, {count} programs: wake-ups in {seconds} s", "", Goal(0))
        burnt = session.metric(f"idle, {count} programs: CPU in {seconds} s", "ms", Goal(0))
        with contextlib.ExitStack() as stack:
            contenders = []
            for kind in session.turn(DAEMONS):
                with session.attempt(kind):
                    contender, beats = stack.enter_context(session.contender(kind, sitters(count)))
                    contender.launch()
                    beats.collect(count, 120)
                    contender.wait_answer()
                    contenders.append(contender)
            time.sleep(_SETTLED)
            before = [contender.usage() for contender in contenders]
            time.sleep(seconds)
            for contender, first in zip(contenders, before, strict=True):
                used = contender.usage().since(first)
                wakes.add(contender.name, used.switches)
                burnt.add(contender.name, used.cpu * 1000)
            guests = [contender for contender in contenders if isinstance(contender, GUESTS)]
            for contender in guests:  # the others have rounds of their own, below
                resident, proportional = contender.memory()
                session.metric(f"RSS, {count} programs", "MB").add(contender.name, resident)
                session.metric(f"PSS, {count} programs", "MB").add(contender.name, proportional)


def footprint(session: Session) -> None:
    """RSS and PSS of the daemon alone, after everything is up and it was asked once."""
    for count in (0, 100, 1000):
        rss = session.metric(f"RSS, {count} programs", "MB", Goal(1, PEER))
        pss = session.metric(f"PSS, {count} programs", "MB", Goal(1, PEER))
        for _ in session.rounds(2):
            for kind in session.fit(DAEMONS):
                programs = sitters(count)
                with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                    contender.launch()
                    beats.collect(count, 120)
                    contender.wait_answer()
                    time.sleep(_SETTLED if count else 0.5)
                    resident, proportional = contender.memory()
                    rss.add(kind.name, resident)
                    pss.add(kind.name, proportional)
