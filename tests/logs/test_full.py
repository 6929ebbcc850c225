"""A log that cannot be written: the program goes on, and what is lost for that is told."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.logs import jam
from supervisor_lite.model.output import OnFull, OutputTrouble
from tests.logs.test_syslog import Syslog
from tests.logs.tools import Bench, output, python
from tests.loops import due, until

MARK = re.compile(
    rb"\[supervisor-lite: (\d+) bytes \((\d+) lines?\) of output lost here,"
    rb" from \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ to \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: (.+)\]\n"
)

LINES = """
import os, sys
for n in range({count}):
    os.write(1, b"%09d %s\\n" % (n, b"x" * 89))
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody wait for five seconds."""
    monkeypatch.setattr(jam, "PATIENCE", 0.0)


class Sick:
    """A disk that refuses everything with one error, as long as it is sick."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.number = number
        for name in ("splice", "pwritev"):
            monkeypatch.setattr(os, name, self._failing(getattr(os, name)))

    def _failing(self, function: Callable[..., int]) -> Callable[..., int]:
        def fail(*arguments: Any, **more: Any) -> int:
            if self.number:
                raise OSError(self.number, os.strerror(self.number))
            return function(*arguments, **more)

        return fail


def numbers(text: bytes) -> list[int]:
    """Return the numbers of the lines that are whole."""
    return [int(n) for n in re.findall(rb"^(\d{9}) x{89}$", text, re.MULTILINE)]


def check_nothing_unmarked(text: bytes, total: int) -> tuple[int, int]:
    """Check that what is missing of so many lines is what the marks tell; return bytes, lines."""
    marks = MARK.findall(text)
    size, lines = sum(int(m[0]) for m in marks), sum(int(m[1]) for m in marks)
    rest = MARK.sub(b"", text)
    assert len(rest) - rest.count(b"\n\n") + size in range(
        100 * total, 100 * total + len(marks) + 1
    )
    found = numbers(text)
    assert found == sorted(set(found))
    assert lines - len(marks) <= total - len(found) <= lines + len(marks)
    return size, lines


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG]
)
async def test_a_program_goes_on_and_the_newest_output_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    bench.say(b"%09d %s\n" % (0, b"x" * 89))
    sick = Sick(monkeypatch, number)
    child = bench.child(LINES.format(count=30_000).replace("range(", "range(1, "))
    await until(lambda: child.poll() is not None, "the program writes all it has to")
    trouble, lost = bench.logs.trouble(), bench.logs.dropped()
    assert trouble is not None
    assert trouble == OutputTrouble("stdout", str(log), os.strerror(number), trouble.since, True)
    assert lost.bytes > 1_000_000
    sick.number = 0
    await until(lambda: b"%09d" % 29_999 in log.read_bytes(), "it is written again")
    text = log.read_bytes()
    assert check_nothing_unmarked(text, 30_000) == (lost.bytes, lost.lines)
    assert MARK.search(text)[3].decode() == os.strerror(number)  # type: ignore[index]
    assert numbers(text)[0] == 0
    assert bench.logs.trouble() is None
    assert bench.logs.dropped() == lost
    assert bench.reports == [
        f'cannot write "{log}": {os.strerror(number)}; its output waits in the pipe',
        f'the pipe to "{log}" is full: output of its program is dropped',
        f'{lost.bytes} bytes ({lost.lines} lines) of the output to "{log}" are lost',
        f'"{log}" can be written again; capture resumed',
    ]
    assert not due(), "nothing wakes up any more"
    bench.logs.close()


async def test_a_program_waits_for_ever_if_its_definition_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no more when that is changed while it waits, or the other way round."""
    log = tmp_path / "web.log"
    wait = output(log, on_full=OnFull.WAIT)
    bench = Bench(tmp_path, wait).open()
    sick = Sick(monkeypatch, errno.ENOSPC)
    child = bench.child(LINES.format(count=30_000))
    await until(lambda: bench.waiting() > 200_000)
    for _ in range(3):
        await tried(bench, monkeypatch)
    assert child.poll() is None
    assert bench.logs.dropped().bytes == 0
    assert bench.logs.trouble() == OutputTrouble(
        "stdout",
        str(log),
        os.strerror(errno.ENOSPC),
        bench.logs.trouble().since,  # type: ignore[union-attr]
    )
    bench.logs.change(bench.program._replace(stdout=wait._replace(on_full=OnFull.DROP)))
    await until(lambda: bench.logs.dropped().bytes, "it is dropped")
    bench.logs.change(bench.program)
    lost = bench.logs.dropped()
    for _ in range(3):
        await tried(bench, monkeypatch)
    assert bench.logs.dropped() == lost
    sick.number = 0
    await until(lambda: child.poll() is not None)
    bench.logs.drain()
    check_nothing_unmarked(log.read_bytes(), 30_000)
    bench.logs.close()


async def tried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until it was tried once more to write."""
    capture = bench.logs._stdout.capture
    assert capture is not None
    timer = capture._timer
    await until(lambda: capture._timer is not timer)


