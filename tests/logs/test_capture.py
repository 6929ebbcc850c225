from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from supervisor_lite.host.syscalls import pipe_capacity
from supervisor_lite.logs.capture import MAX_PER_TURN, Capture
from tests.logs.tools import NUMBERED, ROOT, Bench, files, numbered, output, pipes, whole
from tests.loops import due, rounds, until


async def test_what_a_child_writes_is_in_the_file(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    child = bench.child(NUMBERED.format(count=20_000))
    await until(lambda: child.poll() is not None)
    bench.logs.drain()
    assert log.read_bytes() == numbered(20_000)
    bench.logs.close()


async def test_rotation_under_load_loses_no_line(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log, 100_050, 99)).open()
    child = bench.child(NUMBERED.format(count=30_000))
    await until(lambda: child.poll() is not None)
    bench.logs.drain()
    assert whole(log) == numbered(30_000)
    assert [file.stat().st_size for file in files(log)] == [100_000] * 30
    bench.logs.close()


async def test_last_words_are_in_the_file_after_a_drain(tmp_path: Path) -> None:
    """No turn of the loop is needed: the exit may be told right away."""
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    child = bench.child("import os; os.write(1, b'goodbye')")
    child.wait()
    assert bench.logs.drain() == 7
    assert log.read_bytes() == b"goodbye"
    assert bench.logs.drain() == 0
    bench.logs.close()


async def test_a_drain_ends_although_somebody_goes_on_writing(tmp_path: Path) -> None:
    """Leftovers of a run may write for ever; a drain takes what the pipe can hold, no more."""
    reader, writer = os.pipe2(os.O_NONBLOCK)

    class Refilled:
        name = "refilled"
        blocked_on = -1
        undecided = 0

        def transfer(self, fd: int, budget: int) -> int:
            data = os.read(fd, 5_000)
            os.write(writer, data)
            return len(data)

        def mark(self, line: bytes) -> bool:
            raise AssertionError("nothing is lost")

        def finish(self) -> None: ...
        def close(self) -> None: ...

    os.write(writer, b"x" * 50_000)
    capture = Capture(pipes(), reader, Refilled(), print)
    assert pipe_capacity(reader) <= capture.drain() < pipe_capacity(reader) + 5_000
    capture.close()
    os.close(writer)


async def test_a_flood_does_not_delay_others(tmp_path: Path) -> None:
    """Between two turns of a flood everybody else is read; only a turn or two come before."""
    loud = Bench(tmp_path / "a", output(tmp_path / "loud.log", 1 << 20, 1))
    quiet = Bench(tmp_path / "b", output(tmp_path / "quiet.log"))
    for bench in (loud, quiet):
        bench.directory.mkdir()
        bench.open()
    flood, hush = loud.logs.log("stdout"), quiet.logs.log("stdout")
    assert flood is not None
    assert hush is not None
    child = loud.child("import os\nwhile True: os.write(1, (b'y' * 99 + b'\\n') * 600)")
    try:
        await until(lambda: (tmp_path / "loud.log.1").exists())
        for number in range(20):
            flooded, size = flood.end, hush.end
            quiet.write(b"%d\n" % number)
            while hush.end == size:
                await asyncio.sleep(0)
                assert flood.end - flooded <= 3 * MAX_PER_TURN
    finally:
        child.kill()
        child.wait()
    loud.logs.close()
    quiet.logs.close()


async def test_output_is_opaque_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4 + b"\xc3\x28 no newline \0"
    bench = Bench(tmp_path, output(tmp_path / "web.log")).open()
    bench.say(data)
    assert (tmp_path / "web.log").read_bytes() == data
    bench.logs.close()


async def test_nothing_wakes_the_loop_while_nothing_is_written(tmp_path: Path) -> None:
    benches = []
    for number in range(20):
        (tmp_path / str(number)).mkdir()
        benches.append(Bench(tmp_path / str(number), output(tmp_path / f"{number}.log")).open())
        benches[-1].say(b"hello\n")
    await rounds()
    assert not due()
    benches[7].write(b"again\n")
    assert due()
    await rounds()
    assert not due()
    for bench in benches:
        bench.logs.close()


