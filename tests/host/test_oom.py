"""Who was killed for want of memory: the main process, or another one while it lives on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.host import oom
from supervisor_lite.host.cgroup import OomKill
from supervisor_lite.host.oom import OomWatcher
from supervisor_lite.host.procfs import is_dying
from tests.support import wait_until


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody really dies of it here: no need to wait for that."""
    monkeypatch.setattr(oom, "_DYING_TIME", 0.01)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100000"]) as process:
        yield process
        process.kill()


def count(run: Path, kills: int, *, own: int = 1) -> None:
    """Write what the kernel would."""
    (run / "memory.events").write_text(f"max 3\noom {own}\noom_kill {kills}\n")


async def heard(told: list[object]) -> None:
    """Wait until something is told."""
    async with asyncio.timeout(10):
        while not told:
            await asyncio.sleep(0.01)


async def test_another_one_was_killed(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    """That is told once, and does not explain how the main process ends later; one more does."""
    told: list[object] = []
    watcher = OomWatcher(asyncio.get_running_loop(), lambda pid, killed: told.append((pid, killed)))
    count(tmp_path, 0)
    watcher.add(1, str(tmp_path), child.pid)
    count(tmp_path, 2)
    assert watcher.kill_of_root(1, str(tmp_path)) == OomKill(2, own=True), "it may be the one"
    await heard(told)
    assert told == [(child.pid, OomKill(2, own=True))]
    assert watcher.kill_of_root(1, str(tmp_path)) is None
    count(tmp_path, 3)
    assert watcher.kill_of_root(1, str(tmp_path)) == OomKill(3, own=True)
    watcher.close()


async def test_the_main_process_was_killed(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    """It is dead or will be: nobody is told that it runs on, and the reason stays."""
    told: list[object] = []
    with subprocess.Popen(["sleep", "100000"]) as root:
        watcher = OomWatcher(
            asyncio.get_running_loop(), lambda pid, killed: told.append((pid, killed))
        )
        for number, pid in ((1, root.pid), (2, child.pid)):
            place = tmp_path / str(number)
            place.mkdir()
            count(place, 0)
            watcher.add(number, str(place), pid)
        root.kill()
        for number in (1, 2):
            count(tmp_path / str(number), 1, own=0)
        await heard(told)  # of the other, which came after it
        assert told == [(child.pid, OomKill(1))]
        assert watcher.kill_of_root(1, str(tmp_path / "1")) == OomKill(1)
        watcher.close()


async def test_what_an_earlier_daemon_has_told_is_not_told_again(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    told: list[object] = []
    watcher = OomWatcher(asyncio.get_running_loop(), lambda pid, killed: told.append((pid, killed)))
    count(tmp_path, 1)
    watcher.add(1, str(tmp_path), child.pid)
    assert watcher.kill_of_root(1, str(tmp_path)) is None
    count(tmp_path, 2)
    await heard(told)
    assert told == [(child.pid, OomKill(2, own=True))]
    watcher.forget(1)
    watcher.close()


async def test_without_the_controller_nothing_is_watched(tmp_path: Path) -> None:
    """There is no file of the kernel, and no descriptor is opened for it."""
    before = os.listdir("/proc/self/fd")
    watcher = OomWatcher(asyncio.get_running_loop(), lambda pid, killed: None)
    watcher.add(1, str(tmp_path), os.getpid())
    assert os.listdir("/proc/self/fd") == before
    assert watcher.kill_of_root(1, str(tmp_path)) is None
    watcher.close()


def test_who_is_is_dying(child: subprocess.Popen[bytes]) -> None:
    """Not who lives or is stopped; a zombie is, and who is gone."""
    assert not is_dying(child.pid)
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: "T (stopped)" in Path(f"/proc/{child.pid}/status").read_text())
    assert not is_dying(child.pid)
    child.kill()
    wait_until(lambda: is_dying(child.pid), what="it is dying")
    child.wait()
    assert is_dying(child.pid)
