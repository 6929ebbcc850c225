from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor_lite.host.syscalls import bytes_in_pipe
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.peek import Peeker
from supervisor_lite.logs.sinks import MAX_RENAMES, FileSink
from tests.logs.tools import files, whole


class Pipe:
    """A pipe into a log file, without a loop."""

    def __init__(self, path: Path, maxbytes: int, backups: int) -> None:
        self.path = path
        self.maxbytes = maxbytes
        self.backups = backups
        self.reports: list[str] = []
        self.reader, self.writer = os.pipe2(os.O_NONBLOCK)
        self.peeker = Peeker()
        self.restart()

    def restart(self) -> None:
        """Do what a new daemon does."""
        self.log = LogFile(str(self.path), self.maxbytes, self.backups, self.reports.append)
        self.log.open()
        self.sink = FileSink(self.log, self.peeker)

    def write(self, data: bytes) -> None:
        assert os.write(self.writer, data) == len(data)

    def take(self, budget: int = 1 << 20) -> int:
        return self.sink.transfer(self.reader, budget)

    def say(self, data: bytes) -> None:
        self.write(data)
        self.take_all()

    def take_all(self) -> None:
        """Go on, also after a turn in which there was only time for a part of a rotation."""
        while bytes_in_pipe(self.reader):
            self.take()

    def close(self) -> None:
        self.sink.close()
        os.close(self.reader)
        os.close(self.writer)


def pipe(path: Path, maxbytes: int, backups: int = 3) -> Pipe:
    return Pipe(path / "web.log", maxbytes, backups)


def contents(pipe: Pipe) -> list[bytes]:
    return [file.read_bytes() for file in files(pipe.path)]


def test_the_file_is_rotated_before_the_line_that_does_not_fit(tmp_path: Path) -> None:
    p = pipe(tmp_path, 10)
    p.say(b"1234\n5678\n")
    assert contents(p) == [b"1234\n5678\n"]
    p.say(b"9\n")
    assert contents(p) == [b"1234\n5678\n", b"9\n"]
    p.close()


def test_many_lines_at_once_are_cut_at_their_ends(tmp_path: Path) -> None:
    p = pipe(tmp_path, 10, 9)
    p.say(b"aaaa\nbbb\ncccccc\ndddddddd\ne\n")
    assert contents(p) == [b"aaaa\nbbb\n", b"cccccc\n", b"dddddddd\n", b"e\n"]
    p.close()


def test_only_so_many_backups_are_kept(tmp_path: Path) -> None:
    p = pipe(tmp_path, 5, 2)
    for n in range(6):
        p.say(b"%04d\n" % n)
    assert contents(p) == [b"0003\n", b"0004\n", b"0005\n"]
    p.close()


def test_without_backups_the_old_file_is_replaced(tmp_path: Path) -> None:
    p = pipe(tmp_path, 10, 0)
    p.say(b"1234\n5678\n9\n")
    assert contents(p) == [b"9\n"]
    p.close()


def test_zero_never_rotates(tmp_path: Path) -> None:
    p = pipe(tmp_path, 0)
    p.say(b"0123456789\n" * 3000)
    assert contents(p) == [b"0123456789\n" * 3000]
    p.close()


def test_a_line_longer_than_the_limit_is_cut_at_twice_the_limit(tmp_path: Path) -> None:
    p = pipe(tmp_path, 10, 9)
    p.say(b"a\n" + b"x" * 45 + b"\nb\n")
    assert contents(p) == [b"a\n", b"x" * 20, b"x" * 20, b"xxxxx\nb\n"]
    p.close()


def test_a_line_that_comes_in_pieces_is_finished_where_it_began(tmp_path: Path) -> None:
    p = pipe(tmp_path, 10)
    p.say(b"1234567")
    p.say(b"89abc\nnext\n")
    assert contents(p) == [b"123456789abc\n", b"next\n"]
    p.close()


def test_an_unfinished_line_in_a_file_beyond_the_limit_is_finished_first(tmp_path: Path) -> None:
    """The limit was lowered while the daemon was down, in the middle of a line."""
    (tmp_path / "web.log").write_bytes(b"x" * 30)
    p = pipe(tmp_path, 10)
    p.say(b"end\nnext\n")
    assert contents(p) == [b"x" * 30 + b"end\n", b"next\n"]
    p.close()


def test_only_files_before_the_first_gap_move(tmp_path: Path) -> None:
    """A daemon killed in the middle of a rotation left a gap: nothing behind it is touched."""
    p = pipe(tmp_path, 5, 9)
    p.say(b"live\n")
    for number in (1, 3, 4):
        (tmp_path / f"web.log.{number}").write_text(str(number))
    p.say(b"next\n")
    assert {file.name: file.read_text() for file in files(p.path)} == {
        "web.log": "next\n", "web.log.1": "live\n", "web.log.2": "1", "web.log.3": "3",
        "web.log.4": "4",
    }  # fmt: skip
    p.close()


def test_killed_before_the_new_file_was_made(tmp_path: Path) -> None:
    p = pipe(tmp_path, 5, 9)
    p.say(b"one\n")
    os.rename(p.path, tmp_path / "web.log.1")
    p.restart()
    p.say(b"two\n")
    assert contents(p) == [b"one\n", b"two\n"]
    p.close()


