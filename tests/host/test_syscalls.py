"""The thin wrappers of system calls: each does what its man page says, or raises."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor_lite.host import syscalls


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "100000"]) as process:
        yield process
        process.kill()


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 5)[0])


def test_ctypes_is_loaded_by_the_first_call_only() -> None:
    """It is not needed to import the daemon."""
    code = (
        "import sys; from supervisor_lite.host import syscalls; import supervisor_lite.host.spawn;"
        "assert 'ctypes' not in sys.modules; syscalls.load(); assert 'ctypes' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_tee_leaves_what_it_copies() -> None:
    first, second = os.pipe2(os.O_NONBLOCK), os.pipe2(os.O_NONBLOCK)
    assert syscalls.tee(first[0], second[1], 100) == 0, "there is nothing"
    os.write(first[1], b"hello")
    assert syscalls.tee(first[0], second[1], 3) == 3
    assert os.read(second[0], 100) == b"hel"
    assert syscalls.bytes_in_pipe(first[0]) == 5
    with pytest.raises(OSError, match="Invalid argument"):
        syscalls.tee(first[0], first[1], 3)
    for fd in (*first, *second):
        os.close(fd)


def test_the_capacity_of_a_pipe() -> None:
    reader, writer = os.pipe()
    syscalls.set_pipe_capacity(reader, 8192)
    assert syscalls.pipe_capacity(writer) == 8192
    os.close(reader)
    os.close(writer)


def test_a_blocked_signal_makes_a_descriptor_readable() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGURG,))
    fd = syscalls.open_signalfd((signal.SIGURG,))
    try:
        for _ in range(3):
            signal.raise_signal(signal.SIGURG)  # to this thread: others do not block it
        assert readable(fd)
        syscalls.read_signalfd(fd)
        with pytest.raises(BlockingIOError):
            syscalls.read_signalfd(fd)
    finally:
        os.close(fd)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_inotify_tells_which_file_has_changed(tmp_path: Path) -> None:
    """Until the watch is ended."""
    files = [tmp_path / "a", tmp_path / "b"]
    fd = syscalls.open_inotify()
    try:
        for path in files:
            path.write_text("")
        first, second = (syscalls.watch_modification(fd, str(path)) for path in files)
        assert list(syscalls.read_modified(fd)) == []
        files[1].write_text("x")
        assert readable(fd)
        assert set(syscalls.read_modified(fd)) == {second}
        syscalls.end_watch(fd, second)
        list(syscalls.read_modified(fd))  # it says that it is gone
        files[1].write_text("y")
        files[0].write_text("y")
        assert readable(fd)
        assert set(syscalls.read_modified(fd)) == {first}
        with pytest.raises(FileNotFoundError):
            syscalls.watch_modification(fd, str(tmp_path / "c"))
    finally:
        os.close(fd)


def test_a_descriptor_of_another_process_can_be_copied(child: subprocess.Popen[bytes]) -> None:
    """If we may trace it; a number that it does not have is an error."""
    pidfd = os.pidfd_open(child.pid)
    try:
        copy = syscalls.copy_descriptor(pidfd, 0)
        assert os.fstat(copy).st_ino == os.stat(f"/proc/{child.pid}/fd/0").st_ino
        os.close(copy)
        with pytest.raises(OSError, match="Bad file descriptor"):
            syscalls.copy_descriptor(pidfd, 1000)
    finally:
        os.close(pidfd)


def test_how_a_process_ended_is_known_when_it_is_reaped(child: subprocess.Popen[bytes]) -> None:
    """Where the kernel has it, Linux >= 6.15."""
    pidfd = os.pidfd_open(child.pid)
    try:
        assert syscalls.wait_status_of_other(pidfd) is None
        child.kill()
        child.wait()
        assert syscalls.wait_status_of_other(pidfd) in (signal.SIGKILL, None)
    finally:
        os.close(pidfd)


def test_a_fork_into_what_is_no_cgroup_fails(tmp_path: Path) -> None:
    """In the parent, and before there is a child."""
    with pytest.raises(OSError) as raised:
        syscalls.fork_into_cgroup(str(tmp_path))
    assert raised.value.errno in (errno.EBADF, errno.EINVAL, errno.ENOSYS)
    assert raised.value.filename == str(tmp_path)


def test_no_new_privileges_is_for_good() -> None:
    code = (
        "from supervisor_lite.host import syscalls; syscalls.set_no_new_privileges();"
        "print(open('/proc/self/status').read())"
    )
    status = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "NoNewPrivs:\t1" in status


def test_the_groups_of_a_peer_are_ours() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert set(syscalls.peer_groups(left)) == set(os.getgroups())


def test_the_numbers_are_those_of_the_headers() -> None:
    """struct pidfd_info has 64 bytes, of which the request says how many it expects."""
    assert struct.calcsize(syscalls._PIDFD_INFO.format) == (syscalls._PIDFD_GET_INFO >> 16) & 0x3FFF
