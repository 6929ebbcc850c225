"""Each of the daemon's directories full or read-only, at each moment of its life.

What runs, runs on; what cannot be done is said, and is done when there is room again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.tools import kill, upgrade
from tests.functional.test_directories import TALKER
from tests.programs import SLEEPER, program
from tests.support import Daemon, Daemons, alive, wait_until

SIZE = 4 << 20
"""Bytes of each directory's file system."""


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def can_mount() -> bool:
    """May we mount, as root of a container may not?"""
    try:
        done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "x", "/mnt"],
                              capture_output=True, check=False)  # fmt: skip
    except FileNotFoundError:
        return False
    return done.returncode == 0


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not can_mount(), reason="only root can mount a small file system"
)


class Place:
    """One directory of a daemon, on a file system of its own that can be spoilt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        mount("-t", "tmpfs", "-o", f"size={SIZE},mode=755", "tmpfs", str(path))

    def spoil(self, how: str) -> None:
        if how == "read-only":
            # Not the file system, on which files are open: our view of it.
            mount("--bind", str(self.path), str(self.path))
            mount("-o", "remount,bind,ro", str(self.path))
        else:
            with (self.path / "filler").open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(b"x" * 65536)
                except OSError:
                    pass
                try:
                    while True:
                        file.write(b"x")
                except OSError:
                    pass

    def mend(self, how: str) -> None:
        if how == "read-only":
            subprocess.run(["umount", "-l", str(self.path)], check=True)
        else:
            (self.path / "filler").unlink()

    def close(self) -> None:
        while subprocess.run(["umount", "-l", str(self.path)], check=False,
                             capture_output=True).returncode == 0:  # fmt: skip
            pass


@pytest.fixture(params=["run", "state", "log"])
def spoilt(request: pytest.FixtureRequest, daemons: Daemons) -> Iterator[tuple[Daemon, Place]]:
    """A daemon, and one of its directories."""
    daemon = daemons.prepare(
        program("web", SLEEPER, startsecs=0) + program("other", SLEEPER, startsecs=0)
    )
    place = Place(daemon.dir / request.param)
    yield daemon, place
    place.close()


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_while_it_runs(spoilt: tuple[Daemon, Place], how: str) -> None:
    """An upgrade, a spawn, a stop and the end: nobody is lost, and the daemon is there."""
    daemon, place = spoilt
    daemon.start()
    before = daemon.wait_running("web", "other")
    wait_until(lambda: list((daemon.dir / "state/code").glob("*-????????")))
    place.spoil(how)
    daemon.ctl("upgrade", code=None)
    assert daemon.call("version")["pid"] == daemon.pid
    assert daemon.wait_running("web", "other") == before
    daemon.ctl("stop", "web")
    assert not alive(before["web"])
    daemon.ctl("start", "web", code=None)
    assert daemon.wait_running("other")["other"] == before["other"]
    place.mend(how)
    daemon.ctl("restart", "web")
    assert "Upgraded" in daemon.ctl("upgrade").stdout
    daemon.wait_running("web")
    place.spoil(how)
    daemon.ctl("shutdown")
    assert daemon.wait_exit() == 0
    assert daemon.marked() == []
    place.mend(how)


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_while_it_starts(spoilt: tuple[Daemon, Place], how: str) -> None:
    """At first, and with programs to take over: it comes up, or says why not; nobody is lost."""
    daemon, place = spoilt
    place.spoil(how)
    if not comes_up(daemon, place):
        place.mend(how)
        daemon.start()
    else:
        place.mend(how)
    wait_until(lambda: daemon.ctl("start", "all", code=None).returncode == 0)
    before = daemon.wait_running("web", "other")
    kill(daemon)
    place.spoil(how)
    came = comes_up(daemon, place)
    assert all(map(alive, before.values()))
    place.mend(how)
    if not came:
        daemon.start()
    assert daemon.wait_running("web", "other") == before


def comes_up(daemon: Daemon, place: Place) -> bool:
    """Start it; if it does not come up, it says which directory is to blame."""
    process = daemon.launch()
    wait_until(lambda: process.poll() is not None or daemon.answers(), 30)
    if process.poll() is None:
        return True
    assert process.returncode == 1  # so that systemd tries again
    assert place.path.name != "log"
    assert str(place.path) in daemon.text("stderr").splitlines()[-1]
    return False


def test_an_upgrade_while_the_directory_cannot_be_made(daemons: Daemons) -> None:
    """The next version stays where it is found, and goes back when that is possible."""
    daemon = daemons.prepare(TALKER)
    usual, spare = (
        daemon.dir / "login/run/supervisor.sock",
        daemon.dir / "state/run/supervisor.sock",
    )
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('/run"', '/login/run"'))
    daemon.socket = usual
    daemon.start()
    before = daemon.wait_running("talker")
    os.kill(daemon.pid, signal.SIGSTOP)
    shutil.rmtree(daemon.dir / "login")
    (daemon.dir / "login").mkdir()
    mount("-t", "tmpfs", "-o", "ro", "tmpfs", str(daemon.dir / "login"))
    os.kill(daemon.pid, signal.SIGCONT)
    try:
        stays_at(daemon, spare, before)
    finally:
        subprocess.run(["umount", "-l", str(daemon.dir / "login")], check=True)
    wait_until(usual.exists)
    wait_until(lambda: not spare.exists())
    daemon.socket = usual
    daemon.ctl("restart", "talker")
    daemon.ctl("send", "talker", "back")
    daemon.wait_said("talker", "out back")


def stays_at(daemon: Daemon, spare: Path, before: dict[str, int]) -> None:
    """It is upgraded there, and its programs are spawned."""
    wait_until(spare.exists)
    daemon.socket = spare
    for _ in range(2):
        upgrade(daemon)
        assert daemon.wait_running("talker") == before
        daemon.ctl("send", "talker", "hello")
    daemon.wait_said("talker", "out hello\nout hello")
    daemon.ctl("restart", "talker")
    daemon.ctl("send", "talker", "again")
    daemon.wait_said("talker", "out again")
