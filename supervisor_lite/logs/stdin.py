"""A child's input, for `stdin = "pipe"`: a FIFO that outlives the daemon."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from supervisor_lite.errors import OperationFailed, SpawnError, SpawnErrorCode
from supervisor_lite.logs import fifo
from supervisor_lite.model.program import Program
from supervisor_lite.protocol.codes import ErrorCode


def open_stdin(runtime_dir: str, program: Program, uid: int, gid: int) -> int:
    """Return a descriptor of the FIFO that is the child's input, made if there is none.

    It is open for reading and writing, so the child never sees an end of file. Raises SpawnError.
    """
    fifo.make_directory(f"{runtime_dir}/{fifo.DIRECTORY}")
    path = fifo.fifo_path(runtime_dir, program, "stdin")
    fifo.make_fifo(path, uid, gid)
    try:
        return fifo.open_fifo(path, os.O_RDWR)
    except OSError as error:
        text = f'cannot open fifo "{path}": {error.strerror}'
        raise SpawnError(text, SpawnErrorCode.OUTPUT, path) from error


def open_fresh_stdin(runtime_dir: str, program: Program, uid: int, gid: int) -> int:
    """Return a descriptor of a new FIFO: what an earlier run has not read is gone with the old one.

    Raises SpawnError.
    """
    remove(runtime_dir, program)
    return open_stdin(runtime_dir, program, uid, gid)


def open_to_write(path: str) -> int:
    """Open the FIFO to write without waiting; raises OSError if nobody reads it."""
    return fifo.open_fifo(path, os.O_WRONLY | os.O_NONBLOCK)


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
    fifo.remove(fifo.fifo_path(runtime_dir, program, "stdin"))
