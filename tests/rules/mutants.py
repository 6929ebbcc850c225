"""Planted bugs: copies of the rules with one mistake each, and who catches them.

An invariant is trusted only when it has caught a bug. Each mutant changes one place of the real
source; a place that is no longer there is an error, so that the list keeps up with the code.
`python -m tests.rules.mutants` prints who catches what.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from supervisor_lite.rules import backoff, lifecycle, pacing, stopping
from tests.rules.histories import HISTORIES
from tests.rules.machine import Machine
from tests.rules.stage import Broken
from tests.rules.test_histories import played
from tests.rules.walk import PROGRAMS, Walk


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake: `old` in the source becomes `new`."""

    name: str
    old: str
    new: str
    of: types.ModuleType = lifecycle
    on: str = "defaults"
    """The program of the walk that shows it soonest."""


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "stuck backoff: no deadline after a failed start",
        "return pacing.after_failed_start(program, failed, now)",
        "return failed",
    ),
    Mutant(
        "a stop that does not stick: it forgets to clear the wish",
        "unwished = record._replace(wanted=False, asked=False, cooling=False)",
        "unwished = record._replace(asked=False, cooling=False)",
    ),
    Mutant(
        "a stop in BACKOFF that leaves the deadline",
        "return _schedule(stopped, None), ()",
        "return stopped, ()",
    ),
    Mutant(
        "the end of an older run is believed",
        "if event.run != record.run or record.pid is None:",
        "if record.pid is None:",
    ),
    Mutant(
        "an end that was seen already is believed again",
        "if event.run != record.run or record.pid is None:",
        "if event.run != record.run:",
    ),
    Mutant(
        "double start: a start of what is up spawns again",
        "case State.STARTING | State.RUNNING if record.wanted:\n            return record, ()\n",
        "case State.STARTING | State.RUNNING if record.wanted:\n"
        "            return _schedule(wished._replace(state=State.STOPPED, asked=True), now), ()\n",
    ),
    Mutant(
        "double start: the pid is forgotten when a stop is asked",
        "        state=State.STOPPING,\n        deadline",
        "        state=State.STOPPING,\n        pid=None,\n        deadline",
        stopping,
    ),
    Mutant(
        "no deadline in STOPPING",
        "deadline=now + program.stopwaitsecs,",
        "deadline=None,",
        stopping,
    ),
    Mutant(
        "SIGKILL is not repeated",
        "killing = record._replace(deadline=again, killed=True)",
        "killing = record._replace(deadline=None, killed=True)",
        stopping,
    ),
    Mutant(
        "SIGKILL is repeated without a pause when stopwaitsecs = 0",
        "again = now + max(program.stopwaitsecs, KILL_AGAIN)",
        "again = now + program.stopwaitsecs",
        stopping,
        on="one try, no patience",
    ),
    Mutant(
        "SIGKILL for the process alone in spite of killasgroup",
        'Signal("KILL", program.killasgroup)',
        'Signal("KILL", False)',
        stopping,
        on="quick",
    ),
    Mutant(
        "failures are not forgotten when RUNNING is reached",
        "state=State.RUNNING, deadline=None, failures=0,",
        "state=State.RUNNING, deadline=None,",
    ),
    Mutant(
        "failures are not forgotten by a start",
        "return record._replace(failures=0, restarts=(), restart_count=0, cooling=False)",
        "return record._replace(restarts=(), restart_count=0, cooling=False)",
    ),
    Mutant(
        "failures are not forgotten by a start in STOPPING",
        "case State.STOPPING:\n            return wished, ()",
        "case State.STOPPING:\n            return wished._replace(failures=record.failures), ()",
    ),
    Mutant(
        "failures are not counted",
        "failures = record.failures + 1",
        "failures = max(record.failures, 1)",
    ),
    Mutant(
        "failures are not counted for spawn errors",
        "return _on_failed_start(program, _new(failed), now), ()",
        "return _on_failed_start(program, _new(failed), now)._replace(failures=0), ()",
    ),
    Mutant(
        "one try too many",
        "return failures > program.startretries",
        "return failures > program.startretries + 1",
        backoff,
    ),
    Mutant(
        "one try too few",
        "return failures > program.startretries",
        "return failures >= program.startretries",
        backoff,
    ),
    Mutant(
        "leftovers are ignored: the next spawn does not wait for them",
        "held = after._replace(leftovers=True, due=after.deadline, deadline=kill_at, told=now)",
        "held = after",
    ),
    Mutant(
        "a start does not wait for leftovers",
        "    if record.leftovers:\n        return record._replace(due=deadline)\n",
        "",
    ),
    Mutant(
        "the deadline is lost while leftovers are being ended",
        "due=after.deadline, deadline=kill_at",
        "due=None, deadline=kill_at",
    ),
    Mutant(
        "leftovers of an older run are believed to be gone",
        "if event.run != record.run or not record.leftovers:",
        "if not record.leftovers:",
    ),
    Mutant(
        "stopped before the leftovers are gone",
        "    if record.state is State.STOPPING:\n        return stopping.stopped(clean, now), ()\n",
        "",
    ),
    Mutant(
        "a restart that forgets the wish",
        "_forgiven(record)._replace(wanted=True), event, now)",
        "_forgiven(record)._replace(wanted=False), event, now)",
    ),
    Mutant(
        "a restart that counts as automatic",
        "deadline=again, asked=record.wanted)",
        "deadline=again, asked=False)",
        stopping,
    ),
    Mutant(
        "the restart limit is not enforced",
        "if limit is None or not backoff.budget_spent(limit, record.restarts, now):",
        "if True:",
        pacing,
        on="limited",
    ),
    Mutant(
        "leftovers make the restart limit forgotten",
        "clean = record._replace(leftovers=False,",
        "clean = record._replace(cooling=False, leftovers=False,",
        on="limited",
    ),
    Mutant(
        "automatic restarts are not counted",
        "restarts = (*backoff.recent(limit, record.restarts, now), now)",
        "restarts = ()",
        pacing,
        on="limited",
    ),
    Mutant(
        "restarts that were asked for count",
        "    if record.asked:\n        return starting._replace(cooling=False)\n",
        "",
    ),
    Mutant(
        "the window of the restart limit does not slide",
        "if now - time < limit.window",
        "if True",
        backoff,
        on="limited",
    ),
    Mutant(
        "a cool-down of nothing makes the loop tight",
        "deadline=max(deadline, now + limit.cooldown)",
        "deadline=now + limit.cooldown",
        pacing,
        on="hardly cooling",
    ),
    Mutant(
        "after a cool-down the limit is open again",
        "            restarts = (now,) * limit.restarts",
        "            restarts = (now,)",
        pacing,
        on="cooling",
    ),
    Mutant(
        "RUNNING is shown for an early exit",
        "early = record.state is State.STARTING and lasted < program.startsecs",
        "early = record.state is State.STARTING and lasted < 0",
    ),
    Mutant(
        "RUNNING at once, whatever startsecs says",
        "up_at = now + program.startsecs",
        "up_at = now",
    ),
    Mutant(
        "an early exit with an expected code counts as success",
        "early = record.state is State.STARTING and lasted < program.startsecs",
        "early = record.state is State.STARTING and lasted < program.startsecs "
        "and not is_expected(program, event.exit)",
    ),
    Mutant(
        "death by a signal is expected when no code is",
        "return exit is not None and exit.code is not None and exit.code in program.exitcodes",
        "return exit is not None and (exit.code or 0) in program.exitcodes",
    ),
    Mutant(
        "autorestart = false is ignored",
        "        case AutoRestart.NEVER:\n            return False",
        "        case AutoRestart.NEVER:\n            return True",
        on="one try, no patience",
    ),
    Mutant(
        "a fault forgives what happened before",
        "return stopping.end(program, record, event, now)",
        "return stopping.end(program, _forgiven(record), event, now)",
    ),
    Mutant(
        "a fault ends what waits for its turn to stop",
        "if record.state not in (State.STARTING, State.RUNNING) or not record.wanted:",
        "if record.state not in (State.STARTING, State.RUNNING):",
    ),
    Mutant(
        "an announced stop does not wait for its turn",
        "if isinstance(event, StopAsked):",
        "if True:",
    ),
    Mutant(
        "an announced stop leaves the wish until its turn comes",
        "return unwished._replace(by=event.by, cause=event.cause), ()\n        case State.STOPPING",
        "return record._replace(by=event.by, cause=event.cause), ()\n        case State.STOPPING",
    ),
    Mutant(
        "what ends before its turn comes is respawned",
        "again = record.wanted and is_respawned(program, record.exit)",
        "again = is_respawned(program, record.exit)",
    ),
    Mutant(
        "a start that fails before its turn comes is tried again",
        "if record.state is State.STOPPING or (early and not record.wanted):",
        "if record.state is State.STOPPING:",
    ),
    Mutant(
        "a start does not withdraw the stop that was announced",
        "return record._replace(wanted=True, by=event.by, cause=event.cause), ()",
        "return record, ()",
    ),
    Mutant(
        "a tight respawn loop",
        "return max(now, record.spawned + backoff.MIN_INTERVAL)",
        "return now",
        pacing,
    ),
    Mutant(
        "waking up early counts as the deadline",
        "if record.deadline is None or now < record.deadline:",
        "if record.deadline is None:",
    ),
    Mutant(
        "a busy deadline: RUNNING is looked at again and again",
        "state=State.RUNNING, deadline=None, failures=0,",
        "state=State.RUNNING, failures=0,",
    ),
    Mutant(
        "KILL at once does not reach the leftovers",
        "    if record.kill_now:\n        return now\n",
        "",
        stopping,
    ),
    Mutant(
        "leftovers of a stop have stopwaitsecs once more",
        "    return max(record.deadline, least)\n",
        "    return now + program.stopwaitsecs\n",
        stopping,
    ),
    Mutant(
        "leftovers of what was killed have stopwaitsecs once more",
        "        return least  # all of it went to the main process\n",
        "        return now + program.stopwaitsecs\n",
        stopping,
    ),
    Mutant(
        "leftovers of what was killed have no time at all",
        "least = now + min(program.stopwaitsecs, LAST_GRACE)",
        "least = now",
        stopping,
    ),
    Mutant(
        "leftovers of a crash are treated as those of a stop",
        "    if record.state is not State.STOPPING:\n        return now + program.stopwaitsecs\n",
        "",
        stopping,
    ),
    Mutant(
        "who got the stop signal with the group gets it again",
        "(SignalLeftovers(program.stopsignal, record.told),)",
        "(SignalLeftovers(program.stopsignal),)",
        on="exponential",
    ),
    Mutant(
        "leftovers are spared a signal that only the main process got",
        "told=now if program.stopasgroup else None,",
        "told=now,",
        stopping,
    ),
    Mutant(
        "the stop signal of an older run spares the leftovers of the next",
        "killed=False, kill_now=False, told=None, notes=())",
        "killed=False, kill_now=False, notes=())",
        on="exponential",
    ),
    Mutant(
        "the note of an older run stays",
        "return record._replace(killed=False, kill_now=False, told=None, notes=())",
        "return record._replace(killed=False, kill_now=False, told=None)",
    ),
    Mutant(
        "the exit code is lost",
        "ended = record._replace(pid=None, exit=event.exit, error=None)",
        "ended = record._replace(pid=None, error=None)",
    ),
    Mutant(
        "an automatic restart that looks like a start that was asked for",
        "cause = Cause(CauseKind.RESTARTED, exit=pacing.last_exit(record), error=record.error)",
        "cause = Cause(CauseKind.START_ASKED)",
    ),
    Mutant(
        "a cause that does not say how the run ended",
        "cause = Cause(CauseKind.EXITED_TOO_SOON, exit=record.exit)",
        "cause = Cause(CauseKind.EXITED_TOO_SOON)",
    ),
    Mutant(
        "giving up over retries is told as the restart limit",
        "Cause(CauseKind.START_RETRIES_SPENT, exit=",
        "Cause(CauseKind.RESTART_LIMIT_REACHED, exit=",
        pacing,
    ),
    Mutant(
        "the pause does not grow",
        "seconds = backoff.seconds * failures",
        "seconds = backoff.seconds",
        backoff,
    ),
    Mutant(
        "jitter goes beyond backoff_max",
        "seconds = min(seconds, backoff.max / (1.0 + backoff.jitter))",
        "seconds = min(seconds, backoff.max)",
        backoff,
        on="jitter",
    ),
)


