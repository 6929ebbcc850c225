from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.errors import OperationFailed, SpawnError
from supervisor_lite.logs.devices import DeviceSink
from tests.logs.tools import NUMBERED, ROOT, Bench, numbered, output, pipes
from tests.loops import LIMIT, rounds, until


@contextlib.contextmanager
def inherited(fd: int) -> Iterator[str]:
    """Make a descriptor look like one that the daemon was started with; yield its path."""
    os.set_inheritable(fd, True)
    yield f"/dev/fd/{fd}"
    os.close(fd)


def drained(fd: int) -> bytes:
    with contextlib.suppress(BlockingIOError):
        return os.read(fd, 1 << 20)
    return b""


@pytest.mark.parametrize("kind", ["pipe", "terminal", "socket"])
async def test_output_reaches_a_slow_reader_whole_and_nobody_waits(
    tmp_path: Path, kind: str
) -> None:
    """The reader's side is full most of the time; another stream goes on meanwhile."""
    if kind == "pipe":
        reader, writer = os.pipe()
    elif kind == "terminal":
        reader, writer = pty.openpty()
        tty.setraw(writer)
    else:
        ends = socket.socketpair()
        reader, writer = (end.detach() for end in ends)
    os.set_blocking(reader, False)
    with inherited(writer) as path:
        bench = Bench(tmp_path, output(path), output(tmp_path / "err.log")).open()
        flags = fcntl.fcntl(writer, fcntl.F_GETFL)
        child = bench.child(NUMBERED.format(count=5_000))
        await rounds(50)  # until it is full
        bench.write(b"hello\n", "stderr")
        await until((tmp_path / "err.log").read_bytes, "the other stream goes on")
        data = b""
        while len(data) < 500_000:
            size = len(data)
            await until(lambda: _readable(reader), "more output")
            data += drained(reader)
            assert len(data) > size
        assert data == numbered(5_000)
        assert fcntl.fcntl(writer, fcntl.F_GETFL) == flags, "others would notice"
        child.wait()
        assert bench.reports == []
        bench.logs.close()
    os.close(reader)


def _readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


