"""What outlives the journal: the name of its directory, and the run ids that were given out."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from supervisor_lite.store.journal import Journal, open_journal
from supervisor_lite.store.run_ids import RunIds
from tests.store.disk import full_disk


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for name in ("state", "run"):
        (tmp_path / name).mkdir()
    return tmp_path / "state"


_opened: list[Journal] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _opened:
        with suppress(sqlite3.Error):  # closed already, or its file is gone
            _opened.pop().close()


def open_in(state: Path, boot: str = "boot") -> Journal:
    """Return the journal of a directory; what the test does not close is closed after it."""

    def complain(text: str) -> None:
        raise AssertionError(text)

    runtime_dir = str(state.parent / "run")
    path = str(state / "journal.db")
    _opened.append(open_journal(path, complain, runtime_dir=runtime_dir, boot=boot))
    return _opened[-1]


def wipe(directory: Path) -> None:
    for path in directory.iterdir():
        path.unlink()


def lose_journal(state: Path) -> None:
    for path in state.glob("journal.db*"):
        path.unlink()


def test_the_name_survives_either_directory_but_not_both(state: Path) -> None:
    """And what was lost is written again, for us alone to read."""
    instance = open_in(state).instance
    for directory in (state, state.parent / "run", state):
        wipe(directory)
        assert open_in(state).instance == instance
        assert (directory / "instance").stat().st_mode & 0o777 == 0o600
    wipe(state)
    wipe(state.parent / "run")
    assert open_in(state).instance != instance


@pytest.mark.parametrize("nonsense", [b"", b"x" * 32, b"\xff" * 40, b"a b c"])
def test_a_copy_that_is_nonsense_is_replaced(state: Path, nonsense: bytes) -> None:
    instance = open_in(state).instance
    copy = state.parent / "run" / "instance"
    good = copy.read_bytes()
    copy.write_bytes(nonsense)
    assert open_in(state).instance == instance
    assert copy.read_bytes() == good
    copy.write_bytes(nonsense)
    wipe(state)
    assert open_in(state).instance != instance


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_is_planted_in_place_of_the_copy_is_not_opened(state: Path, kind: str) -> None:
    """A link is neither read nor written through, a FIFO not waited for."""
    copy, target = state.parent / "run" / "instance", state.parent / "target"
    target.write_text(f"{'0' * 32}\n{os.path.realpath(state)}\n")
    if kind == "link":
        copy.symlink_to(target)
        (copy.parent / "instance.new").symlink_to(target)
    else:
        os.mkfifo(copy)
    before = target.read_text()
    instance = open_in(state).instance
    assert instance != "0" * 32
    assert target.read_text() == before
    assert copy.is_file()
    assert not copy.is_symlink()


def test_what_is_kept_is_for_our_eyes_only(state: Path) -> None:
    before = os.umask(0)
    try:
        open_in(state).reserve_runs("web")
    finally:
        os.umask(before)
    files = sorted(state.iterdir())
    assert [path.name for path in files] == [
        "instance", "journal.db", "journal.db-shm", "journal.db-wal", "run-ids",
    ]  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_ids_go_on_exactly_where_they_were_within_a_boot(state: Path) -> None:
    """The daemon was killed and the journal has lost what it knew."""
    journal = open_in(state)
    last = [journal.reserve_runs(["web"])[0] for _ in range(5)][-1]
    saved = open_in(state)
    assert saved.reserve_runs(["web"])[0] == last + 1
    lose_journal(state)
    ids = RunIds(str(state / "run-ids"), "boot")
    assert ids.last == last + 1
    ids.close()
    assert open_in(state).reserve_runs(["web"])[0] > last + 1


def test_after_a_power_cut_no_id_that_was_promised_is_given_out(state: Path) -> None:
    """What was written since the disk was waited for may be gone: only the promise counts."""
    path = state / "run-ids"
    ids = RunIds(str(path), "before")
    ids.reserve(1)
    on_disk = path.read_bytes()
    given = 1
    while path.read_bytes().split()[1] == on_disk.split()[1]:
        given += 1
        ids.reserve(given)
    assert given > 100, "the disk is waited for too often"
    path.write_bytes(on_disk)
    assert RunIds(str(path), "after").last >= given - 1
    assert RunIds(str(path), "before").last == 1


def test_an_orderly_end_leaves_no_gap(state: Path) -> None:
    journal = open_in(state)
    last = [journal.reserve_runs(["web"])[0] for _ in range(5)][-1]
    journal.close()
    assert open_in(state, boot="the next one").reserve_runs(["web"])[0] == last + 1


@pytest.mark.parametrize(
    "nonsense", [b"", b"x y z", b"9" * 400, b"1 2", b"\xff\xfe", b"9" * 30 + b" 1 b"]
)
def test_a_file_of_ids_that_is_nonsense_is_begun_anew(state: Path, nonsense: bytes) -> None:
    journal = open_in(state, "b")
    last = journal.reserve_runs(["web"])[0]
    journal.close()
    (state / "run-ids").write_bytes(nonsense)
    again = open_in(state, "b")
    assert again.reserve_runs(["web"])[0] == last + 1
    ids = RunIds(str(state / "run-ids"), "b")
    assert ids.last == last + 1
    ids.close()


def test_a_full_disk_stops_no_spawn(state: Path) -> None:
    with full_disk():
        ids = RunIds(str(state / "run-ids"), "boot")
        ids.reserve(7)
    assert ids.last == 7
    ids.reserve(8)
    again = RunIds(str(state / "run-ids"), "boot")
    assert (again.last, again.possible) == (8, 8)


def test_ids_that_a_full_disk_kept_unwritten_can_have_been_given_out(state: Path) -> None:
    """As far as they were promised; and no others, once it can be written again."""
    path = str(state / "run-ids")
    ids = RunIds(path, "boot")
    ids.reserve(1)
    with full_disk():
        ids.reserve(9)
    behind = RunIds(path, "boot")
    assert behind.last == 1
    assert behind.possible >= 9
    ids.reserve(10)
    assert RunIds(path, "boot").possible == 10
