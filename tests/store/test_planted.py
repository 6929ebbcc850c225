"""A journal that is sound as a file and makes no sense: a bad row costs that row only."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.model.states import State
from supervisor_lite.store.codec import encode
from supervisor_lite.store.journal import Journal, open_journal
from supervisor_lite.store.migrations import migrate
from supervisor_lite.store.plausible import objection_to_process
from supervisor_lite.store.tables import COLUMNS, columns
from tests.store.test_journal import changed, ran

GOOD = StoredProcess("db", Record(State.STOPPED), Program("db", ("db",)), 5.0, 4.0)

RUN = {"run": 900, "name": "web", "intended": 5.0}
ALIVE = {"pid": 77, "boot": "boot", "start": 5, "inode": 6, "spawned": 5.0}

BAD_RUNS: list[dict[str, object]] = [
    {"run": -1}, {"run": 0}, {"run": 1 << 60}, {"name": b"\xff\xfe"},
    {"intended": "soon"}, {**ALIVE, "pid": -5}, {**ALIVE, "pid": 0}, {**ALIVE, "pid": 1 << 40},
    {**ALIVE, "pid": "x"}, {**ALIVE, "start": "x"}, {**ALIVE, "boot": None},
    {**ALIVE, "inode": -3}, {**ALIVE, "spawned": "x"},
]  # fmt: skip

BAD_RECORDS: list[dict[str, Any]] = [
    {"state": 7}, {"state": "RUNNING"}, {"state": None}, {"state": 20}, {"state": 20, "pid": 5},
    {"state": 20, "pid": -5, "run": 3}, {"state": 20, "pid": "5", "run": 3}, {"state": 40},
    {"state": 30}, {"state": 0, "pid": 5, "run": 3}, {"leftovers": True}, {"run": -1},
    {"run": 1 << 60}, {"deadline": "soon"}, {"deadline": float("inf")},
    {"deadline": float("nan")}, {"failures": -1}, {"failures": 1.5}, {"wanted": 1},
    {"wanted": "yes"}, {"notes": 7}, {"notes": [7]}, {"cause": 7}, {"exit": []}, {"by": None},
    {"restarts": ["x"]}, {"restarts": 5}, {"error": {"code": "x"}},
]  # fmt: skip

BAD_DEFINITIONS: list[dict[str, Any]] = [
    {"command": []}, {"command": [7]}, {"command": "db"}, {"command": ["a\0b"]}, {"name": "web"},
    {"environment": {"A": 7}}, {"environment": []}, {"stopsignal": "DANCE"}, {"stopsignal": 15},
    {"startsecs": -1}, {"startsecs": "1"}, {"stopwaitsecs": float("inf")}, {"exitcodes": ["0"]},
    {"startretries": -1}, {"autorestart": 7}, {"stdout": 7}, {"sockets": [7]}, {"user": 0.5},
]  # fmt: skip


def planted(path: Path, *rows: tuple[str, dict[str, object]]) -> list[str]:
    """Put rows into a journal that has a good one of everything; return what is complained of."""
    complaints: list[str] = []
    journal = open_journal(str(path / "journal.db"), complaints.append)
    if not list(journal.history.processes()):
        journal.remember(GOOD)
        ran(journal, over=False)
        changed(journal)
    journal.close()
    with contextlib.closing(sqlite3.connect(path / "journal.db")) as database:
        for table, row in rows:
            names, marks = ",".join(row), ",".join("?" * len(row))
            sql = f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"
            with contextlib.suppress(sqlite3.IntegrityError):  # what the schema itself refuses
                database.execute(sql, tuple(row.values()))
        database.commit()
    return complaints


def read(path: Path, complaints: list[str]) -> Journal:
    """Read all that can be read, without a word."""
    journal = open_journal(str(path / "journal.db"), complaints.append)
    assert GOOD in list(journal.history.processes())
    assert [row.run for row in journal.history.open_runs()][:1] == [1]
    journal.history.runs(None, 1000)
    assert journal.history.changes(limit=1000)
    journal.operations.pending()
    journal.last_world()
    journal.set_retention(age=1e9, count=1000)
    return journal


@pytest.mark.parametrize("bad", BAD_RUNS, ids=str)
def test_a_run_that_makes_no_sense_is_left_out(tmp_path: Path, bad: dict[str, object]) -> None:
    complaints = planted(tmp_path, ("runs", {**RUN, **bad}))
    journal = read(tmp_path, complaints)
    assert [row.run for row in journal.history.open_runs()] == [1]
    assert "unusable" in complaints[0]
    journal.close()


def row_of(record: dict[str, Any], definition: dict[str, Any]) -> dict[str, object]:
    fields = {
        "record": {**encode(GOOD.record), **record},
        "definition": {**encode(GOOD.program), "name": "a", **definition},
    }
    return {"name": "a", **{name: json.dumps(value) for name, value in fields.items()}}


@pytest.mark.parametrize(
    "row",
    [row_of(bad, {}) for bad in BAD_RECORDS] + [row_of({}, bad) for bad in BAD_DEFINITIONS],
    ids=lambda row: "",
)
def test_a_process_that_makes_no_sense_is_left_out(tmp_path: Path, row: dict[str, object]) -> None:
    complaints = planted(tmp_path, ("processes", row))
    journal = read(tmp_path, complaints)
    assert [process.name for process in journal.history.processes()] == ["db"]
    assert complaints[0].startswith("a: what the journal knows of it is unusable: ")
    journal.close()


_SCALAR = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=5)
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
_STORED = st.one_of(
    *(st.fixed_dictionaries({name: _JSON}) for name in (*Record._fields, "since", "started"))
)
_DEFINED = st.one_of(*(st.fixed_dictionaries({name: _JSON}) for name in Program._fields))


def _fits(value: object) -> bool:
    """Can SQLite take it?"""
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        return False
    return not isinstance(value, str) or value.isprintable()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    record=_STORED,
    definition=_DEFINED,
    run=st.fixed_dictionaries(
        {}, optional={name: _SCALAR.filter(_fits) for name in (
            "name", "intended", "pid", "boot", "start", "inode", "spawned", "ended", "code",
            "signal", "cause", "last_words", "maxrss",
        )},
    ),
    number=st.integers(2, (1 << 63) - 1),
    text=_SCALAR.filter(_fits),
    change=_JSON,
)  # fmt: skip
def test_nothing_that_is_planted_is_more_than_a_row(
    tmp_path_factory: pytest.TempPathFactory,
    record: dict[str, Any],
    definition: dict[str, Any],
    run: dict[str, object],
    number: int,
    text: object,
    change: object,
) -> None:
    path = tmp_path_factory.mktemp("planted")
    try:
        rows: list[tuple[str, dict[str, object]]] = [
            ("processes", row_of(record, {})),
            ("processes", {**row_of({}, definition), "name": "b"}),
            ("processes", {"name": "c", "record": text or "", "definition": text or ""}),
            ("runs", {**RUN, **{k: v for k, v in run.items() if v is not None}, "run": number}),
            ("changes", {"serial": 77, "time": 5, "name": "db", "change": json.dumps(change)}),
            ("changes", {"serial": 78, "time": 5, "name": "db", "change": text or ""}),
            ("meta", {"key": "operation:5", "value": json.dumps(change)}),
            ("meta", {"key": "operation:6", "value": text or ""}),
            ("meta", {"key": "world", "value": text or ""}),
            ("meta", {"key": "history_clock", "value": text or ""}),
        ]  # fmt: skip
        complaints = planted(path, *rows)
    except (UnicodeEncodeError, RecursionError):
        return
    journal = read(path, complaints)
    for process in journal.history.processes():
        assert not objection_to_process(process.name, process.record, process.program)
    journal.close()


def test_the_columns_are_those_of_the_schema() -> None:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, 0)
        assert columns(fresh) == COLUMNS


@pytest.mark.parametrize("table", ["runs", "processes", "changes"])
@pytest.mark.parametrize(
    "damage", ["DROP TABLE {0}", "ALTER TABLE {0} RENAME COLUMN {1} TO strange"]
)
def test_a_table_that_is_lost_is_made_anew(tmp_path: Path, table: str, damage: str) -> None:
    """The others stay, and so does the identity of the state directory."""
    complaints = planted(tmp_path)
    column = {"runs": "boot", "processes": "record", "changes": "change"}[table]
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as database:
        (name,) = database.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
        database.execute(damage.format(table, column))
        database.commit()
    for _ in range(2):
        journal = open_journal(str(tmp_path / "journal.db"), complaints.append)
        assert journal.instance == name
        history = journal.history
        found = [
            bool(list(history.processes())),
            bool(history.open_runs()),
            bool(history.changes()),
        ]
        assert found == [each != table for each in ("processes", "runs", "changes")]
        journal.close()
    assert len(complaints) == 1
    assert "made anew" in complaints[0]
    journal = open_journal(str(tmp_path / "journal.db"), complaints.append)
    journal.remember(GOOD)
    ran(journal)
    changed(journal)
    assert journal.commit()
    journal.close()
