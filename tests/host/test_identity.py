"""Which process is which, where /proc does not show it (hidepid= of proc(5))."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from supervisor_lite.host import identity
from supervisor_lite.host.identity import Identity, identify, open_same, pidfs_inode


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100000"]) as process:
        yield process
        process.kill()


def test_one_that_cannot_be_seen_is_known_by_its_inode(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that nobody may trace, under a daemon of a user: it is not started twice."""
    pidfd = os.pidfd_open(child.pid)
    if not pidfs_inode(pidfd):
        pytest.skip("a kernel without pidfs: nothing else tells who it is")
    seen = identify(child.pid, pidfd)
    with monkeypatch.context() as hidden:
        hidden.setattr(identity, "read_stat", lambda pid: None)
        unseen = identify(child.pid, pidfd)
        assert seen is not None
        assert unseen is not None
        assert (unseen.pid, unseen.inode) == (seen.pid, seen.inode)
        for known in (seen, unseen):
            again = open_same(known)
            assert again is not None
            os.close(again)
        assert open_same(seen._replace(inode=seen.inode + 1)) is None
        assert open_same(seen._replace(inode=0)) is None
    again = open_same(unseen)  # it may be seen later
    assert again is not None
    os.close(again)
    child.kill()
    child.wait()
    monkeypatch.setattr(identity, "read_stat", lambda pid: None)
    assert identify(child.pid, pidfd) is None
    assert open_same(Identity(*seen)) is None
    os.close(pidfd)
