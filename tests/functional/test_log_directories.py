"""Logs in directories of others: nobody gets root to write, show or remove what is root's."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.programs import echoer, program
from tests.support import Daemon, Daemons, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")

NOBODY = pwd.getpwnam("nobody").pw_uid
NAMES = ("web.log", "web.log.1", "web.log.2")


def logging_to(path: str, **more: object) -> str:
    """Return a program that writes what the test says, to a log of three files of 1000 bytes."""
    return program(
        "web", echoer("web"), startsecs=0, stdout_logfile=path, stdout_logfile_maxbytes=1000,
        stdout_logfile_backups=2, **more,
    )  # fmt: skip


def prepared(daemons: Daemons) -> tuple[Daemon, Path, Path]:
    """Return a daemon with a log in a directory of nobody's, that directory, and one of root's."""
    daemon = daemons.prepare(logging_to("%(here)s/theirs/log/web.log"))
    theirs, precious = daemon.dir / "theirs", daemon.dir / "precious"
    for path in (theirs, theirs / "log"):
        path.mkdir()
        os.chown(path, NOBODY, NOBODY)
    precious.mkdir()
    for name in NAMES:
        (precious / name).write_text(f"precious {name}\n" * 10)
    return daemon, theirs, precious


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(directory.iterdir())}


def holds(path: Path, text: str) -> bool:
    return path.exists() and text in path.read_text()


def swap(one: Path, other: Path) -> None:
    """Exchange two names in one step (renameat2(2), RENAME_EXCHANGE)."""
    here = -100  # AT_FDCWD
    if ctypes.CDLL(None, use_errno=True).renameat2(here, bytes(one), here, bytes(other), 2):
        raise OSError(ctypes.get_errno(), "cannot exchange them")


def exchange(theirs: Path, precious: Path) -> None:
    """Do what the owner of the directory can: put a link in the place of the one in it."""
    (theirs / "log").rename(theirs / "real")
    (theirs / "log").symlink_to(precious)
    os.chown(theirs / "log", NOBODY, NOBODY, follow_symlinks=False)


@pytest.mark.parametrize("how", ["rotation", "SIGUSR2", "tail", "clear", "restart", "cold clear"])
def test_a_directory_that_becomes_a_link(daemons: Daemons, how: str) -> None:
    """While the log is written: what is open goes on, and root's files stay as they are."""
    daemon, theirs, precious = prepared(daemons)
    before = contents(precious)
    daemon.start()
    daemon.say("web", "first\n")
    wait_until(lambda: daemon.text("theirs/log/web.log") == "first\n")
    if how == "cold clear":
        daemon.ctl("stop", "web")
    exchange(theirs, precious)
    if how == "rotation":
        for number in range(3):
            daemon.say("web", f"{number}" * 800 + "\n")
            wait_until(partial(holds, theirs / "real" / "web.log", f"{number}" * 800))
        assert "cannot rotate" in daemon.log()
    elif how == "SIGUSR2":
        daemon.signal(signal.SIGUSR2)
        wait_until(lambda: "the old file is kept" in daemon.log())
    elif how == "restart":
        daemon.ctl("restart", "web", code=None)
    else:
        said = daemon.ctl(how.split()[-1], "web", code=None)
        assert "precious" not in said.stdout
    daemon.ctl("logs", "-n", "100", "web", code=None)
    assert contents(precious) == before
    if how in ("rotation", "SIGUSR2"):
        daemon.say("web", "last\n")
        wait_until(lambda: daemon.text("theirs/real/web.log").endswith("last\n"))


