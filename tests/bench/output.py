"""Scenarios: a child that floods its output, and what that does to everything else."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench.beats import Beats
from tests.bench.contenders import Bare, Contender, Lite, Program, Supervisor
from tests.bench.measure import LITE, PEER, Goal, Series
from tests.bench.place import timed, usage, wait_until
from tests.bench.session import Session
from tests.bench.spawning import Victims
from tests.bench.venvs import ROOT

MB = 1_000_000
CAT = "cat > file"
_FLOOD = ROOT / "tests/bench/flood.py"
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
        "flood: bytes captured and rotated", "MB/s", Goal(0.6, CAT, least=True, later="0.8 ×")
    )
    cost = session.metric("flood: daemon CPU", "s/GB")
    for _ in session.rounds(9):
        for kind in (Lite, Cat, Supervisor):
            with session.contender(kind, _flooder(session, kind, total)) as (contender, beats):
                contender.launch()
                logs = contender.place.disk / "flood"
                (first, *_rest) = beats.wait(30)
                before = usage(contender.pid)
                wait_until(partial(_holds, logs, total), 60, "all is written", pause=0.004)
                took = time.monotonic() - first.at
                rate.add(kind.name, total / MB / took)
                if kind is not Cat:
                    cost.add(kind.name, usage(contender.pid).since(before).cpu / (total / 1e9))


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
        for kind in kinds:
            programs = _neighbours(session, kind, flooding)
            with session.contender(kind, programs) as (contender, beats):
                contender.launch()
                victims = Victims(contender, beats, _NEIGHBOURS + flooding, spared="flood")
                deaths = restart if flooding else quiet_restart
                few = 3 if kind is Supervisor else session.either(60, 15)
                for _ in range(few):
                    deaths.add(kind.name, victims.kill_next() * 1000)
                if not contender.has_client:
                    continue
                for _ in range(session.either(20, 7)):
                    took, _code = timed(contender.status_command(), session.environment())
                    (status if flooding else quiet_status).add(kind.name, took * 1000)
    slower = session.metric("death → replacement beside a flood ÷ without", "×", Goal(2))
    for kind in kinds:
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