async def test_a_file_as_large_as_it_may_be(tmp_path: Path) -> None:
    """RLIMIT_FSIZE is the daemon's own; emptying the file is a way out."""
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    child = bench.child(LINES.format(count=30_000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        await until(lambda: child.poll() is not None, "the program writes all it has to")
        assert bench.logs.trouble().error == "File too large"  # type: ignore[union-attr]
        assert log.stat().st_size == 50_000
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await until(lambda: b"%09d" % 29_999 in log.read_bytes())
    check_nothing_unmarked(log.read_bytes(), 30_000)
    bench.logs.close()


async def test_room_for_a_part_of_the_mark_leaves_none_of_it(
    small_disk: Path, tmp_path: Path
) -> None:
    log = small_disk / "web.log"
    bench = Bench(tmp_path, output(log)).open()
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(3500 * 1024))
    child = bench.child(LINES.format(count=30_000))
    await until(lambda: child.poll() is not None)
    for left in (3490, 3480, 3470, 0):
        os.truncate(ballast, left * 1024)
        bench.logs.reopen()
    await until(lambda: b"%09d" % 29_999 in log.read_bytes())
    check_nothing_unmarked(log.read_bytes(), 30_000)
    bench.logs.close()


@pytest.mark.parametrize("prefix", ["", "web | "])
async def test_a_reader_of_standard_output_that_does_not_read(tmp_path: Path, prefix: str) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    target = f"/dev/fd/{writer}"
    bench = Bench(tmp_path, output(target, prefix=prefix)).open()
    child = bench.child(LINES.format(count=30_000))
    await until(lambda: child.poll() is not None, "the program writes all it has to")
    lost, trouble = bench.logs.dropped(), bench.logs.trouble()
    assert trouble is not None
    assert trouble == OutputTrouble("stdout", target, "nobody reads it", trouble.since, True)
    assert (
        f'cannot write "{target}": nobody reads it; its output waits in the pipe' in bench.reports
    )
    with (tmp_path / "all").open("wb") as copy:
        script = "import os\nwhile data := os.read(0, 65536): os.write(1, data)"
        other = python(script, stdin=reader, stdout=copy)
    os.close(reader)
    await until(lambda: b"%09d" % 29_999 in (tmp_path / "all").read_bytes())
    text = (tmp_path / "all").read_bytes()
    lines = [line.removeprefix(prefix.encode()) for line in text.splitlines(keepends=True)]
    assert check_nothing_unmarked(b"".join(lines), 30_000) == (lost.bytes, lost.lines)
    assert bench.logs.trouble() is None
    bench.logs.close()
    os.close(writer)
    other.wait()


async def test_syslog_that_is_away_is_told_what_it_has_missed(tmp_path: Path) -> None:
    path = tmp_path / "devlog"
    bench = Bench(tmp_path, output(None, syslog=True), syslog_socket=str(path)).open()
    bench.say(b"one\ntwo\n")
    trouble = bench.logs.trouble()
    assert trouble is not None
    assert (trouble.target, trouble.error) == ("syslog", "No such file or directory")
    assert bench.logs.dropped().lines == 2
    syslog = Syslog(path)
    seen: list[bytes] = []

    def again() -> bool:
        bench.say(b"again\n")
        seen.extend(syslog.lines())
        return any(b"lost here" in line for line in seen)

    await until(again, pause=0.05)
    assert bench.logs.trouble() is None
    missed = re.search(rb"\((\d+) lines\)", b" ".join(seen))
    assert missed is not None
    assert int(missed[1]) == bench.logs.dropped().lines
    bench.logs.close()
    syslog.socket.close()


async def test_what_was_between_two_tokens_ends_where_output_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second token is lost: what follows is ordinary text again."""
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log, capture_maxbytes=100)).open()
    bench.say(b"<!--XSUPERVISOR:BEGIN-->secret")
    sick = Sick(monkeypatch, errno.ENOSPC)
    child = bench.child(LINES.format(count=30_000))
    # Between the tokens nothing is written, so nothing fails: the pipe is taken all the same.
    await until(lambda: child.poll() is not None)
    sick.number = 0
    bench.say(b"<!--XSUPERVISOR:END-->after\n")
    await until(lambda: b"after\n" in log.read_bytes())
    bench.logs.close()


async def test_a_listener_is_heard_and_its_log_says_what_it_misses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "web.log"
    bench = Bench(tmp_path, output(log, answers=True)).open()
    sick = Sick(monkeypatch, errno.ENOSPC)
    bench.say(b"READY\n")
    bench.say(b"RESULT 2\nOK")
    assert bench.logs.dropped().bytes == 17
    sick.number = 0
    bench.say(b"READY\n")
    assert MARK.fullmatch(log.read_bytes().removesuffix(b"READY\n"))
    assert bench.logs.trouble() is None
    bench.logs.close()


async def test_a_program_starts_although_its_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "web.log"
    open_file, full = os.open, True

    def refuse(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if full and flags & os.O_CREAT and "web.log" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return open_file(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    bench = Bench(tmp_path, output(log)).open()
    bench.write(b"hello\n")
    await until(lambda: bench.logs.trouble())
    full = False
    await until(log.exists)
    await until(log.read_bytes)
    assert log.read_bytes() == b"hello\n"
    bench.logs.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
