"""What schema 1 kept as sentences is data afterwards, and still says the same."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.explain.cause import (
    beyond_exit_text,
    cause_text,
    exit_text,
    last_end_text,
    notes_text,
)
from supervisor_lite.model.cause import Cause, CauseKind, Leftover, Note, NoteKind, SpawnFailure
from supervisor_lite.model.change import Change
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.record import Record
from supervisor_lite.store import migrations
from supervisor_lite.store.codec import decode
from tests.store.test_migrations import old_of

K = CauseKind
MEMORY = "out of memory (memory_max 64MB)"
NOT_FOUND = SpawnFailure(SpawnErrorCode.COMMAND_NOT_FOUND, 'cannot find the command "nope"', "nope")

CAUSES: list[tuple[str, str, Cause]] = [
    ("STARTING", "start asked", Cause(K.START_ASKED)),
    ("STOPPING", "stop asked", Cause(K.STOP_ASKED)),
    ("STOPPING", "restart asked", Cause(K.RESTART_ASKED)),
    ("STARTING", "autostart", Cause(K.AUTOSTART)),
    ("STARTING", "added", Cause(K.ADDED)),
    ("STARTING", "added by update", Cause(K.ADDED_BY_UPDATE)),
    ("STARTING", "changed by update", Cause(K.CHANGED_BY_UPDATE)),
    ("STOPPED", "no longer defined", Cause(K.NO_LONGER_DEFINED)),
    ("STOPPING", "its state was lost with the daemon", Cause(K.STATE_LOST)),
    ("STARTING", "found alive", Cause(K.FOUND_ALIVE)),
    ("RUNNING", "up for 1.5 s", Cause(K.UP, seconds=1.5)),
    ("RUNNING", "up for 1e-05 s", Cause(K.UP, seconds=1e-05)),
    ("STARTING", "try 2 of 4", Cause(K.RETRY, number=2, limit=4)),
    ("STARTING", "restart after exit 0", Cause(K.RESTARTED, exit=Exit(0))),
    (
        "STARTING",
        'restart after cannot find the command "nope"',
        Cause(K.RESTARTED, error=NOT_FOUND),
    ),
    ("EXITED", "exit 3 (not expected)", Cause(K.EXITED, exit=Exit(3), expected=False)),
    ("EXITED", "exit 0 (expected)", Cause(K.EXITED, exit=Exit(0), expected=True)),
    (
        "EXITED",
        "killed by SIGABRT (core dumped) (not expected)",
        Cause(K.EXITED, exit=Exit(signal="SIGABRT", core=True), expected=False),
    ),
    (
        "EXITED",
        f"ended with an unknown exit code: probably {MEMORY} (not expected)",
        Cause(K.EXITED, exit=Exit(out_of_memory=True, memory_max=64 << 20), expected=False),
    ),
    ("BACKOFF", "exit 1", Cause(K.EXITED_TOO_SOON, exit=Exit(1))),
    (
        "BACKOFF",
        f"killed by SIGKILL: {MEMORY}",
        Cause(
            K.EXITED_TOO_SOON, exit=Exit(signal="SIGKILL", out_of_memory=True, memory_max=64 << 20)
        ),
    ),
    ("BACKOFF", 'cannot find the command "nope"', Cause(K.SPAWN_FAILED, error=NOT_FOUND)),
    (
        "BACKOFF",
        "cannot set nice to -5: Permission denied",
        Cause(
            K.SPAWN_FAILED,
            error=SpawnFailure(SpawnErrorCode.OTHER, "cannot set nice to -5: Permission denied"),
        ),
    ),
    (
        "FATAL",
        "gave up after 1 try: exit 1",
        Cause(K.START_RETRIES_SPENT, exit=Exit(1), number=1),
    ),
    (
        "FATAL",
        'gave up after 4 tries: cannot find the command "nope"',
        Cause(K.START_RETRIES_SPENT, error=NOT_FOUND, number=4),
    ),
    (
        "FATAL",
        "gave up after 5 restarts in 90 s: ended with an unknown exit code",
        Cause(K.RESTART_LIMIT_REACHED, exit=Exit(), number=5, seconds=90.0),
    ),
    (
        "RUNNING",
        "taken over by its new version (pid 7, 1.0.2 (dev))",
        Cause(K.TAKEN_OVER, pid=7, version="1.0.2 (dev)"),
    ),
    (
        "RUNNING",
        "found ended by a new daemon (pid 7): the one before had ended",
        Cause(K.FOUND_ENDED, pid=7),
    ),
    (
        "STOPPING",
        "memory 60.1 MB over memory_restart 60 MB",
        Cause(K.RECORDED, text="memory 60.1 MB over memory_restart 60 MB"),
    ),
    ("STARTING", "the moon was full", Cause(K.RECORDED, text="the moon was full")),
]

NOTES: list[tuple[str, tuple[Note, ...]]] = [
    ("KILL after 2.5 s", (Note(NoteKind.KILLED, 2.5),)),
    (
        "KILL at once; 2 leftovers killed: 7 sh, 8 tail -f",
        (
            Note(NoteKind.KILLED),
            Note(NoteKind.LEFTOVERS_KILLED, None, (Leftover(7, "sh"), Leftover(8, "tail -f"))),
        ),
    ),
    ("1 leftover ended: 7 sh", (Note(NoteKind.LEFTOVERS_ENDED, None, (Leftover(7, "sh"),)),)),
    ("1 left running: 7 sh", (Note(NoteKind.LEFTOVERS_KEPT, None, (Leftover(7, "sh"),)),)),
    ("1 leftover ended: 7 a, b; c", (Note(NoteKind.RECORDED, text="1 leftover ended: 7 a, b; c"),)),
]

ENDS = [
    ("exit 3", 3, None, Cause(K.EXITED, exit=Exit(3))),
    ("killed by SIGSEGV (core dumped)", None, "SIGSEGV",
     Cause(K.EXITED, exit=Exit(signal="SIGSEGV", core=True))),
    ("ended with an unknown exit code", None, None, Cause(K.EXITED, exit=Exit())),
    ("the machine was restarted", None, None, Cause(K.MACHINE_RESTARTED)),
    ("never spawned: the daemon died", None, None, Cause(K.NEVER_SPAWNED)),
    ('cannot find the command "nope"', None, None, Cause(K.SPAWN_FAILED, error=NOT_FOUND)),
]  # fmt: skip


@pytest.fixture
def base() -> Any:
    """A database of schema 1, in memory."""
    with closing(sqlite3.connect(":memory:")) as database:
        migrations.STEPS[0](database)
        yield database


def changed(base: sqlite3.Connection, **values: object) -> Change:
    """Return what becomes of a change."""
    whole = {
        "serial": 1, "time": 5.0, "name": "web", "process": "web", "group": "web",
        "from_state": "STOPPED", **values,
    }  # fmt: skip
    base.execute("INSERT INTO changes VALUES (1, 5.0, 'web', ?)", (json.dumps(whole),))
    migrations.STEPS[1](base)
    return decode(Change, json.loads(base.execute("SELECT change FROM changes").fetchone()[0]))


@pytest.mark.parametrize(("state", "text", "cause"), CAUSES, ids=[text for _, text, _ in CAUSES])
def test_a_cause(base: sqlite3.Connection, state: str, text: str, cause: Cause) -> None:
    change = changed(base, to_state=state, cause=text)
    assert change.cause == cause
    assert cause_text(change.cause) == text


@pytest.mark.parametrize(("text", "notes"), NOTES, ids=[text for text, _ in NOTES])
def test_notes(base: sqlite3.Connection, text: str, notes: tuple[Note, ...]) -> None:
    change = changed(base, to_state="STOPPED", cause="stop asked", note=text)
    assert change.notes == notes
    assert notes_text(change.notes) == text


@pytest.mark.parametrize(("text", "code", "signal", "cause"), ENDS, ids=[end[0] for end in ENDS])
def test_the_end_of_a_run(
    base: sqlite3.Connection, text: str, code: int | None, signal: str | None, cause: Cause
) -> None:
    sql = "INSERT INTO runs (name, intended, ended, code, signal, reason) VALUES (?, 1, 2, ?, ?, ?)"
    base.execute(sql, ("web", code, signal, text))
    base.execute("INSERT INTO runs (name, intended) VALUES ('web', 3)")
    migrations.STEPS[1](base)
    (ended,), (live,) = base.execute("SELECT cause FROM runs ORDER BY run").fetchall()
    assert decode(Cause, json.loads(ended)) == cause
    assert live is None


def test_a_record(base: sqlite3.Connection) -> None:
    """Fields that nobody has touched stay as they are."""
    values = {
        "state": 30, "wanted": True, "run": 7, "failures": 2, "deadline": 12.5, "hurried": True,
        "error": "", "exit": [None, "SIGKILL", False, f"{MEMORY}"], "note": "KILL at once",
        "cause": f"killed by SIGKILL: {MEMORY}", "by": "ann", "since": 5.5, "started": None,
    }  # fmt: skip
    base.execute("INSERT INTO processes VALUES ('web', ?, '{}')", (json.dumps(values),))
    migrations.STEPS[1](base)
    text = base.execute("SELECT record FROM processes").fetchone()[0]
    assert (json.loads(text)["since"], json.loads(text)["started"]) == (5.5, None)
    record = decode(Record, json.loads(text))
    killed = Exit(signal="SIGKILL", out_of_memory=True, memory_max=64 << 20)
    assert record.exit == killed
    assert exit_text(killed) == f"killed by SIGKILL: {MEMORY}"
    assert (record.cause, record.error) == (Cause(K.EXITED_TOO_SOON, exit=killed), None)
    assert (record.notes, record.kill_now) == ((Note(NoteKind.KILLED),), True)
    assert (record.wanted, record.run, record.failures, record.by) == (True, 7, 2, "ann")


@pytest.mark.parametrize("old", [[None, None, False], [0, None, False], None])
def test_the_exit_in_a_record(base: sqlite3.Connection, old: list[Any] | None) -> None:
    values = {"state": 100, "exit": old, "error": 'cannot find the command "nope"'}
    base.execute("INSERT INTO processes VALUES ('web', ?, '{}')", (json.dumps(values),))
    migrations.STEPS[1](base)
    record = decode(Record, json.loads(base.execute("SELECT record FROM processes").fetchone()[0]))
    assert record.exit == (None if old is None else Exit(*old))
    assert record.error == NOT_FOUND
    assert last_end_text(record.error, record.exit) == NOT_FOUND.text


def test_what_is_no_object_is_left_as_it_is(base: sqlite3.Connection) -> None:
    """And found out when it is read, as before."""
    base.execute("INSERT INTO changes VALUES (1, 5.0, 'web', '[1')")
    base.execute("INSERT INTO processes VALUES ('web', '7', '{}')")
    migrations.STEPS[1](base)
    assert base.execute("SELECT change FROM changes").fetchone() == ("[1",)
    assert base.execute("SELECT record FROM processes").fetchone() == ("7",)


def test_what_a_real_daemon_wrote_is_understood_and_says_the_same(tmp_path: Path) -> None:
    """Only that memory was short is kept in words: how much it was is not in them."""
    old = old_of(1, tmp_path)
    with closing(old.open()) as journal:
        changes = journal.history.changes(after=0, limit=10_000)
        runs = journal.history.runs(None, 10_000)
    assert [(cause_text(c.cause), notes_text(c.notes)) for c in changes] == [
        (c["cause"], c["note"]) for c in old.changes
    ]
    assert [beyond_exit_text(run.cause) for run in runs] == [run["reason"] for run in old.runs]
    kinds = Counter(change.cause.kind for change in changes if change.cause is not None)
    assert len(kinds) > 8
    recorded = [c for c in changes if c.cause is not None and c.cause.kind is K.RECORDED]
    assert all("over memory_restart" in cause_text(change.cause) for change in recorded)
