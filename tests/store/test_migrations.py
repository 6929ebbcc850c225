"""Journals of earlier versions: every one can be opened, nothing of it is lost, whatever happens.

The samples were made by daemons of those versions; see make_sample.py.
"""

from __future__ import annotations

import json
import lzma
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from supervisor_lite.core.view import rfc3339
from supervisor_lite.errors import StartupError
from supervisor_lite.model.restart import Backoff, BackoffKind, RestartLimit
from supervisor_lite.model.secrets import EnvFile
from supervisor_lite.model.sockets import ListenSocket
from supervisor_lite.store import database, migrations
from supervisor_lite.store.journal import Journal, open_journal
from supervisor_lite.store.migrations import SCHEMA
from tests.store.disk import full_disk

SAMPLES = Path(__file__).parent / "samples"
SCHEMAS = range(1, 1 + len(list(SAMPLES.glob("schema-*.db.xz"))))


class Old(NamedTuple):
    """A journal that a daemon of an earlier version left, and what it said of it."""

    path: Path
    schema: int
    status: list[dict[str, Any]]
    """Of the processes that had ever been started: of others the journal knows nothing."""
    changes: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    complaints: list[str]

    def open(self) -> Journal:
        return open_journal(str(self.path), self.complaints.append)

    def dump(self) -> list[str]:
        """Return what is in the file, read by nobody of ours."""
        with closing(sqlite3.connect(self.path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            return [f"schema {version}", *connection.iterdump()]


def old_of(schema: int, directory: Path) -> Old:
    path = directory / "journal.db"
    path.write_bytes(lzma.decompress((SAMPLES / f"schema-{schema}.db.xz").read_bytes()))
    said = json.loads(lzma.decompress((SAMPLES / f"schema-{schema}.json.xz").read_bytes()))
    begun = [status for status in said["status"] if status["run"] is not None]
    return Old(path, schema, begun, said["events"], said["runs"], [])


@pytest.fixture(params=SCHEMAS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    return old_of(request.param, tmp_path)


@pytest.fixture
def ours(tmp_path: Path) -> Old:
    """A journal of schema 1, whether or not there is a later one."""
    return old_of(1, tmp_path)


Step = Callable[[sqlite3.Connection], None]


@pytest.fixture
def next_schema(monkeypatch: pytest.MonkeyPatch) -> Callable[[Step], None]:
    """Add a step, as the next version may have one."""

    def add(step: Step) -> None:
        steps = (*migrations.STEPS, step)
        monkeypatch.setattr(migrations, "STEPS", steps)
        for module in (migrations, database):
            monkeypatch.setattr(module, "SCHEMA", len(steps))

    return add


# What is there afterwards.


def test_what_was_known_of_each_process_is_known(old: Old) -> None:
    """Its state, its wish, its run: what the old daemon answered last."""
    with closing(old.open()) as journal:
        known = {process.name: process for process in journal.history.processes()}
    assert old.complaints == []
    assert known.keys() == {status["fullname"] for status in old.status}
    for status in old.status:
        stored, record = known[status["fullname"]], known[status["fullname"]].record
        told = (status["state"], status["wanted"], status["pid"], status["run"])
        assert (record.state.name, record.wanted, record.pid, record.run) == told
        assert (stored.program.name, stored.program.fullname) == (status["name"], stored.name)
        assert stored.since is not None
        assert rfc3339(stored.since) == status["since"]
        ended = record.exit
        assert (ended.code if ended else None) == status["exitcode"]
        assert (ended.signal if ended else None) == status["signal"]


def test_every_change_is_kept(old: Old) -> None:
    with closing(old.open()) as journal:
        changes = journal.history.changes(after=0, limit=10_000)
        serial = journal.serial
    told = [
        (c["serial"], c["time"], c["name"], c["from"], c["to"], c["by"], c["run"], c["pid"],
         c["exitcode"], c["signal"], c["expected"], c["tries"], c["last_words"])
        for c in old.changes
    ]  # fmt: skip
    assert [
        (c.serial, rfc3339(c.time), c.name, c.from_state, c.to_state, c.by, c.run, c.pid,
         c.exitcode, c.signal, c.expected, c.tries, c.last_words)
        for c in changes
    ] == told  # fmt: skip
    assert serial == old.changes[-1]["serial"]
    assert all(change.cause for change in changes)


def test_every_run_is_kept(old: Old) -> None:
    with closing(old.open()) as journal:
        runs = journal.history.runs(None, 10_000)
        live = {run.run for run in journal.history.open_runs()}
        assert journal.reserve_runs(["web"])[0] == max(run.run for run in runs) + 1
    told = [(r["run"], r["name"], r["pid"], r["exitcode"], r["signal"]) for r in old.runs]
    assert [(r.run, r.name, r.pid, r.code, r.signal) for r in runs] == told
    assert live == {status["run"] for status in old.status if status["pid"] is not None}


def test_a_definition_is_read_with_all_that_it_holds(old: Old) -> None:
    """Every kind of value that is more than text or a number; see make_sample.py."""
    with closing(old.open()) as journal:
        programs = {stored.name: stored.program for stored in journal.history.processes()}
    whole = programs["whole:whole_1"]
    assert (whole.name, whole.group, whole.program) == ("whole_1", "whole", "whole")
    assert (whole.user, whole.umask, whole.environment) == ("nobody", 0o27, {"COLOUR": "red"})
    assert whole.exitcodes == (0, 3)
    assert (whole.leftovers.value, whole.stdin.value) == ("keep", "pipe")
    assert whole.backoff == Backoff(BackoffKind.EXPONENTIAL, 1.0, max=60.0, jitter=0.5)
    assert whole.restart_limit == RestartLimit(5, 600.0, 60.0)
    assert whole.env_file == (EnvFile(whole.env_file[0].path, optional=True),)
    assert [credential.name for credential in whole.credentials] == ["key"]
    assert whole.placement is not None
    limits = {limit.name: (limit.soft, limit.hard) for limit in whole.placement.rlimits}
    assert limits == {"nofile": (64, 128), "core": (None, None)}
    assert (whole.placement.nice, whole.placement.cpu_affinity) == (3, (0,))
    assert whole.stderr.syslog
    assert programs["ear"].listener
    (served,) = programs["served"].sockets
    assert served == ListenSocket(served.listen)


def test_a_new_journal_has_the_tables_of_a_migrated_one(old: Old, tmp_path: Path) -> None:
    """Also those that the old version had made with its own words."""
    old.open().close()
    (tmp_path / "new").mkdir()
    new = tmp_path / "new/journal.db"
    open_journal(str(new), old.complaints.append).close()
    assert structure(old.path) == structure(new)


def test_the_first_step_makes_what_the_first_version_made(ours: Old, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    with closing(sqlite3.connect(fresh)) as connection:
        migrations.STEPS[0](connection)
        connection.commit()
    assert structure(ours.path) == structure(fresh)


def structure(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return the columns of each table and of each index."""
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        for kind, name in connection.execute("SELECT type, name FROM sqlite_master").fetchall():
            info = "table_xinfo" if kind == "table" else "index_xinfo"
            found[name] = connection.execute(f"PRAGMA {info}({name})").fetchall()
    return found


def test_each_earlier_schema_has_a_sample() -> None:
    assert len(SCHEMAS) >= SCHEMA - 1, "make one before the schema is left"


# What may go wrong.


def test_a_daemon_that_is_killed_in_the_middle_leaves_the_file_as_it_was(
    ours: Old, next_schema: Callable[[Step], None]
) -> None:
    """And the next one does all of it."""
    before, parent = ours.dump(), os.getpid()

    def step(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM changes")
        connection.execute("CREATE TABLE half (done TEXT)")
        if os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    next_schema(step)
    child = os.fork()
    if child == 0:
        ours.open()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert ours.dump() == before
    with closing(ours.open()) as journal:
        assert journal.history.changes() == []
        assert len(list(journal.history.processes())) == len(ours.status)
    assert "half" in structure(ours.path)
    assert ours.dump()[0] == f"schema {migrations.SCHEMA}"
    assert ours.complaints == []


@pytest.fixture
def used(ours: Old, next_schema: Callable[[Step], None]) -> Iterator[Old]:
    """A journal that needs a migration, and of which the files beside it are there already."""

    def step(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE added (name TEXT)")

    next_schema(step)
    with closing(sqlite3.connect(ours.path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        (name,) = connection.execute("SELECT value FROM meta WHERE key = 'instance'").fetchone()
        (ours.path.parent / "instance").write_text(f"{name}\n")
        yield ours


def test_a_full_disk_keeps_no_daemon_from_starting(
    used: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works with a copy in memory, says so once, and writes everything when there is room."""
    monkeypatch.setattr(database, "_COPY_AGAIN", 0.0)
    before = used.dump()
    with full_disk():
        journal = used.open()
        known = list(journal.history.processes())
        (run,) = journal.reserve_runs(["web"])
        assert journal.history.run(run) is not None
        assert journal.commit() is True
        journal.remember(known[0])
        assert journal.commit() is True
        assert used.dump() == before
    assert len(known) == len(used.status)
    assert len(used.complaints) == 1
    assert used.complaints[0].startswith(f'cannot write the journal "{used.path}"')
    journal.remember(known[1])
    assert journal.commit() is True
    assert used.complaints[1:] == [f'the journal "{used.path}" can be written again']
    assert "added" in structure(used.path)
    journal.close()
    with closing(used.open()) as later:
        assert later.history.run(run) is not None
        assert list(later.history.processes()) == known
        assert len(later.history.changes(after=0, limit=10_000)) == len(used.changes)
    assert len(used.complaints) == 2


def test_it_is_written_with_the_first_commit_for_which_there_is_room(
    used: Old, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if that commit has nothing else to write: an upgrade may be what comes next."""
    with monkeypatch.context() as full:
        full.setattr(database.Database, "_has_room", lambda _: False)
        with full_disk():
            journal = used.open()
            (run,) = journal.reserve_runs(["web"])
        assert journal.commit() is True
        assert "added" not in structure(used.path)
    assert journal.commit() is True
    assert "added" in structure(used.path)
    with closing(sqlite3.connect(used.path)) as reader:
        assert reader.execute("SELECT run FROM runs WHERE run = ?", (run,)).fetchall() == [(run,)]
    journal.close()


def test_what_is_in_memory_only_is_written_at_the_end(used: Old) -> None:
    with full_disk():
        journal = used.open()
        (run,) = journal.reserve_runs(["web"])
    journal.close()
    with closing(used.open()) as later:
        assert later.history.run(run) is not None


def test_a_disk_that_stays_full_until_the_end_loses_nothing_of_before(used: Old) -> None:
    before = used.dump()
    with full_disk():
        journal = used.open()
        journal.reserve_runs(["web"])
        journal.close()
    assert used.dump() == before


def test_one_that_is_corrupt_is_set_aside_as_it_is(
    ours: Old, next_schema: Callable[[Step], None]
) -> None:
    next_schema(lambda connection: None)
    with closing(sqlite3.connect(ours.path)) as connection:
        connection.execute("DROP TABLE changes")
        connection.execute("CREATE TABLE songs (name TEXT)")
        connection.commit()
    data = bytearray(ours.path.read_bytes())
    data[4096:8192] = os.urandom(4096)
    ours.path.write_bytes(data)
    ours.open().close()
    (aside,) = ours.path.parent.glob("*.corrupt-*")
    assert aside.read_bytes()[4096:] == data[4096:]
    assert "is unusable" in ours.complaints[0]


def test_one_of_the_next_version_is_refused(
    ours: Old, next_schema: Callable[[Step], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    next_schema(lambda connection: None)
    ours.open().close()
    before = ours.dump()
    monkeypatch.setattr(database, "SCHEMA", migrations.SCHEMA - 1)
    with pytest.raises(StartupError, match="newer version"):
        ours.open()
    assert ours.dump() == before
