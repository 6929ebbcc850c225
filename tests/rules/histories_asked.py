"""What happens when something is asked, in each state: stop, start, restart, and what is left."""

from __future__ import annotations

from tests.rules.history import DEAF_FAMILY, DEAF_RUN, DIES, FAMILY, LIVES, History
from tests.rules.machine import (
    ALWAYS,
    ANNOUNCE,
    DONE,
    KILL,
    LEAK,
    RESTART,
    START,
    STOP,
    at_most,
    program,
)
from tests.rules.stage import DEAF, Run

ASKED: tuple[History, ...] = (
    # Stop, in each state.
    History(
        name="stop in STARTING",
        program=program(),
        asks={0.5: STOP},
        expected="0 STARTING · 0.5 STOPPING · 0.5 send TERM · 0.5 STOPPED",
    ),
    History(
        name="stop in RUNNING: the stop signal of the program, and nothing comes after",
        program=program(autorestart=ALWAYS, stopsignal="QUIT"),
        runs=(Run(obeys=3),),
        asks={5: STOP},
        expected="0 STARTING · 1 RUNNING · 5 STOPPING · 5 send QUIT · 8 STOPPED",
    ),
    History(
        name="stop in BACKOFF: STOPPED at once",
        program=program(),
        runs=(DIES,),
        asks={2: STOP},
        expected="0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 2 STOPPED",
    ),
    History(
        name="stop in STOPPING: one stop signal, one deadline",
        program=program(stopwaitsecs=5),
        runs=(DEAF_RUN,),
        asks={5: STOP, 8: STOP},
        expected="0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 10 send KILL · 10 STOPPED",
    ),
    History(
        name="stop in EXITED and in FATAL changes nothing",
        program=program(startsecs=0, startretries=0),
        runs=(Run(lasts=1, exit=DONE), Run(error="no such command")),
        asks={5: STOP, 10: START, 15: STOP},
        expected="0 STARTING · 0 RUNNING · 1 EXITED · 10 STARTING · 10 BACKOFF · 10 FATAL",
    ),
    History(
        name="stop of what was never started changes nothing",
        program=program(),
        asks={0: STOP, 5: STOP, 10: START},
        expected="10 STARTING · 11 RUNNING",
    ),
    History(
        name="stop between an exit and its respawn: STOPPED",
        program=program(startsecs=0),
        runs=(DIES,),
        asks={0.05: STOP},
        expected="0 STARTING · 0 RUNNING · 0 EXITED · 0.05 STOPPED",
    ),
    # The escalation.
    History(
        name="what ignores the stop signal is killed after stopwaitsecs",
        program=program(),
        runs=(DEAF_RUN,),
        asks={5: STOP},
        expected="0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 15 send KILL · 15 STOPPED",
    ),
    History(
        name="stopwaitsecs = 0: SIGKILL follows at once",
        program=program(stopwaitsecs=0),
        runs=(Run(obeys=1),),
        asks={5: STOP},
        expected="0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 5 send KILL · 5 STOPPED",
    ),
    History(
        name="stopasgroup and killasgroup: the whole process group",
        program=program(stopasgroup=True, killasgroup=True),
        runs=(DEAF_RUN,),
        asks={5: STOP},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM to the group ·
            15 send KILL to the group · 15 STOPPED""",
    ),
    History(
        name="killed at once: SIGKILL now, and for the leftovers too",
        program=program(),
        runs=(Run(obeys=None, leaves=DEAF),),
        asks={5: STOP, 6: KILL},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 6 send KILL ·
            6 send TERM to leftovers · 6 send KILL to leftovers · 6 STOPPED""",
    ),
    History(
        name="a kill does not touch what nobody stops",
        program=program(),
        runs=(DIES, LIVES),
        asks={0.5: KILL, 5: KILL},
        expected="0 STARTING · 0 BACKOFF · 1 STARTING · 2 RUNNING",
    ),
    # Start, in each state.
    History(
        name="start in STARTING and RUNNING changes nothing",
        program=program(),
        asks={0.5: START, 5: START},
        expected="0 STARTING · 1 RUNNING",
    ),
    History(
        name="start in BACKOFF tries at once, with all tries ahead",
        program=program(startretries=2),
        runs=(DIES,),
        asks={2: START},
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 2 STARTING · 2 BACKOFF ·
            3 STARTING · 3 BACKOFF · 5 STARTING · 5 BACKOFF · 5 FATAL""",
    ),
    History(
        name="start in FATAL begins anew",
        program=program(startretries=1),
        runs=(DIES, DIES, DIES, LIVES),
        asks={10: START},
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 1 FATAL · 10 STARTING ·
            10 BACKOFF · 11 STARTING · 12 RUNNING""",
    ),
    History(
        name="a stop and a start give all tries back",
        program=program(startretries=1),
        runs=(DIES,),
        asks={0.5: STOP, 5: START},
        expected="""
            0 STARTING · 0 BACKOFF · 0.5 STOPPED · 5 STARTING · 5 BACKOFF · 6 STARTING ·
            6 BACKOFF · 6 FATAL""",
    ),
    History(
        name="start in EXITED and STOPPED",
        program=program(),
        runs=(Run(lasts=5, exit=DONE), LIVES),
        asks={10: START, 15: STOP, 20: START},
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 10 STARTING · 11 RUNNING · 15 STOPPING ·
            15 send TERM · 15 STOPPED · 20 STARTING · 21 RUNNING""",
    ),
    History(
        name="start in STOPPING: it ends, then it starts, with all tries ahead",
        program=program(startretries=1),
        runs=(DIES, Run(obeys=3), DIES),
        asks={1.5: STOP, 2: START},
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1.5 STOPPING · 1.5 send TERM · 4.5 STOPPED ·
            4.5 STARTING · 4.5 BACKOFF · 5.5 STARTING · 5.5 BACKOFF · 5.5 FATAL""",
    ),
    # Restart, in each state.
    History(
        name="restart in RUNNING: stopped while still wanted",
        program=program(),
        runs=(Run(obeys=3), LIVES),
        asks={5: RESTART},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 8 STOPPED · 8 STARTING ·
            9 RUNNING""",
    ),
    History(
        name="restart in STARTING",
        program=program(startsecs=10),
        asks={5: RESTART},
        expected="0 STARTING · 5 STOPPING · 5 send TERM · 5 STOPPED · 5 STARTING · 15 RUNNING",
    ),
    History(
        name="restart just after the spawn waits for the 0.1 s between two spawns",
        program=program(),
        asks={0.02: RESTART},
        expected="""
            0 STARTING · 0.02 STOPPING · 0.02 send TERM · 0.02 STOPPED · 0.1 STARTING ·
            1.1 RUNNING""",
    ),
    History(
        name="restart in STOPPING: it is wanted again",
        program=program(),
        runs=(Run(obeys=3), LIVES),
        asks={5: STOP, 6: RESTART},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 8 STOPPED · 8 STARTING ·
            9 RUNNING""",
    ),
    History(
        name="restart in BACKOFF, FATAL, EXITED and STOPPED is a start",
        program=program(startretries=1),
        runs=(DIES, DIES, DIES, Run(lasts=2, exit=DONE), LIVES),
        asks={0.5: RESTART, 5: RESTART, 10: RESTART, 15: STOP, 20: RESTART},
        expected="""
            0 STARTING · 0 BACKOFF · 0.5 STARTING · 0.5 BACKOFF · 1.5 STARTING · 1.5 BACKOFF ·
            1.5 FATAL · 5 STARTING · 6 RUNNING · 7 EXITED · 10 STARTING · 11 RUNNING ·
            15 STOPPING · 15 send TERM · 15 STOPPED · 20 STARTING · 21 RUNNING""",
    ),
    History(
        name="a stop during a restart wins: the last word counts",
        program=program(),
        runs=(Run(obeys=3),),
        asks={5: RESTART, 6: STOP},
        expected="0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 8 STOPPED",
    ),
    History(
        name="a restart of what ignores the stop signal kills it, then starts",
        program=program(stopwaitsecs=2),
        runs=(DEAF_RUN, LIVES),
        asks={5: RESTART},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 7 send KILL · 7 STOPPED ·
            7 STARTING · 8 RUNNING""",
    ),
    # A stop that is announced: its turn comes when those of a higher priority are gone.
    History(
        name="what waits for its turn to stop runs on, and stops when that comes",
        program=program(),
        asks={5: ANNOUNCE, 8: STOP},
        expected="0 STARTING · 1 RUNNING · 8 STOPPING · 8 send TERM · 8 STOPPED",
    ),
    History(
        name="what ends before its turn comes is not respawned",
        program=program(),
        runs=(Run(lasts=6),),
        asks={5: ANNOUNCE, 8: STOP},
        expected="0 STARTING · 1 RUNNING · 6 EXITED",
    ),
    History(
        name="a start that fails before its turn comes is STOPPED, with its leftovers",
        program=program(),
        runs=(DIES, Run(lasts=0.75, leaves=2)),
        asks={1.5: ANNOUNCE},
        expected="""
            0 STARTING · 0 BACKOFF · 1 STARTING · 1.75 STOPPING · 1.75 send TERM to leftovers ·
            3.75 STOPPED""",
    ),
    History(
        name="nothing is tried again once a stop is announced",
        program=program(),
        runs=(DIES,),
        asks={2: ANNOUNCE},
        expected="0 STARTING · 0 BACKOFF · 1 STARTING · 1 BACKOFF · 2 STOPPED",
    ),
    History(
        name="a start withdraws the stop that was announced: it is kept up again",
        program=program(),
        runs=(Run(lasts=8), LIVES),
        asks={5: ANNOUNCE, 6: START},
        expected="0 STARTING · 1 RUNNING · 8 EXITED · 8 STARTING · 9 RUNNING",
    ),
    History(
        name="a restart before its turn comes is a restart",
        program=program(),
        asks={5: ANNOUNCE, 6: RESTART},
        expected="""
            0 STARTING · 1 RUNNING · 6 STOPPING · 6 send TERM · 6 STOPPED · 6 STARTING ·
            7 RUNNING""",
    ),
    # What the daemon itself has to replace: nobody asked for it, so nothing is forgiven.
    History(
        name="a restart for its memory comes at once, and is not counted",
        program=program(restart_limit=at_most(1, 100)),
        asks={5: LEAK, 10: LEAK},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 5 STOPPED · 5 STARTING ·
            6 RUNNING · 10 STOPPING · 10 send TERM · 10 STOPPED · 10 STARTING · 11 RUNNING""",
    ),
    History(
        name="what crashes and leaks uses up its restart limit all the same",
        program=program(startsecs=0, restart_limit=at_most(2, 100)),
        runs=(Run(lasts=5), Run(lasts=5), LIVES, Run(lasts=5)),
        asks={15: LEAK},
        expected="""
            0 STARTING · 0 RUNNING · 5 EXITED · 5 STARTING · 5 RUNNING · 10 EXITED · 10 STARTING ·
            10 RUNNING · 15 STOPPING · 15 send TERM · 15 STOPPED · 15 STARTING · 15 RUNNING ·
            20 EXITED · 20 FATAL""",
    ),
    History(
        name="a leak does not end a pause of the restart limit",
        program=program(startsecs=0, restart_limit=at_most(1, 100, 20)),
        runs=(Run(lasts=5), Run(lasts=5), LIVES, Run(lasts=5), LIVES),
        asks={35: LEAK},
        expected="""
            0 STARTING · 0 RUNNING · 5 EXITED · 5 STARTING · 5 RUNNING · 10 EXITED · 30 STARTING ·
            30 RUNNING · 35 STOPPING · 35 send TERM · 35 STOPPED · 35 STARTING · 35 RUNNING ·
            40 EXITED · 60 STARTING · 60 RUNNING""",
    ),
    History(
        name="a leak does not touch what waits for its turn to stop",
        program=program(),
        asks={5: ANNOUNCE, 6: LEAK, 8: STOP},
        expected="0 STARTING · 1 RUNNING · 8 STOPPING · 8 send TERM · 8 STOPPED",
    ),
    # Leftovers.
    History(
        name="a stop is over when the leftovers are gone",
        program=program(),
        runs=(FAMILY,),
        asks={5: STOP},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 5 send TERM to leftovers ·
            7 STOPPED""",
    ),
    History(
        name="leftovers that ignore the stop signal are killed after stopwaitsecs",
        program=program(stopwaitsecs=4),
        runs=(DEAF_FAMILY,),
        asks={5: STOP},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 5 send TERM to leftovers ·
            9 send KILL to leftovers · 9 STOPPED""",
    ),
    History(
        name="a stop takes stopwaitsecs: leftovers have what the main process has left of it",
        program=program(stopwaitsecs=8),
        runs=(Run(obeys=3, leaves=DEAF),),
        asks={5: STOP},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 8 send TERM to leftovers ·
            13 send KILL to leftovers · 13 STOPPED""",
    ),
    History(
        name="leftovers of what had to be killed have one second",
        program=program(stopwaitsecs=8),
        runs=(Run(obeys=None, leaves=DEAF),),
        asks={5: STOP},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 13 send KILL ·
            13 send TERM to leftovers · 14 send KILL to leftovers · 14 STOPPED""",
    ),
    History(
        name="leftovers have one second at least, or stopwaitsecs if that is less",
        program=program(stopwaitsecs=0.5),
        runs=(Run(obeys=0.25, leaves=DEAF),),
        asks={5: STOP},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM · 5.25 send TERM to leftovers ·
            5.75 send KILL to leftovers · 5.75 STOPPED""",
    ),
    History(
        name="who got the stop signal with the process group is not sent it again",
        program=program(stopasgroup=True),
        runs=(Run(obeys=2, leaves=1), Run(lasts=2, leaves=1)),
        asks={5: RESTART},
        expected="""
            0 STARTING · 1 RUNNING · 5 STOPPING · 5 send TERM to the group ·
            7 send TERM to leftovers outside the group · 8 STOPPED · 8 STARTING · 9 RUNNING ·
            10 EXITED · 10 send TERM to leftovers · 11 STARTING · 12 RUNNING · 13 EXITED ·
            13 send TERM to leftovers · 14 STARTING · 15 RUNNING""",
        until=15.5,
    ),
    History(
        name="after a crash the respawn waits for the leftovers",
        program=program(),
        runs=(Run(lasts=5, leaves=3), LIVES),
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 send TERM to leftovers · 8 STARTING ·
            9 RUNNING""",
    ),
    History(
        name="after a failed start the later of pause and leftovers counts",
        program=program(startretries=1),
        runs=(Run(lasts=0, leaves=0.5), Run(lasts=0, leaves=5)),
        expected="""
            0 STARTING · 0 BACKOFF · 0 send TERM to leftovers · 1 STARTING · 1 BACKOFF ·
            1 send TERM to leftovers · 6 FATAL""",
    ),
    History(
        name="leftovers of a job that is done: ended, and nothing more",
        program=program(stopwaitsecs=4),
        runs=(Run(lasts=5, exit=DONE, leaves=DEAF),),
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 send TERM to leftovers ·
            9 send KILL to leftovers""",
    ),
    History(
        name="a stop while leftovers of a crash are being ended: STOPPING, then STOPPED",
        program=program(),
        runs=(Run(lasts=5, leaves=3),),
        asks={6: STOP},
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 send TERM to leftovers · 6 STOPPING ·
            8 STOPPED""",
    ),
    History(
        name="a start while leftovers are being ended waits for them",
        program=program(),
        runs=(Run(lasts=5, exit=DONE, leaves=3), LIVES),
        asks={6: START},
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 send TERM to leftovers · 8 STARTING ·
            9 RUNNING""",
    ),
    History(
        name="a stop, then a start, while leftovers are being ended",
        program=program(),
        runs=(Run(lasts=5, leaves=3), LIVES),
        asks={6: STOP, 7: START},
        expected="""
            0 STARTING · 1 RUNNING · 5 EXITED · 5 send TERM to leftovers · 6 STOPPING ·
            8 STOPPED · 8 STARTING · 9 RUNNING""",
    ),
)
