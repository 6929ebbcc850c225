"""Old output by position and by mark, across rotations, and what another daemon makes of a mark."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor_lite.logs import marks
from supervisor_lite.logs.archive import (
    MAX_BEYOND,
    find,
    mark_at,
    parts,
    read,
    start_of_bytes,
    start_of_lines,
)
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.marks import Mark, from_text, to_text
from supervisor_lite.logs.read import tail_bytes
from tests.logs.test_follow import Reader, a_log
from tests.loops import rounds, run


def everything(log: LogFile, position: int, most: int = 3) -> bytes:
    """Read piece by piece to the end."""
    data = b""
    while piece := read(log, position, most):
        data += piece
        position += len(piece)
    return data


def another_daemon(path: Path, *, opened: bool = True) -> LogFile:
    """The same files, and nothing remembered."""
    log = LogFile(str(path / "web.log"), 10, 3, lambda text: None)
    if opened:
        log.open()
    return log


async def nobody() -> None:
    await asyncio.sleep(0)


WORDS = [b"one\n", b"two\n", b"three\n", b"four\n", b"five\n", b"six\n"]


@pytest.mark.parametrize("opened", [True, False])
async def test_old_output_is_read_by_whoever_comes(tmp_path: Path, opened: bool) -> None:
    """The last bytes or lines reach into rotated files, in pieces of any size; open or not."""
    log = a_log(tmp_path, 10, 9)
    for word in WORDS:
        log.append(word)
    log.close()
    log = another_daemon(tmp_path, opened=opened)
    assert (tmp_path / "web.log.2").exists()
    whole = b"".join(WORDS)
    for count in range(len(whole) + 3):
        assert everything(log, start_of_bytes(log, count)) == whole[max(0, len(whole) - count) :]
    for count in range(8):
        start = await start_of_lines(log, count, nobody)
        assert everything(log, start) == b"".join(WORDS[max(0, 6 - count) :])
    log.close()


async def test_a_rotation_that_was_cut_short_hides_nothing(tmp_path: Path) -> None:
    """It leaves one number free."""
    for name, text in (("web.log", b"c\n"), ("web.log.2", b"b\n"), ("web.log.3", b"a\n")):
        (tmp_path / name).write_bytes(text)
    log = another_daemon(tmp_path)
    assert everything(log, await start_of_lines(log, 9, nobody)) == b"a\nb\nc\n"
    log.close()


async def test_lines_longer_than_a_block_are_counted_as_lines(tmp_path: Path) -> None:
    lines = [b"x" * 100_000 + b"\n", b"y" * 70_000 + b"\n", b"z\n"]
    (tmp_path / "web.log").write_bytes(b"".join(lines[:2]))
    (tmp_path / "web.log.1").write_bytes(b"first\n")
    log = another_daemon(tmp_path)
    log.maxbytes = log.limit = 0
    log.append(lines[2])
    for count, expected in ((1, lines[2:]), (2, lines[1:]), (3, lines), (4, [b"first\n", *lines])):
        data = everything(log, await start_of_lines(log, count, nobody), 1 << 20)
        assert data == b"".join(expected)
    log.close()


async def test_a_mark_means_the_same_to_the_next_daemon(tmp_path: Path) -> None:
    """Whatever is rotated meanwhile: nothing twice, nothing left out."""
    log = a_log(tmp_path, 10, 9)
    log.append(b"one\n")
    reader = Reader(log)
    log.append(b"two\n")
    await rounds()
    assert reader.data == b"two\n"
    text = to_text(reader.follower.mark())
    for word in WORDS[2:]:
        log.append(word)
    log.close()
    log = another_daemon(tmp_path)
    mark, left = from_text(text)
    assert left is None
    assert from_text(to_text(mark, 7)) == (mark, 7)
    assert mark is not None
    found = find(log, mark)
    assert found.exact
    later = Reader(log, found.position)
    log.append(b"seven\n")
    await rounds(20)
    assert later.data == b"".join(WORDS[2:]) + b"seven\n"
    assert later.missed == 0
    log.close()


async def test_a_mark_in_a_log_that_is_not_open(tmp_path: Path) -> None:
    """The program does not run; then it does."""
    log = a_log(tmp_path, 10, 9)
    for word in WORDS:
        log.append(word)
    mark = mark_at(log, log.end - 14)
    log.close()
    log = another_daemon(tmp_path, opened=False)
    reader = Reader(log, find(log, mark).position)
    await rounds(20)
    whole = b"".join(WORDS)[-14:]
    assert reader.data == whole
    log.open()
    log.append(b"seven\n")
    await rounds()
    assert reader.data == whole + b"seven\n"
    assert reader.missed == 0
    log.close()


async def test_a_mark_whose_file_is_gone_goes_on_with_what_came_after_it(tmp_path: Path) -> None:
    log = a_log(tmp_path, 4, 2)
    log.append(b"111\n")
    mark = mark_at(log, log.end)
    for word in (b"222\n", b"333\n", b"444\n"):
        log.append(word)
    assert find(log, mark).exact is False
    assert everything(log, find(log, mark).position) == b"222\n333\n444\n"
    # The file of the mark was deleted by hand: what is older does not come after it.
    mark = mark_at(log, log.end)
    os.unlink(log.path)
    log.append(b"555\n")
    assert everything(log, find(log, mark).position) == b"555\n"
    log.close()


async def test_a_mark_in_a_file_that_was_emptied_begins_anew(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.append(b"one\n")
    mark = mark_at(log, log.end)
    log.clear()
    log.append(b"2\n")
    found = find(log, mark)
    assert (everything(log, found.position), found.exact) == (b"2\n", False)
    log.close()


async def test_a_log_that_had_no_file_has_a_mark_before_everything(tmp_path: Path) -> None:
    log = another_daemon(tmp_path, opened=False)
    assert mark_at(log, log.end) is None
    assert from_text(to_text(None)) == (None, None)
    assert from_text(to_text(None, 0)) == (None, 0)
    log.open()
    for word in WORDS[:4]:
        log.append(word)
    found = find(log, None)
    assert found.exact
    assert everything(log, found.position) == b"".join(WORDS[:4])
    log.close()


async def test_an_inode_that_is_used_again_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = a_log(tmp_path)
    log.append(b"one\ntwo\n")
    mark = mark_at(log, 4)
    assert mark is not None
    other = Mark(mark.file._replace(born=mark.file.born - 1), 4)
    assert find(log, other) == (0, False)
    monkeypatch.setattr(marks, "birth_time", lambda fd: 0)  # a file system that does not tell
    assert find(log, mark) == (4, True)
    log.close()


@pytest.mark.parametrize("text", ["x", "1.2.3", "1.2.3.4.5", "1.2.3.4+", "-1.2.3.4", "1.2.3. 4",
                                  "1.2.3." + "f" * 17, "1.2.3.4+-1", "１.2.3.4"])  # fmt: skip
def test_nonsense_is_no_mark(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        from_text(text)


@given(
    words=st.lists(st.binary(max_size=9).map(lambda word: word + b"\n"), min_size=1, max_size=30),
    maxbytes=st.integers(5, 40),
    cut=st.integers(0, 30),
)
@settings(max_examples=60, deadline=None)
def test_wherever_a_daemon_dies_the_next_one_goes_on(
    tmp_path_factory: pytest.TempPathFactory, words: list[bytes], maxbytes: int, cut: int
) -> None:
    async def main() -> None:
        directory = tmp_path_factory.mktemp("logs")
        log = a_log(directory, maxbytes, 100)
        reader = Reader(log)
        for word in words[:cut]:
            log.append(word)
            await rounds(3)
        mark = reader.follower.mark()
        before = reader.data
        reader.follower.close()
        for word in words[cut:]:
            log.append(word)
        log.close()
        log = LogFile(log.path, maxbytes, 100, lambda text: None)
        log.open()
        reader = Reader(log, find(log, mark).position)
        log.append(b"end\n")
        await rounds(100)
        assert before + reader.data == b"".join(words) + b"end\n"
        reader.follower.close()
        log.close()

    run(main())


async def test_files_that_somebody_has_planted_are_not_all_opened(tmp_path: Path) -> None:
    """Who owns the directory makes any number of them; each is opened once for a piece."""
    path = tmp_path / "web.log"
    path.write_text("now\n")
    for number in range(1, 3 * MAX_BEYOND):
        (tmp_path / f"web.log.{number}").write_text("x")
    log = another_daemon(tmp_path)
    found = list(parts(log))
    assert len(found) == 1 + log.backups + MAX_BEYOND
    assert read(log, found[-1].start, 1 << 20) == b"x" * (len(found) - 1) + b"now\n"
    assert len(tail_bytes(str(path), 1 << 20)) == 3 * MAX_BEYOND + 3
    log.close()