async def test_a_reader_that_is_gone_is_reported_once_and_output_dropped(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with inherited(writer) as path:
        bench = Bench(tmp_path, output(path)).open()
        bench.say(b"one\n")
        os.close(reader)
        child = bench.child(NUMBERED.format(count=20_000))
        await until(lambda: child.poll() is not None, "the program is not held up")
        assert bench.reports == [
            f'cannot write "{path}": Broken pipe; output is dropped from now on'
        ]
        bench.logs.close()


async def test_two_programs_share_a_pipe_without_cutting_each_others_lines(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with inherited(writer) as path:
        benches = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            benches.append(Bench(tmp_path / name, output(path)).open())
        # Each write is whole lines and small enough to be whole in the pipe.
        script = NUMBERED.replace("100", "10").format(count=3_000)
        children = [bench.child(script) for bench in benches]
        data = b""
        while len(data) < 600_000:
            await until(lambda: _readable(reader), "more output")
            data += drained(reader)
        lines = data.splitlines()
        assert sorted(lines) == sorted(numbered(3_000).splitlines() * 2)
        for child in children:
            child.wait()
        for bench in benches:
            bench.logs.close()
    os.close(reader)


async def test_a_turn_ends_at_the_end_of_a_line(tmp_path: Path) -> None:
    """Else another program's turn would come in the middle of it."""
    source, child = os.pipe2(os.O_NONBLOCK)
    reader, writer = os.pipe2(os.O_NONBLOCK)
    with inherited(writer) as path:
        sink = DeviceSink(path, pipes(), print)
        os.write(child, b"x" * 99 + b"\n" + b"y" * 99 + b"\nunfinished")
        assert sink.transfer(source, 150) == 100
        assert drained(reader) == b"x" * 99 + b"\n"
        assert sink.transfer(source, 1 << 20) == 100
        # There is no knowing when the rest comes, so it is not waited for longer than that.
        assert sink.transfer(source, 1 << 20) == 10
        assert drained(reader) == b"y" * 99 + b"\nunfinished"
        sink.close()
    for fd in (source, child, reader):
        os.close(fd)


async def test_a_fifo_on_disk_waits_for_its_reader(tmp_path: Path) -> None:
    path = tmp_path / "reader"
    os.mkfifo(path)
    bench = Bench(tmp_path, output(path)).open()
    bench.say(b"hello\n")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(reader, 100) == b"hello\n"
    os.close(reader)
    bench.logs.close()


async def test_dev_null_takes_everything(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output("/dev/null")).open()
    child = bench.child(NUMBERED.format(count=20_000))
    await until(lambda: child.poll() is not None)
    assert bench.reports == []
    bench.logs.close()


@pytest.mark.parametrize("path", ["/dev/fd/99", "/proc/self/fd/98"])
async def test_a_descriptor_that_is_not_open_is_the_reason_of_a_failed_start(
    tmp_path: Path, path: str
) -> None:
    with pytest.raises(SpawnError, match=f'cannot open log "{path}": Bad file descriptor'):
        Bench(tmp_path, output(path)).open()


async def test_the_daemons_own_descriptors_are_out_of_reach(tmp_path: Path) -> None:
    """What it has opened itself (its journal, a socket) is no place for a program's output."""
    with (tmp_path / "journal").open("wb") as journal:
        path = f"/dev/fd/{journal.fileno()}"
        with pytest.raises(SpawnError, match="Bad file descriptor"):
            Bench(tmp_path, output(path)).open()


async def test_what_is_no_file_has_no_log_to_read_or_clear(tmp_path: Path) -> None:
    bench = Bench(tmp_path, output("/dev/null")).open()
    assert bench.logs.log("stdout") is None
    assert bench.logs.last_lines() == ""
    with pytest.raises(OperationFailed, match="no log file"):
        bench.logs.clear()
    bench.logs.close()


STDOUT_DAEMON = """
import asyncio, os, sys
from pathlib import Path
from tests.logs.tools import Bench, NUMBERED, output
from tests.loops import until

async def main():
    here = Path(sys.argv[1])
    bench = Bench(here, output("/dev/stdout"), output(here / "err.log")).open()
    child = bench.child(NUMBERED.format(count=8000))
    for _ in range(100):
        await asyncio.sleep(0)
    bench.write(b"alive\\n", "stderr")
    await until(lambda: child.poll() is not None)
    while bench.logs.drain():
        await asyncio.sleep(0)
    await until(lambda: bench.waiting() == 0)
    bench.logs.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("kind", ["pipe", "file", "appended file"])
def test_dev_stdout_is_the_daemons_own(tmp_path: Path, kind: str) -> None:
    """Nobody reads the pipe at first: the daemon is not held up."""
    target = tmp_path / "stdout"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", STDOUT_DAEMON, str(tmp_path)]
    with target.open("ab" if kind == "appended file" else "wb") as stream:
        stdout = subprocess.PIPE if kind == "pipe" else stream
        with subprocess.Popen(command, stdout=stdout, env=environment) as daemon:
            try:
                end = time.monotonic() + LIMIT
                while not _has_content(tmp_path / "err.log"):
                    assert time.monotonic() < end
                    time.sleep(0.01)
                data = daemon.communicate(timeout=LIMIT)[0]
                assert daemon.wait(LIMIT) == 0
            finally:
                daemon.kill()
    assert (data or target.read_bytes()) == numbered(8_000)


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


async def test_a_file_behind_standard_output_gets_no_hole_when_it_is_emptied(
    tmp_path: Path,
) -> None:
    """The shell has opened it, `supervisor-lite > all.log`, and not for appending."""
    place = tmp_path / "all.log"
    fd = os.open(place, os.O_WRONLY | os.O_CREAT)
    os.set_inheritable(fd, True)
    bench = Bench(tmp_path, output(f"/dev/fd/{fd}", prefix="web | ")).open()
    bench.say(b"old\n")
    os.truncate(place, 0)
    bench.say(b"new\n")
    with place.open("ab") as stream:
        stream.write(b"foreign\n")
    bench.say(b"newer\n")
    assert place.read_bytes() == b"web | new\nforeign\nweb | newer\n"
    bench.logs.close()
    os.close(fd)
