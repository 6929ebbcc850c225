"""Operations of several steps: written down before the first one, until the last one is done.

A daemon that dies in between leaves the row to the next one, which finishes the operation
(daemon/finish.py). What takes a single turn of the event loop needs none: it is in the journal
as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from supervisor_lite.model.operation import Operation, OperationKind
from supervisor_lite.store.operation_log import OperationLog

_carried_on: ContextVar[str | None] = ContextVar("carried_on", default=None)
"""The row of the operation that the current task carries on."""


class Unfinished:
    """The operations that this daemon has begun and not finished."""

    def __init__(self, log: OperationLog, schedule_flush: Callable[[], None]) -> None:
        """`schedule_flush` has what is written by now committed, together with the records."""
        self._log = log
        self._schedule_flush = schedule_flush
        self._open: dict[str, Operation] = {}

    def inherit(self, key: str, operation: Operation) -> None:
        """An operation of the daemon before us goes on, and so do wishes about it."""
        self._open[key] = operation

    def carry_on(self, key: str) -> None:
        """What this task begins next is an operation that was inherited, and keeps its row."""
        _carried_on.set(key)

    def begin(self, operation: Operation) -> str:
        """It begins; written on return. Returns what `end` wants to have."""
        key = _carried_on.get()
        before = self._open.get(key, operation) if key is not None else operation
        _carried_on.set(None)
        wanted = tuple(
            dict.fromkeys((*before.wanted, *operation.wanted, *self._halfway(operation)))
        )
        operation = operation._replace(wanted=wanted)
        key = self._log.begin(operation, key)
        self._open[key] = operation
        return key

    def _halfway(self, operation: Operation) -> Iterator[str]:
        """Yield what others have stopped and not started yet, for what stops everything."""
        if operation.kind in (OperationKind.SHUTDOWN, OperationKind.RELOAD):
            for other in self._open.values():
                if other.kind is OperationKind.RESTART:
                    yield from other.names
                elif other.kind is OperationKind.RELOAD:
                    yield from other.wanted

    @contextmanager
    def during(self, operation: Operation) -> Iterator[None]:
        """It goes on inside; not over if that is cancelled, because the daemon ends."""
        key = self.begin(operation)
        try:
            yield
        except Exception:
            self.end(key)
            raise
        self.end(key)

    def end(self, key: str) -> None:
        """It is done, or given up; an operation of the daemon before us counts as well."""
        self._open.pop(key, None)
        self._log.end(key)
        self._schedule_flush()

    def has(self, key: str, name: str) -> bool:
        """Is this process still a part of it, or has somebody asked otherwise meanwhile?"""
        operation = self._open.get(key)
        return operation is not None and name in operation.names

    def stop_asked(self, names: Collection[str]) -> None:
        """Somebody wants these down: no operation that goes on is to start them again."""
        for key, operation in tuple(self._open.items()):
            if operation.kind is OperationKind.SHUTDOWN:
                wanted = _without(operation.wanted, names)
                ended = _without(operation.ended, names)
                self._change(key, operation._replace(wanted=wanted, ended=ended))
            elif operation.kind is OperationKind.RESTART:
                self._change(key, _leave_out(operation, names))

    def start_asked(self, names: Collection[str]) -> None:
        """Somebody wants these up: no operation that goes on is to stop them again."""
        for key, operation in tuple(self._open.items()):
            if operation.kind is OperationKind.STOP:
                self._change(key, _leave_out(operation, names))

    def _change(self, key: str, operation: Operation) -> None:
        if operation != self._open[key]:
            self._open[key] = operation
            self._log.change(key, operation)
            self._schedule_flush()


def _without(given: tuple[str, ...], names: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in given if name not in names)


def _leave_out(operation: Operation, names: Collection[str]) -> Operation:
    runs = operation.runs or (0,) * len(operation.names)
    left = [pair for pair in zip(operation.names, runs, strict=True) if pair[0] not in names]
    names_left = tuple(name for name, _ in left)
    return operation._replace(
        names=names_left, runs=tuple(run for _, run in left) if operation.runs else ()
    )
