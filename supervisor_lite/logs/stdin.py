"""A child's input, for `stdin = "pipe"`: a FIFO that outlives the daemon."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from supervisor_lite.errors import OperationFailed
from supervisor_lite.logs import fifo
from supervisor_lite.model.program import Program
from supervisor_lite.protocol.codes import ErrorCode


def stdin_path(runtime_dir: str, program: Program, uid: int, gid: int) -> str:
    """Return the path of the FIFO that the child reads, made if there is none.

    The child opens it for reading and writing, so it never sees an end of file. Raises SpawnError.
    """
    fifo.make_directory(f"{runtime_dir}/{fifo.DIRECTORY}")
    path = fifo.fifo_path(runtime_dir, program, "stdin")
    fifo.make_fifo(path, uid, gid)
    return path


def fresh_path(runtime_dir: str, program: Program, uid: int, gid: int) -> str:
    """Return the path of a new FIFO: what an earlier run has not read is gone with the old one.

    Raises SpawnError.
    """
    remove(runtime_dir, program)
    return stdin_path(runtime_dir, program, uid, gid)


def open_to_write(path: str) -> int:
    """Open the FIFO to write without waiting; raises OSError if nobody reads it."""
    return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)


def send(open_fifo: Callable[[], int], data: bytes) -> int:
    """Write to the FIFO without waiting; return how many bytes were taken.

    `open_fifo` raises OSError. Raises OperationFailed if there is no FIFO, or it is full because
    the child does not read.
    """
    try:
        fd = open_fifo()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO):
            text = 'it reads no input: set stdin = "pipe"'
            raise OperationFailed(text, ErrorCode.NO_INPUT) from error
        text = f"cannot open its input: {error.strerror}"
        raise OperationFailed(text, ErrorCode.IO_ERROR) from error
    try:
        return os.write(fd, data)
    except BlockingIOError:
        text = "it does not read its input: the pipe is full"
        raise OperationFailed(text, ErrorCode.INPUT_FULL) from None
    finally:
        os.close(fd)


def remove(runtime_dir: str, program: Program) -> None:
    """Remove the FIFO, if there is one: the process is no more."""
    try:
        os.unlink(fifo.fifo_path(runtime_dir, program, "stdin"))
    except FileNotFoundError:
        return
