"""The daemon's own log: a message a line for syslog, and nobody waits for who reads it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import re
import socket
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.daemon.log import Log, LogTarget, open_log
from supervisor_lite.logs.outlet import tell
from tests.loops import due, until


def listener(path: Path) -> socket.socket:
    """Return a syslog."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(path))
    made.settimeout(5)
    return made


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Any]:
    """The daemon's log, to a syslog at the path "log" and nowhere else."""
    target = LogTarget("syslog", 0, 0, to_stderr=False, devlog=str(tmp_path / "log"))
    yield open_log(target, "info", "console")
    target.close()


def test_lines_go_to_syslog_with_their_level(tmp_path: Path, log: Log) -> None:
    with listener(tmp_path / "log") as syslog:
        log.info("web: STARTING -> RUNNING", pid=7)
        log.error("two\nlines")
        log.debug("not said")
        first, second = (syslog.recv(1024).decode() for _ in range(2))
    stamp = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    ident = rf"supervisor-lite\[{os.getpid()}\]"
    assert re.fullmatch(rf"<30>{stamp} {ident}: web: STARTING -> RUNNING  pid=7", first)
    assert re.fullmatch(rf"<27>{stamp} {ident}: two\\nlines", second)


def test_a_syslog_that_comes_back_is_written_to(
    tmp_path: Path, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is said meanwhile is lost; that is told once, on stderr."""
    path = tmp_path / "log"
    log.info("one")
    log.info("two")
    assert capfd.readouterr().err == (
        'supervisor-lite: cannot write the log "syslog": No such file or directory\n'
    )
    with listener(path) as syslog:
        log.info("three")
        assert syslog.recv(1024).endswith(b": three")
    path.unlink()
    with listener(path) as syslog:  # started anew: our socket is connected to the old one
        log.info("four")
        assert syslog.recv(1024).endswith(b": four")


def test_nobody_waits_for_a_syslog_that_does_not_read(tmp_path: Path, log: Log) -> None:
    with listener(tmp_path / "log"):
        for number in range(2000):
            log.info(f"line {number}" + "x" * 500)


# What may stop taking lines.


class Stderr:
    """Our descriptor 2, put in place of what it was."""

    def __init__(self, fd: int) -> None:
        self.before = os.dup(2)
        os.dup2(fd, 2)

    def __enter__(self) -> Stderr:
        return self

    def __exit__(self, *_: object) -> None:
        os.dup2(self.before, 2)
        os.close(self.before)


def lines_in(fd: int) -> list[str]:
    """Return the whole lines that can be read now."""
    os.set_blocking(fd, False)
    data = b""
    try:
        while block := os.read(fd, 65536):
            data += block
    except BlockingIOError:
        pass
    return data.decode().splitlines()


@pytest.fixture(params=["pipe", "socket", "terminal"])
def stalled(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Two ends of something that nobody reads: ours to read, and stderr's."""
    if request.param == "pipe":
        reader, writer = os.pipe()
    elif request.param == "socket":
        reader, writer = (each.detach() for each in socket.socketpair())
    else:
        reader, writer = pty.openpty()
        tty.setraw(writer)
    yield reader, writer
    os.close(reader)
    os.close(writer)


async def test_nobody_waits_for_a_reader_of_stderr(stalled: tuple[int, int]) -> None:
    """Lines are dropped and counted, and it is said as soon as it flows again; nobody polls."""
    reader, writer = stalled
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    with Stderr(writer):
        target = LogTarget(None, 0, 0, to_stderr=True)
        log = open_log(target, "info", "console")
        total = 5000
        for number in range(total):
            log.info(f"line {number}." + "x" * 300)
        assert target.lost > 1000
        assert fcntl.fcntl(writer, fcntl.F_GETFL) == flags, "others that share it may block"
        seen: list[str] = []

        def said() -> bool:
            seen.extend(lines_in(reader))
            return any("could not be written here" in line for line in seen)

        await until(said, "what is missing is told")
        log.info("and then")

        def then() -> bool:
            seen.extend(lines_in(reader))
            return "and then" in seen[-1]

        await until(then)
        numbers = [int(n) for n in re.findall(r"line (\d+)\.", "\n".join(seen))]
        assert numbers == sorted(set(numbers))
        told = re.findall(r"(\d+) lines? of this log", "\n".join(seen))
        assert sum(map(int, told)) == target.lost == total - len(numbers)
        assert not due(), "nothing is waited for any more"
        target.close()


def test_a_fifo_as_the_log_of_the_daemon(tmp_path: Path) -> None:
    place = tmp_path / "fifo"
    os.mkfifo(place)
    reader = os.open(place, os.O_RDWR | os.O_NONBLOCK)
    target = LogTarget(str(place), 10, 3, to_stderr=False)
    log = open_log(target, "info", "json")
    for number in range(1000):
        log.info(f"line {number}." + "x" * 300)
    seen = lines_in(reader)
    log.info("and then")
    seen += lines_in(reader)
    events = [json.loads(line) for line in seen]
    assert events[-1]["event"] == "and then"
    told = [event for event in events if "could not be written here" in event["event"]]
    assert {event["level"] for event in told} == {"warning"}
    assert sum(int(event["event"].split()[0]) for event in told) == target.lost > 0
    assert len(events) == 1000 - target.lost + len(told) + 1
    assert os.listdir(tmp_path) == ["fifo"]
    target.close()
    os.close(reader)


def test_a_file_that_cannot_be_written_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "log"
    target = LogTarget(str(place), 0, 0, to_stderr=False)
    log = open_log(target, "info", "console")
    log.info("one")

    pwritev = os.pwritev

    def full(fd: int, *rest: Any) -> int:
        if target.file is not None and fd == target.file.fd:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return pwritev(fd, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", full)
        log.info("two")
        log.info("three")
    log.info("four")
    lines = place.read_text().splitlines()
    assert [line.split("  ", 1)[-1].strip() for line in lines if "warning" not in line][
        -1
    ] == "four"
    assert len(lines) == 3
    assert lines[1].endswith("2 lines of this log could not be written here and are lost")
    assert target.lost == 2
    assert capfd.readouterr().err.count("No space left on device") == 1
    target.close()


def test_the_reason_of_an_end_waits_a_while_for_its_reader() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    with Stderr(writer):
        tell("nobody sees this\n", patience=0.01)
        os.read(reader, 65536)
        tell("somebody sees this\n")
    assert lines_in(reader)[-1].endswith("somebody sees this")
    os.close(reader)
    os.close(writer)
