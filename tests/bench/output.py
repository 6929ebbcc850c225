"""Scenarios: a child that floods its output, and what that does to everything else."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench.beats import Beats
from tests.bench.contenders import GUESTS, Bare, Contender, Lite, Program, Supervisor
from tests.bench.measure import CAT, LITE, PEER, S6_NAME, Goal, Series
from tests.bench.place import timed, wait_until
from tests.bench.session import DAEMONS, Session
from tests.bench.spawning import Victims
from tests.bench.venvs import ROOT

MB = 1_000_000
_FLOOD = ROOT / "tests/bench/flood.py"
_CHATTER = ROOT / "tests/bench/chatty.py"
_CHATTY = 50
_MAXBYTES = 50 << 20
_NEIGHBOURS = 20
_ENDLESS = 1 << 50
"""More bytes than anybody writes: the child goes on until it is killed."""


class Cat(Bare):
    """The same writer into `cat > file`: a pipe, a copy, no rotation."""

    name = CAT


def flood(session: Session) -> None:
    """One child writes half a GB; until every byte is in its log, rotated every 50 MB.

    Not more at once: beyond that the memory of a virtual machine is measured (see flood.py).
    """
    total = session.either(500, 250) * MB
    rate = session.metric(
        "flood: bytes captured and rotated", "MB/s", Goal(1.25, PEER, least=True, later="0.8 × cat")
    )
    cost = session.metric("flood: daemon CPU", "s/GB")
    for number in session.rounds(7):
        for kind in session.turn((Lite, Cat, Supervisor), number):
            # The guests are slow, and their first hundred MB take as long as the next.
            size = total // 4 if kind in GUESTS else total
            programs = _flooder(session, kind, size)
            with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                contender.launch()
                logs = contender.place.disk / "flood"
                (first, *_rest) = beats.wait(30)
                before = contender.usage()
                wait_until(partial(_holds, logs, size), 60, "all is written", pause=0.004)
                took = time.monotonic() - first.at
                rate.add(kind.name, size / MB / took)
                if kind is not Cat:
                    cost.add(kind.name, contender.usage().since(before).cpu / (size / 1e9))


def chatty(session: Session) -> None:
    """Fifty children with a MB a second each: what capturing and rotating that costs."""
    seconds = session.either(10, 4)
    name = f"{_CHATTY} children with 1 MB/s each: "
    rate = session.metric(f"{name}captured", "MB/s")
    cost = session.metric(f"{name}CPU", "s/GB", Goal(1, S6_NAME))
    for number in session.rounds(2):
        for kind in session.turn((Lite,) if number else DAEMONS, number):
            programs = _chatterers(session)
            with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                contender.launch()
                beats.collect(_CHATTY, 60)
                time.sleep(2.0)  # the start is not measured
                logs = contender.place.disk / "chatty"
                before, size, began = contender.usage(), _size(logs), time.monotonic()
                time.sleep(seconds)
                used = contender.usage().since(before)
                took = time.monotonic() - began
                written = _size(logs) - size
                rate.add(kind.name, written / MB / took)
                cost.add(kind.name, used.cpu / (written / 1e9))


def _chatterers(session: Session) -> Callable[[Beats, Path], list[Program]]:
    def programs(beats: Beats, directory: Path) -> list[Program]:
        writer = [str(session.lite_bin / "python"), "-I", "-S", str(_CHATTER), str(beats.path)]
        made = []
        for number in range(_CHATTY):
            name = f"p{number:04}"
            logs = directory / "chatty" / name
            logs.mkdir(parents=True)
            made.append(Program(name, [*writer, name], log=logs / "log", maxbytes=5 << 20))
        return made

    return programs


def _size(directory: Path) -> int:
    """Return how many bytes the logs of all programs hold, while they are rotated."""
    size = 0
    for program in directory.iterdir():
        with os.scandir(program) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    size += entry.stat().st_size
    return size


def _flooder(
    session: Session, kind: type[Contender], total: int
) -> Callable[[Beats, Path], list[Program]]:
    """Return the program that floods; one without end keeps little of what it writes."""

    def programs(beats: Beats, directory: Path) -> list[Program]:
        logs = directory / "flood"
        logs.mkdir()
        log = logs / "log"
        writer = [str(session.lite_bin / "python"), "-I", "-S", str(_FLOOD)]
        command = [*writer, str(beats.path), str(total), str(directory / "scratch")]
        if kind is Cat:
            target = "/dev/null" if total == _ENDLESS else str(log)
            command = ["/bin/sh", "-c", 'out="$0"; "$@" | cat >"$out"', target, *command]
        backups = 2 if total == _ENDLESS else total // _MAXBYTES + 2
        return [Program("flood", command, log=log, maxbytes=_MAXBYTES, backups=backups)]

    return programs


def _holds(directory: Path, total: int) -> bool:
    """Tell whether the files of a directory that is being rotated hold so many bytes."""
    sizes = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                sizes += entry.stat().st_size
    return sizes >= total


def control_in_flood(session: Session) -> None:
    """The status command and a neighbour's restart, without and with a child that floods."""
    quiet_status = session.metric("status command beside no flood", "ms")
    status = session.metric("status command beside a flood", "ms", Goal(100))
    worst = session.metric("status command beside a flood, longest", "ms", Goal(100))
    quiet_restart = session.metric("death → replacement beside no flood", "ms")
    restart = session.metric("death → replacement beside a flood", "ms")
    kinds: tuple[type[Contender], ...] = (Lite, Cat, Supervisor)
    for flooding in (False, True):
        for kind in session.turn(kinds):
            programs = _neighbours(session, kind, flooding)
            with session.attempt(kind), session.contender(kind, programs) as (contender, beats):
                contender.launch()
                victims = Victims(contender, beats, _NEIGHBOURS + flooding, spared="flood")
                deaths = restart if flooding else quiet_restart
                few = session.either(40, 15) if kind in (Lite, Cat) else 3
                for _ in range(few):
                    deaths.add(kind.name, victims.kill_next() * 1000)
                if not contender.has_client:
                    continue
                for _ in range(session.either(20, 7) if kind in DAEMONS else 5):
                    took, _code = timed(contender.status_command(), contender.environment())
                    (status if flooding else quiet_status).add(kind.name, took * 1000)
    slower = session.metric("death → replacement beside a flood ÷ without", "×", Goal(2))
    for kind in session.turn(kinds):
        slower.add(kind.name, restart.of(kind.name).median / quiet_restart.of(kind.name).median)
    for name in (LITE, PEER):
        values = status.of(name).values
        worst.series[name] = Series([max(values)] if values else [])


def _neighbours(
    session: Session, kind: type[Contender], flooding: bool
) -> Callable[[Beats, Path], list[Program]]:
    def programs(beats: Beats, directory: Path) -> list[Program]:
        made = [Program(f"p{n:04}", beats.sitter(f"p{n:04}")) for n in range(_NEIGHBOURS)]
        return made + (_flooder(session, kind, _ENDLESS)(beats, directory) if flooding else [])

    return programs
