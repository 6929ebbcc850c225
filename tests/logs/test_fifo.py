from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from supervisor_lite.errors import SpawnError
from supervisor_lite.host import syscalls
from supervisor_lite.logs import fifo
from supervisor_lite.model.program import Program

ME = (os.geteuid(), os.getegid())
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


def test_a_fifo_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "web.stdout")
    old = os.umask(0)
    try:
        assert fifo.make_fifo(path, *ME)
    finally:
        os.umask(old)
    status = os.stat(path)
    assert stat.S_ISFIFO(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_an_existing_fifo_is_reused_with_what_it_holds(tmp_path: Path) -> None:
    """A daemon that starts after a crash reads what was written meanwhile."""
    path = str(tmp_path / "web.stdout")
    fifo.make_fifo(path, *ME)
    child = os.open(path, os.O_RDWR)
    os.write(child, b"last words\n")
    fifo.make_fifo(path, *ME)
    fd = fifo.open_for_reading(path)
    assert syscalls.bytes_in_pipe(fd) == 11
    assert os.read(fd, 100) == b"last words\n"
    os.close(fd)
    os.close(child)


def test_a_stale_file_of_ours_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "web.stdout"
    path.write_text("old")
    fifo.make_fifo(str(path), *ME)
    assert path.is_fifo()


def test_a_link_is_never_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    path = tmp_path / "web.stdout"
    path.symlink_to(target)
    with pytest.raises(SpawnError, match="something else is there"):
        fifo.make_fifo(str(path), *ME)
    with pytest.raises(SpawnError, match="cannot open fifo"):
        fifo.open_for_reading(str(path))
    assert target.read_text() == "precious"


def test_a_directory_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web.stdout").mkdir()
    with pytest.raises(SpawnError, match="something else is there"):
        fifo.make_fifo(str(tmp_path / "web.stdout"), *ME)


@ROOT_ONLY
def test_a_regular_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "web.stdout"
    path.write_text("foreign")
    os.chown(path, 65534, 65534)
    with pytest.raises(SpawnError):
        fifo.make_fifo(str(path), *ME)
    assert path.read_text() == "foreign"


@ROOT_ONLY
def test_the_fifo_belongs_to_the_programs_user(tmp_path: Path) -> None:
    """So that an unprivileged program can reopen /dev/stdout; also after `user=` has changed."""
    path = str(tmp_path / "web.stdout")
    for uid in (65534, 1234):
        assert fifo.make_fifo(path, uid, uid)
        assert os.stat(path).st_uid == uid


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    fifo.make_directory(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    fifo.make_directory(str(path))
    path.chmod(0o777)
    with pytest.raises(SpawnError, match="others may write"):
        fifo.make_directory(str(path))
    path.rmdir()
    path.symlink_to(tmp_path)
    with pytest.raises(SpawnError, match="not a directory"):
        fifo.make_directory(str(path))


def test_the_child_blocks_and_the_daemon_does_not(tmp_path: Path) -> None:
    path = str(tmp_path / "web.stdout")
    fifo.make_fifo(path, *ME)
    daemon, child = fifo.open_for_reading(path), os.open(path, os.O_RDWR)
    assert not os.get_blocking(daemon)
    assert os.get_blocking(child)
    assert not os.get_inheritable(daemon)
    assert not os.get_inheritable(child)
    os.close(child)
    with pytest.raises(BlockingIOError):  # and not an end of file
        os.read(daemon, 1)
    os.close(daemon)


def test_the_pipe_is_enlarged_where_allowed(tmp_path: Path) -> None:
    path = str(tmp_path / "web.stdout")
    fifo.make_fifo(path, *ME)
    fd = fifo.open_for_reading(path)
    if os.geteuid() == 0:
        assert syscalls.pipe_capacity(fd) == 1 << 20
    else:
        assert syscalls.pipe_capacity(fd) >= 4096
    os.close(fd)


@pytest.mark.parametrize("name", ["web", ".hidden", "a b", "ünï", "50%", "a/b", "x" * 300])
def test_any_process_name_makes_a_usable_file_name(tmp_path: Path, name: str) -> None:
    fifo.make_directory(str(tmp_path / "fifo"))
    program = Program(name=name, group="site", command=("x",))
    path = fifo.fifo_path(str(tmp_path), program, "stdout")
    fifo.make_fifo(path, *ME)
    assert os.path.dirname(path) == str(tmp_path / "fifo")


def test_names_that_differ_make_files_that_differ() -> None:
    names = ["web", "a/b", "a%2Fb", "x" * 300, "x" * 301]
    paths = {fifo.fifo_path("/r", Program(name=n, command=("x",)), "stdout") for n in names}
    assert len(paths) == len(names)
