"""The chain of causes, told from changes and runs that the real rules have made."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from supervisor_lite.explain import story
from supervisor_lite.model.cause import Cause, CauseKind, Leftover, Note, NoteKind
from supervisor_lite.model.events import Event, RestartAsked, StartAsked, StopAsked
from supervisor_lite.model.exit import Exit
from tests.explain.chronicle import played
from tests.rules.machine import DONE, FAILED, UNKNOWN, constant, program
from tests.rules.stage import DEAF, Run

BY = "uid 1000 (deploy), pid 812: slctl"
WEB = program()
START = StartAsked("")
STOP = StopAsked(f"{BY} stop web")
LIVES = Run()
SEGV = Exit(signal="SIGSEGV")
THREE = Exit(code=3)
DIES = Run(lasts=0.1, exit=THREE)
NOT_THERE = Run(error='cannot find "nope" in PATH')


def test_never_started() -> None:
    assert played(WEB, [LIVES], {}, 5).story() == [
        "web is STOPPED: it was not started",
        "the journal knows of nothing that has happened to it",
    ]


def test_started_by_somebody() -> None:
    told = played(WEB, [LIVES], {10: StartAsked(f"{BY} start web")}, 3611).story()
    assert told == [
        "web is RUNNING since @11 (60 m): pid 1001, run 1",
        f"started @10 by {BY} start web; run 1 (pid 1001) was RUNNING 1 s later",
    ]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (StartAsked("", Cause(CauseKind.AUTOSTART)), ": autostart"),
        (
            StartAsked(f"{BY} update", Cause(CauseKind.CHANGED_BY_UPDATE)),
            f" by {BY} update (changed by update)",
        ),
        (StartAsked("", Cause(CauseKind.RECORDED, text="as of old")), ": as of old"),
    ],
)
def test_started_by_itself(asked: Event, told: str) -> None:
    """Where nobody asked, the cause stands in place of a name."""
    lines = played(WEB, [LIVES], {10: asked}, 20).story()
    assert lines[1] == f"started @10{told}; run 1 (pid 1001) was RUNNING 1 s later"


def test_a_crash_and_its_restart_are_one_line() -> None:
    told = played(WEB, [Run(lasts=7383, exit=SEGV), LIVES], {10: START}, 8000).story()
    assert told[1] == (
        "restarted @7393: run 1 ended by SIGSEGV after 2 h 3 m (unexpected);"
        " run 2 started 0 ms later"
    )
    assert told[2] == "started @10; run 1 (pid 1001) was RUNNING 1 s later"


def test_an_exit_that_is_not_answered() -> None:
    assert played(WEB, [Run(lasts=5, exit=DONE)], {10: START}, 1000).story() == [
        "web is EXITED since @15 (16 m 25 s)",
        "exited @15: run 1 ended with exit 0 after 5 s (expected)",
        "started @10; run 1 (pid 1001) was RUNNING 1 s later",
    ]


def test_leftovers_are_named() -> None:
    """Those that were ended before the next run, and those that were left alone."""
    told = played(WEB, [Run(lasts=5, leaves=0.2), LIVES], {10: START}, 20).story()
    assert told[1] == (
        "restarted @15.2: run 1 ended with exit 1 after 5 s (unexpected);"
        " 1 leftover ended: 8 sleep; run 2 started 0.2 s later"
    )
    kept = Note(NoteKind.LEFTOVERS_KEPT, processes=(Leftover(4, "a"),))
    told = played(WEB, [Run(lasts=5, kept=kept), LIVES], {10: START}, 20).story()
    assert told[1].count("1 left running: 4 a") == 1


def test_a_stop_with_everything_that_can_happen() -> None:
    told = played(WEB, [Run(obeys=None, leaves=DEAF)], {10: START, 20: STOP}, 1000).story()
    assert told[:2] == [
        "web is STOPPED since @31 (16 m 9 s)",
        f"stopped @31 by {BY} stop web; TERM, KILL after 10 s; 1 leftover killed: 8 sleep",
    ]


def test_a_stop_without_force() -> None:
    """How it ended comes from the change, or where leftovers delayed that, from the run."""
    asks: dict[float, Event] = {10: START, 20: StopAsked("signal SIGTERM")}
    told = played(WEB, [Run(obeys=0.5)], asks, 50).story()
    assert told[1] == "stopped @20.5 by signal SIGTERM; TERM, ended by SIGTERM after 0.5 s"
    asks = {10: START, 20: StopAsked("", Cause(CauseKind.NO_LONGER_DEFINED))}
    told = played(WEB, [Run(obeys=0.2, handles=DONE, leaves=0.8)], asks, 50).story()
    assert told[1] == (
        "stopped @21: no longer defined; TERM, exit 0 after 0.2 s; 1 leftover ended: 8 sleep"
    )


def test_a_stop_that_is_not_over() -> None:
    told = played(WEB, [Run(obeys=9)], {10: START, 20: STOP}, 23).story()
    assert told[:2] == [
        "web is STOPPING since @20 (3 s): pid 1001, run 1; TERM sent, KILL after 10 s;"
        f" asked by {BY} stop web",
        f"stop begun @20 by {BY} stop web",
    ]


def test_a_stop_while_it_waited_for_its_next_try() -> None:
    told = played(WEB, [DIES], {9.9: START, 10.5: STOP}, 50).story()
    assert told[1] == f"stopped @10.5 by {BY} stop web; it was BACKOFF then"


def test_a_restart_that_was_asked_for_is_one_line() -> None:
    asks: dict[float, Event] = {10: START, 20: RestartAsked(f"{BY} restart web")}
    told = played(WEB, [Run(obeys=0.5, handles=DONE), LIVES], asks, 1000).story()
    assert told == [
        "web is RUNNING since @21.5 (16 m 18 s): pid 1002, run 2",
        f"restarted @20.5 by {BY} restart web; TERM, exit 0 after 0.5 s; run 2 started 0 ms later",
        "started @10; run 1 (pid 1001) was RUNNING 1 s later",
    ]


def test_a_restart_by_the_daemon_says_why() -> None:
    cause = Cause(CauseKind.MEMORY_RESTART, used=60 << 20, limit=50 << 20)
    told = played(WEB, [Run(), LIVES], {10: START, 20: RestartAsked("", cause)}, 30).story()
    assert told[1].startswith("restarted @20: memory 60 MB over memory_restart 50 MB; TERM, ")


def test_a_stop_and_a_start_by_two_people_are_two_lines() -> None:
    """Somebody wished it up again while it was being stopped by another."""
    asks: dict[float, Event] = {
        10: START,
        20: StopAsked("uid 1 (ann)"),
        20.5: StartAsked("uid 2 (bob)"),
    }
    told = played(WEB, [Run(obeys=1, handles=DONE), LIVES], asks, 50).story()
    assert told[1:3] == [
        "started @21 by uid 2 (bob); run 2 (pid 1002) was RUNNING 1 s later",
        "stopped @21 by uid 1 (ann); TERM, exit 0 after 1 s",
    ]


def test_a_failed_start_says_what_it_said() -> None:
    said = {1: "Traceback\n  ValueError: \x1b[2J"}
    told = played(WEB, [DIES], {9.9: StartAsked(f"{BY} start web")}, 10.5, said).story()
    assert told == [
        "web is BACKOFF since @10 (0.5 s): backoff 1 s, try 2 of 4: exit 3; next start @11",
        "failed to start @10 (try 1 of 4): exit 3 after 0.1 s; it said:",
        "    | Traceback",
        "    |   ValueError: \x1b[2J",
        f"start asked @9.9 by {BY} start web",
    ]


def test_giving_up() -> None:
    """What to do next stands there as long as it is FATAL, and equal tries are one line."""
    runs = [DIES, DIES, DIES, DIES, LIVES]
    said = {run: f"line {run}" for run in range(1, 6)}
    chronicle = played(WEB, runs, {9.9: START}, 1000, said)
    expected = [
        "gave up @16.3 after 4 tries: exit 3",
        "failed to start 4 times between @10 and @16.3 (tries 1 to 4 of 4): exit 3 after 0.1 s;"
        " it said:",
        "    | line 4",
        "start asked @9.9",
    ]
    assert chronicle.story() == [
        "web is FATAL since @16.3 (16 m 24 s)",
        f"{expected[0]}; next: fix it, then slctl start web",
        *expected[1:],
    ]
    chronicle.ask(StartAsked(f"{BY} start web"))
    chronicle.play(1010)
    assert chronicle.story()[2:] == expected


def test_an_end_that_looks_right_but_comes_too_soon() -> None:
    told = played(WEB, [Run(lasts=0.1, exit=DONE)], {9.9: START}, 10.5).story()
    assert told[1] == "failed to start @10 (try 1 of 4): exit 0 after 0.1 s, before startsecs (1 s)"


def test_success_at_a_later_try() -> None:
    told = played(WEB, [DIES, LIVES], {9.9: START}, 50).story()
    assert told[1] == "started @12 at try 2 of 4: run 2 (pid 1002), up for 1 s"


def test_a_spawn_error_has_its_reason_and_no_duration() -> None:
    told = played(WEB, [NOT_THERE], {10: START}, 10.5).story()
    assert told[1] == 'failed to start @10 (try 1 of 4): cannot find "nope" in PATH'


def test_what_happens_within_a_second_has_one_time() -> None:
    quick = program(startretries=1, backoff=constant(0.1))
    told = played(quick, [NOT_THERE], {10: START}, 50).story(show=lambda when: f"@{when:.0f}")
    assert told[2].startswith("failed to start 2 times at @10 (tries 1 to 2 of 2): ")


def test_a_restart_that_became_a_stop_is_told_as_the_stop() -> None:
    patient = program(stopwaitsecs=2)
    asks: dict[float, Event] = {0: START, 10: RestartAsked(f"{BY} restart web"), 11: STOP}
    told = played(patient, [Run(obeys=None)], asks, 50).story()
    assert told[1].startswith(f"stopped @12 by {BY} stop web; TERM, KILL after 2 s")


def test_equal_restarts_are_counted() -> None:
    runs = [Run(lasts=5.0 + number, exit=SEGV) for number in range(1, 18)]
    told = played(WEB, [*runs, LIVES], {0: START}, 1000).story()
    assert told[1] == (
        "restarted 17 times between @6 and @238: ended by SIGSEGV after 6 s to 22 s"
        " (unexpected); run 18 started 0 ms later"
    )
    assert len(told) == 3


def test_different_ends_are_not_counted_together() -> None:
    runs = [Run(lasts=5, exit=SEGV), Run(lasts=5, exit=FAILED), Run(lasts=5, exit=SEGV), LIVES]
    told = played(WEB, runs, {0: START}, 50).story()
    assert [line.partition(" (")[0] for line in told[1:4]] == [
        "restarted @15: run 3 ended by SIGSEGV after 5 s",
        "restarted @10: run 2 ended with exit 1 after 5 s",
        "restarted @5: run 1 ended by SIGSEGV after 5 s",
    ]


def test_an_unknown_end() -> None:
    """Nobody could tell how an adopted process ended."""
    told = played(WEB, [Run(lasts=5, exit=UNKNOWN), LIVES], {0: START}, 50).story()
    assert "run 1 ended with an unknown exit code after 5 s (unexpected)" in told[1]


def test_a_new_daemon() -> None:
    chronicle = played(WEB, [LIVES], {0: START}, 50)
    chronicle.note(CauseKind.TAKEN_OVER, pid=99)
    once = "taken over @50 by a new daemon (pid 99): the one before had ended"
    assert chronicle.story()[1] == once
    chronicle.play(60)
    chronicle.note(CauseKind.TAKEN_OVER, pid=100, version="1.2")
    assert chronicle.story()[1] == (
        "taken over 2 times between @50 and @60, the last time by its new version (pid 100, 1.2)"
    )


def test_an_end_that_no_daemon_saw() -> None:
    chronicle = played(WEB, [LIVES], {0: START}, 50)
    chronicle.note(CauseKind.FOUND_ENDED, pid=99)
    chronicle.ends_unseen(UNKNOWN)
    chronicle.play(60)
    told = chronicle.story()
    assert told[1].startswith("restarted @50: run 1 ended with an unknown exit code after 50 s")
    assert told[2] == "found ended @50 by a new daemon (pid 99): the one before had ended"


def test_a_story_that_begins_in_the_middle() -> None:
    """Old changes have been forgotten; what is left is told, and that there was more."""
    chronicle = played(WEB, [Run(lasts=5), LIVES], {0: START}, 1000)
    assert [change.to_state for change in chronicle.changes[-2:]] == ["STARTING", "RUNNING"]
    more = "… and more before that: see slctl events and slctl runs"
    del chronicle.changes[:-2]
    assert chronicle.story(complete=False) == [
        "web is RUNNING since @6 (16 m 34 s): pid 1002, run 2",
        "restarted @5: after exit 1",
        more,
    ]
    del chronicle.changes[0]
    assert chronicle.story()[1:] == []


def test_what_the_journal_has_lost_is_said_by_the_record() -> None:
    """The first line has the reason if no change does."""
    chronicle = played(WEB, [DIES], {0: START}, 1000)
    del chronicle.changes[-1]
    head = chronicle.story()[0]
    assert head == "web is FATAL since @6.4 (16 m 34 s): gave up after 4 tries: exit 3"


def test_a_long_story_is_cut() -> None:
    runs = [Run(lasts=5, exit=Exit(code=number % 2 + 1)) for number in range(99)]
    told = played(WEB, runs, {0: START}, 400).story()
    assert len(told) == story.MOST_LINES + 1
    assert told[-1] == "… and more before that: see slctl events and slctl runs"


def test_what_an_earlier_version_wrote_is_told_as_it_is() -> None:
    """Causes that were sentences, and that nobody understands any more."""
    chronicle = played(WEB, [Run(lasts=5, exit=DONE)], {0: START}, 50)
    old = Cause(CauseKind.RECORDED, text="the moon was full")
    chronicle.changes = [change._replace(cause=old) for change in chronicle.changes]
    told = chronicle.story()
    assert told[1] == "exited @5: run 1 the moon was full after 5 s (expected)"
    assert told[2] == "started @0: the moon was full; run 1 (pid 1001) was RUNNING 1 s later"


def test_clock_shows_the_day_only_when_it_is_another() -> None:
    now = time.mktime((2025, 11, 21, 3, 30, 0, 0, 0, -1))
    show = story.local_clock(now)
    assert show(now - 60) == "03:29:00"
    assert show(now - 86400) == "2025-11-20 03:30:00"


def test_the_first_time_says_whose_clock_it_is() -> None:
    """That of the reader, if it is known; the day is the reader's, too."""
    zone = timezone(timedelta(hours=-3, minutes=-30))
    now = datetime(2025, 11, 21, 2, 0, tzinfo=UTC).timestamp()
    show = story.local_clock(now, zone)
    assert show(now) == "22:30:00"
    assert show(now - 86400) == "2025-11-19 22:30:00"
    assert story.clock_offset(now, zone) == "-03:30"
    chronicle = played(WEB, [Run(lasts=5, exit=DONE)], {0: START}, 50)
    told = story.tell(chronicle.known(complete=True), chronicle.now, lambda _: "T", "-03:30")
    assert " since T -03:30 (" in told[0]
