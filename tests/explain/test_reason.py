"""Why a process is not up, in words that an operator can use."""

from __future__ import annotations

import pytest

from supervisor_lite.explain.cause import exit_text
from supervisor_lite.explain.reason import reason
from supervisor_lite.model.cause import Cause, CauseKind, Leftover, Note, NoteKind
from supervisor_lite.model.events import Event, StartAsked, StopAnnounced, StopAsked
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import State
from supervisor_lite.text import duration
from tests.rules.history import DEAF_RUN, DIES, FAMILY, LIVES
from tests.rules.machine import (
    DONE,
    KILL,
    NEVER,
    RESTART,
    SEGFAULT,
    START,
    STOP,
    UNKNOWN,
    at_most,
    constant,
    program,
)
from tests.rules.stage import DEAF, Run, Stage


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.04, "0 s"),
        (0.5, "0.5 s"),
        (1, "1 s"),
        (1.25, "1.2 s"),
        (10, "10 s"),
        (90, "90 s"),
        (99.9, "99.9 s"),
        (100, "1 m 40 s"),
        (120, "2 m"),
        (125.4, "2 m 5 s"),
        (600, "10 m"),
        (5999, "99 m 59 s"),
        (5999.6, "1 h 40 m"),
        (7200, "2 h"),
        (10920, "3 h 2 m"),
        (172799, "47 h 59 m"),
        (172800, "2 d"),
        (180000, "2 d 2 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


TRIES = program(startsecs=2)
SLOW = Run(obeys=3)
BOOT = StartAsked("", Cause(CauseKind.AUTOSTART))
KEPT = Run(
    lasts=5, exit=DONE, kept=Note(NoteKind.LEFTOVERS_KEPT, processes=(Leftover(7, "sleep"),))
)
CASES: list[tuple[str, Program, tuple[Run, ...], tuple[tuple[float, Event], ...], float, str]] = [
    ("never started", TRIES, (LIVES,), (), 5, "Not started"),
    ("a stop before any start", TRIES, (LIVES,), ((0, STOP),), 5, "Not started"),
    ("the first try", TRIES, (LIVES,), ((0, START),), 1, ""),
    ("a later try", TRIES, (DIES, LIVES), ((0, START),), 2, "try 2 of 4"),
    ("up", TRIES, (LIVES,), ((0, START),), 5, ""),
    (
        "between two tries",
        TRIES,
        (DIES,),
        ((0, START),),
        2,
        "backoff 2 s, try 3 of 4: exit 1",
    ),
    (
        "a spawn error",
        program(backoff=constant(90)),
        (Run(error='cannot start "web": no such command'),),
        ((0, START),),
        5,
        'backoff 90 s, try 2 of 4: cannot start "web": no such command',
    ),
    (
        "asked for, but 0.1 s have not passed",
        TRIES,
        (DIES,),
        ((0, START), (0.05, START)),
        0.07,
        "starting: exit 1",
    ),
    (
        "leftovers of a failed start",
        TRIES,
        (Run(lasts=0, exit=SEGFAULT, leaves=30),),
        ((0, START),),
        5,
        "ending what is left of it: killed by SIGSEGV (core dumped)",
    ),
    (
        "gave up",
        program(startretries=1),
        (DIES,),
        ((0, START),),
        9,
        "gave up after 2 tries: exit 1",
    ),
    (
        "the limit",
        program(restart_limit=at_most(1, 60)),
        (Run(lasts=5),),
        ((0, START),),
        20,
        "gave up after 1 restarts in 60 s: exit 1",
    ),
    (
        "cooling after an exit",
        program(restart_limit=at_most(1, 60, 300)),
        (Run(lasts=5),),
        ((0, START),),
        20,
        "too many restarts, one more try after 5 m: exit 1",
    ),
    (
        "cooling after a failed start",
        program(restart_limit=at_most(1, 60, 300)),
        (DIES,),
        ((0, START),),
        20,
        "too many restarts, one more try after 5 m: exit 1",
    ),
    ("done", TRIES, (Run(lasts=5, exit=DONE),), ((0, START),), 9, "exit 0 (expected)"),
    (
        "nobody knows how it ended",
        program(autorestart=NEVER),
        (Run(lasts=5, exit=UNKNOWN),),
        ((0, START),),
        9,
        "ended with an unknown exit code (not expected)",
    ),
    (
        "something was left alone",
        TRIES,
        (KEPT,),
        ((0, START),),
        9,
        "exit 0 (expected); 1 left running: 7 sleep",
    ),
    (
        "leftovers of what is done",
        TRIES,
        (Run(lasts=5, exit=DONE, leaves=3),),
        ((0, START),),
        6,
        "exit 0 (expected); ending what is left of it",
    ),
    ("being stopped", TRIES, (SLOW,), ((0, START), (5, STOP)), 6, "TERM sent, KILL after 10 s"),
    (
        "being killed",
        program(stopwaitsecs=200),
        (DEAF_RUN,),
        ((0, START), (5, STOP)),
        6,
        "TERM sent, KILL after 3 m 20 s",
    ),
    (
        "what it leaves behind",
        TRIES,
        (FAMILY,),
        ((0, START), (5, STOP)),
        6,
        "waiting for what is left of it to end",
    ),
    ("stopped", TRIES, (LIVES,), ((0, START), (5, STOP)), 9, "stop asked by ann"),
    (
        "stopped by nobody in particular",
        TRIES,
        (LIVES,),
        ((0, BOOT), (5, StopAsked("", Cause(CauseKind.NO_LONGER_DEFINED)))),
        9,
        "no longer defined",
    ),
    (
        "killed",
        program(stopwaitsecs=1.5),
        (DEAF_RUN,),
        ((0, START), (5, STOP)),
        9,
        "stop asked by ann; KILL after 1.5 s",
    ),
    (
        "killed at once, with what it left behind",
        TRIES,
        (Run(obeys=None, leaves=DEAF),),
        ((0, START), (5, STOP), (5.5, KILL)),
        9,
        "stop asked by ann; KILL at once; 1 leftover killed: 8 sleep",
    ),
    (
        "up until its turn to stop comes",
        TRIES,
        (LIVES,),
        ((0, START), (5, StopAnnounced("ann"))),
        9,
        "to be stopped when its turn comes",
    ),
    (
        "between the halves of a restart",
        TRIES,
        (LIVES,),
        ((0, START), (0.02, RESTART)),
        0.05,
        "restart asked by ann",
    ),
]


@pytest.mark.parametrize(
    ("definition", "runs", "asks", "at", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_reason(
    definition: Program,
    runs: tuple[Run, ...],
    asks: tuple[tuple[float, Event], ...],
    at: float,
    expected: str,
) -> None:
    stage = Stage(definition, runs)
    for time, event in asks:
        stage.ask(event, time)
    stage.play(at)
    assert reason(definition, stage.record) == expected


def test_after_sigkill_the_reason_says_so() -> None:
    """A process that does not even end of SIGKILL (a dead disk) is not said to get it later."""
    record = Record(state=State.STOPPING, pid=7, run=1, deadline=5.0, killed=True)
    assert reason(TRIES, record) == "KILL sent"


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Exit(code=0), "exit 0"),
        (Exit(code=255), "exit 255"),
        (Exit(signal="SIGKILL"), "killed by SIGKILL"),
        (Exit(signal="SIGABRT", core=True), "killed by SIGABRT (core dumped)"),
        (Exit(signal="SIGKILL", out_of_memory=True), "killed by SIGKILL: out of memory"),
        (Exit(), "ended with an unknown exit code"),
        (
            Exit(signal="SIGKILL", out_of_memory=True, memory_max=64 << 20),
            "killed by SIGKILL: out of memory (memory_max 64MB)",
        ),
        (
            Exit(out_of_memory=True),
            "ended with an unknown exit code: probably out of memory",
        ),
    ],
)
def test_exits(how: Exit, words: str) -> None:
    assert exit_text(how) == words
