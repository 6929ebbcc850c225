"""The daemon's own log to syslog: a message a line, and nobody waits for a syslog."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.daemon.log import Log, LogTarget, open_log


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
