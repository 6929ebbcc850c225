"""One event at a time, published when it is over; and what comes and goes on the table."""

from __future__ import annotations

from supervisor_lite.core.process import Process
from supervisor_lite.core.topics import DefinitionChanged, GroupsChanged, WishWithdrawn
from supervisor_lite.model.change import Change
from supervisor_lite.model.events import Spawned, SpawnFailed
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.plan import Group
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import AutoRestart
from supervisor_lite.model.states import State
from tests.core.fake import Life, Play, Stage

WEB = Program(name="web", command=("web",))


def test_a_change_is_published_when_its_actions_were_carried_out(play: Play) -> None:
    """Whoever hears of STARTING finds a main process; of STOPPING, its signal sent."""

    async def scene(stage: Stage) -> None:
        web = stage.add(WEB)
        heard: list[tuple[str, bool, int]] = []
        stage.bus.subscribe(
            Change,
            lambda change: heard.append(
                (change.to_state, web.pidfd is not None, len(stage.signals(web)))
            ),
        )
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.stop(web, "")
        await stage.until(3)
        assert heard == [
            ("STARTING", True, 0), ("RUNNING", True, 0), ("STOPPING", True, 1),
            ("STOPPED", False, 1),
        ]  # fmt: skip

    play(scene)


def test_who_stops_it_when_it_starts_has_it_stopped(play: Play) -> None:
    """The record is the new one as soon as the subscriber's call returns."""

    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(stops=0.5))
        states: list[State] = []

        def stop(change: Change) -> None:
            if change.to_state == "STARTING":
                stage.supervisor.stop(web, "subscriber")
                states.append(web.record.state)

        stage.bus.subscribe(Change, stop)
        stage.supervisor.start(web, "")
        await stage.until(100)
        assert states == [State.STOPPING]
        assert stage.signals(web) == ["0 TERM"]
        assert stage.history(web) == ["0 STARTING", "0 STOPPING", "0.5 STOPPED"]

    play(scene)


def test_everybody_hears_the_same_order_as_the_journal(play: Play) -> None:
    """Also those who subscribed before somebody that makes changes while it is told one."""

    async def scene(stage: Stage) -> None:
        web, other = stage.add(WEB, Life(stops=None)), stage.add(WEB._replace(name="other"))
        first: list[Change] = []
        last: list[Change] = []

        def meddle(change: Change) -> None:
            if change.name == "web" and change.to_state == "STARTING":
                stage.supervisor.start(other, "")
                stage.supervisor.stop(web, "")
                stage.supervisor.kill_now([web])
            if change.to_state == "RUNNING":
                stage.supervisor.restart(other, "")

        stage.bus.subscribe(Change, first.append)
        stage.bus.subscribe(Change, meddle)
        stage.bus.subscribe(Change, last.append)
        stage.supervisor.start(web, "")
        await stage.until(3.5)
        assert len(first) > 8
        assert first == last == stage.journal.history.changes(after=0)

    play(scene)


def test_an_event_from_inside_an_action_waits_for_it(play: Play) -> None:
    """The answer to Spawn comes before anything else."""

    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(stops=0.5))

        spawn = stage.runs.spawn

        def meddle(process: Process) -> Spawned | SpawnFailed:
            stage.supervisor.stop(web, "from inside")
            assert web.record.state is State.STARTING
            return spawn(process)

        stage.runs.spawn = meddle  # type: ignore[method-assign]
        stage.supervisor.start(web, "")
        await stage.until(100)
        assert stage.signals(web) == ["0 TERM"]
        assert stage.history(web) == ["0 STARTING", "0 STOPPING", "0.5 STOPPED"]

    play(scene)


def test_a_wish_that_is_withdrawn_is_published(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(lasts=0, exit=Exit(code=1)))
        withdrawn: list[WishWithdrawn] = []
        stage.bus.subscribe(WishWithdrawn, withdrawn.append)
        stage.supervisor.start(web, "")
        await stage.until(0.5)
        stage.supervisor.stop(web, "")
        assert withdrawn == [], "its state has changed: that is told"
        always = stage.add(WEB._replace(name="always"), Life(stops=None))
        stage.supervisor.start(always, "")
        await stage.until(2)
        stage.supervisor.restart(always, "")
        stage.supervisor.stop(always, "")
        assert withdrawn == [WishWithdrawn("always")]

    play(scene)


