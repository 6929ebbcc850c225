"""What happens to a process that nobody touches after its start: tries, ends, pauses, limits."""

from __future__ import annotations

from supervisor_lite.model.exit import Exit
from tests.rules.history import DIES, LIVES, History
from tests.rules.machine import (
    ALWAYS,
    DONE,
    FAILED,
    NEVER,
    RESTART,
    SEGFAULT,
    START,
    STOP,
    UNKNOWN,
    at_most,
    constant,
    exponential,
    program,
)
from tests.rules.stage import Run

ALONE: tuple[History, ...] = (
    # Starting.
    History(
        name="a process is RUNNING when it has been up for startsecs",
        program=program(startsecs=3),
        expected="0 STARTING · 3 RUNNING",
    ),
    History(
        name="with startsecs = 0 it is RUNNING at once",
        program=program(startsecs=0),
        expected="0 STARTING · 0 RUNNING",
    ),
    History(
        name="startretries = 0: one try",
        program=program(startretries=0),
        runs=(DIES,),
        expected="0 STARTING · 0 BACKOFF · 0 FATAL",
    ),
    History(
        name="startretries = 1: tries at 0 and 1",
        program=program(startretries=1),
        runs=(DIES,),
        expected="0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 1 FATAL",
    ),
    History(
        name="startretries = 3: tries at 0, 1, 3 and 6",
        program=program(),
        runs=(DIES,),
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 3 STARTING · 3 BACKOFF ·
            6 STARTING · 6 BACKOFF · 6 FATAL""",
    ),
    History(
        name="startretries = 5: tries at 0, 1, 3, 6, 10 and 15",
        program=program(startretries=5),
        runs=(DIES,),
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 3 STARTING · 3 BACKOFF ·
            6 STARTING · 6 BACKOFF · 10 STARTING · 10 BACKOFF · 15 STARTING · 15 BACKOFF ·
            15 FATAL""",
    ),
    History(
        name="the pause is counted from the death, not from the spawn",
        program=program(startretries=2),
        runs=(Run(lasts=0.5),),
        expected="""
            0 STARTING · 0.5 BACKOFF · 1.5 STARTING · 2 BACKOFF · 4 STARTING · 4.5 BACKOFF ·
            4.5 FATAL""",
    ),
    History(
        name="an exit before startsecs is a failed start, even with exit code 0",
        program=program(startretries=1),
        runs=(Run(lasts=0.9, exit=DONE),),
        expected="0 STARTING · 0.9 BACKOFF · 1.9 STARTING · 2.8 BACKOFF · 2.8 FATAL",
    ),
    History(
        name="a failed start is tried again even with autorestart = false",
        program=program(autorestart=NEVER),
        runs=(DIES, LIVES),
        expected="0 STARTING · 0 BACKOFF · 1 STARTING · 2 RUNNING",
    ),
    History(
        name="a spawn error is a failed start, also with startsecs = 0",
        program=program(startsecs=0, startretries=1),
        runs=(Run(error="no such command"),),
        expected="0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 1 FATAL",
    ),
    History(
        name="failures are counted in a row: RUNNING forgets them",
        program=program(startretries=1),
        runs=(DIES, Run(lasts=5), DIES, LIVES),
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 2 RUNNING · 6 EXITED · 6 STARTING ·
            6 BACKOFF · 7 STARTING · 8 RUNNING""",
    ),
    # Ends of what was up.
    History(
        name='autorestart = "unexpected": an expected code stays EXITED',
        program=program(),
        runs=(Run(lasts=5, exit=DONE),),
        expected="0 STARTING · 1 RUNNING · 5 EXITED",
    ),
    History(
        name='autorestart = "unexpected": another code is respawned at once',
        program=program(),
        runs=(Run(lasts=5, exit=FAILED), LIVES),
        expected="0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING",
    ),
    History(
        name="exitcodes says what is expected",
        program=program(exitcodes=(1, 2)),
        runs=(Run(lasts=5, exit=DONE), Run(lasts=5, exit=Exit(code=2))),
        expected="0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING · 10 EXITED",
    ),
    History(
        name="death by a signal is never expected",
        program=program(exitcodes=(0, 11)),
        runs=(Run(lasts=5, exit=SEGFAULT), LIVES),
        expected="0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING",
    ),
    History(
        name="an exit code that nobody could read is not expected",
        program=program(),
        runs=(Run(lasts=5, exit=UNKNOWN), LIVES),
        expected="0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING",
    ),
    History(
        name="autorestart = true: every end is followed by a start",
        program=program(autorestart=ALWAYS),
        runs=(Run(lasts=5, exit=DONE), LIVES),
        expected="0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING",
    ),
    History(
        name="autorestart = false: no end is followed by a start",
        program=program(autorestart=NEVER),
        runs=(Run(lasts=5, exit=SEGFAULT),),
        expected="0 STARTING · 1 RUNNING · 5 EXITED",
    ),
    History(
        name="startsecs = 0: any exit is an exit from RUNNING, and a respawn loop is not tight",
        program=program(startsecs=0),
        runs=(DIES, DIES, Run(lasts=0, exit=DONE)),
        expected="""
            0 STARTING · 0 RUNNING · 0 EXITED · 0.1 STARTING · 0.1 RUNNING · 0.1 EXITED ·
            0.2 STARTING · 0.2 RUNNING · 0.2 EXITED""",
    ),
    # The pause.
    History(
        name="exponential: 1, 2, 4, 8 s",
        program=program(backoff=exponential(), startretries=4),
        runs=(DIES,),
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 3 STARTING · 3 BACKOFF ·
            7 STARTING · 7 BACKOFF · 15 STARTING · 15 BACKOFF · 15 FATAL""",
    ),
    History(
        name="backoff_max: no pause is longer",
        program=program(backoff=exponential(limit=3), startretries=4),
        runs=(DIES,),
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 3 STARTING · 3 BACKOFF ·
            6 STARTING · 6 BACKOFF · 9 STARTING · 9 BACKOFF · 9 FATAL""",
    ),
    History(
        name="a constant pause",
        program=program(backoff=constant(5), startretries=2),
        runs=(DIES,),
        expected="""
            0 STARTING · 0 BACKOFF · 5 STARTING · 5 BACKOFF · 10 STARTING · 10 BACKOFF ·
            10 FATAL""",
    ),
    History(
        name="even with no pause at all, 0.1 s",
        program=program(backoff=constant(0), startretries=2),
        runs=(DIES,),
        expected="""
            0 STARTING · 0 BACKOFF · 0.1 STARTING · 0.1 BACKOFF · 0.2 STARTING · 0.2 BACKOFF ·
            0.2 FATAL""",
    ),
    # The limit.
    History(
        name='restart_limit = "2/60s": the third automatic restart is FATAL instead',
        program=program(restart_limit=at_most(2, 60)),
        runs=(Run(lasts=5),),
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING · 10 EXITED ·
            10 STARTING · 11 RUNNING · 15 EXITED · 15 FATAL""",
    ),
    History(
        name="the limit looks back over its window only",
        program=program(restart_limit=at_most(2, 60)),
        runs=(Run(lasts=40),),
        until=130,
        expected="""
            0 STARTING · 1 RUNNING · 40 EXITED · 40 STARTING · 41 RUNNING · 80 EXITED ·
            80 STARTING · 81 RUNNING · 120 EXITED · 120 STARTING · 121 RUNNING""",
    ),
    History(
        name="tries after a failed start count too",
        program=program(restart_limit=at_most(2, 60), startretries=9),
        runs=(DIES,),
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 3 STARTING ·
            3 BACKOFF · 3 FATAL""",
    ),
    History(
        name="starts and restarts that were asked for never count, and give the limit back",
        program=program(restart_limit=at_most(1, 60)),
        runs=(Run(lasts=5), Run(lasts=5), Run(lasts=5), LIVES),
        asks={7: RESTART},
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING · 7 STOPPING ·
            7 send TERM · 7 STOPPED · 7 STARTING · 8 RUNNING · 12 EXITED · 12 STARTING ·
            13 RUNNING""",
    ),
    History(
        name="leftovers do not make the limit forgotten",
        program=program(restart_limit=at_most(1, 6), startretries=9),
        runs=(Run(lasts=5), Run(lasts=0, leaves=7)),
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 5 BACKOFF ·
            5 send TERM to leftovers · 12 FATAL""",
    ),
    History(
        name="a cool-down: a pause, then one try, then a pause again",
        program=program(restart_limit=at_most(2, 60, 30)),
        runs=(Run(lasts=5),),
        until=90,
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING · 10 EXITED ·
            10 STARTING · 11 RUNNING · 15 EXITED · 45 STARTING · 46 RUNNING · 50 EXITED ·
            80 STARTING · 81 RUNNING · 85 EXITED""",
    ),
    History(
        name="a cool-down does not forget startretries",
        program=program(restart_limit=at_most(1, 60, 30), startretries=2),
        runs=(DIES,),
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 31 STARTING · 31 BACKOFF ·
            31 FATAL""",
    ),
    History(
        name="a start ends the cool-down",
        program=program(restart_limit=at_most(1, 60, 30)),
        runs=(Run(lasts=5), Run(lasts=5), LIVES),
        asks={20: START},
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING · 10 EXITED ·
            20 STARTING · 21 RUNNING""",
    ),
    History(
        name="a stop ends the cool-down for good",
        program=program(restart_limit=at_most(1, 60, 30)),
        runs=(Run(lasts=5),),
        asks={20: STOP},
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 STARTING · 6 RUNNING · 10 EXITED ·
            20 STOPPED""",
    ),
    History(
        name="a cool-down shorter than the pause does not shorten it",
        program=program(restart_limit=at_most(1, 60, 0), startsecs=0),
        runs=(DIES, DIES, DIES, LIVES),
        expected="""
            0 STARTING · 0 RUNNING · 0 EXITED · 0.1 STARTING · 0.1 RUNNING · 0.1 EXITED ·
            0.2 STARTING · 0.2 RUNNING · 0.2 EXITED · 0.3 STARTING · 0.3 RUNNING""",
    ),
)
