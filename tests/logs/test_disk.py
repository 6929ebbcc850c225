from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from supervisor_lite.errors import SpawnError
from supervisor_lite.logs.capture import RETRY_DELAY, Capture
from tests.logs.tools import NUMBERED, Bench, numbered, output, pipes, python, whole
from tests.loops import due, until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def test_a_full_disk_is_reported_once_and_nothing_is_lost(
    tmp_path: Path, small_disk: Path
) -> None:
    log, other = small_disk / "web.log", tmp_path / "other.log"
    bench = Bench(tmp_path, output(log), output(other)).open()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(700 * 1024))
    child = bench.child(NUMBERED.format(count=4_000))
    await until(lambda: bench.reports, "a report")
    full = f'cannot write "{log}": No space left on device; its output waits in the pipe'
    assert bench.reports == [full]
    # Others go on meanwhile, and draining neither blocks nor complains again.
    bench.write(b"hello\n", "stderr")
    await until(other.read_bytes, "the other stream goes on")
    assert bench.logs.drain() == 0
    assert bench.reports == [full]
    # Room for a little is no reason to say that it works again.
    os.truncate(ballast, 660 * 1024)
    bench.logs.reopen()
    assert bench.reports == [full]
    ballast.unlink()
    await until(lambda: len(bench.reports) > 1, "capture resumes")
    await until(lambda: child.poll() is not None)
    bench.logs.drain()
    assert bench.reports == [full, f'"{log}" can be written again; capture resumed']
    assert log.read_bytes() == numbered(4_000)
    bench.logs.close()


async def test_rotation_on_a_full_disk_loses_nothing(tmp_path: Path, small_disk: Path) -> None:
    log = small_disk / "web.log"
    bench = Bench(tmp_path, output(log, 50_000, 100)).open()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(700 * 1024))
    child = bench.child(NUMBERED.format(count=6_000))
    await until(lambda: bench.reports, "a report")
    ballast.unlink()
    await until(lambda: child.poll() is not None)
    bench.logs.drain()
    assert whole(log) == numbered(6_000)
    bench.logs.close()


async def test_clearing_a_log_makes_capture_go_on_at_once(tmp_path: Path, small_disk: Path) -> None:
    log = small_disk / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    child = bench.child(NUMBERED.format(count=15_000))
    await until(lambda: bench.reports, "a report")
    bench.logs.clear()
    assert len(bench.reports) == 2
    child.kill()
    child.wait()
    bench.logs.close()


async def test_a_vanished_directory_is_made_anew_and_reported(tmp_path: Path) -> None:
    directory = tmp_path / "deep" / "logs"
    directory.mkdir(parents=True)
    log = directory / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    bench.say(b"lost with its directory\n")
    shutil.rmtree(tmp_path / "deep")
    bench.say(b"one\n")
    bench.say(b"two\n")
    assert log.read_bytes() == b"one\ntwo\n"
    assert bench.reports == [f'log directory "{directory}" had vanished and was made anew']
    bench.logs.close()


