"""Which processes are accepted as ours for what their environment says."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.host.procfs import Stat, read_stat
from supervisor_lite.model.program import Program
from supervisor_lite.takeover.ownership import Ownership, placeholder

WEB = Program("web", ("web",), group="site")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours, with a FIFO as its output."""
    os.mkfifo(tmp_path / "fifo")
    fifo = os.open(tmp_path / "fifo", os.O_RDWR)
    with subprocess.Popen(["sleep", "1000"], stdout=fifo) as process:
        os.close(fifo)
        yield process
        process.kill()


def stat_of(process: subprocess.Popen[bytes]) -> Stat:
    stat = read_stat(process.pid)
    assert stat is not None
    return stat


def inode(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def test_a_process_of_our_own_user_is_trusted(sleeper: subprocess.Popen[bytes]) -> None:
    """Also for a name that nobody has heard of."""
    ownership = Ownership(lambda program: frozenset())
    assert ownership.is_trusted(stat_of(sleeper), "site:web")
    ownership.register("site:web", WEB)
    assert ownership.is_trusted(stat_of(sleeper), "site:web")


def test_the_users_of_all_definitions_are_trusted() -> None:
    """The one in force when the run began, and the one in the configuration now."""
    ownership = Ownership(lambda program: frozenset())
    for user in ("daemon", "nobody", "there is no such user"):
        ownership.register("site:web", WEB._replace(user=user))
    theirs = {pwd.getpwnam(user).pw_uid for user in ("daemon", "nobody")}
    assert ownership.trust("site:web").uids == {os.getuid(), *theirs}
    assert ownership.trust("other").uids == {os.getuid()}


def test_another_user_needs_the_fifo_of_the_run(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    stat, nobody = stat_of(sleeper), frozenset[int]()
    ownership = Ownership(lambda program: frozenset({inode(tmp_path / "fifo")}))
    ownership.register("site:web", WEB)
    assert ownership.trust("site:web")._replace(uids=nobody).covers(stat)
    other = Ownership(lambda program: frozenset({inode(tmp_path)}))
    assert not other.trust("site:web")._replace(uids=nobody).covers(stat)


def test_a_placeholder_has_the_name_and_is_never_started() -> None:
    for name in ("web", "site:web"):
        assert placeholder(name).fullname == name
        assert not placeholder(name).autostart
