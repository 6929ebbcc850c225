"""Histories: what an operator would see, second by second, for every documented rule.

Each is a program, how its runs turn out, what is asked when, and the lines that follow: the time,
then the state that was entered or the signal that was sent. Unless it says otherwise, the program
is started at 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from supervisor_lite.rules.events import Event, Exit
from supervisor_lite.rules.program import Program
from tests.rules.machine import (
    ALWAYS,
    DONE,
    FAILED,
    HURRY,
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
from tests.rules.stage import DEAF, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A sentence that a user would understand, and what happens."""

    name: str
    program: Program
    runs: tuple[Run, ...] = (Run(),)
    asks: Mapping[float, Event] = field(default_factory=dict)
    until: float = 100
    expected: str

    def lines(self) -> list[str]:
        """Return what is to be seen."""
        return [line.strip() for line in self.expected.strip().split("\n")]


LIVES = Run()
DIES = Run(lasts=0)
DEAF_RUN = Run(obeys=None)
FAMILY = Run(leaves=2)
DEAF_FAMILY = Run(leaves=DEAF)

HISTORIES: tuple[History, ...] = (
    # Starting.
    History(
        name="a process is RUNNING when it has been up for startsecs",
        program=program(startsecs=3),
        expected="""
            0 STARTING
            3 RUNNING""",
    ),
    History(
        name="with startsecs = 0 it is RUNNING at once",
        program=program(startsecs=0),
        expected="""
            0 STARTING
            0 RUNNING""",
    ),
    History(
        name="startretries = 0: one try",
        program=program(startretries=0),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            0 FATAL""",
    ),
    History(
        name="startretries = 1: tries at 0 and 1",
        program=program(startretries=1),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            1 FATAL""",
    ),
    History(
        name="startretries = 3: tries at 0, 1, 3 and 6",
        program=program(),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            3 STARTING
            3 BACKOFF
            6 STARTING
            6 BACKOFF
            6 FATAL""",
    ),
    History(
        name="startretries = 5: tries at 0, 1, 3, 6, 10 and 15",
        program=program(startretries=5),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            3 STARTING
            3 BACKOFF
            6 STARTING
            6 BACKOFF
            10 STARTING
            10 BACKOFF
            15 STARTING
            15 BACKOFF
            15 FATAL""",
    ),
    History(
        name="the pause is counted from the death, not from the spawn",
        program=program(startretries=2),
        runs=(Run(lasts=0.5),),
        expected="""
            0 STARTING
            0.5 BACKOFF
            1.5 STARTING
            2 BACKOFF
            4 STARTING
            4.5 BACKOFF
            4.5 FATAL""",
    ),
    History(
        name="an exit before startsecs is a failed start, even with exit code 0",
        program=program(startretries=1),
        runs=(Run(lasts=0.9, exit=DONE),),
        expected="""
            0 STARTING
            0.9 BACKOFF
            1.9 STARTING
            2.8 BACKOFF
            2.8 FATAL""",
    ),
    History(
        name="a failed start is tried again even with autorestart = false",
        program=program(autorestart=NEVER),
        runs=(DIES, LIVES),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            2 RUNNING""",
    ),
    History(
        name="a spawn error is a failed start, also with startsecs = 0",
        program=program(startsecs=0, startretries=1),
        runs=(Run(error="no such command"),),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            1 FATAL""",
    ),
    History(
        name="failures are counted in a row: RUNNING forgets them",
        program=program(startretries=1),
        runs=(DIES, Run(lasts=5), DIES, LIVES),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            2 RUNNING
            6 EXITED
            6 STARTING
            6 BACKOFF
            7 STARTING
            8 RUNNING""",
    ),
    # Ends of what was up.
    History(
        name='autorestart = "unexpected": an expected code stays EXITED',
        program=program(),
        runs=(Run(lasts=5, exit=DONE),),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED""",
    ),
    History(
        name='autorestart = "unexpected": another code is respawned at once',
        program=program(),
        runs=(Run(lasts=5, exit=FAILED), LIVES),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING""",
    ),
    History(
        name="exitcodes says what is expected",
        program=program(exitcodes=(1, 2)),
        runs=(Run(lasts=5, exit=DONE), Run(lasts=5, exit=Exit(code=2))),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING
            10 EXITED""",
    ),
    History(
        name="death by a signal is never expected",
        program=program(exitcodes=(0, 11)),
        runs=(Run(lasts=5, exit=SEGFAULT), LIVES),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING""",
    ),
    History(
        name="an exit code that nobody could read is not expected",
        program=program(),
        runs=(Run(lasts=5, exit=UNKNOWN), LIVES),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING""",
    ),
    History(
        name="autorestart = true: every end is followed by a start",
        program=program(autorestart=ALWAYS),
        runs=(Run(lasts=5, exit=DONE), LIVES),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING""",
    ),
    History(
        name="autorestart = false: no end is followed by a start",
        program=program(autorestart=NEVER),
        runs=(Run(lasts=5, exit=SEGFAULT),),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED""",
    ),
    History(
        name="startsecs = 0: any exit is an exit from RUNNING, and a respawn loop is not tight",
        program=program(startsecs=0),
        runs=(DIES, DIES, Run(lasts=0, exit=DONE)),
        expected="""
            0 STARTING
            0 RUNNING
            0 EXITED
            0.1 STARTING
            0.1 RUNNING
            0.1 EXITED
            0.2 STARTING
            0.2 RUNNING
            0.2 EXITED""",
    ),
    # Stop, in each state.
    History(
        name="stop in STARTING",
        program=program(),
        asks={0.5: STOP},
        expected="""
            0 STARTING
            0.5 STOPPING
            0.5 send TERM
            0.5 STOPPED""",
    ),
    History(
        name="stop in RUNNING: the stop signal of the program, and nothing comes after",
        program=program(autorestart=ALWAYS, stopsignal="QUIT"),
        runs=(Run(obeys=3),),
        asks={5: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send QUIT
            8 STOPPED""",
    ),
    History(
        name="stop in BACKOFF: STOPPED at once",
        program=program(),
        runs=(DIES,),
        asks={2: STOP},
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            2 STOPPED""",
    ),
    History(
        name="stop in STOPPING: one stop signal, one deadline",
        program=program(stopwaitsecs=5),
        runs=(DEAF_RUN,),
        asks={5: STOP, 8: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            10 send KILL
            10 STOPPED""",
    ),
    History(
        name="stop in EXITED and in FATAL changes nothing",
        program=program(startsecs=0, startretries=0),
        runs=(Run(lasts=1, exit=DONE), Run(error="no such command")),
        asks={5: STOP, 10: START, 15: STOP},
        expected="""
            0 STARTING
            0 RUNNING
            1 EXITED
            10 STARTING
            10 BACKOFF
            10 FATAL""",
    ),
    History(
        name="stop of what was never started changes nothing",
        program=program(),
        asks={0: STOP, 5: STOP, 10: START},
        expected="""
            10 STARTING
            11 RUNNING""",
    ),
    History(
        name="stop between an exit and its respawn: STOPPED",
        program=program(startsecs=0),
        runs=(DIES,),
        asks={0.05: STOP},
        expected="""
            0 STARTING
            0 RUNNING
            0 EXITED
            0.05 STOPPED""",
    ),
    # The escalation.
    History(
        name="what ignores the stop signal is killed after stopwaitsecs",
        program=program(),
        runs=(DEAF_RUN,),
        asks={5: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            15 send KILL
            15 STOPPED""",
    ),
    History(
        name="stopwaitsecs = 0: SIGKILL follows at once",
        program=program(stopwaitsecs=0),
        runs=(Run(obeys=1),),
        asks={5: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            5 send KILL
            5 STOPPED""",
    ),
    History(
        name="stopasgroup and killasgroup: the whole process group",
        program=program(stopasgroup=True, killasgroup=True),
        runs=(DEAF_RUN,),
        asks={5: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM to the group
            15 send KILL to the group
            15 STOPPED""",
    ),
    History(
        name="in a hurry: SIGKILL at once, and for the leftovers too",
        program=program(),
        runs=(Run(obeys=None, leaves=DEAF),),
        asks={5: STOP, 6: HURRY},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            6 send KILL
            6 send TERM to leftovers
            6 send KILL to leftovers
            6 STOPPED""",
    ),
    History(
        name="a hurry does not touch what nobody stops",
        program=program(),
        runs=(DIES, LIVES),
        asks={0.5: HURRY, 5: HURRY},
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            2 RUNNING""",
    ),
    # Start, in each state.
    History(
        name="start in STARTING and RUNNING changes nothing",
        program=program(),
        asks={0.5: START, 5: START},
        expected="""
            0 STARTING
            1 RUNNING""",
    ),
    History(
        name="start in BACKOFF tries at once, with all tries ahead",
        program=program(startretries=2),
        runs=(DIES,),
        asks={2: START},
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            2 STARTING
            2 BACKOFF
            3 STARTING
            3 BACKOFF
            5 STARTING
            5 BACKOFF
            5 FATAL""",
    ),
    History(
        name="start in FATAL begins anew",
        program=program(startretries=1),
        runs=(DIES, DIES, DIES, LIVES),
        asks={10: START},
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            1 FATAL
            10 STARTING
            10 BACKOFF
            11 STARTING
            12 RUNNING""",
    ),
    History(
        name="a stop and a start give all tries back",
        program=program(startretries=1),
        runs=(DIES,),
        asks={0.5: STOP, 5: START},
        expected="""
            0 STARTING
            0 BACKOFF
            0.5 STOPPED
            5 STARTING
            5 BACKOFF
            6 STARTING
            6 BACKOFF
            6 FATAL""",
    ),
    History(
        name="start in EXITED and STOPPED",
        program=program(),
        runs=(Run(lasts=5, exit=DONE), LIVES),
        asks={10: START, 15: STOP, 20: START},
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            10 STARTING
            11 RUNNING
            15 STOPPING
            15 send TERM
            15 STOPPED
            20 STARTING
            21 RUNNING""",
    ),
    History(
        name="start in STOPPING: it ends, then it starts, with all tries ahead",
        program=program(startretries=1),
        runs=(DIES, Run(obeys=3), DIES),
        asks={1.5: STOP, 2: START},
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1.5 STOPPING
            1.5 send TERM
            4.5 STOPPED
            4.5 STARTING
            4.5 BACKOFF
            5.5 STARTING
            5.5 BACKOFF
            5.5 FATAL""",
    ),
    # Restart, in each state.
    History(
        name="restart in RUNNING: stopped while still wanted",
        program=program(),
        runs=(Run(obeys=3), LIVES),
        asks={5: RESTART},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            8 STOPPED
            8 STARTING
            9 RUNNING""",
    ),
    History(
        name="restart in STARTING",
        program=program(startsecs=10),
        asks={5: RESTART},
        expected="""
            0 STARTING
            5 STOPPING
            5 send TERM
            5 STOPPED
            5 STARTING
            15 RUNNING""",
    ),
    History(
        name="restart just after the spawn waits for the 0.1 s between two spawns",
        program=program(),
        asks={0.02: RESTART},
        expected="""
            0 STARTING
            0.02 STOPPING
            0.02 send TERM
            0.02 STOPPED
            0.1 STARTING
            1.1 RUNNING""",
    ),
    History(
        name="restart in STOPPING: it is wanted again",
        program=program(),
        runs=(Run(obeys=3), LIVES),
        asks={5: STOP, 6: RESTART},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            8 STOPPED
            8 STARTING
            9 RUNNING""",
    ),
    History(
        name="restart in BACKOFF, FATAL, EXITED and STOPPED is a start",
        program=program(startretries=1),
        runs=(DIES, DIES, DIES, Run(lasts=2, exit=DONE), LIVES),
        asks={0.5: RESTART, 5: RESTART, 10: RESTART, 15: STOP, 20: RESTART},
        expected="""
            0 STARTING
            0 BACKOFF
            0.5 STARTING
            0.5 BACKOFF
            1.5 STARTING
            1.5 BACKOFF
            1.5 FATAL
            5 STARTING
            6 RUNNING
            7 EXITED
            10 STARTING
            11 RUNNING
            15 STOPPING
            15 send TERM
            15 STOPPED
            20 STARTING
            21 RUNNING""",
    ),
    History(
        name="a stop during a restart wins: the last word counts",
        program=program(),
        runs=(Run(obeys=3),),
        asks={5: RESTART, 6: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            8 STOPPED""",
    ),
    History(
        name="a restart of what ignores the stop signal kills it, then starts",
        program=program(stopwaitsecs=2),
        runs=(DEAF_RUN, LIVES),
        asks={5: RESTART},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            7 send KILL
            7 STOPPED
            7 STARTING
            8 RUNNING""",
    ),
    # Leftovers.
    History(
        name="a stop is over when the leftovers are gone",
        program=program(),
        runs=(FAMILY,),
        asks={5: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            5 send TERM to leftovers
            7 STOPPED""",
    ),
    History(
        name="leftovers that ignore the stop signal are killed after stopwaitsecs",
        program=program(stopwaitsecs=4),
        runs=(DEAF_FAMILY,),
        asks={5: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 STOPPING
            5 send TERM
            5 send TERM to leftovers
            9 send KILL to leftovers
            9 STOPPED""",
    ),
    History(
        name="after a crash the respawn waits for the leftovers",
        program=program(),
        runs=(Run(lasts=5, leaves=3), LIVES),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 send TERM to leftovers
            8 STARTING
            9 RUNNING""",
    ),
    History(
        name="after a failed start the later of pause and leftovers counts",
        program=program(startretries=1),
        runs=(Run(lasts=0, leaves=0.5), Run(lasts=0, leaves=5)),
        expected="""
            0 STARTING
            0 BACKOFF
            0 send TERM to leftovers
            1 STARTING
            1 BACKOFF
            1 send TERM to leftovers
            6 FATAL""",
    ),
    History(
        name="leftovers of a job that is done: ended, and nothing more",
        program=program(stopwaitsecs=4),
        runs=(Run(lasts=5, exit=DONE, leaves=DEAF),),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 send TERM to leftovers
            9 send KILL to leftovers""",
    ),
    History(
        name="a stop while leftovers of a crash are being ended: STOPPING, then STOPPED",
        program=program(),
        runs=(Run(lasts=5, leaves=3),),
        asks={6: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 send TERM to leftovers
            6 STOPPING
            8 STOPPED""",
    ),
    History(
        name="a start while leftovers are being ended waits for them",
        program=program(),
        runs=(Run(lasts=5, exit=DONE, leaves=3), LIVES),
        asks={6: START},
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 send TERM to leftovers
            8 STARTING
            9 RUNNING""",
    ),
    History(
        name="a stop, then a start, while leftovers are being ended",
        program=program(),
        runs=(Run(lasts=5, leaves=3), LIVES),
        asks={6: STOP, 7: START},
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 send TERM to leftovers
            6 STOPPING
            8 STOPPED
            8 STARTING
            9 RUNNING""",
    ),
    # The pause.
    History(
        name="exponential: 1, 2, 4, 8 s",
        program=program(backoff=exponential(), startretries=4),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            3 STARTING
            3 BACKOFF
            7 STARTING
            7 BACKOFF
            15 STARTING
            15 BACKOFF
            15 FATAL""",
    ),
    History(
        name="backoff_max: no pause is longer",
        program=program(backoff=exponential(limit=3), startretries=4),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            3 STARTING
            3 BACKOFF
            6 STARTING
            6 BACKOFF
            9 STARTING
            9 BACKOFF
            9 FATAL""",
    ),
    History(
        name="a constant pause",
        program=program(backoff=constant(5), startretries=2),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            5 STARTING
            5 BACKOFF
            10 STARTING
            10 BACKOFF
            10 FATAL""",
    ),
    History(
        name="even with no pause at all, 0.1 s",
        program=program(backoff=constant(0), startretries=2),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            0.1 STARTING
            0.1 BACKOFF
            0.2 STARTING
            0.2 BACKOFF
            0.2 FATAL""",
    ),
    # The limit.
    History(
        name='restart_limit = "2/60s": the third automatic restart is FATAL instead',
        program=program(restart_limit=at_most(2, 60)),
        runs=(Run(lasts=5),),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING
            10 EXITED
            10 STARTING
            11 RUNNING
            15 EXITED
            15 FATAL""",
    ),
    History(
        name="the limit looks back over its window only",
        program=program(restart_limit=at_most(2, 60)),
        runs=(Run(lasts=40),),
        until=130,
        expected="""
            0 STARTING
            1 RUNNING
            40 EXITED
            40 STARTING
            41 RUNNING
            80 EXITED
            80 STARTING
            81 RUNNING
            120 EXITED
            120 STARTING
            121 RUNNING""",
    ),
    History(
        name="tries after a failed start count too",
        program=program(restart_limit=at_most(2, 60), startretries=9),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            3 STARTING
            3 BACKOFF
            3 FATAL""",
    ),
    History(
        name="starts and restarts that were asked for never count, and give the limit back",
        program=program(restart_limit=at_most(1, 60)),
        runs=(Run(lasts=5), Run(lasts=5), Run(lasts=5), LIVES),
        asks={7: RESTART},
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING
            7 STOPPING
            7 send TERM
            7 STOPPED
            7 STARTING
            8 RUNNING
            12 EXITED
            12 STARTING
            13 RUNNING""",
    ),
    History(
        name="leftovers do not make the limit forgotten",
        program=program(restart_limit=at_most(1, 6), startretries=9),
        runs=(Run(lasts=5), Run(lasts=0, leaves=7)),
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            5 BACKOFF
            5 send TERM to leftovers
            12 FATAL""",
    ),
    History(
        name="a cool-down: a pause, then one try, then a pause again",
        program=program(restart_limit=at_most(2, 60, 30)),
        runs=(Run(lasts=5),),
        until=90,
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING
            10 EXITED
            10 STARTING
            11 RUNNING
            15 EXITED
            45 STARTING
            46 RUNNING
            50 EXITED
            80 STARTING
            81 RUNNING
            85 EXITED""",
    ),
    History(
        name="a cool-down does not forget startretries",
        program=program(restart_limit=at_most(1, 60, 30), startretries=2),
        runs=(DIES,),
        expected="""
            0 STARTING
            0 BACKOFF
            1 STARTING
            1 BACKOFF
            31 STARTING
            31 BACKOFF
            31 FATAL""",
    ),
    History(
        name="a start ends the cool-down",
        program=program(restart_limit=at_most(1, 60, 30)),
        runs=(Run(lasts=5), Run(lasts=5), LIVES),
        asks={20: START},
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING
            10 EXITED
            20 STARTING
            21 RUNNING""",
    ),
    History(
        name="a stop ends the cool-down for good",
        program=program(restart_limit=at_most(1, 60, 30)),
        runs=(Run(lasts=5),),
        asks={20: STOP},
        expected="""
            0 STARTING
            1 RUNNING
            5 EXITED
            5 STARTING
            6 RUNNING
            10 EXITED
            20 STOPPED""",
    ),
    History(
        name="a cool-down shorter than the pause does not shorten it",
        program=program(restart_limit=at_most(1, 60, 0), startsecs=0),
        runs=(DIES, DIES, DIES, LIVES),
        expected="""
            0 STARTING
            0 RUNNING
            0 EXITED
            0.1 STARTING
            0.1 RUNNING
            0.1 EXITED
            0.2 STARTING
            0.2 RUNNING
            0.2 EXITED
            0.3 STARTING
            0.3 RUNNING""",
    ),
)
