"""Waiting for verdicts: told by the bus, in time or not, and nothing is left behind."""

from __future__ import annotations

import pytest

from supervisor_lite.core.process import Process
from supervisor_lite.core.topics import WishWithdrawn
from supervisor_lite.core.waiting import Waiting
from supervisor_lite.errors import OperationFailed
from supervisor_lite.model.change import Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.states import State
from tests.core.fake import Life, Play, Stage

WEB = Program(name="web", command=("web",))


def is_running(process: Process) -> str | None:
    return f"{process.name} is up" if process.record.state is State.RUNNING else None


def test_verdicts_come_as_they_become_true(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web, slow = stage.add(WEB), stage.add(WEB._replace(name="slow", startsecs=5))
        waiting = Waiting(stage.bus, [web, slow], is_running)
        for process in (web, slow):
            stage.supervisor.start(process, "")
        assert await waiting.verdicts() == {"web": "web is up", "slow": "slow is up"}
        assert stage.now == 5
        assert not stage.bus.has_subscribers(Change)
        assert not stage.bus.has_subscribers(WishWithdrawn)

    play(scene)


def test_a_verdict_stays_though_its_process_goes_on(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(lasts=2))
        slow = stage.add(WEB._replace(name="slow", startsecs=5))
        waiting = Waiting(stage.bus, [web, slow], is_running)
        for process in (web, slow):
            stage.supervisor.start(process, "")
        assert set(await waiting.verdicts()) == {"web", "slow"}
        assert web.record.state is State.EXITED

    play(scene)


def test_what_is_not_decided_in_time_is_missing(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web, slow = stage.add(WEB), stage.add(WEB._replace(name="slow", startsecs=5))
        waiting = Waiting(stage.bus, [web, slow], is_running)
        for process in (web, slow):
            stage.supervisor.start(process, "")
        assert set(await waiting.verdicts(timeout=3)) == {"web"}
        assert stage.now == 3
        assert await Waiting(stage.bus, [slow], is_running).verdicts(wait=False) == {}
        assert stage.now == 3
        assert not stage.bus.has_subscribers(Change)

    play(scene)


def test_an_operation_that_is_refused_leaves_no_subscriber(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB)
        stage.supervisor.stopping = True
        for act in (stage.operations.start, stage.operations.restart):
            with pytest.raises(OperationFailed, match="shutting down"):
                await act([web], "me", wait=True, timeout=None)
        assert not stage.bus.has_subscribers(Change)

    play(scene)
