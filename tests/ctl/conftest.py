"""What the tests of the client share."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor_lite.ctl.main import main
from tests.ctl.fake import Answer, FakeDaemon

ROOT = Path(__file__).parents[2]

Serve = Callable[..., FakeDaemon]
Outcome = tuple[int, str, str]


class Slctl:
    """Runs slctl against the fake: in this process, or as a process of its own."""

    def __init__(self, capfd: pytest.CaptureFixture[str], path: str) -> None:
        self._capfd = capfd
        self.path = path

    def __call__(self, *words: str) -> Outcome:
        """Return exit code, stdout and stderr."""
        self._capfd.readouterr()
        code = main(["-s", self.path, *words])
        out, err = self._capfd.readouterr()
        return code, out, err

    def spawn(self, *words: str, **options: object) -> subprocess.Popen[bytes]:
        """Start slctl as a process with pipes."""
        settings: dict[str, object] = {
            "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        }  # fmt: skip
        command = [sys.executable, "-m", "supervisor_lite.ctl.main", "-s", self.path, *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, env=environment, **{**settings, **options})  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def socket_path() -> Iterator[str]:
    """A path short enough for a socket wherever the tests keep their files."""
    with tempfile.TemporaryDirectory(prefix="slctl-") as folder:
        yield f"{folder}/s"


@pytest.fixture
def serve(socket_path: str) -> Iterator[Serve]:
    """Start a fake daemon: serve(status=answer, …)."""
    daemons: list[FakeDaemon] = []

    def start(**table: Answer) -> FakeDaemon:
        daemons.append(FakeDaemon(socket_path, table))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.close()


@pytest.fixture
def slctl(
    capfd: pytest.CaptureFixture[str], socket_path: str, monkeypatch: pytest.MonkeyPatch
) -> Slctl:
    for name in ("NO_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)
    return Slctl(capfd, socket_path)
