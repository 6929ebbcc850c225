"""Every record that a program can get into, with every event in each of them.

A breadth-first search from the empty record. Records that differ only in what the rules cannot
see (the value of a pid, where the clock stands, wording) are one. Time passes in the jumps that
matter: not at all, to the end of the 0.1 s between two spawns, to the deadline, a little beyond it
(a late timer), to the moment at which `restart_limit` forgets a restart.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import islice

from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.model.actions import Spawn
from supervisor_lite.model.cause import Leftover, Note, NoteKind, SpawnFailure
from supervisor_lite.model.events import (
    DeadlinePassed,
    Event,
    Exited,
    LeftoversGone,
    MainReplaced,
    Spawned,
    SpawnFailed,
)
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.states import QUIET, State
from tests.rules import truth as truths
from tests.rules.invariants import broken
from tests.rules.machine import (
    ALWAYS,
    ANNOUNCE,
    DONE,
    FAILED,
    KILL,
    LEAK,
    NEVER,
    REAL,
    RESTART,
    SEGFAULT,
    START,
    STOP,
    UNKNOWN,
    Machine,
    at_most,
    constant,
    exponential,
    program,
)
from tests.rules.moment import MIN_INTERVAL, Moment
from tests.rules.truth import TICK, Truth

OLD_RUN, RUN = 6, 7
"""An older run, and whichever run is the last one."""
PID = 100
LATE = 2 * TICK
SPAWNING = 0.004
"""Seconds until a spawn is answered."""
FOREVER = 1e6
PATIENCE = 60
"""Steps after which a process that gets no help should have settled."""

PROGRAMS: dict[str, Program] = {
    "defaults": program(),
    "up at once": program(startsecs=0, startretries=1, exitcodes=(0, 3), stopsignal="QUIT"),
    "up at once, for ever": program(
        startsecs=0, startretries=0, autorestart=ALWAYS, stopwaitsecs=5, stopasgroup=True
    ),
    "one try, no patience": program(startretries=0, autorestart=NEVER, stopwaitsecs=0),
    "quick": program(startsecs=0.05, startretries=1, killasgroup=True, backoff=constant(0.05)),
    "exponential": program(
        backoff=exponential(limit=3), startretries=2, stopasgroup=True, killasgroup=True
    ),
    "jitter": program(
        backoff=exponential(limit=1.5, jitter=0.5), startretries=2, autorestart=NEVER
    ),
    "limited": program(restart_limit=at_most(2, 1.5), startretries=1, autorestart=ALWAYS),
    "limited, sliding": program(restart_limit=at_most(1, 1.04), startsecs=0),
    "cooling": program(restart_limit=at_most(2, 1.5, 2), startretries=1),
    "hardly cooling": program(
        restart_limit=at_most(1, 0.25, 0.02), startsecs=0, startretries=1, autorestart=ALWAYS
    ),
}
"""Definitions that cover the options, alone and where they meet."""

EXITS: tuple[Exit, ...] = (DONE, Exit(code=3), SEGFAULT, UNKNOWN)
REQUESTS: tuple[Event, ...] = (START, STOP, ANNOUNCE, RESTART, KILL)
OLD_NEWS: tuple[Event, ...] = (
    Exited(OLD_RUN, FAILED),
    LeftoversGone(OLD_RUN),
    MainReplaced(OLD_RUN, PID),
)
ENDS: tuple[Event, ...] = (
    *(Exited(RUN, how) for how in EXITS),
    MainReplaced(RUN, PID + 1),
    Exited(RUN, DONE, leftovers=True),
    Exited(
        RUN,
        SEGFAULT,
        leftovers=True,
        kept=Note(NoteKind.LEFTOVERS_KEPT, processes=(Leftover(9, "nohup"),)),
    ),
)
"""How a run may end; of one that has ended already, the same is old news."""
GONE = LeftoversGone(RUN, Note(NoteKind.LEFTOVERS_ENDED, processes=(Leftover(8, "sleep"),)))
ANSWERS: tuple[Event, ...] = (
    Spawned(RUN, PID),
    SpawnFailed(RUN, SpawnFailure(SpawnErrorCode.OTHER, "no such command")),
)


@dataclass(frozen=True, slots=True)
class Node:
    """A record that can be reached, at some time, with the truth beside it."""

    record: Record
    truth: Truth
    now: float


@dataclass(frozen=True, slots=True)
class Edge:
    """A kind of step: what the diagram shows."""

    start: State
    event: str
    end: State
    actions: tuple[str, ...]
    changed: bool
    """The record is another one."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a walk over the real rules found."""

    faults: tuple[Fault, ...]
    edges: frozenset[Edge]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A promise that is broken, and the shortest history that breaks it."""

    rule: str
    history: tuple[str, ...]

    def __str__(self) -> str:
        return "\n  ".join((f"{self.rule}:", *self.history))


_WORDS = frozenset({"cause", "by", "notes", "restart_count"})
_PRESENCE = frozenset({"pid", "run", "exit"})
_TIMES = frozenset({"deadline", "due", "told"})
_OTHERS = frozenset({"spawned", "restarts", "error"})
_PLAIN = tuple(name for name in Record._fields if name not in _WORDS | _PRESENCE | _TIMES | _OTHERS)


class Walk:
    """The search. `faults` does it; then `nodes` are the records, `edges()` the kinds of steps."""

    def __init__(self, program: Program, machine: Machine = REAL) -> None:
        self.program = program
        self.machine = machine
        self.parents: dict[Hashable, tuple[Hashable, str]] = {}
        self.nodes: dict[Hashable, Node] = {}
        self._kinds: set[tuple[State, type, State, tuple[type, ...], bool]] = set()
        self._settled: dict[Hashable, State] = {}
        self._memory = max(program.startsecs, MIN_INTERVAL)
        limit = program.restart_limit
        self._window = limit.window if limit else 0.0

    def key(self, node: Node) -> Hashable:
        """Return what is the same for two nodes that the rules cannot tell apart."""
        record, truth, now = node.record, node.truth, node.now
        return (
            *[getattr(record, name) for name in _PLAIN],
            record.pid is None,
            record.run is None,
            record.exit is None,
            record.error is None,
            record.told is None,
            self._age(record.spawned, now),
            None if record.deadline is None else round(max(record.deadline - now, 0.0), 4),
            None if record.due is None else round(max(record.due - now, 0.0), 4),
            self._ages(record.restarts, now),
            truth.alive,
            truth.leftovers,
            truth.ending,
            truth.killed,
            truth.kill_now,
            truth.group_told,
            truth.told is None,
            truth.wish,
            truth.asked,
            truth.failures,
            truth.over,
            truth.cooling,
            self._age(truth.spawned, now),
            self._ages(truth.automatic, now),
        )

    def _age(self, time: float | None, now: float) -> float | None:
        return None if time is None else round(min(now - time, self._memory), 4)

    def _ages(self, times: tuple[float, ...], now: float) -> tuple[float, ...]:
        return tuple([round(now - t, 4) for t in times if now - t < self._window])

    def _steps(self) -> Iterator[tuple[Moment, Hashable, str]]:
        """Yield every step with the node that it started from, and what happened there."""
        first = Node(self.machine.start, Truth(), 1000.0)
        todo = deque((first,))
        self.nodes[self.key(first)] = first
        while todo:
            node = todo.popleft()
            here = self.key(node)
            for now in self._times(node):
                for event in self._events(node, now):
                    moment = self._moment(node.record, node.truth, event, now)
                    told = _told(moment, now - node.now)
                    yield moment, here, told
                    for last in self._answered(moment):
                        if last is not moment:
                            told = f"{_told(moment, now - node.now)}; {_told(last)}"
                            yield last, here, told
                        reached = Node(last.after, last.later, last.now)
                        there = self.key(reached)
                        if there not in self.nodes:
                            self.nodes[there] = reached
                            self.parents[there] = (here, told)
                            todo.append(reached)

    def edges(self) -> frozenset[Edge]:
        """Return the kinds of steps that were seen."""
        return frozenset(
            Edge(start, event.__name__, end, tuple(action.__name__ for action in actions), changed)
            for start, event, end, actions, changed in self._kinds
        )

    def faults(self) -> Iterator[Fault]:
        """Yield each broken promise, with how it was reached."""
        for moment, origin, told in self._steps():
            before, after = moment.before, moment.after
            actions = tuple(map(type, moment.actions))
            changed = after is not before and after != before
            self._kinds.add((before.state, type(moment.event), after.state, actions, changed))
            for rule in broken(moment):
                yield Fault(rule, (*self._path(origin), told))
        for key, node in self.nodes.items():
            stuck = self.stuck(node)
            if stuck:
                yield Fault(stuck, self._path(key))

    def _path(self, key: Hashable) -> tuple[str, ...]:
        path: list[str] = []
        while key in self.parents:
            key, told = self.parents[key]
            path.append(told)
        return tuple(reversed(path))

    def _times(self, node: Node) -> list[float]:
        """Return the moments at which something may happen next."""
        record, truth, now = node.record, node.truth, node.now
        moments = [now]
        if not truth.alive:
            moments.append(truth.spawned + MIN_INTERVAL)
        if truth.automatic:
            moments.append(min(truth.automatic) + self._window + LATE)
        last = now + FOREVER
        if record.deadline is not None:
            last = record.deadline + LATE if record.deadline > now else now
            moments += [record.deadline, last]
        return sorted({time for time in moments if now <= time <= last})

    def _events(self, node: Node, now: float) -> Iterator[Event]:
        deadline = node.record.deadline
        if deadline is None or now <= deadline:
            yield DeadlinePassed()
        if now == deadline != node.now:
            return  # what else may come at that time comes `LATE`
        if node.truth.alive:
            yield from ENDS
        if node.truth.leftovers:
            yield GONE
        if now == node.now or not node.truth.alive:
            yield from REQUESTS
            if not node.truth.automatic:  # or each would come at another time after those
                yield LEAK
        if now == node.now:
            yield from OLD_NEWS
            if not node.truth.alive:
                yield ENDS[0]
            if not node.truth.leftovers:
                yield GONE

    def _moment(self, record: Record, truth: Truth, event: Event, now: float) -> Moment:
        after, actions = self.machine.step(self.program, record, event, now)
        later = truths.after(self.program, truth, event, actions, now)
        return Moment(self.program, truth, record, event, now, after, actions, later)

    def _answered(self, moment: Moment) -> Iterator[Moment]:
        """Yield the moment, or what comes of it when it spawns: both answers."""
        if not any(isinstance(action, Spawn) for action in moment.actions):
            yield moment
            return
        for answer in ANSWERS:
            yield self._moment(moment.after, moment.later, answer, moment.now + SPAWNING)

    # Without help from outside.

    def stuck(self, node: Node) -> str:
        """Return which promise is broken when nobody helps, or an empty string.

        The world answers as unwillingly as it can: processes and leftovers end of SIGKILL only.
        Once every spawn succeeds and lives, once every spawn fails.
        """
        end = self._settle(node, ANSWERS[0])
        if end is None:
            return "every_state_leads_out"
        waits = node.truth.alive and not node.truth.ending  # for its turn to stop
        if not node.truth.wish and not waits and end not in QUIET:
            return "a_stop_ends_in_a_quiet_state"
        if node.truth.asked and end is not State.RUNNING:
            return "a_start_ends_in_running"
        if self._settle(node, ANSWERS[1]) is None:
            return "every_state_leads_out"
        return ""

    def _settle(self, node: Node, answer: Event) -> State | None:
        """Return the state in which it comes to rest; None if it does not."""
        passed: list[Hashable] = []
        end: State | None = None
        for _ in range(PATIENCE):
            key = (answer, self.key(node))
            if key in self._settled:
                end = self._settled[key]
                break
            passed.append(key)
            deadline = node.record.deadline
            if deadline is None:
                at_rest = node.record.state is State.RUNNING or node.record.state in QUIET
                end = node.record.state if at_rest and not node.truth.leftovers else None
                break
            node = self._wake(node, answer, max(deadline, node.now))
        if end is not None:
            self._settled.update(dict.fromkeys(passed, end))
        return end

    def _wake(self, node: Node, answer: Event, now: float) -> Node:
        """Let the deadline pass, and answer every action that this leads to."""
        moment = self._moment(node.record, node.truth, DeadlinePassed(), now)
        if any(isinstance(action, Spawn) for action in moment.actions):
            moment = self._moment(moment.after, moment.later, answer, now + SPAWNING)
        elif moment.actions and moment.later.ending:
            moment = self._moment(moment.after, moment.later, ENDS[-1], now)
        elif moment.actions and moment.later.leftovers:
            moment = self._moment(moment.after, moment.later, GONE, now)
        return Node(moment.after, moment.later, moment.now)


@functools.cache
def walked(name: str) -> Result:
    """Walk one of PROGRAMS to the end; at most three faults are kept.

    Done once: conftest.py gives the tests that look at it to one of pytest's workers.
    """
    walk = Walk(PROGRAMS[name])
    faults = tuple(islice(walk.faults(), 3))
    return Result(faults, walk.edges(), tuple(walk.nodes.values()))


def _told(moment: Moment, passed: float = 0.0) -> str:
    wait = f"after {passed:g} s " if passed else ""
    before, after = moment.before.state.name, moment.after.state.name
    actions = "".join(f" / {action}" for action in moment.actions)
    return f"{wait}{before} + {moment.event} -> {after}{actions}"
