"""Many at once, by priority: what happens to those whose turn has not come yet."""

from __future__ import annotations

import asyncio

import pytest

from supervisor_lite.core.process import Process
from supervisor_lite.core.results import Result
from supervisor_lite.errors import OperationFailed
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.states import State
from tests.core.fake import Life, Play, Stage

SLOW = Life(stops=4)
CRASHES = Life(lasts=0.5, exit=Exit(code=1))


def named(name: str, priority: int) -> Program:
    return Program(name=name, command=(name,), priority=priority, startsecs=0)


async def up(stage: Stage, **lives: Life) -> list[Process]:
    """Return processes of ascending priority that are RUNNING since 0."""
    found = [stage.add(named(name, at), life) for at, (name, life) in enumerate(lives.items())]
    for process in found:
        stage.supervisor.start(process, "")
    await stage.until(0.01)
    return found


def begin_stop(stage: Stage, processes: list[Process]) -> asyncio.Task[list[Result]]:
    stop = stage.operations.stop(processes, "ann", wait=True, timeout=None)
    return asyncio.get_running_loop().create_task(stop)


def by_name(results: list[Result]) -> dict[str, str]:
    return {result.name: result.result for result in results}


def test_nothing_is_respawned_while_a_higher_wave_still_ends(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        low, high = await up(stage, low=CRASHES, high=SLOW)
        results = await begin_stop(stage, [low, high])
        assert by_name(results) == {"low": "stopped", "high": "stopped"}
        assert stage.spawned(low) == [0]
        assert stage.history(low) == ["0 STARTING", "0 RUNNING", "0.5 EXITED"]
        assert stage.signals(low) == []
        assert not low.record.wanted

    play(scene)


def test_the_signals_wait_for_their_wave(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        low, middle, high = await up(stage, low=Life(), middle=Life(stops=2), high=SLOW)
        await stage.until(1)
        stopping = begin_stop(stage, [low, middle, high])
        await stage.until(2)
        assert [p.record.wanted for p in (low, middle, high)] == [False] * 3
        assert low.record.state is State.RUNNING
        await stopping
        sent = [stage.signals(p) for p in (low, middle, high)]
        assert sent == [["7 TERM"], ["5 TERM"], ["1 TERM"]]

    play(scene)


def test_a_start_before_its_turn_withdraws_the_stop(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        low, high = await up(stage, low=Life(lasts=8, exit=Exit(code=1)), high=SLOW)
        stopping = begin_stop(stage, [low, high])
        await stage.until(1)
        started = await stage.operations.start([low], "bob", wait=True, timeout=None)
        assert by_name(started) == {"low": "started"}
        results = await stopping
        assert by_name(results) == {"low": "aborted", "high": "stopped"}
        assert "started again: start asked by bob" in [result.reason for result in results]
        assert stage.signals(low) == []
        await stage.until(9)
        assert stage.spawned(low) == [0, 8], "it is kept up as before"

    play(scene)


def test_a_restart_before_its_turn_is_a_restart(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        low, high = await up(stage, low=Life(stops=1), high=SLOW)
        stopping = begin_stop(stage, [low, high])
        await stage.until(1)
        restarted = await stage.operations.restart([low], "bob", wait=True, timeout=None)
        assert by_name(restarted) == {"low": "restarted"}
        assert by_name(await stopping) == {"low": "aborted", "high": "stopped"}
        await stage.until(100)
        assert stage.signals(low) == ["1 TERM"]
        assert low.record.state is State.RUNNING

    play(scene)


def test_during_a_shutdown_nothing_is_withdrawn(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        low, high = await up(stage, low=Life(), high=SLOW)
        stage.supervisor.stopping = True
        stopping = begin_stop(stage, [low, high])
        await stage.until(1)
        for ask in (stage.operations.start, stage.operations.restart):
            with pytest.raises(OperationFailed, match="the daemon is shutting down"):
                await ask([low], "bob", wait=True, timeout=None)
        assert by_name(await stopping) == {"low": "stopped", "high": "stopped"}

    play(scene)


def test_a_restart_goes_down_by_descending_priority_and_up_by_ascending(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        low, middle, high = await up(stage, low=Life(stops=1), middle=Life(stops=2), high=SLOW)
        await stage.until(1)
        everything = [high, low, middle]
        results = await stage.operations.restart(everything, "ann", wait=True, timeout=None)
        assert by_name(results) == dict.fromkeys(("low", "middle", "high"), "restarted")
        sent = [stage.signals(p) for p in (low, middle, high)]
        assert sent == [["7 TERM"], ["5 TERM"], ["1 TERM"]]
        assert [name for _, name in stage.runs.spawned[3:]] == ["low", "middle", "high"]
        assert stage.spawned(high) == [0, 8], "when all are down"

    play(scene)


def test_a_restart_at_once_waits_for_nobody(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        low, high = await up(stage, low=Life(stops=1), high=SLOW)
        await stage.until(1)
        await stage.operations.restart([low, high], "ann", wait=True, timeout=None, at_once=True)
        assert (stage.spawned(low), stage.spawned(high)) == ([0, 2], [0, 5])

    play(scene)


@pytest.mark.parametrize("when", [2, 6.5])
def test_a_stop_during_a_restart_leaves_it_down(play: Play, when: float) -> None:
    """Whether its turn has come or not; the others come up."""

    async def scene(stage: Stage) -> None:
        low, high = await up(stage, low=Life(stops=4), high=SLOW)
        await stage.until(1)
        restart = stage.operations.restart([low, high], "ann", wait=True, timeout=None)
        restarting = asyncio.get_running_loop().create_task(restart)
        await stage.until(when)
        await stage.operations.stop([low], "bob", wait=False, timeout=None)
        assert by_name(await restarting) == {"low": "aborted", "high": "restarted"}
        await stage.until(100)
        assert (low.record.state, low.record.wanted) == (State.STOPPED, False)

    play(scene)


def test_a_shutdown_during_a_restart_wins(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        low, high = await up(stage, low=Life(), high=SLOW)
        restart = stage.operations.restart([low, high], "ann", wait=True, timeout=None)
        restarting = asyncio.get_running_loop().create_task(restart)
        await stage.until(1)
        stage.supervisor.stopping = True
        await stage.operations.stop_in_order([low, high], "bob")
        assert by_name(await restarting) == {"low": "aborted", "high": "aborted"}
        assert (stage.spawned(low), stage.spawned(high)) == ([0], [0])

    play(scene)