# The table.


def test_who_is_dropped_while_up_is_stopped_and_then_leaves(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(stops=3))
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.drop(web)
        assert stage.supervisor.processes == {"web": web}
        await stage.until(100)
        assert stage.supervisor.processes == {}
        assert stage.history(web)[-2:] == ["2 STOPPING", "5 STOPPED"]
        assert list(stage.journal.history.processes()) == []
        assert stage.journal.history.open_runs() == []

    play(scene)


def test_who_is_added_again_while_it_leaves_stays(play: Play) -> None:
    """It is one process, with one child at a time and the newer definition."""

    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(stops=3), Life())
        stage.supervisor.start(web, "")
        await stage.until(2)
        stage.supervisor.drop(web)
        newer = WEB._replace(command=("newer",))
        assert stage.supervisor.table.add(newer) is web
        stage.supervisor.start(web, "")
        await stage.until(100)
        assert stage.supervisor.processes == {"web": web}
        assert web.program == newer
        assert stage.spawned(web) == [0, 5]

    play(scene)


def test_nothing_happens_any_more_to_who_was_dropped(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB)
        stage.supervisor.drop(web)
        stage.supervisor.start(web, "")
        stage.supervisor.drop(web)
        await stage.until(100)
        assert stage.spawned(web) == []

    play(scene)


def test_a_run_id_of_who_is_not_spawned_after_all_is_kept_or_closed(play: Play) -> None:
    """Reserved for a batch of spawns; then the first of them stops or drops the others."""

    async def scene(stage: Stage) -> None:
        web = stage.add(WEB)
        stopped, dropped = (stage.add(WEB._replace(name=name)) for name in ("stopped", "dropped"))

        def meddle(change: Change) -> None:
            if change.name == "web" and change.to_state == "STARTING":
                stage.supervisor.stop(stopped, "")
                stage.supervisor.drop(dropped)

        stage.bus.subscribe(Change, meddle)
        for process in (web, stopped, dropped):
            stage.supervisor.start(process, "")
        await stage.until(2)
        stage.supervisor.start(stopped, "")
        await stage.until(4)
        assert [(row.name, row.run) for row in stage.journal.history.open_runs()] == [
            ("web", 1), ("stopped", 2),
        ]  # fmt: skip
        assert stage.spawned(dropped) == []

    play(scene)


def test_a_definition_for_another_child_waits_for_the_next_spawn(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        web = stage.add(WEB, Life(lasts=5))
        changed: list[DefinitionChanged] = []
        stage.bus.subscribe(DefinitionChanged, changed.append)
        stage.supervisor.start(web, "")
        await stage.until(2)
        other = WEB._replace(command=("other",), autorestart=AutoRestart.ALWAYS)
        stage.supervisor.table.redefine(web, other)
        assert (web.program, web.latest) == (WEB, other)
        assert changed == []
        rules = WEB._replace(autorestart=AutoRestart.ALWAYS)
        stage.supervisor.table.redefine(web, rules)
        assert (web.program, web.latest) == (rules, rules)
        assert changed == [DefinitionChanged(web)]
        stage.supervisor.table.redefine(web, other)
        await stage.until(5.5)
        assert web.program == other

    play(scene)


def test_new_groups_are_published_with_the_old_ones(play: Play) -> None:
    async def scene(stage: Stage) -> None:
        heard: list[GroupsChanged] = []
        stage.bus.subscribe(GroupsChanged, heard.append)
        site, shop = Group("site"), Group("shop")
        stage.supervisor.table.regroup({"site": site})
        stage.supervisor.table.regroup({"shop": shop})
        assert heard == [
            GroupsChanged({}, {"site": site}), GroupsChanged({"site": site}, {"shop": shop}),
        ]  # fmt: skip

    play(scene)
