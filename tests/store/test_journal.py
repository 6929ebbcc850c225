"""What the journal keeps, forgets, and survives."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor_lite.errors import OperationFailed, StartupError
from supervisor_lite.model.cause import Cause, CauseKind, Note, NoteKind
from supervisor_lite.model.change import Change
from supervisor_lite.model.exit import Exit
from supervisor_lite.model.program import Program
from supervisor_lite.model.record import Record
from supervisor_lite.model.run import StoredProcess
from supervisor_lite.model.states import State
from supervisor_lite.store.journal import Journal, open_journal
from supervisor_lite.store.migrations import SCHEMA
from tests.store.disk import full_disk

DAY = 86400.0
DB = StoredProcess(
    "db", Record(State.RUNNING, pid=5, run=1), Program("db", ("db",)), since=5.0, started=4.0
)


class Place:
    """A state directory, and what the journal complained of."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal.db"
        self.complaints: list[str] = []
        self._opened: list[Journal] = []

    def open(self) -> Journal:
        journal = open_journal(str(self.path), self.complaints.append)
        self._opened.append(journal)
        return journal

    def close(self) -> None:
        """Let go of every journal, also of those that were "killed"."""
        for journal in self._opened:
            with suppress(sqlite3.ProgrammingError):  # closed already
                journal.close()

    def sql(self, *statements: str) -> None:
        """Change the file behind the journal's back, while it is closed."""
        with sqlite3.connect(self.path) as database:
            for statement in statements:
                database.execute(statement)
        database.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.close()


def changed(journal: Journal, name: str = "web", **fields: object) -> Change:
    """Keep a change."""
    values: dict[str, object] = {
        "serial": journal.next_serial(), "time": time.time(), "name": name, "process": name,
        "group": name, "from_state": "STOPPED", "to_state": "STARTING",
        "cause": Cause(CauseKind.START_ASKED),
        **fields,
    }  # fmt: skip
    change = Change(**values)  # type: ignore[arg-type]
    journal.add_change(change)
    return change


ENDED = Cause(CauseKind.EXITED, exit=Exit(3))


def ran(journal: Journal, name: str = "web", *, over: bool = True) -> int:
    """Keep a run."""
    run = journal.reserve_runs([name])[0]
    journal.record_spawn(run, 4000 + run, "boot", 17, 99)
    if over:
        journal.record_end(run, ENDED, usage=(4096, 0.5, 0.25))
    return run


# What it keeps.


def test_what_was_committed_is_there_for_the_next_daemon(place: Place) -> None:
    journal = place.open()
    closed = ran(journal)
    live = ran(journal, "db", over=False)
    change = changed(
        journal, notes=(Note(NoteKind.KILLED, 2.5),), by="ann", last_words="bye\n\x1b[2J"
    )
    journal.remember(DB)
    journal.remember(DB._replace(record=Record(State.STARTING)))
    assert journal.commit() is True
    # Not closed: it was killed.
    later = place.open()
    assert later.instance == journal.instance
    assert [row.run for row in later.history.open_runs()] == [live]
    row = later.history.run(closed)
    assert row is not None
    assert (row.code, row.cause, row.maxrss, row.utime, row.stime) == (
        3,
        ENDED,
        4096,
        0.5,
        0.25,
    )
    assert later.history.changes() == [change]
    assert list(later.history.processes()) == [DB._replace(record=Record(State.STARTING))]
    assert later.reserve_runs(["web"])[0] == live + 1
    assert later.next_serial() == change.serial + 1


@pytest.mark.parametrize("last", [-5, 1 << 53, (1 << 63) - 1, "'many'", "1.5", "NULL"])
def test_a_number_that_cannot_be_the_last_one_is_not_gone_on_from(
    place: Place, last: object
) -> None:
    journal = place.open()
    run, serial = ran(journal), changed(journal).serial
    journal.close()
    place.sql(f"UPDATE sqlite_sequence SET seq = {last}")
    journal = place.open()
    assert journal.highest_run == run
    assert journal.reserve_runs(["web"])[0] == run + 1
    assert journal.next_serial() == serial + 1


def test_an_intent_is_there_before_anything_else_is_committed(place: Place) -> None:
    journal = place.open()
    run = journal.reserve_runs(["web"])[0]
    assert [(row.run, row.pid) for row in place.open().history.open_runs()] == [(run, None)]
    journal.record_spawn(run, 5, "boot", 1, 2)
    assert [row.pid for row in place.open().history.open_runs()] == [None]
    journal.commit()
    assert [row.pid for row in place.open().history.open_runs()] == [5]