def test_a_rotation_that_fails_is_reported_once_and_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "web.log.1").mkdir()
    p = pipe(tmp_path, 10, 1)
    for n in range(12):
        p.say(b"line %03d\n" % n)
    assert p.path.read_bytes() == b"".join(b"line %03d\n" % n for n in range(12))
    text = f'cannot rotate "{p.path}": Is a directory; it grows beyond its limit'
    assert p.reports == [text]
    (tmp_path / "web.log.1").rmdir()
    for n in range(12, 20):
        p.say(b"line %03d\n" % n)
    assert (tmp_path / "web.log.1").is_file()
    assert len(p.reports) == 1
    p.close()


@given(
    steps=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=60),
            st.lists(st.sampled_from([b"a", b"\n", b"\0", b"\xff", b"word "]), max_size=60).map(
                b"".join
            ),
            st.integers(min_value=1, max_value=50),  # a turn with this budget
            st.none(),  # a new daemon
        ),
        max_size=30,
    ),
    maxbytes=st.integers(min_value=1, max_value=100),
)
@settings(max_examples=300, deadline=None)
def test_any_output_is_kept_whole_and_cut_at_the_ends_of_lines(
    steps: list[bytes | int | None], maxbytes: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        p = Pipe(Path(directory) / "web.log", maxbytes, 10_000)
        try:
            written = b""
            for step in steps:
                if isinstance(step, bytes):
                    p.write(step)
                    written += step
                elif step is None:
                    p.log.close()
                    p.restart()
                else:
                    p.take(step)
            p.take_all()
            parts = contents(p)
            assert b"".join(parts) == written
            if written:
                assert all(parts), "an empty file"
            place = 0
            for part in parts[:-1]:
                place += len(part)
                start = written.rfind(b"\n", 0, place) + 1
                end = written.find(b"\n", place)
                line = (end if end >= 0 else len(written)) - start
                assert start == place or line > maxbytes, f"cut at {place}: {parts}"
            if None not in steps:
                assert max(map(len, parts)) <= 2 * maxbytes
        finally:
            p.close()


@pytest.mark.parametrize("count", [1, 7, 4000, 65536])
def test_big_files_are_cut_at_the_ends_of_lines_too(tmp_path: Path, count: int) -> None:
    """More than one look into the pipe is needed to find the end of the last line that fits."""
    p = pipe(tmp_path, 300_000, 99)
    line = b"%s\n" % (b"y" * (count - 1))
    expected = b""
    while len(expected) < 1_500_000:
        data = line * max(1, 60_000 // count)
        data = data[:65536]
        expected += data
        p.say(data)
    assert whole(p.path) == expected
    parts = contents(p)
    assert len(parts) > 4
    assert all(part.endswith(b"\n") for part in parts[:-1])
    assert max(map(len, parts)) <= 300_000 + count
    p.close()


def test_a_turn_renames_a_few_files_and_the_next_one_goes_on(tmp_path: Path) -> None:
    """With many backups a rotation takes a while; meanwhile others have their turn."""
    p = pipe(tmp_path, 5, 100)
    for n in range(80):
        p.say(b"%04d\n" % n)
    p.write(b"next\n")
    turns = 0
    while bytes_in_pipe(p.reader):
        before = {file.name for file in files(p.path)}
        p.take()
        turns += 1
        assert len({file.name for file in files(p.path)} - before) <= 1
    assert turns >= 79 // MAX_RENAMES
    assert contents(p) == [b"%04d\n" % n for n in range(80)] + [b"next\n"]
    p.close()


@pytest.mark.parametrize("turns", [1, 2, 4])
@pytest.mark.parametrize("full", [True, False])
def test_killed_in_the_middle_of_a_long_rotation(tmp_path: Path, turns: int, full: bool) -> None:
    """The order stays, and of full places only the oldest file makes room."""
    p = pipe(tmp_path, 5, 79 if full else 100)
    for n in range(80):
        p.say(b"%04d\n" % n)
    p.write(b"next\n")
    for _ in range(turns):
        p.take()
    p.restart()
    p.take_all()
    kept = range(1 if full else 0, 80)
    assert contents(p) == [b"%04d\n" % n for n in kept] + [b"next\n"]
    p.close()


@pytest.mark.parametrize("how", ["cleared", "changed", "reopened", "gone"])
def test_what_others_do_in_the_middle_of_a_long_rotation(tmp_path: Path, how: str) -> None:
    p = pipe(tmp_path, 5, 100)
    for n in range(80):
        p.say(b"%04d\n" % n)
    p.write(b"next\n")
    p.take()
    kept = list(range(80))
    if how == "cleared":
        p.log.clear()
        kept = []
    elif how == "changed":
        p.log.change(str(p.path), 5, 90)
    elif how == "reopened":
        p.log.reopen()
    else:
        (tmp_path / "web.log.40").unlink()  # it holds 0039: .1 has 0078
        kept.remove(39)
    p.take_all()
    p.say(b"then\n")
    assert contents(p) == [b"%04d\n" % n for n in kept] + [b"next\n", b"then\n"]
    p.close()
