"""What the journal tells: runs, changes of state, and what was last known of each process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from supervisor_lite.model.cause import INTERVENTIONS, Cause, CauseKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import RunRow, StoredProcess
from supervisor_lite.store.codec import decode
from supervisor_lite.store.database import Database
from supervisor_lite.store.plausible import objection, objection_to_process, objection_to_run

T = TypeVar("T", bound=tuple[Any, ...])

_END_OF_TIME = 253_402_300_800.0
"""The year 10000, in seconds since the epoch."""

_KINDS = [kind.value for kind in CauseKind if kind in INTERVENTIONS]
# A quotation mark within a text is written with a backslash before it: only a key looks like this.
_INTERVENTIONS = " OR ".join(f"""change LIKE '%"kind":"{kind}"%'""" for kind in _KINDS)
"""Whether a row of `changes` is about an intervention, in SQL."""

_RUN_COLUMNS = ", ".join(RunRow._fields)


class History:
    """The reading side of a journal. Every method raises OperationFailed if it cannot be read."""

    def __init__(
        self, database: Database, write_pending: Callable[[], None], warn: Callable[[str], None]
    ) -> None:
        self._database = database
        self._write_pending = write_pending
        self._warn = warn

    def open_runs(self) -> list[RunRow]:
        """Return the runs that have not ended, as far as anybody wrote down."""
        return self._runs("WHERE ended IS NULL ORDER BY run", (), self._warn)

    def run(self, number: int) -> RunRow | None:
        """Return one run, or None if it was never written or is forgotten."""
        found = self._runs("WHERE run = ?", (number,))
        return found[0] if found else None

    def runs(
        self, names: Sequence[str] | None, limit: int, before: int | None = None
    ) -> list[RunRow]:
        """Return the latest runs, the newest first; `names`: only those of these processes.

        With `before` only those with a lower id than that.
        """
        where, values = [], list[object]()
        if names is not None:
            where.append(f"name IN ({_marks(names)})")
            values.extend(names)
        if before is not None:
            where.append("run < ?")
            values.append(before)
        clause = f"WHERE {' AND '.join(where)} " if where else ""
        return self._runs(f"{clause}ORDER BY run DESC LIMIT ?", (*values, limit))

    def _runs(
        self,
        where: str,
        values: Sequence[object],
        warn: Callable[[str], None] = lambda text: None,
    ) -> list[RunRow]:
        """Return the rows that make sense; of the others `warn` is told."""
        found = []
        for each in self._database.select(f"SELECT {_RUN_COLUMNS} FROM runs {where}", values):
            row = RunRow(*each)
            row = row._replace(cause=_cause(row.cause))
            if wrong := objection_to_run(row):
                warn(f"what the journal knows of run {row.run!r} is unusable: {wrong}")
            else:
                found.append(row)
        return found

    def processes(self) -> Iterator[StoredProcess]:
        """Yield what was last known of every process; what is unusable is reported."""
        for row in self._database.select("SELECT name, record, definition FROM processes"):
            try:
                yield _process(*row)
            except (ValueError, TypeError, AttributeError, RecursionError) as error:
                self._warn(f"{row[0]}: what the journal knows of it is unusable: {error}")

    def changes(
        self,
        *,
        names: Sequence[str] | None = None,
        after: int | None = None,
        before: int | None = None,
        limit: int = 100,
        interventions: bool | None = None,
    ) -> list[Change]:
        """Return changes, the oldest first: those after a serial, or else the latest ones.

        With `before` only those with a lower serial than that. `interventions`: only what is one of
        those, or only what is none.
        """
        self._write_pending()
        where, values = [], list[object]()
        if names is not None:
            where.append(f"name IN ({_marks(names)})")
            values.extend(names)
        if after is not None:
            where.append("serial > ?")
            values.append(after)
        if before is not None:
            where.append("serial < ?")
            values.append(before)
        if interventions is not None:
            where.append(f"{'' if interventions else 'NOT '}({_INTERVENTIONS})")
        clause = f"WHERE {' AND '.join(where)}" if where else ""
        order = "ASC" if after is not None else "DESC"
        sql = f"SELECT change FROM changes {clause} ORDER BY serial {order} LIMIT ?"
        rows = self._database.select(sql, (*values, limit))
        found = [change for row in rows if (change := _change(row[0])) is not None]
        return found if after is not None else found[::-1]

    def has(self, name: str) -> bool:
        """Is there anything about a process of this name, defined or not?"""
        self._write_pending()
        sql = (
            "SELECT EXISTS (SELECT 1 FROM changes WHERE name = ?1)"
            " OR EXISTS (SELECT 1 FROM runs WHERE name = ?1)"
        )
        return bool(self._database.select(sql, (name,))[0][0])


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _process(name: str, record: str, definition: str) -> StoredProcess:
    """Raises ValueError, TypeError or AttributeError if it is unusable."""
    values: dict[str, Any] = json.loads(record)
    program = decode(Program, json.loads(definition))
    since, started = _moment(values.get("since")), _moment(values.get("started"))
    stored = StoredProcess(name, decode(Record, values), program, since, started)
    if wrong := objection_to_process(name, stored.record, program):
        raise ValueError(wrong)
    return stored


def _moment(value: object) -> float | None:
    """Return a wall-clock time that can be shown; None for what is none."""
    usable = isinstance(value, int | float) and 0 <= value < _END_OF_TIME
    return float(value) if usable else None  # type: ignore[arg-type]


def _cause(text: object) -> Cause | None:
    """Return the cause of an end that was kept, maybe by another version; None if unusable."""
    return _decoded(Cause, text)


def _change(text: object) -> Change | None:
    """Return a change that was kept, maybe by another version; None if it is unusable."""
    found = _decoded(Change, text)
    return found if found is not None and _moment(found.time) is not None else None


def _decoded(kind: type[T], text: object) -> T | None:
    try:
        found = decode(kind, json.loads(text)) if isinstance(text, str) else None
    except (ValueError, TypeError, RecursionError):
        return None
    return None if found is None or objection(found) else found
