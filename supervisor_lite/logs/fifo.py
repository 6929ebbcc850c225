"""Named FIFOs: the pipes between a child and the daemon that outlive the daemon.

Both sides open the FIFO for reading and writing. So the child never meets a closed pipe when the
daemon dies, the daemon never sees an end of file when the child does, and what was written stays
in the pipe as long as either of them lives.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host.syscalls import pipe_capacity, set_pipe_capacity
from supervisor_lite.model.constants import KIB, MIB
from supervisor_lite.model.program import Program

DIRECTORY: Final = "fifo"
MAX_NAME: Final = 240
"""Bytes. A file name may have 255, the ending included."""


def fifo_path(runtime_dir: str, program: Program, stream: str) -> str:
    """Return the path of the FIFO for "stdout" or "stderr" of a process."""
    name = f"{program.group or program.name}:{program.name}"
    name = name.replace("%", "%25").replace("/", "%2F")
    if len(name.encode()) > MAX_NAME:
        import hashlib  # it loads OpenSSL: 4 MB, for a name that hardly anybody has

        digest = hashlib.sha256(name.encode()).hexdigest()
        name = f"{name.encode()[:128].decode(errors='ignore')}-{digest}"
    return f"{runtime_dir}/{DIRECTORY}/{name}.{stream}"


def make_directory(path: str) -> None:
    """Make the directory of the FIFOs, for us alone; raises SpawnError if it is not safe."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        status = os.lstat(path)
        if not stat.S_ISDIR(status.st_mode):
            raise SpawnError(
                f'cannot use "{path}" for fifos: it is not a directory', SpawnErrorCode.OUTPUT, path
            ) from None
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise SpawnError(
                f'cannot use "{path}" for fifos: others may write to it',
                SpawnErrorCode.OUTPUT,
                path,
            ) from None
    except OSError as error:
        raise SpawnError(
            f'cannot make directory "{path}": {error.strerror}', SpawnErrorCode.OUTPUT, path
        ) from error


def make_fifo(path: str, uid: int, gid: int) -> bool:
    """Make a FIFO that belongs to `uid`, or take the one that is there, with what it holds.

    A stale file of ours is replaced; a link or somebody else's file is refused with SpawnError.
    Return False if the kernel does not let us give the FIFO away: capture works, but the program
    cannot reopen /dev/stdout.
    """
    try:
        status = _made(path, uid)
        if stat.S_IMODE(status.st_mode) != 0o600:
            os.chmod(path, 0o600)
        if status.st_uid != uid:
            os.chown(path, uid, gid, follow_symlinks=False)
    except PermissionError:
        return False
    except OSError as error:
        raise SpawnError(
            f'cannot make fifo "{path}": {error.strerror}', SpawnErrorCode.OUTPUT, path
        ) from error
    return True


def _made(path: str, uid: int) -> os.stat_result:
    """Make the FIFO unless there is one; return its status."""
    try:
        os.mkfifo(path, 0o600)
    except FileNotFoundError:
        make_directory(os.path.dirname(path))  # it has vanished
        os.mkfifo(path, 0o600)
    except FileExistsError:
        status = os.lstat(path)
        ours = status.st_uid == os.geteuid()
        if stat.S_ISFIFO(status.st_mode):
            # Root's directory is closed to others: a FIFO of another user is of an earlier `user=`.
            if ours or status.st_uid == uid or os.geteuid() == 0:
                return status
            raise _refused(path, f"it belongs to uid {status.st_uid}") from None
        if not (ours and stat.S_ISREG(status.st_mode)):
            raise _refused(path, "something else is there") from None
        os.unlink(path)
        os.mkfifo(path, 0o600)
    except OSError as error:
        raise SpawnError(
            f'cannot make fifo "{path}": {error.strerror}', SpawnErrorCode.OUTPUT, path
        ) from error
    return os.lstat(path)


def _refused(path: str, cause: str) -> SpawnError:
    return SpawnError(f'cannot make fifo "{path}": {cause}', SpawnErrorCode.OUTPUT, path)


def open_for_reading(path: str) -> int:
    """Open the daemon's own description: it never blocks and never reports a hang-up."""
    flags = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except OSError as error:
        raise SpawnError(
            f'cannot open fifo "{path}": {error.strerror}', SpawnErrorCode.OUTPUT, path
        ) from error
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise _refused(path, "something else is there")
    enlarge(fd)
    return fd


def enlarge(fd: int) -> None:
    """Let the pipe hold more, so that a program can go on for a while without a daemon.

    1 MiB for root. All pipes of an ordinary user share 64 MiB, beyond which the kernel makes every
    new one tiny, so there it is 256 KiB. A refusal is no fault: the pipe stays as it is.
    """
    for size in (MIB, 256 * KIB) if os.geteuid() == 0 else (256 * KIB,):
        if pipe_capacity(fd) >= size:
            return
        try:
            set_pipe_capacity(fd, size)
        except OSError:
            continue


def stored_name(fd: int) -> str:
    """Return a name for a FIFO that systemd's store takes: short and without a colon."""
    return f"fifo-{os.fstat(fd).st_ino}"
