"""When things happen: the engine, its queue and its journal by a clock that does not wait."""

from __future__ import annotations

import pytest

from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind, RestartLimit
from supervisor_lite.model.states import State
from tests.core.fake import Life, Play, Stage

WEB = Program(name="web", command=("web",))
FAILS = Life(lasts=0, exit=Exit(code=1))


def test_a_failing_start_is_tried_after_1_2_3_seconds(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, FAILS)
        stage.supervisor.start(web, "")
        await stage.until(100)
        assert stage.spawned(web) == [0, 1, 3, 6]
        assert stage.history(web) == [
            "0 STARTING", "0 BACKOFF", "1 STARTING", "1 BACKOFF", "3 STARTING", "3 BACKOFF",
            "6 STARTING", "6 BACKOFF", "6 FATAL",
        ]  # fmt: skip
        runs = stage.journal.history.runs(["web"], 10)
        assert [round(row.intended - 1_700_000_000, 3) for row in runs] == [6, 3, 1, 0]

    play(scene)


def test_an_exponential_backoff_has_a_maximum(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        backoff = Backoff(kind=BackoffKind.EXPONENTIAL, seconds=1.0, max=5.0)
        web = stage.add(WEB._replace(backoff=backoff, startretries=5), FAILS)
        stage.supervisor.start(web, "")
        await stage.until(100)
        assert stage.spawned(web) == [0, 1, 3, 7, 12, 17]

    play(scene)


def test_a_start_that_is_asked_for_does_not_wait_for_the_backoff(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, FAILS, FAILS, Life())
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.start(web, "somebody")
        await stage.until(100)
        assert stage.spawned(web) == [0, 1, 2]
        assert stage.history(web)[-2:] == ["2 STARTING", "3 RUNNING"]

    play(scene)


def test_a_stop_in_the_backoff_ends_it(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, FAILS)
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.stop(web, "somebody")
        await stage.until(100)
        assert stage.spawned(web) == [0, 1]
        assert stage.history(web)[-1] == "2 STOPPED"

    play(scene)


@pytest.mark.parametrize(("startsecs", "up"), [(0.0, "0"), (1.5, "1.5"), (3600.0, "3600")])
def test_it_is_running_after_startsecs(play: Play, startsecs: float, up: str) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB._replace(startsecs=startsecs))
        stage.supervisor.start(web, "")
        await stage.until(10_000)
        assert stage.history(web) == ["0 STARTING", f"{up} RUNNING"]

    play(scene)


def test_a_child_that_ends_with_startsecs_is_up(play: Play) -> None:
    """And one that ends just before is a failed start."""

    async def scene(stage: Stage) -> None:
        late = stage.add(WEB, Life(lasts=1.25), Life())
        early = stage.add(WEB._replace(name="early"), Life(lasts=0.75), Life())
        stage.supervisor.start(late, "")
        stage.supervisor.start(early, "")
        await stage.until(100)
        assert stage.history(late) == ["0 STARTING", "1 RUNNING", "1.25 EXITED"]
        assert stage.history(early) == [
            "0 STARTING", "0.75 BACKOFF", "1.75 STARTING", "2.75 RUNNING",
        ]  # fmt: skip

    play(scene)