def test_runs_and_changes_are_found_by_name_and_place(place: Place) -> None:
    journal = place.open()
    web = [ran(journal) for _ in range(3)]
    db = ran(journal, "db")
    serials = [changed(journal, name).serial for name in ("web", "db", "web", "web")]
    assert [row.run for row in journal.history.runs(None, 2)] == [db, web[2]]
    assert [row.run for row in journal.history.runs(["web"], 9)] == web[::-1]
    assert [c.serial for c in journal.history.changes(limit=2)] == serials[2:]
    assert [c.serial for c in journal.history.changes(after=serials[0], limit=2)] == serials[1:3]
    assert [c.serial for c in journal.history.changes(names=["db"])] == [serials[1]]
    assert journal.serial == serials[-1]
    assert (journal.history.has("db"), journal.history.has("nobody")) == (True, False)


def test_a_change_of_another_version_is_read_as_far_as_it_is_understood(place: Place) -> None:
    journal = place.open()
    first, second = changed(journal), changed(journal)
    journal.close()
    place.sql(
        "UPDATE changes SET change = json_set(change, '$.unheard_of', 1)"
        f" WHERE serial = {first.serial}",
        f"UPDATE changes SET change = 'not JSON' WHERE serial = {second.serial}",
    )
    assert place.open().history.changes() == [first]


@pytest.mark.parametrize(
    "damage", ["record = '{'", "record = '[]'", "definition = '{}'", "record = '{\"state\": 7}'"]
)
def test_an_unusable_record_does_not_hide_the_others(place: Place, damage: str) -> None:
    journal = place.open()
    for name in ("a", "b"):
        journal.remember(DB._replace(name=name, program=Program(name, (name,))))
    journal.close()
    place.sql(f"UPDATE processes SET {damage} WHERE name = 'a'")
    assert [row.name for row in place.open().history.processes()] == ["b"]
    assert place.complaints[0].startswith("a: what the journal knows of it is unusable")


# What it forgets.


def counts(place: Place) -> tuple[int, int]:
    with sqlite3.connect(place.path) as database:
        found = [
            database.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("changes", "runs")
        ]
    database.close()
    return found[0], found[1]


def test_what_is_too_old_is_forgotten_at_start(place: Place) -> None:
    """By age: changes and ended runs. A run that is alive stays, however old it is."""
    journal = place.open()
    alive = ran(journal, over=False)
    late = ran(journal)
    old = [ran(journal) for _ in range(5)]
    recent = ran(journal)
    serials = [changed(journal, time=time.time() - age * DAY).serial for age in (9, 8, 2, 1)]
    journal.close()
    place.sql(
        f"UPDATE runs SET intended = intended - {9 * DAY}, spawned = spawned - {9 * DAY}"
        f" WHERE run < {recent}",
        f"UPDATE runs SET ended = ended - {8 * DAY} WHERE run IN ({','.join(map(str, old))})",
    )
    journal = place.open()
    journal.set_retention(age=7 * DAY, count=1000)
    assert [row.run for row in journal.history.runs(None, 99)] == [recent, late, alive]
    assert [c.serial for c in journal.history.changes()] == serials[2:]
    journal.set_retention(age=3600, count=1000)
    assert journal.history.changes() == []
    assert journal.next_serial() == serials[-1] + 1


def test_growth_is_bounded_without_a_timer(place: Place) -> None:
    """Every so many changes the oldest go, and the file does not grow any more."""
    journal = place.open()
    journal.set_retention(age=30 * DAY, count=200)
    alive = ran(journal, over=False)
    sizes = []
    for _ in range(8):
        for _ in range(1000):
            ran(journal)
            changed(journal, time=1.8e9)  # as long in JSON every time
            journal.commit()
        sizes.append(os.path.getsize(place.path))
        kept, runs = counts(place)
        assert 200 <= kept < 200 + 256 + 1
        assert 200 <= runs < 200 + 256 + 2
    assert sizes[-1] <= sizes[2]  # until then SQLite takes one page more
    assert os.path.getsize(f"{place.path}-wal") < 8 << 20
    assert [row.run for row in journal.history.open_runs()] == [alive]
    assert journal.history.changes(limit=1)[0].serial == journal.serial


def test_nothing_is_forgotten_unless_told(place: Place) -> None:
    journal = place.open()
    for _ in range(600):
        changed(journal)
        journal.commit()
    assert counts(place)[0] == 600


# What it survives.


def test_a_full_disk_is_said_once_and_tried_again(place: Place) -> None:
    """Nothing is raised, run ids go on, and the caller learns that it was not written."""
    journal = place.open()
    before = ran(journal)
    journal.remember(DB)
    assert journal.commit() is True
    stopped = DB._replace(record=Record(State.STOPPED))
    with full_disk():
        runs = [ran(journal) for _ in range(3)]
        changed(journal)
        journal.remember(stopped)
        assert journal.commit() is False
        journal.remember(stopped)
        assert journal.commit() is False
    assert runs == [before + 1, before + 2, before + 3]
    assert len(place.complaints) == 1
    assert place.complaints[0].startswith(f'cannot write the journal "{place.path}"')
    assert list(journal.history.processes()) == [DB]
    journal.remember(stopped)
    assert journal.commit() is True
    assert place.complaints[1:] == [f'the journal "{place.path}" can be written again']
    after = ran(journal)
    journal.close()
    later = place.open()
    assert list(later.history.processes()) == [stopped]
    assert [row.run for row in later.history.runs(None, 9)] == [after, before]


