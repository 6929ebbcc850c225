"""Subscribers that do the worst at the worst moment: the engine keeps its promises all the same.

Whoever hears of a change may do anything to any process, at once. What must hold: nobody is killed
who was not asked to end before, no child outlives a stop, no process has two children, and the
table, the journal and the kernel agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.host.signals import send
from supervisor_lite.model.change import Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import AutoRestart, Backoff
from supervisor_lite.model.states import State
from tests.core.engine import Engine, witness

SLEEPER = ("/bin/sleep", "300")
FAILING = ("/bin/false",)


def _stop(supervisor: Supervisor, process: Process) -> None:
    supervisor.stop(process, "hostile")


def _start(supervisor: Supervisor, process: Process) -> None:
    supervisor.start(process, "hostile")


def _restart(supervisor: Supervisor, process: Process) -> None:
    supervisor.restart(process, "hostile")


def _drop(supervisor: Supervisor, process: Process) -> None:
    supervisor.drop(process)


def _another_child(supervisor: Supervisor, process: Process) -> None:
    command = (process.program.command[0], "301")
    supervisor.table.redefine(process, process.program._replace(command=command))


def _other_rules(supervisor: Supervisor, process: Process) -> None:
    supervisor.table.redefine(
        process, process.program._replace(priority=process.program.priority + 1)
    )


def _add_again(supervisor: Supervisor, process: Process) -> None:
    supervisor.table.add(process.program)


ACTS: dict[str, Callable[[Supervisor, Process], None]] = {
    "stop": _stop, "start": _start, "restart": _restart, "drop": _drop,
    "another child": _another_child, "other rules": _other_rules, "add again": _add_again,
}  # fmt: skip


class Plot(NamedTuple):
    """What a subscriber does, each of the first times that it hears of this state."""

    state: State
    acts: tuple[str, ...]
    command: tuple[str, ...] = SLEEPER
    on_other: bool = False
    """To a second process that has nothing to do with it."""
    times: int = 2

    @property
    def name(self) -> str:
        whom = "other" if self.on_other else "same"
        return f"{self.command[0]} {self.state.name} {' '.join(self.acts)} {whom} {self.times}"


SINGLE = [
    Plot(state, (act,), command, on_other)
    for (state, command), act, on_other in product(
        [(state, SLEEPER) for state in State if state not in (State.BACKOFF, State.FATAL)]
        + [(state, FAILING) for state in (State.STARTING, State.BACKOFF, State.FATAL)],
        ACTS,
        (False, True),
    )
]


def program(name: str, command: tuple[str, ...]) -> Program:
    return Program(
        name=name,
        command=command,
        autorestart=AutoRestart.ALWAYS,
        startsecs=0.1 if command is SLEEPER else 60,  # never up, however slow the machine is
        startretries=1,
        stopwaitsecs=2.0,
        backoff=Backoff(seconds=0.05),
    )


async def carry_out(engine: Engine, plots: list[Plot]) -> list[str]:
    """Let all plots happen side by side; return what went wrong."""
    supervisor = engine.supervisor
    fired = dict.fromkeys((str(number) for number in range(len(plots))), 0)
    for number, plot in enumerate(plots):
        supervisor.table.add(program(f"{number}", plot.command))
        supervisor.table.add(program(f"{number}-other", SLEEPER))

    def plotter(change: Change) -> None:
        if change.name not in fired:
            return
        plot = plots[int(change.name)]
        if change.to_state != plot.state.name or fired[change.name] >= plot.times:
            return
        fired[change.name] += 1
        target = change.name + ("-other" if plot.on_other else "")
        for act in plot.acts:
            process = supervisor.processes.get(target)
            if process is not None:
                ACTS[act](supervisor, process)

    unsubscribe = engine.bus.subscribe(Change, plotter)
    everyone = tuple(supervisor.processes.values())
    for act in (_start, _crash, _restart, _stop, _start):
        for process in everyone:
            act(supervisor, process)
        await settled(engine)
    unsubscribe()
    found = engine.disagreements()
    await engine.end()
    pids_of = engine.spawner.pids.items()
    found += [f"{name}: {pid} lives on" for name, pids in pids_of for pid in pids if pid.is_alive()]
    found += [f"error: {context}" for context in engine.errors]
    return [f"{fault} ({describe(fault, plots)})" for fault in found]


def _crash(supervisor: Supervisor, process: Process) -> None:
    if process.pidfd is not None:
        send(process.pidfd, 1)


def describe(fault: str, plots: list[Plot]) -> str:
    number = fault.partition(":")[0].partition("-")[0]
    return plots[int(number)].name if number.isdigit() else ""


async def settled(engine: Engine) -> None:
    """Wait until nothing is on its way, but what comes back for ever."""

    def is_settled() -> bool:
        return all(
            process.record.deadline is None and process.record.state is not State.STOPPING
            for process in engine.supervisor.processes.values()
        )

    await engine.until(is_settled, "nothing is on its way")


def happen(plots: list[Plot], directory: Path, patch: pytest.MonkeyPatch) -> list[str]:
    async def scene() -> list[str]:
        engine = Engine(directory)
        with witness(engine, patch):
            return await carry_out(engine, plots)

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(scene())


@pytest.mark.slow
def test_a_single_hostile_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each act, on each state, to the same process and to another one."""
    assert happen(SINGLE, tmp_path, monkeypatch) == []


plots = st.builds(
    Plot,
    state=st.sampled_from(State),
    acts=st.lists(st.sampled_from(sorted(ACTS)), min_size=1, max_size=4).map(tuple),
    command=st.sampled_from([SLEEPER, FAILING]),
    on_other=st.booleans(),
    times=st.integers(1, 3),
)


@pytest.mark.slow
@settings(
    max_examples=5, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(st.lists(plots, min_size=10, max_size=30))
def test_hostile_acts_in_any_combination(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, chosen: list[Plot]
) -> None:
    assert happen(chosen, tmp_path_factory.mktemp("hostile"), monkeypatch) == []
