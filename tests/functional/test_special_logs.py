"""Logs that are no regular files: written to as what they are, and nothing else is done to them."""

from __future__ import annotations

import os
import pty
import stat
from pathlib import Path

import pytest

from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, wait_until

WEB = program("web", SLEEPER, startsecs=0)
DEVICES = ("/dev/stdout", "/dev/stderr", "/dev/null", "/dev/fd")


def names() -> list[tuple[str, int]]:
    """Return what the machine's own links and devices are."""
    return [(path, os.lstat(path).st_ino) for path in DEVICES if os.path.lexists(path)]


def logging_to(daemons: Daemons, path: str, **more: object) -> Daemon:
    """Return a daemon whose log is there, and would be rotated after a few lines."""
    settings = f'logfile = "{path}"\nlogfile_maxbytes = 500\nlogfile_backups = 2\n'
    return daemons.prepare(WEB, settings=settings, **more)


def restart(daemon: Daemon) -> None:
    for _ in range(5):
        daemon.ctl("restart", "web")


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("/dev/stdout", "stdout"),
        ("/dev/stderr", "stderr"),
        ("/dev/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
        ("%(here)s/link.log", "stdout"),
    ],
)
def test_the_daemons_own_descriptors(daemons: Daemons, path: str, stream: str) -> None:
    """Every line, once each, behind what is in the file already; nothing is made beside it."""
    daemon = logging_to(daemons, path)
    (daemon.dir / "link.log").symlink_to("/dev/stdout")
    (daemon.dir / stream).write_text("before\n")
    before = names()
    daemon.start()
    restart(daemon)
    text = daemon.text(stream)
    assert text.startswith("before\n")
    assert text.count("web: STOPPING -> STOPPED") == 5
    assert names() == before
    assert (daemon.dir / "link.log").is_symlink()
    assert not list(daemon.dir.glob("*.1"))
    daemon.ctl("shutdown")
    daemon.wait_exit()
    assert "supervisor-lite ended" in daemon.text(stream)
    assert names() == before


def test_dev_null(daemons: Daemons) -> None:
    before = names()
    daemon = logging_to(daemons, "/dev/null").start()
    restart(daemon)
    assert names() == before


def test_a_terminal(daemons: Daemons) -> None:
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    daemon = logging_to(daemons, path, arguments=["--silent"]).start()
    seen = b""
    restart(daemon)
    while b"STOPPING -> STOPPED" not in seen:
        seen += os.read(master, 4096)
    assert stat.S_ISCHR(os.stat(path).st_mode)
    daemon.ctl("shutdown")
    daemon.wait_exit()
    os.close(slave)
    os.close(master)


def test_a_fifo_whose_reader_comes_late(daemons: Daemons) -> None:
    """Nobody waits for it; what was dropped is told."""
    daemon = logging_to(daemons, "%(here)s/log.fifo")
    fifo = daemon.dir / "log.fifo"
    os.mkfifo(fifo)
    daemon.start()
    restart(daemon)
    with fifo.open("rb", buffering=0) as reader:
        seen = b""
        while b"STOPPING -> STOPPED" not in seen:
            seen += reader.read(65536)
    assert fifo.is_fifo()
    assert not list(daemon.dir.glob("log.fifo*.1"))


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("/dev/nonexistent", "there is no such file"),
        ("/dev/fd/17", "keeps no descriptor"),
        ("/proc/self/fd/9", "keeps no descriptor"),
        ("/dev/stdin", "keeps no descriptor"),
        ("%(here)s/socket", "it is a socket"),
        ("/proc/self", "it is a directory"),
    ],
)
@pytest.mark.parametrize("key", ["logfile", "stdout_logfile"])
def test_what_cannot_work_is_refused(daemons: Daemons, path: str, cause: str, key: str) -> None:
    """With file, line and key."""
    daemon = daemons.prepare(WEB)
    import socket

    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(daemon.dir / "socket"))
    if key == "logfile":
        daemon.settings = f'logfile = "{path}"'
        daemon.configure(WEB)
    else:
        daemon.configure(program("web", SLEEPER, stdout_logfile=path))
    daemon.arguments = ["--check"]
    daemon.launch()
    assert daemon.wait_exit() == 2
    said = daemon.text("stderr")
    assert cause in said
    assert f"{daemon.config}:" in said
    assert key in said


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/stderr"])
def test_in_the_background_there_is_no_stdout(daemons: Daemons, path: str) -> None:
    daemon = logging_to(daemons, path, arguments=["--daemonize"])
    daemon.launch()
    assert daemon.wait_exit() == 1
    assert "with --daemonize that is /dev/null" in daemon.text("stderr")


# Who may read what.


def test_the_daemons_log_is_not_for_all(daemons: Daemons) -> None:
    """Nor is a directory of logs that we make; one that is there stays as it was set up."""
    umask = os.umask(0)
    try:
        daemon = daemons.prepare(WEB, settings='umask = "000"\nlogfile_maxbytes = 500')
        daemon.start()
        restart(daemon)
        logs = daemon.dir / "log"
        wait_until(lambda: (logs / "supervisor-lite.log.1").exists())
        for name in ("supervisor-lite.log", "supervisor-lite.log.1"):
            assert _mode(logs / name) == 0o640
        assert _mode(logs) == 0o750
        daemon.ctl("shutdown")
        daemon.wait_exit()
        logs.chmod(0o2775)
        daemon.start()
        assert _mode(logs) == 0o2775
    finally:
        os.umask(umask)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
