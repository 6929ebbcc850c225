from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor_lite.errors import OperationFailed
from supervisor_lite.logs.read import first_boundary, last_boundary, tail_bytes, tail_lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log right after a rotation: the live file is short."""
    (tmp_path / "web.log.2").write_bytes(b"one\ntwo\n")
    (tmp_path / "web.log.1").write_bytes(b"three\nfour\n")
    path = tmp_path / "web.log"
    path.write_bytes(b"five\n")
    return path


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, b""), (3, b"ve\n"), (5, b"five\n"), (10, b"four\nfive\n"), (17, b"\nthree\nfour\nfive\n"),
     (1000, b"one\ntwo\nthree\nfour\nfive\n")],
)  # fmt: skip
def test_the_last_bytes_reach_into_rotated_files(log: Path, count: int, expected: bytes) -> None:
    assert tail_bytes(str(log), count) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, b""), (1, b"five\n"), (2, b"four\nfive\n"), (4, b"two\nthree\nfour\nfive\n"),
     (9, b"one\ntwo\nthree\nfour\nfive\n")],
)  # fmt: skip
def test_the_last_lines_reach_into_rotated_files(log: Path, count: int, expected: bytes) -> None:
    assert tail_lines(str(log), count, 1000) == expected


def test_an_unfinished_line_counts(log: Path) -> None:
    log.write_bytes(b"five\nsix")
    assert tail_lines(str(log), 2, 1000) == b"five\nsix"


@pytest.mark.parametrize(
    ("most", "expected"),
    [(4, b"ive\n"), (5, b"five\n"), (6, b"five\n"), (9, b"five\n"), (10, b"four\nfive\n")],
)
def test_lines_that_are_too_much_are_dropped_whole(log: Path, most: int, expected: bytes) -> None:
    assert tail_lines(str(log), 9, most) == expected


def test_a_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    assert tail_bytes(str(tmp_path / "web.log"), 100) == b""
    assert tail_lines(str(tmp_path / "web.log"), 100, 100) == b""


def test_a_live_file_that_is_missing_does_not_hide_the_rotated_ones(log: Path) -> None:
    log.unlink()
    assert tail_lines(str(log), 1, 100) == b"four\n"


def test_what_is_no_log_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in ("/dev/null", str(tmp_path / "fifo"), str(tmp_path)):
        with pytest.raises(OperationFailed, match="no log file"):
            tail_bytes(path, 10)
        with pytest.raises(OperationFailed, match="no log file"):
            tail_lines(path, 10, 10)


def test_reading_leaves_no_descriptor_open(log: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    tail_bytes(str(log), 3)
    tail_lines(str(log), 1, 1000)
    tail_lines(str(log), 2, 1000)
    assert len(os.listdir("/proc/self/fd")) == before


@given(st.text(alphabet="aé€😀\n", max_size=40), st.integers(min_value=0, max_value=100))
def test_a_character_is_never_cut(text: str, place: int) -> None:
    data = text.encode()
    head, tail = data[:place], data[place:]
    whole_head = head[: last_boundary(head)]
    assert text.startswith(whole_head.decode())
    assert len(head) - len(whole_head) < 4
    whole_tail = tail[first_boundary(tail) :]
    assert text.endswith(whole_tail.decode())
    assert len(tail) - len(whole_tail) < 4


@given(st.binary(max_size=20))
def test_what_is_no_text_is_cut_by_three_bytes_at_most(data: bytes) -> None:
    assert first_boundary(data) <= 3
    assert len(data) - last_boundary(data) <= 3


@given(
    parts=st.lists(st.binary(max_size=30), min_size=1, max_size=4),
    count=st.integers(min_value=0, max_value=8),
)
def test_the_last_lines_are_those_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], count: int
) -> None:
    directory = tmp_path_factory.mktemp("logs")
    for number, part in enumerate(reversed(parts)):
        (directory / (f"log.{number}" if number else "log")).write_bytes(part)
    joined = b"".join(parts)
    lines = joined.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    assert tail_lines(str(directory / "log"), count, 1000) == b"".join(
        lines[-count:] if count else []
    )
