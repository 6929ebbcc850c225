"""Real FIFOs, real writers and a real event loop for the tests of logs/."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from supervisor_lite.host import syscalls
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.processlogs import ProcessLogs
from supervisor_lite.model.output import Output
from supervisor_lite.model.program import Program
from tests.loops import at_end

ROOT = Path(__file__).resolve().parents[2]


def pipes() -> Pipes:
    """Return what reads FIFOs in the running loop; it is closed when the test is over."""
    made = Pipes(asyncio.get_running_loop())
    at_end(made.close)
    return made


def output(path: Path | str | None, maxbytes: int = 0, backups: int = 3, **more: Any) -> Output:
    where = None if path is None else str(path)
    return Output(path=where, maxbytes=maxbytes, backups=backups, **more)


class Bench:
    """The logs of one process "web" in a directory, with what they report."""

    def __init__(self, directory: Path, stdout: Output, stderr: Output | None = None, **more: Any):
        self.directory = directory
        self.reports: list[str] = []
        self.program = Program(
            name="web",
            command=("web",),
            stdout=stdout,
            stderr=stderr or output(None),
            **{k: v for k, v in more.items() if k != "syslog_socket"},
        )
        options = {k: v for k, v in more.items() if k == "syslog_socket"}
        self.logs = ProcessLogs(
            pipes(),
            str(directory),
            self.program,
            self.reports.append,
            **options,
        )

    def open(self, *, adopting: bool = False) -> Bench:
        self.logs.open(os.geteuid(), os.getegid(), adopting=adopting)
        return self

    def writer(self, stream: str = "stdout") -> int:
        """Open what a child would open, but not blocking."""
        stdout, stderr, _ = self.logs.child_paths()
        path = stderr if stream == "stderr" else stdout
        assert path is not None
        return os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def write(self, data: bytes, stream: str = "stdout") -> None:
        """Write at once, as a child would; it must fit into the pipe."""
        fd = self.writer(stream)
        assert os.write(fd, data) == len(data)
        os.close(fd)

    def say(self, data: bytes, stream: str = "stdout") -> None:
        """Write, and have it captured."""
        self.write(data, stream)
        self.logs.drain()

    def waiting(self, stream: str = "stdout") -> int:
        """Return how many bytes are in the pipe."""
        fd = self.writer(stream)
        try:
            return syscalls.bytes_in_pipe(fd)
        finally:
            os.close(fd)

    def child(self, script: str) -> subprocess.Popen[bytes]:
        """Start a Python program that writes to the FIFOs."""
        stdout, stderr, joined = self.logs.child_paths()
        out = os.open(stdout or os.devnull, os.O_RDWR)
        err = out if joined else os.open(stderr or os.devnull, os.O_RDWR)
        try:
            return python(script, stdout=out, stderr=err)
        finally:
            for fd in {out, err}:
                os.close(fd)


def python(script: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a bare Python."""
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", script, *arguments], **options)


NUMBERED = """
import os, sys
for first in range(0, {count}, 100):
    data = b"".join(b"%09d %s\\n" % (n, b"x" * 89) for n in range(first, first + 100))
    while data:
        data = data[os.write(1, data):]
"""
"""Writes `count` (a multiple of 100) numbered lines of 100 bytes."""


def numbered(count: int) -> bytes:
    """Return what NUMBERED writes."""
    return b"".join(b"%09d %s\n" % (n, b"x" * 89) for n in range(count))


def files(path: Path) -> list[Path]:
    """Return a log's files, the oldest first, the live one last."""
    found = []
    for entry in path.parent.iterdir():
        match = re.fullmatch(re.escape(path.name) + r"\.(\d+)", entry.name)
        if match:
            found.append((-int(match[1]), entry))
    return [entry for _, entry in sorted(found)] + ([path] if path.exists() else [])


def whole(path: Path) -> bytes:
    """Return everything that a log holds, rotated files included."""
    return b"".join(file.read_bytes() for file in files(path))