def test_two_spawns_are_a_tenth_of_a_second_apart(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        program = WEB._replace(startsecs=0, autorestart=AutoRestart.ALWAYS)
        web = stage.add(program, Life(lasts=0), Life(lasts=0), Life(lasts=0.5), Life())
        stage.supervisor.start(web, "")
        await stage.until(100)
        assert stage.spawned(web) == [0, 0.1, 0.2, 0.7]

    play(scene)


def test_who_ignores_the_stop_signal_is_killed_after_stopwaitsecs(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB._replace(stopwaitsecs=7.5), Life(stops=None))
        stage.supervisor.start(web, "")
        await stage.until(5)
        stage.supervisor.stop(web, "somebody")
        await stage.until(100)
        assert stage.signals(web) == ["5 TERM", "12.5 KILL"]
        assert stage.history(web)[-2:] == ["5 STOPPING", "12.5 STOPPED"]

    play(scene)


def test_who_does_not_die_is_killed_again_and_again(play: Play) -> None:
    """In the kernel's hands: until it lets go. Never more often than once a second."""

    async def scene(stage: Stage) -> None:
        program = WEB._replace(stopwaitsecs=0.25)
        web = stage.add(program, Life(stops=None, dies=False))
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.stop(web, "somebody")
        await stage.until(5)
        assert stage.signals(web) == ["2 TERM", "2.25 KILL", "3.25 KILL", "4.25 KILL"]

    play(scene)


def test_a_stop_in_time_kills_nobody(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(stops=9.75))
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.stop(web, "somebody")
        await stage.until(100)
        assert stage.signals(web) == ["2 TERM"]
        assert stage.history(web)[-1] == "11.75 STOPPED"

    play(scene)


def test_kill_now_does_not_wait_for_stopwaitsecs(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(stops=None))
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.stop(web, "somebody")
        await stage.until(3)
        stage.supervisor.kill_now([web])
        await stage.until(100)
        assert stage.signals(web) == ["2 TERM", "3 KILL"]

    play(scene)


def test_leftovers_have_stopwaitsecs_and_the_next_spawn_waits_for_them(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        program = WEB._replace(stopwaitsecs=4, autorestart=AutoRestart.ALWAYS)
        web = stage.add(program, Life(lasts=2, leftovers=-1), Life())
        stage.supervisor.start(web, "")
        await stage.until(100)
        assert stage.signals(web) == ["2 TERM*", "6 KILL*"]
        assert stage.spawned(web) == [0, 6]
        assert stage.history(web) == [
            "0 STARTING", "1 RUNNING", "2 EXITED", "6 STARTING", "7 RUNNING",
        ]  # fmt: skip

    play(scene)


def test_leftovers_that_obey_are_not_killed(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(stops=1, leftovers=3))
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.stop(web, "somebody")
        await stage.until(100)
        assert stage.signals(web) == ["2 TERM", "3 TERM*"]
        assert stage.history(web)[-2:] == ["2 STOPPING", "6 STOPPED"]

    play(scene)


def test_a_used_up_restart_limit_pauses_before_one_more_try(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        limit = RestartLimit(restarts=2, window=60, cooldown=30)
        program = WEB._replace(autorestart=AutoRestart.ALWAYS, restart_limit=limit)
        web = stage.add(program, Life(lasts=5))
        stage.supervisor.start(web, "")
        await stage.until(90)
        # Restarted at 5 and 10; at 15 the budget is spent, and one try finds it spent again.
        assert stage.spawned(web) == [0, 5, 10, 45, 80]

    play(scene)


def test_a_used_up_restart_limit_without_a_pause_is_fatal(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        limit = RestartLimit(restarts=2, window=60)
        program = WEB._replace(autorestart=AutoRestart.ALWAYS, restart_limit=limit)
        web = stage.add(program, Life(lasts=5))
        stage.supervisor.start(web, "")
        await stage.until(1000)
        assert stage.spawned(web) == [0, 5, 10]
        assert stage.history(web)[-2:] == ["15 EXITED", "15 FATAL"]

    play(scene)


def test_the_window_of_a_restart_limit_slides(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        limit = RestartLimit(restarts=2, window=8)
        program = WEB._replace(autorestart=AutoRestart.ALWAYS, restart_limit=limit)
        web = stage.add(program, Life(lasts=5))
        stage.supervisor.start(web, "")
        await stage.until(99)
        assert len(stage.spawned(web)) == 20, "never more than two in eight seconds"

    play(scene)


def test_an_operation_waits_as_long_as_it_may(play: Play) -> None:
    """What is not decided by then goes on behind it."""

    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(stops=None))
        (result,) = await stage.operations.start([web], "me", wait=True, timeout=None)
        assert (result.result, stage.now) == ("started", 1)
        (result,) = await stage.operations.stop([web], "me", wait=True, timeout=3)
        assert (result.ok, result.result, stage.now) == (False, "timeout", 4)
        (result,) = await stage.operations.stop([web], "me", wait=True, timeout=None)
        assert (result.ok, result.result, stage.now) == (True, "stopped", 11)
        assert web.record.state is State.STOPPED

    play(scene)


def test_waves_of_a_stop_wait_for_each_other(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        base = stage.add(WEB._replace(name="base", priority=1), Life(stops=2))
        web = stage.add(WEB._replace(priority=5), Life(stops=3))
        await stage.operations.start([base, web], "me", wait=True, timeout=None)
        await stage.operations.stop([base, web], "me", wait=True, timeout=None)
        assert (stage.signals(web), stage.signals(base)) == (["1 TERM"], ["4 TERM"])
        assert stage.now == 6

    play(scene)


def test_a_record_is_in_the_journal_when_the_loop_goes_on(play: Play) -> None:
    """Not one timer later: what is due next may be an hour away."""

    async def scene(stage: Stage) -> None:
        web = stage.add(WEB._replace(startsecs=3600))
        stage.supervisor.start(web, "")
        await stage.until(0.5)
        (row,) = stage.journal.history.processes()
        assert row.record.state is State.STARTING
        assert row.started == row.since == 1_700_000_000

    play(scene)
