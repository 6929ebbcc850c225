"""Sockets that are listened on: mode and owner, what is in the way, who connects."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite import sockets

OURS = (-1, -1)


def test_a_unix_socket_has_its_mode_and_replaces_a_stale_one(tmp_path: Path) -> None:
    """Under its own name from the first instant, and nothing is left beside it."""
    path = str(tmp_path / "x.sock")
    for mode in (0o600, 0o666):
        with sockets.bind_unix(path, mode, OURS, 8):
            assert stat.S_IMODE(os.stat(path).st_mode) == mode
            assert sockets.is_served(path)
            assert os.listdir(tmp_path) == ["x.sock"]
        assert not sockets.is_served(path)


def test_what_is_in_the_way_stays(tmp_path: Path) -> None:
    """A socket that somebody listens on, and whatever is no socket."""
    path = tmp_path / "x.sock"
    with (
        sockets.bind_unix(str(path), 0o600, OURS, 8),
        pytest.raises(OSError, match="somebody is listening there already"),
    ):
        sockets.bind_unix(str(path), 0o600, OURS, 8)
    path.unlink()
    path.write_text("precious")
    with pytest.raises(OSError, match="there is something else than a socket"):
        sockets.bind_unix(str(path), 0o600, OURS, 8)
    assert path.read_text() == "precious"


def test_a_socket_with_a_full_queue_is_served(tmp_path: Path) -> None:
    """Whoever has it open is busy; nobody waits to find that out."""
    path = str(tmp_path / "x.sock")
    with sockets.bind_unix(path, 0o600, OURS, 0), socket.socket(socket.AF_UNIX) as first:
        first.connect(path)
        assert sockets.is_served(path)
        assert sockets.is_served(path)


def test_only_our_own_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with sockets.bind_unix(str(path), 0o600, OURS, 8):
        inode = sockets.inode_of(str(path))
    assert inode is not None
    path.rename(tmp_path / "aside")
    path.write_text("of somebody else")
    sockets.unlink_same(str(path), inode)
    assert path.exists()
    sockets.unlink_same(str(tmp_path / "aside"), inode)
    assert sockets.inode_of(str(tmp_path / "aside")) is None


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Return a directory that other users can enter."""
    path = Path(tempfile.mkdtemp(dir="/tmp", prefix="sl-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
@pytest.mark.parametrize("exchanged", [False, True])
def test_a_socket_in_a_directory_of_another_user(
    reachable: Path, monkeypatch: pytest.MonkeyPatch, exchanged: bool
) -> None:
    """It has the address that was asked for; who leads us elsewhere has only their own rights."""
    theirs, precious = reachable / "theirs", reachable / "precious"
    precious.mkdir()
    for each in (theirs, theirs / "run"):
        each.mkdir()
        os.chown(each, 65534, 65534)
    path = str(theirs / "run" / "x.sock")
    bound = sockets._bound

    def exchange(address: str, mode: int) -> socket.socket:
        if exchanged:
            (theirs / "run").rename(theirs / "away")
            (theirs / "run").symlink_to(precious)
        return bound(address, mode)

    monkeypatch.setattr(sockets, "_bound", exchange)
    groups = os.getgroups()
    if exchanged:
        with pytest.raises(PermissionError):
            sockets.bound_unix(path, 0o660, (1234, 1234))
        os.chown(theirs / "run", 65534, 65534, follow_symlinks=False)
        with pytest.raises(PermissionError, match="belongs to uid 65534"):
            sockets.bind_unix(path, 0o660, OURS, 8)
    else:
        sock, _ = sockets.bound_unix(path, 0o660, (1234, 1234))
        with sock:
            assert sock.getsockname() == path
            status = os.stat(path)
            assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (1234, 0o660)
    assert os.listdir(precious) == []
    assert (os.geteuid(), os.getgroups()) == (0, groups)


def test_everywhere_is_both_families() -> None:
    with sockets.listen_everywhere(0, 8) as sock:
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", *(["::1"] if sock.family == socket.AF_INET6 else [])):
            socket.create_connection((host, port), timeout=5).close()


def test_a_port_that_is_taken_is_an_error() -> None:
    with (
        sockets.listen_tcp(socket.AF_INET, ("127.0.0.1", 0), 8) as sock,
        pytest.raises(OSError, match="Address already in use"),
    ):
        sockets.listen_tcp(socket.AF_INET, sock.getsockname(), 8)


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert sockets.peer_of(left) == (os.getpid(), os.geteuid(), os.getegid())