class NotPlanted(LookupError):
    """The place of a mutant is not in the source, or not only once."""


def source(module: types.ModuleType) -> str:
    """Return the text of a module."""
    assert module.__file__ is not None
    return Path(module.__file__).read_text()


def planted(mutant: Mutant) -> Machine:
    """Return a machine with this mistake. Raises NotPlanted."""
    text = source(mutant.of)
    if text.count(mutant.old) != 1:
        raise NotPlanted(f"{mutant.name}: {text.count(mutant.old)} times: {mutant.old}")
    copies: dict[str, types.ModuleType] = {}
    for module in (backoff, pacing, stopping, lifecycle):  # each imports those before it
        code = source(module)
        if module is mutant.of:
            code = code.replace(mutant.old, mutant.new)
        name = module.__name__.rpartition(".")[2]
        copies[name] = _module(code, name, copies)
    rules = copies["lifecycle"]
    return Machine(rules.step, rules.Record())


def _module(text: str, name: str, among: Mapping[str, types.ModuleType]) -> types.ModuleType:
    """Return a module made of this text, which knows these in place of the real ones."""
    copy = types.ModuleType(name)
    exec(compile(text, name, "exec"), copy.__dict__)
    copy.__dict__.update(
        {other: module for other, module in among.items() if other in copy.__dict__}
    )
    return copy


def caught_by_walk(mutant: Mutant) -> str:
    """Return the promise that the walk finds broken first, or an empty string."""
    machine = planted(mutant)
    for name in (mutant.on, *PROGRAMS):
        for fault in Walk(PROGRAMS[name], machine).faults():
            return fault.rule
    return ""


def caught_by_history(mutant: Mutant) -> str:
    """Return the history that comes out differently first, or an empty string."""
    machine = planted(mutant)
    for history in HISTORIES:
        try:
            seen = played(history, machine, check=False)
        except (Broken, TypeError):  # a planted cause may lack what its sentence is made of
            return history.name
        if seen != history.lines():
            return history.name
    return ""


def main() -> None:
    """Print a table: mutant, broken promise, history."""
    print(
        "| planted bug | promise that the walk finds broken | history that comes out differently |"
    )
    print("|---|---|---|")
    for mutant in MUTANTS:
        promise = caught_by_walk(mutant).replace("_", " ")
        print(f"| {mutant.name} | {promise} | {caught_by_history(mutant)} |")


if __name__ == "__main__":
    main()
