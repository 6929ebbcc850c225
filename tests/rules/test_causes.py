"""Every change says why, who asked, and what else had to be done."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from supervisor_lite.model.cause import Cause, CauseKind, Leftover, Note, NoteKind
from supervisor_lite.model.events import Event, StartAsked, StopAsked
from supervisor_lite.model.program import Program
from tests.rules.history import DEAF_RUN, DIES, LIVES
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
    program,
)
from tests.rules.stage import DEAF, Run, Stage


@dataclass(frozen=True, slots=True)
class Tale:
    """A history, told with its causes; what is asked is asked at these times."""

    name: str
    program: Program
    runs: tuple[Run, ...]
    asks: tuple[tuple[float, Event], ...]
    expected: str


TALES = (
    Tale(
        "a start that works",
        program(startsecs=1.5),
        (LIVES,),
        ((0, START),),
        """
        0 STARTING: start asked by ann
        1.5 RUNNING: up for 1.5 s""",
    ),
    Tale(
        "a start that never works",
        program(startretries=1),
        (DIES,),
        ((0, StartAsked("", Cause(CauseKind.AUTOSTART))),),
        """
        0 STARTING: autostart
        0 BACKOFF: exit 1
        1 STARTING: try 2 of 2
        1 BACKOFF: exit 1
        1 FATAL: gave up after 2 tries: exit 1""",
    ),
    Tale(
        "a command that does not exist",
        program(startretries=0),
        (Run(error="cannot find command"),),
        ((0, START),),
        """
        0 STARTING: start asked by ann
        0 BACKOFF: cannot find command
        0 FATAL: gave up after 1 try: cannot find command""",
    ),
    Tale(
        "a respawn",
        program(),
        (Run(lasts=5, exit=SEGFAULT), Run(lasts=5, exit=UNKNOWN), Run(lasts=5, exit=DONE)),
        ((0, START),),
        """
        0 STARTING: start asked by ann
        1 RUNNING: up for 1 s
        5 EXITED: killed by SIGSEGV (core dumped) (not expected)
        5 STARTING: restart after killed by SIGSEGV (core dumped)
        6 RUNNING: up for 1 s
        10 EXITED: ended with an unknown exit code (not expected)
        10 STARTING: restart after ended with an unknown exit code
        11 RUNNING: up for 1 s
        15 EXITED: exit 0 (expected)""",
    ),
    Tale(
        "the exit before is forgotten when a spawn fails, and the error when one works",
        program(startretries=1),
        (Run(lasts=5), Run(error="no memory"), Run(lasts=0)),
        ((0, START),),
        """
        0 STARTING: start asked by ann
        1 RUNNING: up for 1 s
        5 EXITED: exit 1 (not expected)
        5 STARTING: restart after exit 1
        5 BACKOFF: no memory
        6 STARTING: try 2 of 2
        6 BACKOFF: exit 1
        6 FATAL: gave up after 2 tries: exit 1""",
    ),
    Tale(
        "a stop that needs SIGKILL; the next run knows nothing of it",
        program(stopwaitsecs=2.5, startretries=0),
        (DEAF_RUN, Run(error="no such user")),
        ((0, START), (5, STOP), (10, START)),
        """
        0 STARTING: start asked by ann
        1 RUNNING: up for 1 s
        5 STOPPING: stop asked by ann
        7.5 STOPPED: stop asked by ann [KILL after 2.5 s]
        10 STARTING: start asked by ann [KILL after 2.5 s]
        10 BACKOFF: no such user
        10 FATAL: gave up after 1 try: no such user""",
    ),
    Tale(
        "the last who asked is named",
        program(),
        (Run(obeys=3),),
        ((0, START), (5, RESTART), (6, StopAsked("bob", Cause(CauseKind.NO_LONGER_DEFINED)))),
        """
        0 STARTING: start asked by ann
        1 RUNNING: up for 1 s
        5 STOPPING: restart asked by ann
        8 STOPPED: no longer defined by bob""",
    ),
    Tale(
        "a start during a stop is named too",
        program(),
        (Run(obeys=3), LIVES),
        ((0, START), (5, STOP), (6, StartAsked("bob"))),
        """
        0 STARTING: start asked by ann
        1 RUNNING: up for 1 s
        5 STOPPING: stop asked by ann
        8 STOPPED: start asked by bob
        8 STARTING: start asked by bob
        9 RUNNING: up for 1 s""",
    ),
    Tale(
        "killed at once, with leftovers",
        program(),
        (Run(obeys=None, leaves=DEAF),),
        ((0, START), (5, STOP), (6, KILL)),
        """
        0 STARTING: start asked by ann
        1 RUNNING: up for 1 s
        5 STOPPING: stop asked by ann
        6 STOPPED: stop asked by ann [KILL at once; 1 leftover killed: 8 sleep]""",
    ),
    Tale(
        "leftovers that are left alone",
        program(autorestart=NEVER),
        (Run(lasts=5, kept=Note(NoteKind.LEFTOVERS_KEPT, processes=(Leftover(7, "sleep"),))),),
        ((0, START),),
        """
        0 STARTING: start asked by ann
        1 RUNNING: up for 1 s
        5 EXITED: exit 1 (not expected) [1 left running: 7 sleep]""",
    ),
    Tale(
        "the limit of automatic restarts",
        program(restart_limit=at_most(1, 90)),
        (Run(lasts=5),),
        ((0, START),),
        """
        0 STARTING: start asked by ann
        1 RUNNING: up for 1 s
        5 EXITED: exit 1 (not expected)
        5 STARTING: restart after exit 1
        6 RUNNING: up for 1 s
        10 EXITED: exit 1 (not expected)
        10 FATAL: gave up after 1 restarts in 90 s: exit 1""",
    ),
)


@pytest.mark.parametrize("tale", TALES, ids=[tale.name for tale in TALES])
def test_tale(tale: Tale) -> None:
    stage = Stage(tale.program, tale.runs)
    for at, event in tale.asks:
        stage.ask(event, at)
    stage.play(50)
    assert stage.told == [line.strip() for line in tale.expected.strip().split("\n")]