def test_a_directory_that_is_exchanged_all_the_time(daemons: Daemons) -> None:
    """Whichever moment the rotation, the view and the emptying meet."""
    daemon, theirs, precious = prepared(daemons)
    before = contents(precious)
    daemon.start()
    daemon.say("web", "first\n")
    wait_until(lambda: daemon.text("theirs/log/web.log") == "first\n")
    exchange(theirs, precious)
    (theirs / "log").rename(theirs / "link")
    (theirs / "real").rename(theirs / "log")
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            swap(theirs / "log", theirs / "link")

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for number in range(20):
            daemon.say("web", f"{number} ".encode() * 400 + b"\n")
            said = daemon.ctl(("tail", "clear")[number % 10 == 9], "web", code=None)
            assert "precious" not in said.stdout
            daemon.signal(signal.SIGUSR2)
    finally:
        over.set()
        thread.join()
    assert contents(precious) == before
    if (theirs / "log").is_symlink():
        swap(theirs / "log", theirs / "link")
    daemon.say("web", "last\n")
    wait_until(lambda: daemon.text("theirs/log/web.log").endswith("last\n"))


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "third", "directory"])
def test_what_is_planted_before_the_start(daemons: Daemons, kind: str) -> None:
    """The program cannot start, and the reason says why."""
    daemon = daemons.prepare(
        logging_to("%(here)s/theirs/log/web.log", startretries=0, user="nobody")
    )
    theirs, precious = daemon.dir / "theirs", daemon.dir / "precious"
    for path in (theirs, theirs / "log", precious):
        path.mkdir()
    (precious / "web.log").write_text("precious")
    planted = theirs / "log" / "web.log"
    if kind == "directory":
        (theirs / "log").rmdir()
        planted = theirs / "log"
        planted.symlink_to(precious)
    elif kind == "link":
        planted.symlink_to(precious / "web.log")
    elif kind == "hard link":
        os.link(precious / "web.log", planted)
    elif kind == "fifo":
        os.mkfifo(planted)
    else:
        planted.write_text("of a third user")
    if kind != "hard link":
        owner = 1234 if kind == "third" else NOBODY
        os.chown(planted, owner, owner, follow_symlinks=False)
    for path in {theirs, theirs / "log"} - {planted}:
        os.chown(path, NOBODY, NOBODY)
    daemon.start()
    reason = daemon.wait_state("web", "FATAL")["reason"]
    assert "cannot open log" in reason or "cannot write" in reason
    assert "belongs to uid" in reason or "others may write to its directory" in reason
    assert contents(precious) == {"web.log": "precious"}


def test_a_file_that_everybody_could_have_made(daemons: Daemons) -> None:
    """In a directory like /tmp, where another user has made it first, to read what comes."""
    daemon = daemons.prepare(logging_to("%(here)s/tmp/web.log", startretries=0))
    (daemon.dir / "tmp").mkdir()
    (daemon.dir / "tmp").chmod(0o1777)
    (daemon.dir / "tmp" / "web.log").touch()
    os.chown(daemon.dir / "tmp" / "web.log", NOBODY, NOBODY)
    daemon.start()
    assert f"belongs to uid {NOBODY}" in daemon.wait_state("web", "FATAL")["reason"]
    (daemon.dir / "tmp" / "web.log").unlink()
    daemon.ctl("start", "web")
    daemon.say("web", "mine\n")
    wait_until(lambda: daemon.text("tmp/web.log") == "mine\n")


@pytest.mark.parametrize("place", ["link", "tmp", "theirs"])
def test_where_logs_may_well_be(daemons: Daemons, place: str) -> None:
    """Behind a link of root's, in a directory for all, in that of the program's user."""
    daemon = daemons.prepare(logging_to(f"%(here)s/{place}/web.log", user="nobody"))
    real = daemon.dir / place
    if place == "link":
        real = daemon.dir / "disk"
        (daemon.dir / "link").symlink_to(real)
    real.mkdir()
    if place == "tmp":
        real.chmod(0o1777)
    elif place == "theirs":
        os.chown(real, NOBODY, NOBODY)
        (real / "web.log").write_text("before\n")
        os.chown(real / "web.log", NOBODY, NOBODY)  # as logrotate makes it
    os.mkfifo(daemon.dir / "web.pipe")
    os.chown(daemon.dir / "web.pipe", NOBODY, NOBODY)
    daemon.start()
    for number in range(4):
        daemon.say("web", f"{number}" * 600 + "\n")
        wait_until(partial(holds, real / "web.log", f"{number}" * 600))
    assert sorted(contents(real)) == list(NAMES)
    assert "3333" in daemon.ctl("tail", "web").stdout
    daemon.ctl("clear", "web")
    assert contents(real) == {"web.log": ""}


def test_the_check_warns_of_directories_of_others(daemons: Daemons) -> None:
    """Of logs, of the daemon's own log; not of directories of root's."""
    text = logging_to("%(here)s/theirs/log/web.log") + program(
        "own", ["true"], stdout_logfile="%(here)s/own.log"
    )
    daemon = daemons.prepare(text, settings='logfile = "%(here)s/theirs/daemon.log"')
    (daemon.dir / "theirs" / "log").mkdir(parents=True)
    os.chown(daemon.dir / "theirs", NOBODY, NOBODY)
    daemon.arguments = ["--check"]
    daemon.launch()
    assert daemon.wait_exit() == 0
    said = [line for line in daemon.text("stderr").splitlines() if "belongs to uid" in line]
    assert len(said) == 2
    for line, key in zip(said, ("daemon.logfile", "program.web.stdout_logfile"), strict=True):
        assert f"{daemon.config}:" in line
        assert f"{key}: {daemon.dir / 'theirs'} belongs to uid {NOBODY}" in line
