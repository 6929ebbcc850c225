"""What is left to do of the operations in whose middle the daemon before us died."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from supervisor_lite.model.operation import Operation, OperationKind
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.model.states import State
from supervisor_lite.rules.lifecycle import is_respawned


class LeftToDo(NamedTuple):
    """What is to be done once everything is taken over."""

    wanted: frozenset[str] = frozenset()
    """Processes that a shutdown which was cut short has stopped, or was about to."""
    keys: tuple[str, ...] = ()
    """The rows of those shutdowns."""
    again: tuple[tuple[str, Operation], ...] = ()
    """Operations to be carried out again, with the keys of their rows."""


def left_to_do(
    pending: Iterable[tuple[str, Operation]], stored: Mapping[str, StoredProcess]
) -> LeftToDo:
    """Return what follows from the rows of an earlier daemon; `stored` is as that wrote it.

    A shutdown is no wish about a program: what was wanted before it is wanted again, unless it has
    ended by itself meanwhile, or somebody has asked for its stop. Everything else is carried out
    again: what is done already is found done.
    """
    wanted: set[str] = set()
    keys: list[str] = []
    again: list[tuple[str, Operation]] = []
    for key, operation in pending:
        if operation.kind is not OperationKind.SHUTDOWN:
            again.append((key, operation))
            continue
        keys.append(key)
        wanted.update(operation.ended)
        wanted.update(name for name in operation.wanted if not _has_ended(stored.get(name)))
    return LeftToDo(frozenset(wanted), tuple(keys), tuple(again))


def _has_ended(process: StoredProcess | None) -> bool:
    """Has it ended by itself, for good? A crash that was not answered any more is none."""
    if process is None or process.record.state is not State.EXITED:
        return False
    return not is_respawned(process.program, process.record.exit)
