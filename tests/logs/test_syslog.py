from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.logs.syslog import MAX_LINE
from tests.logs.tools import Bench, output
from tests.loops import rounds, until

HEAD = re.compile(rb"<14>[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d supervisor-lite\[\d+\]: ")


class Syslog:
    """A syslog that takes datagrams when the test wants it to."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)

    def lines(self) -> list[bytes]:
        """Return the texts that have come, without their heads."""
        found: list[bytes] = []
        while True:
            try:
                message = self.socket.recv(1 << 16)
            except BlockingIOError:
                return found
            match = HEAD.match(message)
            assert match, message
            found.append(message[match.end() :])


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[Syslog]:
    made = Syslog(tmp_path / "devlog")
    yield made
    made.socket.close()


async def test_each_line_is_a_message(tmp_path: Path, syslog: Syslog) -> None:
    bench = Bench(tmp_path, output(None, syslog=True), syslog_socket=syslog.path).open()
    bench.write(b"one\ntwo\nthr")
    await until(lambda: bench.waiting() == 0)
    assert syslog.lines() == [b"web one", b"web two"]
    bench.say(b"ee\nlast words")
    assert syslog.lines() == [b"web three", b"web last words"]
    bench.logs.close()


async def test_a_file_and_syslog_both_get_everything(tmp_path: Path, syslog: Syslog) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log, 10, syslog=True), syslog_socket=syslog.path).open()
    bench.say(b"one\ntwo\nthree\nfour\n")
    assert syslog.lines() == [b"web one", b"web two", b"web three", b"web four"]
    assert log.read_bytes() == b"four\n"
    assert Path(f"{log}.1").read_bytes() == b"three\n"
    bench.logs.close()


async def test_bytes_that_are_no_text_are_passed_safely(tmp_path: Path, syslog: Syslog) -> None:
    bench = Bench(tmp_path, output(None, syslog=True), syslog_socket=syslog.path).open()
    bench.say(b"a\0b\xffc \xe2\x82\xac\n")
    assert syslog.lines() == ["web a\\x00b\\xffc €".encode()]
    bench.logs.close()


async def test_a_long_line_is_sent_in_pieces(tmp_path: Path, syslog: Syslog) -> None:
    bench = Bench(tmp_path, output(None, syslog=True), syslog_socket=syslog.path).open()
    line = b"%09d" % 7 * 2_000
    bench.say(line + b"\n")
    texts = [text.removeprefix(b"web ") for text in syslog.lines()]
    assert b"".join(texts) == line
    assert max(map(len, texts)) <= MAX_LINE
    bench.logs.close()


async def test_a_slow_syslog_makes_the_program_wait(tmp_path: Path, syslog: Syslog) -> None:
    """Where syslog is the only place for the output, none of it is lost."""
    bench = Bench(tmp_path, output(None, syslog=True), syslog_socket=syslog.path).open()
    count = 5_000
    script = f"for n in range({count}): print(n)"
    child = bench.child(script)
    await rounds(50)
    lines: list[bytes] = []

    def all_there() -> bool:
        lines.extend(syslog.lines())
        return len(lines) >= count

    await until(all_there, pause=0)
    assert lines == [b"web %d" % n for n in range(count)]
    assert bench.reports == []
    child.wait()
    bench.logs.close()


async def test_a_slow_syslog_does_not_hold_up_the_file(tmp_path: Path, syslog: Syslog) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log, syslog=True), syslog_socket=syslog.path).open()
    child = bench.child("for n in range(30_000): print('line', n)")
    await until(lambda: child.poll() is not None)
    bench.logs.drain()
    assert len(log.read_bytes().splitlines()) == 30_000
    text = f'cannot write to syslog "{syslog.path}": it is too slow; lines are dropped'
    assert bench.reports == [text]
    seen: list[bytes] = []

    def last_line_comes() -> bool:
        seen.extend(syslog.lines())
        return seen[-1:] == [b"web line 29999"]

    await until(last_line_comes, pause=0)
    bench.logs.close()


async def test_an_absent_syslog_is_reported_once_and_holds_nobody_up(tmp_path: Path) -> None:
    path = str(tmp_path / "devlog")
    bench = Bench(tmp_path, output(None, syslog=True), syslog_socket=path).open()
    for _ in range(3):
        bench.say(b"hello\n")
    text = f'cannot write to syslog "{path}": No such file or directory; lines are dropped'
    assert bench.reports == [text]
    bench.logs.close()


async def test_a_syslog_that_is_started_anew_is_found_again(tmp_path: Path, syslog: Syslog) -> None:
    bench = Bench(tmp_path, output(None, syslog=True), syslog_socket=syslog.path).open()
    bench.say(b"one\n")
    assert syslog.lines() == [b"web one"]
    syslog.socket.close()
    os.unlink(syslog.path)
    again = Syslog(Path(syslog.path))
    bench.say(b"two\n")
    assert again.lines() == [b"web two"]
    again.socket.close()
    bench.logs.close()


async def test_closing_releases_the_socket(tmp_path: Path, syslog: Syslog) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log, syslog=True), syslog_socket=syslog.path)
    before = len(os.listdir("/proc/self/fd"))
    bench.open()
    bench.say(b"x\n" * 2_000)  # more than the socket takes: some wait
    bench.logs.close()
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) <= before + 2  # the pipe for looking ahead stays