def test_groups_that_are_out_of_use(place: Place) -> None:
    """From the commit on, until they are in use again, or the daemon ends in order."""
    journal = place.open()
    for name in ("web", "db", "a:*?[b]"):
        journal.unused_groups.add(name)
    journal.unused_groups.discard("web")
    journal.unused_groups.discard("never")
    assert place.open().unused_groups.names == frozenset()
    assert journal.commit() is True
    later = place.open()
    assert later.unused_groups.names == {"db", "a:*?[b]"}
    later.unused_groups.discard("db")
    later.commit()
    assert place.open().unused_groups.names == {"a:*?[b]"}
    later.forget_all()
    later.commit()
    assert place.open().unused_groups.names == frozenset()
    assert place.complaints == []


def test_a_group_out_of_use_is_written_when_the_disk_is_not_full_any_more(place: Place) -> None:
    journal = place.open()
    journal.unused_groups.add("back")
    journal.commit()
    with full_disk():
        journal.unused_groups.add("web")
        journal.unused_groups.discard("back")
        assert journal.commit() is False
    assert journal.commit() is True
    assert place.open().unused_groups.names == {"web"}


def test_what_cannot_be_read_is_an_error_of_ours(place: Place) -> None:
    journal = place.open()
    journal.close()
    with pytest.raises(OperationFailed, match="cannot read the journal"):
        journal.history.changes()


def ruin_head(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"this is no database at all, not even nearly one" * 3)


def ruin_body(path: Path) -> None:
    """Overwrite everything but the first page."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def other_tables(path: Path) -> None:
    """A database of something else, which happens to have our version number."""
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE songs (name TEXT)")
        database.execute(f"PRAGMA user_version = {SCHEMA}")
    database.close()


def no_identity(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM meta")
    database.close()


@pytest.mark.parametrize("ruin", [ruin_head, ruin_body, cut, other_tables, no_identity])
def test_a_corrupt_journal_is_set_aside(place: Place, ruin: object) -> None:
    """A new one begins, with the same identity and with ids that were never given out."""
    journal = place.open()
    run = [ran(journal) for _ in range(300)][-1]
    serial = [changed(journal).serial for _ in range(300)][-1]
    journal.close()
    assert callable(ruin)
    ruin(place.path)
    later = place.open()
    aside = [name for name in os.listdir(place.path.parent) if ".corrupt-" in name]
    assert len([name for name in aside if not name.endswith(("-wal", "-shm"))]) == 1
    assert len(place.complaints) == 1
    assert "is unusable" in place.complaints[0]
    assert aside[0].partition(".db")[0] in place.complaints[0]
    assert later.instance == journal.instance
    assert later.reserve_runs(["web"])[0] > run
    assert later.next_serial() > serial
    assert later.commit() is True


@pytest.mark.parametrize("lose", [empty, Path.unlink])
def test_a_missing_journal_begins_anew_with_the_same_identity(place: Place, lose: object) -> None:
    journal = place.open()
    run = ran(journal)
    journal.close()
    assert callable(lose)
    lose(place.path)
    later = place.open()
    assert later.instance == journal.instance
    assert later.reserve_runs(["web"])[0] > run


def test_an_unreadable_identity_beside_it_is_written_again(place: Place) -> None:
    """The journal itself knows who it is."""
    journal = place.open()
    journal.close()
    beside = place.path.parent / "instance"
    beside.write_bytes(b"\xff\xfe nonsense")
    assert place.open().instance == journal.instance
    assert beside.read_text().strip() == journal.instance
    assert place.complaints == []


def test_two_state_directories_have_two_identities(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    places = [Place(tmp_path / "a"), Place(tmp_path / "b")]
    assert len({place.open().instance for place in places}) == 2
    for place in places:
        place.close()


def test_a_newer_schema_is_refused_and_left_alone(place: Place) -> None:
    place.open().close()
    place.sql(f"PRAGMA user_version = {SCHEMA + 1}")
    before = place.path.read_bytes()
    words = rf"written by a newer version \(schema {SCHEMA + 1}, .* knows {SCHEMA}\)"
    with pytest.raises(StartupError, match=words):
        place.open()
    assert place.path.read_bytes() == before
    assert place.complaints == []


def test_what_is_no_file_is_no_corrupt_journal(place: Place) -> None:
    """A mistake of the operator's is refused, not set aside."""
    place.path.mkdir()
    with pytest.raises(StartupError, match="cannot open the journal"):
        place.open()
    assert place.path.is_dir()


def test_a_full_disk_at_the_first_start_is_no_corruption(place: Place) -> None:
    with full_disk(), pytest.raises(StartupError, match="cannot open the journal"):
        place.open()
    assert not [name for name in os.listdir(place.path.parent) if "corrupt" in name]
    assert place.open().commit() is True
