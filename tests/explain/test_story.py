"""The chain of causes, told from changes and runs."""

from __future__ import annotations

import time
from typing import Any

from supervisor_lite.explain import episodes, story
from supervisor_lite.model.change import Change
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import RunRow
from supervisor_lite.model.states import State

BY = "uid 1000 (deploy), pid 812: slctl"
PROGRAM = Program(name="web", command=("web",))


def clock(seconds: float) -> str:
    """Show times as seconds, which is easy to follow in a test."""
    return f"@{seconds:g}"


class History:
    """What happened to one process, written as it would be in the journal."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.runs: list[RunRow] = []

    def to(self, at: float, state: str, cause: str, **fields: Any) -> History:
        before = self.changes[-1].to_state if self.changes else "STOPPED"
        change = Change(
            serial=len(self.changes) + 1, time=at, name="web", process="web", group="web",
            from_state=before, to_state=state, cause=cause, **fields,
        )  # fmt: skip
        self.changes.append(change)
        return self

    def run(self, number: int, spawned: float, ended: float | None = None, **end: Any) -> History:
        self.runs.append(
            RunRow(run=number, name="web", intended=spawned, spawned=spawned, ended=ended, **end)
        )
        return self

    def up(self, at: float, run: int, cause: str = "start asked", by: str = "") -> History:
        """A start that succeeds within a second."""
        self.to(at, "STARTING", cause, by=by, run=run - 1 or None)
        return self.to(at + 1, "RUNNING", "up for 1 s", run=run, pid=100 + run)

    def crash(self, at: float, run: int, lasted: float, how: str = "killed by SIGSEGV") -> History:
        """An end that nobody expected, and a new run 4 ms later."""
        self.run(run, at - lasted, at)
        self.to(at, "EXITED", f"{how} (not expected)", run=run, pid=100 + run, expected=False)
        return self.up(at + 0.004, run + 1, f"restart after {how}").run(run + 1, at + 0.004)

    def fail(
        self, at: float, run: int, number: int, words: str = "", how: str = "exit 3"
    ) -> History:
        """A start that fails after 0.1 s."""
        self.run(run, at - 0.1, at)
        return self.to(
            at, "BACKOFF", how, run=run, pid=100 + run, exitcode=3, tries=number, last_words=words
        )

    def told(self, now: float = 1000.0, *, complete: bool = True, **record: Any) -> list[str]:
        """Return the story; the record follows from the last change unless it is given."""
        last = self.changes[-1] if self.changes else None
        values: dict[str, Any] = {
            "state": State[last.to_state] if last else State.STOPPED,
            "run": last.run if last else None,
            "cause": last.cause if last else "",
            "by": last.by if last else "",
            "pid": last.pid if last and last.to_state in ("RUNNING", "STARTING") else None,
            **record,
        }
        known = episodes.Known(
            program=PROGRAM,
            record=Record(**values),
            since=last.time if last else 0.0,
            due=None,
            changes=self.changes,
            runs=self.runs,
            complete=complete,
        )
        return story.tell(known, now, clock)


def test_never_started() -> None:
    assert History().told() == [
        "web is STOPPED: it was not started",
        "the journal knows of nothing that has happened to it",
    ]


def test_started_by_somebody() -> None:
    told = History().up(10, 41, by=f"{BY} start web").told(now=3611)
    assert told == [
        "web is RUNNING since @11 (60 m): pid 141, run 41",
        f"started @10 by {BY} start web; run 41 (pid 141) was RUNNING 1 s later",
    ]


def test_started_by_itself() -> None:
    """Where nobody asked, the cause stands in place of a name."""
    told = History().up(10, 41, "autostart").told()
    assert told[1] == "started @10: autostart; run 41 (pid 141) was RUNNING 1 s later"
    told = History().up(10, 41, "changed by update", by=f"{BY} update").told()
    assert told[1].startswith(f"started @10 by {BY} update (changed by update); run 41")


def test_a_crash_and_its_restart_are_one_line() -> None:
    history = History().up(10, 41).crash(7393, 41, 7383)
    assert history.told()[1] == (
        "restarted @7393: run 41 ended by SIGSEGV after 2 h 3 m (unexpected);"
        " run 42 started 4 ms later"
    )


def test_an_exit_that_is_not_answered() -> None:
    history = History().up(10, 1).run(1, 10, 15)
    history.to(15, "EXITED", "exit 0 (expected)", run=1, pid=101, exitcode=0, expected=True)
    assert history.told() == [
        "web is EXITED since @15 (16 m 25 s)",
        "exited @15: run 1 ended with exit 0 after 5 s (expected)",
        "started @10; run 1 (pid 101) was RUNNING 1 s later",
    ]


def test_leftovers_are_named() -> None:
    """Those that were ended before the next run, and those that were left alone."""
    history = History().up(10, 1).run(1, 10, 15).run(2, 15.2)
    history.to(15, "EXITED", "exit 1 (not expected)", run=1, expected=False)
    history.to(15.2, "STARTING", "restart after exit 1", run=1, note="1 leftover ended: 44 node")
    assert history.told()[1] == (
        "restarted @15.2: run 1 ended with exit 1 after 5 s (unexpected);"
        " 1 leftover ended: 44 node; run 2 started 0.2 s later"
    )
    kept = History().up(10, 1).run(1, 10, 15).run(2, 15)
    kept.to(
        15, "EXITED", "exit 1 (not expected)", expected=False, run=1, note="1 left running: 4 a"
    )
    kept.to(15, "STARTING", "restart after exit 1", run=1, note="1 left running: 4 a")
    assert kept.told()[1].count("1 left running: 4 a") == 1


def test_a_stop_with_everything_that_can_happen() -> None:
    history = History().up(10, 1)
    history.to(20, "STOPPING", "stop asked", by=f"{BY} stop web", run=1, pid=101)
    note = "KILL after 10 s; 2 leftovers killed: 4411 node, 4412 sh"
    history.to(30, "STOPPED", "stop asked", by=f"{BY} stop web", run=1, note=note)
    assert history.told()[:2] == [
        "web is STOPPED since @30 (16 m 10 s)",
        f"stopped @30 by {BY} stop web; TERM, KILL after 10 s;"
        " 2 leftovers killed: 4411 node, 4412 sh",
    ]


def test_a_stop_without_force() -> None:
    """How it ended comes from the change, or where leftovers delayed that, from the run."""
    history = History().up(10, 1)
    history.to(20, "STOPPING", "stop asked", by="signal SIGTERM", run=1, pid=101)
    history.to(20.5, "STOPPED", "stop asked", by="signal SIGTERM", run=1, signal="SIGTERM")
    assert (
        history.told()[1] == "stopped @20.5 by signal SIGTERM; TERM, ended by SIGTERM after 0.5 s"
    )
    history = History().up(10, 1).run(1, 10, 20.2, code=0)
    history.to(20, "STOPPING", "no longer defined", run=1, pid=101)
    history.to(21, "STOPPED", "no longer defined", run=1, note="1 leftover ended: 7 sh")
    assert history.told()[1] == (
        "stopped @21: no longer defined; TERM, exit 0 after 0.2 s; 1 leftover ended: 7 sh"
    )


def test_a_stop_that_is_not_over() -> None:
    history = History().up(10, 1)
    history.to(20, "STOPPING", "stop asked", by=f"{BY} stop web", run=1, pid=101)
    told = history.told(now=23, pid=101)
    assert told[0] == (
        "web is STOPPING since @20 (3 s): pid 101, run 1; TERM sent, KILL after 10 s;"
        f" asked by {BY} stop web"
    )
    assert told[1] == f"stop begun @20 by {BY} stop web"


def test_a_stop_while_it_waited_for_its_next_try() -> None:
    history = History().to(9.9, "STARTING", "start asked").fail(10, 1, 1)
    history.to(10.5, "STOPPED", "stop asked", by=f"{BY} stop web", run=1)
    assert history.told()[1] == f"stopped @10.5 by {BY} stop web; it was BACKOFF then"


def test_a_restart_that_was_asked_for_is_one_line() -> None:
    by = f"{BY} restart web"
    history = History().up(10, 1).run(1, 10, 20.5).run(2, 20.504)
    history.to(20, "STOPPING", "restart asked", by=by, run=1, pid=101)
    history.to(20.5, "STOPPED", "restart asked", by=by, run=1, exitcode=0)
    history.up(20.5, 2, "restart asked", by)
    assert history.told()[:2] == [
        "web is RUNNING since @21.5 (16 m 18 s): pid 102, run 2",
        f"restarted @20.5 by {by}; TERM, exit 0 after 0.5 s; run 2 started 4 ms later",
    ]


def test_a_stop_and_a_start_by_two_people_are_two_lines() -> None:
    """Somebody wished it up again while it was being stopped by another."""
    history = History().up(10, 1)
    history.to(20, "STOPPING", "stop asked", by="uid 1 (ann)", run=1, pid=101)
    history.to(21, "STOPPED", "start asked", by="uid 2 (bob)", run=1, exitcode=0)
    history.up(21, 2, "start asked", by="uid 2 (bob)")
    assert history.told()[1:3] == [
        "started @21 by uid 2 (bob); run 2 (pid 102) was RUNNING 1 s later",
        "stopped @21 by uid 1 (ann); TERM, exit 0 after 1 s",
    ]


def test_a_failed_start_says_what_it_said() -> None:
    history = History().to(9.9, "STARTING", "start asked", by=f"{BY} start web")
    history.fail(10, 1, 1, "Traceback\n  ValueError: \x1b[2J")
    told = history.told(failures=1, exit=Exit(code=3))
    assert told == [
        "web is BACKOFF since @10 (16 m 30 s): backoff 1 s, try 2 of 4: exit 3",
        "failed to start @10 (try 1 of 4): exit 3 after 0.1 s; it said:",
        "    | Traceback",
        "    |   ValueError: \x1b[2J",
        f"start asked @9.9 by {BY} start web",
    ]


def test_giving_up() -> None:
    """What to do next stands there as long as it is FATAL, and equal tries are one line."""
    history = History().to(9.9, "STARTING", "start asked")
    for number, at in enumerate((10.0, 11, 13, 16), 1):
        history.fail(at, number, number, f"line {number}")
        if number < 4:
            history.to(at + number - 0.1, "STARTING", f"try {number + 1} of 4")
    history.to(16, "FATAL", "gave up after 4 tries: exit 3", run=4, exitcode=3, last_words="line 4")
    expected = [
        "gave up @16 after 4 tries: exit 3",
        "failed to start 4 times between @10 and @16 (tries 1 to 4 of 4): exit 3 after 0.1 s;"
        " it said:",
        "    | line 4",
        "start asked @9.9",
    ]
    told = history.told()
    assert told[0] == "web is FATAL since @16 (16 m 24 s)"
    assert told[1:] == [f"{expected[0]}; next: fix it, then slctl start web", *expected[1:]]
    later = history.up(20, 5, by=f"{BY} start web").told()
    assert later[2:] == expected


def test_an_end_that_looks_right_but_comes_too_soon() -> None:
    history = History().to(9.9, "STARTING", "start asked").fail(10, 1, 1, how="exit 0")
    told = history.told(failures=1, exit=Exit(code=0))
    assert told[1] == "failed to start @10 (try 1 of 4): exit 0 after 0.1 s, before startsecs (1 s)"


def test_success_at_a_later_try() -> None:
    history = History().to(9.9, "STARTING", "start asked").fail(10, 1, 1)
    history.to(11, "STARTING", "try 2 of 4", run=1)
    history.to(12, "RUNNING", "up for 1 s", run=2, pid=102)
    assert history.told()[1] == "started @12 at try 2 of 4: run 2 (pid 102), up for 1 s"


def test_a_spawn_error_has_its_reason_and_no_duration() -> None:
    history = History().to(10, "STARTING", "start asked")
    history.to(10, "BACKOFF", 'cannot find "nope" in PATH', tries=1, run=1)
    assert history.told()[1] == 'failed to start @10 (try 1 of 4): cannot find "nope" in PATH'


def test_what_happens_within_a_second_has_one_time() -> None:
    history = History()
    for number in (1, 2):
        history.to(10, "STARTING", "start asked" if number == 1 else "try 2 of 4")
        history.to(10, "BACKOFF", 'cannot find "nope" in PATH', tries=number, run=number)
    assert history.told()[1].startswith("failed to start 2 times at @10 (tries 1 to 2 of 4): ")


def test_a_restart_that_became_a_stop_is_told_as_the_stop() -> None:
    history = History().up(0, 1)
    history.to(10, "STOPPING", "restart asked", by="uid 1 (a), pid 2: slctl restart web", run=1)
    by = "uid 1 (a), pid 3: slctl stop web"
    history.to(12, "STOPPED", "stop asked", by=by, run=1, note="KILL after 2 s")
    assert history.told()[1].startswith(f"stopped @12 by {by}; TERM, KILL after 2 s")


def test_equal_restarts_are_counted() -> None:
    history = History().up(0, 1)
    for number in range(1, 18):
        history.crash(60.0 * number, number, 5.0 + number)
    told = history.told()
    assert told[1] == (
        "restarted 17 times between @60.004 and @1020: ended by SIGSEGV after 6 s to 22 s"
        " (unexpected); run 18 started 4 ms later"
    )
    assert len(told) == 3


def test_different_ends_are_not_counted_together() -> None:
    history = History().up(0, 1).crash(60, 1, 5).crash(120, 2, 5, "exit 1").crash(180, 3, 5)
    told = history.told()
    assert [line.partition(" (")[0] for line in told[1:4]] == [
        "restarted @180.004: run 3 ended by SIGSEGV after 5 s",
        "restarted @120.004: run 2 ended with exit 1 after 5 s",
        "restarted @60.004: run 1 ended by SIGSEGV after 5 s",
    ]


def test_an_unknown_end() -> None:
    """Nobody could tell how an adopted process ended."""
    history = History().up(0, 1).crash(60, 1, 5, "ended with an unknown exit code")
    assert "run 1 ended with an unknown exit code after 5 s (unexpected)" in history.told()[1]


def test_a_new_daemon() -> None:
    cause = "taken over by a new daemon (pid 99): the one before had ended"
    history = History().up(0, 1).to(50, "RUNNING", cause, run=1, pid=101)
    assert history.told()[1] == "taken over @50 by a new daemon (pid 99): the one before had ended"
    history.to(60, "RUNNING", cause.replace("99", "100"), run=1, pid=101)
    assert history.told()[1] == (
        "taken over 2 times between @50 and @60,"
        " the last time by a new daemon (pid 100): the one before had ended"
    )


def test_an_end_that_no_daemon_saw() -> None:
    history = History().up(0, 1)
    history.to(50, "RUNNING", "found ended by a new daemon (pid 99): the one before had ended")
    history.crash(50, 1, 50, "ended with an unknown exit code")
    told = history.told()
    assert told[1].startswith("restarted @50.004: run 1 ended with an unknown exit code after 50 s")
    assert told[2] == "found ended @50 by a new daemon (pid 99): the one before had ended"


def test_a_story_that_begins_in_the_middle() -> None:
    """Old changes have been forgotten; what is left is told, and that there was more."""
    history = History()
    history.changes.append(
        Change(
            serial=7,
            time=5,
            name="web",
            process="web",
            group="web",
            from_state="EXITED",
            to_state="STARTING",
            cause="restart after exit 1",
            run=3,
        )
    )
    history.to(6, "RUNNING", "up for 1 s", run=4, pid=104)
    assert history.told(complete=False) == [
        "web is RUNNING since @6 (16 m 34 s): pid 104, run 4",
        "restarted @5: after exit 1",
        "… and more before that: see slctl events and slctl runs",
    ]
    running = History()
    running.changes.append(history.changes[1])
    assert running.told()[1:] == []


def test_what_the_journal_has_lost_is_said_by_the_record() -> None:
    """The first line has the reason if no change does."""
    told = (
        History().up(0, 1).told(state=State.FATAL, pid=None, cause="gave up after 4 tries: exit 3")
    )
    assert told[0] == "web is FATAL since @1 (16 m 39 s): gave up after 4 tries: exit 3"


def test_a_long_story_is_cut() -> None:
    history = History().up(0, 1)
    for number in range(1, 100):
        history.crash(60.0 * number, number, 5, f"exit {number % 2 + 1}")
    told = history.told()
    assert len(told) == story.MOST_LINES + 1
    assert told[-1] == "… and more before that: see slctl events and slctl runs"


def test_next_start_and_other_states() -> None:
    history = History().to(9.9, "STARTING", "start asked").fail(10, 1, 1)
    known = episodes.Known(
        program=PROGRAM,
        record=Record(state=State.BACKOFF, run=1, failures=1, exit=Exit(code=3)),
        since=10,
        due=11.0,
        changes=history.changes,
        runs=history.runs,
        complete=True,
    )
    head = story.tell(known, 10.5, clock)[0]
    assert head == (
        "web is BACKOFF since @10 (0.5 s): backoff 1 s, try 2 of 4: exit 3; next start @11"
    )


def test_clock_shows_the_day_only_when_it_is_another() -> None:
    now = time.mktime((2025, 11, 21, 3, 30, 0, 0, 0, -1))
    show = story.local_clock(now)
    assert show(now - 60) == "03:29:00"
    assert show(now - 86400) == "2025-11-20 03:30:00"