DAEMON = """
import asyncio, os, sys
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.processlogs import ProcessLogs
from supervisor_lite.model.program import Output, Program

async def main():
    out = Output(path=sys.argv[2], maxbytes=50_000, backups=100_000)
    program = Program(name="web", command=("web",), stdout=out)
    logs = ProcessLogs(Pipes(asyncio.get_running_loop()), sys.argv[1], program, print)
    logs.open(os.geteuid(), os.getegid(), adopting=True)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

ENDLESS = """
import os, signal, time
going = True
def stop(*_):
    global going
    going = False
signal.signal(signal.SIGTERM, stop)
number = 0
while going:
    data = b"".join(b"%09d %s\\n" % (n, b"x" * 89) for n in range(number, number + 20))
    number += 20
    while data:
        data = data[os.write(1, data):]
    time.sleep(0.0005)
"""


async def test_no_line_is_lost_when_the_daemon_is_killed_again_and_again(tmp_path: Path) -> None:
    """25 daemons are killed -9 while they capture and rotate one endless writer."""
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log, 50_000, 100_000)).open()
    writer = bench.child(ENDLESS)
    bench.logs.close()
    rotations = 0
    try:
        for kill in range(25):
            with _daemon(tmp_path, log) as daemon:
                assert daemon.stdout is not None
                assert daemon.stdout.readline() == b"ready\n"
                # Until it has rotated, then any number of system calls later.
                await until(lambda: len(files(log)) > rotations, "a rotation")  # noqa: B023
                await asyncio.sleep(0.0007 * (kill % 20))
                daemon.kill()
                assert daemon.wait() == -signal.SIGKILL
                rotations = len(files(log))
    finally:
        # What is in a FIFO that nobody holds open is gone, so the last daemon comes first.
        last = Bench(tmp_path, output(log, 50_000, 100_000)).open(adopting=True)
        writer.terminate()
        await until(lambda: writer.poll() is not None)
    last.logs.drain()
    assert last.waiting() == 0
    last.logs.close()
    assert writer.returncode == 0
    assert last.reports == []
    lines = whole(log).splitlines()
    assert len(lines) > 10_000
    wrong = [n for n, line in enumerate(lines) if line != b"%09d %s" % (n, b"x" * 89)]
    assert not wrong, f"{len(wrong)} of {len(lines)} lines, the first: {lines[wrong[0]]!r}"
    parts = files(log)
    assert all(part.read_bytes().endswith(b"\n") for part in parts)
    assert len(parts) >= 25


@contextlib.contextmanager
def _daemon(directory: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(directory), str(log)],
        stdout=subprocess.PIPE, env=environment,
    ) as daemon:  # fmt: skip
        try:
            yield daemon
        finally:
            daemon.kill()


async def test_bytes_written_while_no_daemon_lives_are_not_lost(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    first = Bench(tmp_path, output(log)).open()
    child = os.open(first.logs.child_paths()[0] or "", os.O_RDWR)
    first.say(b"one\n")
    first.logs.close()
    os.write(child, b"two\n")
    second = Bench(tmp_path, output(log)).open(adopting=True)
    os.write(child, b"three\n")
    second.logs.drain()
    assert log.read_bytes() == b"one\ntwo\nthree\n"
    second.logs.close()
    os.close(child)


async def test_the_writer_waits_when_nobody_reads(tmp_path: Path) -> None:
    """It is not killed by SIGPIPE, and what it has not got rid of comes later."""
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    child = bench.child(NUMBERED.format(count=30_000))
    bench.logs.close()
    bench.open()
    await until(lambda: child.poll() is not None)
    assert child.returncode == 0
    bench.logs.drain()
    assert log.read_bytes() == numbered(30_000)
    bench.logs.close()