async def test_a_directory_that_cannot_be_made_anew_keeps_the_output_waiting(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    log = directory / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    shutil.rmtree(directory)
    directory.write_text("in the way")
    bench.write(b"patience\n")
    await until(lambda: bench.reports)
    waits = f'cannot write "{log}": Not a directory; its output waits in the pipe'
    assert bench.reports == [waits]
    directory.unlink()
    await until(lambda: len(bench.reports) == 3)
    assert log.read_bytes() == b"patience\n"
    bench.logs.close()


async def test_a_deleted_file_is_made_anew(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    bench.say(b"old\n")
    log.unlink()
    bench.say(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert bench.reports == []
    bench.logs.close()


async def test_a_file_that_somebody_else_empties_gets_no_hole(tmp_path: Path) -> None:
    """`> web.log` and logrotate's copytruncate: the next line comes to the beginning."""
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    bench.say(b"x" * 1000)
    os.truncate(log, 0)
    bench.say(b"new\n")
    assert log.read_bytes() == b"new\n"
    bench.logs.close()


async def test_a_file_that_somebody_else_appends_to_is_not_overwritten(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    bench.say(b"one\n")
    with log.open("ab") as stream:
        stream.write(b"foreign\n")
    bench.say(b"two\n")
    assert log.read_bytes() == b"one\nforeign\ntwo\n"
    bench.logs.close()


@pytest.mark.parametrize("left", [0, 10, 4000])
@pytest.mark.parametrize("size", [30, 4096, 5000, 100_000])
async def test_a_file_that_is_emptied_while_it_is_written_gets_no_hole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, left: int
) -> None:
    """The kernel has taken the place to write to when the file is cut: nothing is lost for that."""
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    bench.say(b"x" * (size - 1) + b"\n")
    splice = os.splice

    def cut_and_splice(*arguments: Any, **more: Any) -> int:
        if log.stat().st_size == size:
            os.truncate(log, min(left, size))
        return splice(*arguments, **more)

    monkeypatch.setattr(os, "splice", cut_and_splice)
    bench.say(b"one\n")
    monkeypatch.undo()
    bench.say(b"two\n")
    rest = (b"x" * (size - 1) + b"\n")[:left]
    assert log.read_bytes() == rest + b"one\ntwo\n"
    bench.logs.close()


@pytest.mark.parametrize("count", [1, 100, 4096, 9000])
async def test_nuls_that_a_program_writes_are_no_hole(tmp_path: Path, count: int) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    for _ in range(3):
        bench.say(b"\0" * count)
    bench.say(b"end\n")
    assert log.read_bytes() == b"\0" * 3 * count + b"end\n"
    bench.logs.close()


EMPTYING = """
import os, sys, time
path, copy = sys.argv[1:]
with open(copy, "ab") as kept:
    for _ in range(200):
        time.sleep(0.0005)
        with open(path, "rb") as stream:
            kept.write(stream.read())
        os.truncate(path, 0)
"""


async def test_logs_that_are_copied_and_emptied_in_a_flood_have_no_nuls(tmp_path: Path) -> None:
    log, copy = tmp_path / "web.log", tmp_path / "copy"
    bench = Bench(tmp_path, output(log)).open()
    child = bench.child("import os\nwhile True: os.write(1, b'x' * 99 + b'\\n')")
    other = python(EMPTYING, str(log), str(copy))
    await until(lambda: other.poll() is not None, "it was emptied often")
    child.kill()
    child.wait()
    bench.logs.drain()
    text = copy.read_bytes() + log.read_bytes()
    assert other.returncode == 0
    assert text
    assert b"\0" not in text
    bench.logs.close()


BESIDE = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
for n in range(5000):
    os.write(fd, b"%09d %s\\n" % (n, b"y" * 89))
"""


@pytest.mark.parametrize("maxbytes", [0, 300_000])
async def test_a_program_that_writes_into_its_own_log_loses_nothing(
    tmp_path: Path, maxbytes: int
) -> None:
    """Also in a flood from both sides, and when it keeps the file open that was rotated."""
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log, maxbytes, 100)).open()
    child = bench.child(NUMBERED.format(count=20_000))
    other = python(BESIDE, str(log))
    await until(lambda: other.poll() is not None)
    await until(lambda: child.poll() is not None)
    bench.logs.drain()
    assert len(whole(log)) == 100 * (20_000 + 5_000)
    assert whole(log).count(b"y") == 89 * 5_000
    bench.say(b"and then\n")
    assert log.read_bytes().endswith(b"\nand then\n")
    assert bench.reports == [f'"{log}": somebody else writes to it, too; it is appended to']
    bench.logs.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing/web.log", "No such file or directory"), ("file/web.log", "Not a directory"),
     ("directory", "Is a directory")],
)  # fmt: skip
async def test_a_log_that_cannot_be_opened_is_the_reason_of_a_failed_start(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    log = tmp_path / name
    bench = Bench(tmp_path, output(log))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SpawnError) as caught:
        bench.open()
    assert str(caught.value) == f'cannot open log "{log}": {reason}'
    assert len(os.listdir("/proc/self/fd")) == before


async def test_an_adopted_process_undecided_a_log_that_cannot_be_opened(tmp_path: Path) -> None:
    """It must not lose its output because its directory is away when the daemon comes back."""
    log = tmp_path / "logs" / "web.log"
    (tmp_path / "logs").touch()
    bench = Bench(tmp_path, output(log)).open(adopting=True)
    bench.write(b"patience\n")
    await until(lambda: bench.reports)
    (tmp_path / "logs").unlink()
    await until(log.exists)
    assert log.read_bytes() == b"patience\n"
    bench.logs.close()


async def test_a_sink_that_fails_is_tried_again_every_half_second(tmp_path: Path) -> None:
    class Broken:
        name = "broken"
        blocked_on = -1
        undecided = 0
        tries: ClassVar[list[float]] = []

        def transfer(self, fd: int, budget: int) -> int:
            self.tries.append(asyncio.get_running_loop().time())
            raise OSError(errno.EIO, "Input/output error")

        def mark(self, line: bytes) -> bool:
            raise AssertionError("nothing is lost")

        def finish(self) -> None: ...
        def close(self) -> None: ...

    reader, writer = os.pipe2(os.O_NONBLOCK)
    sink, reports = Broken(), list[str]()
    capture = Capture(pipes(), reader, sink, reports.append)
    os.write(writer, b"x")
    await until(lambda: len(sink.tries) == 4)
    pauses = [later - sooner for sooner, later in pairwise(sink.tries)]
    assert min(pauses) >= RETRY_DELAY - 0.01
    assert reports == ['cannot write "broken": Input/output error; its output waits in the pipe']
    capture.close()
    assert not due()
    os.close(writer)
