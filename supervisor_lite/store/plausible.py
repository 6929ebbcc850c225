"""Does a row of the journal make sense? What was written by us does.

A file that somebody has edited, a disk that has flipped a bit, a version with a bug: such a row is
reported and left out, and costs nothing but itself. Types are those of the fields; what is checked
beyond them is what the engine relies on without looking.
"""

from __future__ import annotations

import math
import signal
from functools import cache
from types import NoneType, UnionType
from typing import TypeAlias, Union, get_args, get_origin, get_type_hints

from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import RunRow
from supervisor_lite.model.states import State
from supervisor_lite.store.run_ids import HIGHEST_RUN

_MAX_PID = 1 << 22
"""No kernel gives out a higher one (PID_MAX_LIMIT)."""


def objection(value: object) -> str:
    """Return what is wrong with the types inside a named tuple; empty if nothing is."""
    if not isinstance(value, tuple):
        return ""
    if not hasattr(value, "_fields"):
        return next(filter(None, map(objection, value)), "")
    for at, (name, allowed, inside) in enumerate(_types(type(value))):
        each = value[at]
        kind = type(each)
        if allowed and kind not in allowed:
            return f"{name} is {each!r}"
        if kind is float and not math.isfinite(each):
            return f"{name} is {each!r}"
        if inside and not inside.issuperset(map(type, each)):
            return f"{name} is {each!r}"
        if kind not in _PLAIN and (found := objection(each)):
            return f"{name}: {found}"
    return ""


_PLAIN = frozenset({str, int, float, bool, NoneType})


_Types: TypeAlias = frozenset[type]


@cache
def _types(kind: type) -> tuple[tuple[str, _Types, _Types], ...]:
    """Return the types that each field may have, and that what is in it may have.

    Empty where they are no plain values: the codec has looked at those.
    """
    found = []
    for name, hint in get_type_hints(kind).items():
        origin, inner = get_origin(hint), get_args(hint)
        allowed = _plain(inner if origin in (Union, UnionType) else (hint,))
        inside = _plain(inner[:1]) if origin is tuple else frozenset[type]()
        found.append((name, allowed, inside))
    return tuple(found)


def _plain(hints: tuple[type, ...]) -> _Types:
    if not _PLAIN.issuperset(hints):
        return frozenset()
    return frozenset({*hints, int} if float in hints else hints)


def objection_to_run(row: RunRow) -> str:
    """Return what is wrong with a row of `runs`; empty if nothing is."""
    if found := objection(row):
        return found
    for name, low, high in (
        ("run", 1, HIGHEST_RUN), ("pid", 1, _MAX_PID), ("start", 0, 1 << 63), ("inode", 0, 1 << 64),
    ):  # fmt: skip
        number = getattr(row, name)
        if number is not None and not low <= number <= high:
            return f"{name} is {number}"
    if row.pid is not None and (row.boot is None or row.start is None):
        return "it has a pid and no identity"
    return ""


def objection_to_process(name: str, record: Record, program: Program) -> str:
    """Return what is wrong with a row of `processes`; empty if nothing is."""
    return (
        objection(record) or _objection_to_record(record)
        or objection(program) or _objection_to_program(name, program)
    )  # fmt: skip


def _objection_to_record(record: Record) -> str:
    pid, run = record.pid, record.run
    if pid is not None and not 1 <= pid <= _MAX_PID:
        return f"pid is {pid}"
    if run is not None and not 1 <= run <= HIGHEST_RUN:
        return f"run is {run}"
    if (pid is not None or record.leftovers) and run is None:
        return "it is alive and has no run"
    lives = record.state in (State.STARTING, State.RUNNING, State.STOPPING)
    if pid is not None and not lives:
        return f"it is {record.state.name} and has a pid"
    if record.state is State.RUNNING and pid is None:
        return "it is RUNNING and has no pid"
    if record.state is State.STOPPING and pid is None and not record.leftovers:
        return "it is STOPPING and nothing of it is left"
    if record.state is State.BACKOFF and record.deadline is None:
        return "it is BACKOFF and will not be tried again"
    if record.failures < 0 or record.restart_count < 0:
        return "it has failed less than never"
    return ""


def _objection_to_program(name: str, program: Program) -> str:
    if program.fullname != name:
        return f"its definition is that of {program.fullname}"
    words = (name, *program.command, *program.environment, *program.environment.values())
    if not program.command or any(type(word) is not str or "\0" in word for word in words):
        return "its command or environment cannot be used"
    if "/" in program.name or "/" in program.group:
        return "its name is a path"
    if f"SIG{program.stopsignal}" not in signal.Signals.__members__:
        return f"stopsignal is {program.stopsignal!r}"
    if min(program.startsecs, program.stopwaitsecs) < 0 or program.startretries < 0:
        return "a duration or a count is negative"
    return ""
