"""Named FIFOs: the pipes between a child and the daemon that outlive the daemon.

Both sides open the FIFO for reading and writing. So the child never meets a closed pipe when the
daemon dies, the daemon never sees an end of file when the child does, and what was written stays
in the pipe as long as either of them lives.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Final

from supervisor_lite import safe_paths
from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host.syscalls import pipe_capacity, set_pipe_capacity
from supervisor_lite.model.constants import KIB, MIB
from supervisor_lite.model.program import Program
from supervisor_lite.safe_paths import Place

DIRECTORY: Final = "fifo"
_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
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
        with safe_paths.at(path) as place:
            status = place.status()
            if status is None:
                os.mkdir(place.name, 0o700, dir_fd=place.fd)
                return
    except OSError as error:
        raise SpawnError(
            f'cannot make directory "{path}": {error.strerror}', SpawnErrorCode.OUTPUT, path
        ) from error
    if cause := _unsafe(status):
        text = f'cannot use "{path}" for fifos: {cause}'
        raise SpawnError(text, SpawnErrorCode.OUTPUT, path)


def _unsafe(directory: os.stat_result) -> str:
    """Return why FIFOs must not be in a directory, or rather in what may be one."""
    if not stat.S_ISDIR(directory.st_mode):
        return "it is not a directory"
    if directory.st_uid != os.geteuid() or directory.st_mode & 0o022:
        return "others may write to it"
    return ""


def make_fifo(path: str, uid: int, gid: int) -> bool:
    """Make a FIFO that belongs to `uid`, or take the one that is there, with what it holds.

    A stale file of ours is replaced; a link or somebody else's file is refused with SpawnError.
    Return False if the kernel does not let us give the FIFO away: capture works, but the program
    cannot reopen /dev/stdout.
    """
    try:
        with _place(path) as place:
            made = os.open(_made(place, uid), _LOOK, dir_fd=place.fd)
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error
    try:
        status = os.fstat(made)
        if not stat.S_ISFIFO(status.st_mode):
            raise _refused(path, "something else is there")
        if stat.S_IMODE(status.st_mode) != 0o600:
            os.chmod(f"/proc/self/fd/{made}", 0o600)
        if status.st_uid != uid:
            os.chown(f"/proc/self/fd/{made}", uid, gid)
    except PermissionError:
        return False
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error
    finally:
        os.close(made)
    return True


def _place(path: str) -> Place:
    """Return the place of a FIFO, in its directory, which is made if it has vanished."""
    try:
        place = safe_paths.at(path)
    except FileNotFoundError:
        make_directory(os.path.dirname(path))
        place = safe_paths.at(path)
    if place.directory is not None and (cause := _unsafe(place.directory)):
        with place:
            raise _refused(path, cause)
    return place


def _made(place: Place, uid: int) -> str:
    """Make the FIFO unless there is one; return its name."""
    try:
        os.mkfifo(place.name, 0o600, dir_fd=place.fd)
    except FileExistsError:
        status = place.status()
        assert status is not None
        ours = status.st_uid == os.geteuid()
        if stat.S_ISFIFO(status.st_mode):
            # Root's directory is closed to others: a FIFO of another user is of an earlier `user=`.
            if ours or status.st_uid == uid or os.geteuid() == 0:
                return place.name
            raise _refused(place.path, f"it belongs to uid {status.st_uid}") from None
        if not (ours and stat.S_ISREG(status.st_mode)):
            raise _refused(place.path, "something else is there") from None
        place.unlink()
        os.mkfifo(place.name, 0o600, dir_fd=place.fd)
    return place.name


def _refused(path: str, cause: str) -> SpawnError:
    return SpawnError(f'cannot make fifo "{path}": {cause}', SpawnErrorCode.OUTPUT, path)


def open_for_reading(path: str) -> int:
    """Open the daemon's own description: it never blocks and never reports a hang-up."""
    try:
        fd = open_fifo(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise SpawnError(
            f'cannot open fifo "{path}": {error.strerror}', SpawnErrorCode.OUTPUT, path
        ) from error
    enlarge(fd)
    return fd


def open_fifo(path: str, flags: int) -> int:
    """Open a FIFO, and nothing else. Raises OSError."""
    with safe_paths.at(path) as place:
        fd = os.open(place.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.fd)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "something else is there", path)
    return fd


def remove(path: str) -> None:
    """Remove a FIFO, if there is one. Raises OSError."""
    with contextlib.suppress(FileNotFoundError), safe_paths.at(path) as place:
        place.unlink()


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
