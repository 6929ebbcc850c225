from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from supervisor_lite.logs import follow
from supervisor_lite.logs.follow import Follower
from supervisor_lite.logs.logfile import LogFile
from tests.logs.tools import NUMBERED, Bench, numbered, output
from tests.loops import rounds, run, until


class Reader:
    """Somebody who follows a log."""

    def __init__(self, log: LogFile, position: int | None = None, max_behind: int = 0) -> None:
        self.data = b""
        self.pieces: list[bytes] = []
        self.missed = 0
        self.willing = True
        loop = asyncio.get_running_loop()
        self.follower = Follower(
            loop, log, self._deliver, self._missed, position, max_behind=max_behind
        )

    def _deliver(self, data: bytes) -> bool:
        self.pieces.append(data)
        self.data += data
        return self.willing

    def _missed(self, count: int) -> None:
        self.missed += count

    def go_on(self) -> None:
        self.willing = True
        self.follower.resume()


def a_log(path: Path, maxbytes: int = 0, backups: int = 3) -> LogFile:
    log = LogFile(str(path / "web.log"), maxbytes, backups, lambda text: None)
    log.open()
    return log


async def test_a_follower_gets_what_comes_from_now_on(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    log.append(b"before\n")
    reader = Reader(log)
    log.append(b"one\n")
    await rounds()
    assert reader.data == b"one\n"
    log.append(b"two\n")
    await rounds()
    assert reader.data == b"one\ntwo\n"
    reader.follower.close()
    log.append(b"three\n")
    await rounds()
    assert reader.data == b"one\ntwo\n"
    log.close()


async def test_a_follower_may_begin_earlier(tmp_path: Path) -> None:
    log = a_log(tmp_path, 10)
    for word in (b"one\n", b"two\n", b"three\n", b"four\n"):
        log.append(word)
    reader = Reader(log, log.end - 15)
    await rounds()
    assert reader.data == b"two\nthree\nfour\n"
    assert reader.missed == 0
    log.close()


async def test_capture_wakes_followers(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output(tmp_path / "web.log", 200_000, 5)).open()
    log = bench.logs.log("stdout")
    assert log is not None
    reader = Reader(log)
    child = bench.child(NUMBERED.format(count=10_000))
    await until(lambda: len(reader.data) == 1_000_000)
    assert reader.data == numbered(10_000)
    assert reader.missed == 0
    child.wait()
    bench.logs.close()


async def test_a_slow_follower_finds_its_way_through_rotations(tmp_path: Path) -> None:
    """It is three files behind: the one it reads, two more, then the live one."""
    log = a_log(tmp_path, 10, 9)
    reader = Reader(log)
    log.append(b"one\n")
    reader.willing = False
    await rounds()
    for word in (b"two\n", b"three\n", b"four\n", b"five\n", b"six\n", b"seven\n"):
        log.append(word)
    await rounds()
    assert log.chain >= 3
    assert reader.data == b"one\n"
    reader.go_on()
    await rounds(20)
    assert reader.data == b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n"
    assert reader.missed == 0
    log.close()


async def test_many_who_do_not_read_do_not_take_all_descriptors(tmp_path: Path) -> None:
    """Beyond a number of them the file is found again by its name, and nothing is missing."""
    log = a_log(tmp_path, 10, 9)
    before = len(os.listdir("/proc/self/fd"))
    readers = [Reader(log) for _ in range(2 * follow.MAX_HELD)]
    for reader in readers:
        reader.willing = False
    for word in (b"one\n", b"two\n", b"three\n", b"four\n", b"five\n"):
        log.append(word)
        await rounds(3)
    assert len(os.listdir("/proc/self/fd")) - before <= follow.MAX_HELD
    for reader in readers:
        reader.go_on()
    await rounds(20)
    assert {reader.data for reader in readers} == {b"one\ntwo\nthree\nfour\nfive\n"}
    for reader in readers:
        reader.follower.close()
    log.close()


async def test_bytes_whose_file_was_dropped_are_counted_as_missed(tmp_path: Path) -> None:
    log = a_log(tmp_path, 4, 1)
    reader = Reader(log)
    log.append(b"111\n")
    reader.willing = False
    await rounds()
    for word in (b"222\n", b"333\n", b"444\n", b"555\n"):
        log.append(word)
    reader.go_on()
    await rounds(20)
    # 222 was next, so its file was kept open; 333 is gone.
    assert reader.data == b"111\n222\n444\n555\n"
    assert reader.missed == 4
    log.close()


async def test_a_file_that_is_being_read_is_finished_although_it_was_dropped(
    tmp_path: Path,
) -> None:
    log = a_log(tmp_path, 8, 0)
    reader = Reader(log)
    log.append(b"111\n")
    reader.willing = False
    await rounds()
    for word in (b"222\n", b"333\n", b"444\n"):
        log.append(word)
    reader.go_on()
    await rounds(20)
    assert reader.data == b"111\n222\n333\n444\n"
    log.close()


async def test_a_reader_that_wants_to_be_near_the_end_skips_to_the_beginning_of_a_line(
    tmp_path: Path,
) -> None:
    log = a_log(tmp_path)
    most = 8 << 20
    reader = Reader(log, max_behind=most)
    reader.willing = False
    lines = numbered(100)
    log.append(lines)
    await rounds()
    total = len(lines)
    while total < most + 2 * len(lines):
        log.append(lines)
        total += len(lines)
    delivered = len(reader.data)
    reader.go_on()
    await rounds(20)
    assert delivered + reader.missed + len(reader.data[delivered:]) == total
    assert reader.missed > most - follow.SKIP_TO - 100
    assert len(reader.data[delivered:]) % 100 == 0
    assert (lines * 9).endswith(reader.data[delivered:])
    log.close()


async def test_clear_and_reopen_do_not_confuse_a_follower(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    reader = Reader(log)
    log.append(b"one\n")
    await rounds()
    log.clear()
    log.append(b"two\n")
    await rounds()
    assert reader.data == b"one\ntwo\n"
    log.append(b"three\n")  # not read yet when the file is moved
    os.rename(tmp_path / "web.log", tmp_path / "moved")
    log.append(b"four\n")
    log.reopen()
    log.append(b"five\n")
    await rounds(10)
    assert reader.data == b"one\ntwo\nthree\nfour\nfive\n"
    assert (tmp_path / "web.log").read_bytes() == b"five\n"
    assert reader.missed == 0
    log.close()


async def test_what_was_cleared_before_it_was_read_is_not_delivered(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    reader = Reader(log)
    log.append(b"secret\n")
    log.clear()
    log.append(b"new\n")
    await rounds()
    assert reader.data == b"new\n"
    assert reader.missed == 0
    log.close()


async def test_a_file_deleted_or_emptied_by_others_is_survived(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    reader = Reader(log)
    log.append(b"one\n")
    await rounds()
    os.unlink(log.path)
    log.append(b"two\n")
    await rounds()
    os.truncate(log.path, 0)
    log.append(b"three\n")
    await rounds()
    assert reader.data == b"one\ntwo\nthree\n"
    log.close()


async def test_a_log_may_be_followed_before_it_is_opened(tmp_path: Path) -> None:
    """`slctl tail -f` of a stopped program shows what it writes once it is started."""
    (tmp_path / "web.log").write_bytes(b"of yesterday\n")
    bench = Bench(tmp_path, output(tmp_path / "web.log"))
    log = bench.logs.log("stdout")
    assert log is not None
    reader = Reader(log)
    bench.open()
    bench.say(b"hello\n")
    await rounds()
    bench.logs.close()
    bench.open()
    bench.say(b"again\n")
    await rounds()
    assert reader.data == b"hello\nagain\n"
    bench.logs.close()


async def test_a_long_piece_is_cut_at_the_end_of_a_line_or_of_a_character(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    reader = Reader(log)
    log.append(numbered(2_000) + "€".encode() * 40_000 + b"\n")
    await until(lambda: reader.data.endswith(b"\n") and len(reader.data) > 300_000)
    assert len(reader.pieces) > 4
    assert max(map(len, reader.pieces)) <= follow.MAX_CHUNK
    assert all(piece.endswith(b"\n") for piece in reader.pieces[:3])
    for piece in reader.pieces:
        piece.decode()
    log.close()


async def test_a_character_in_two_writes_is_delivered_whole(tmp_path: Path) -> None:
    log = a_log(tmp_path)
    reader = Reader(log)
    euro = "€".encode()
    log.append(b"a" + euro[:2])
    await rounds()
    assert reader.data == b"a"
    log.append(euro[2:])
    await rounds()
    assert reader.pieces == [b"a", euro]
    log.close()


async def test_a_caught_up_follower_holds_no_descriptor_and_does_nothing(tmp_path: Path) -> None:
    log = a_log(tmp_path, 10)
    before = len(os.listdir("/proc/self/fd"))
    readers = [Reader(log) for _ in range(100)]
    for n in range(10):
        log.append(b"%03d\n" % n)
        await rounds()
    assert len(os.listdir("/proc/self/fd")) == before
    assert all(reader.data == readers[0].data for reader in readers)
    assert len(readers[0].data) == 40
    scheduled = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    assert len(scheduled) == 0
    log.close()


async def test_closing_while_behind_releases_what_is_held(tmp_path: Path) -> None:
    log = a_log(tmp_path, 4)
    before = len(os.listdir("/proc/self/fd"))
    reader = Reader(log)
    log.append(b"111\n")
    log.append(b"222\n")
    assert len(os.listdir("/proc/self/fd")) == before + 1
    reader.follower.close()
    await rounds()
    assert reader.data == b""
    assert len(os.listdir("/proc/self/fd")) == before
    log.close()


@given(
    steps=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=12).map(lambda data: data + b"\n"),
            st.sampled_from(["pause", "resume", "round", "round", "reopen"]),
        ),
        max_size=40,
    ),
    maxbytes=st.integers(min_value=5, max_value=40),
)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_each_byte_is_delivered_once_and_in_order(
    steps: list[bytes | str], maxbytes: int
) -> None:
    async def main(directory: str) -> None:
        log = a_log(Path(directory), maxbytes, 100)
        reader = Reader(log)
        written = b""
        for step in steps:
            match step:
                case bytes():
                    log.append(step)
                    written += step
                case "pause":
                    reader.willing = False
                case "resume":
                    reader.go_on()
                case "reopen":
                    log.reopen()
                case _:
                    await rounds(1)
        reader.go_on()
        await until(lambda: len(reader.data) >= len(written))
        await rounds()
        assert reader.data == written
        assert reader.missed == 0
        reader.follower.close()
        log.close()

    with tempfile.TemporaryDirectory() as directory:
        run(main(directory))
