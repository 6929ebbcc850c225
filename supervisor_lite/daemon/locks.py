"""The locks on the runtime and state directories: one daemon at a time.

Each is a file that a hand or a cleaner can delete, so the state directory itself is locked as well
(flock(2)): a second daemon is refused as long as that is the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator

from supervisor_lite import safe_paths
from supervisor_lite.errors import AlreadyRunning, StartupError
from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.protocol.directories import read_owner
from supervisor_lite.sockets import inode_of

LOCK = "supervisor.lock"


class Locks:
    """What is locked, and by which descriptors."""

    def __init__(self, settings: DaemonSettings, inherited: list[int]) -> None:
        """Acquire the locks, but for those that an upgrade has left to us: they are held already.

        Raises AlreadyRunning or StartupError.
        """
        directories = dict.fromkeys((settings.runtime_dir, settings.state_dir))
        self._paths = [f"{directory}/{LOCK}" for directory in directories]
        self._state_dir = settings.state_dir
        self.fds = inherited
        upgraded = bool(inherited)
        for path in self._wanted()[len(inherited) :]:
            try:
                self.fds.append(self._acquire(path))
            except (AlreadyRunning, StartupError):
                if upgraded:
                    return  # those of an older version are enough
                self.release()
                raise

    def _wanted(self) -> list[str]:
        """Return what is to be locked, in the order of the descriptors."""
        return [*self._paths, self._state_dir]

    def _acquire(self, path: str) -> int:
        try:
            fd = self._open(path)
        except OSError as error:
            raise StartupError(f'cannot open the lock "{path}": {error.strerror}') from error
        status = os.fstat(fd)
        if path != self._state_dir and (not stat.S_ISREG(status.st_mode) or status.st_nlink != 1):
            os.close(fd)  # our pid would be written over what it is
            raise StartupError(f'cannot use the lock "{path}": it is no file of its own')
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _pid_in(fd)
            os.close(fd)
            raise AlreadyRunning(self._taken(path, pid)) from None
        return fd

    def _open(self, path: str) -> int:
        """Open what is to be locked; raises OSError, also for a link in its place."""
        if path == self._state_dir:
            return safe_paths.open_directory(path)[0]
        with safe_paths.at(path) as place:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            return os.open(place.name, flags, 0o600, dir_fd=place.fd)

    def _taken(self, path: str, pid: str) -> str:
        """Say who is there already, and how to get at them."""
        note = read_owner(self._state_dir)
        pid = pid or str(note.get("pid") or "")
        text = f"another supervisor-lite is running here: {f'pid {pid}' if pid else 'somebody'}"
        text += f' holds "{path}"'
        socket, config = note.get("socket"), note.get("configuration")
        if config:
            text += f', with the configuration "{config}"'
        if socket and os.path.exists(str(socket)):
            text += f'; its control socket is "{socket}"'
        elif socket:
            text += f'; its control socket "{socket}" is gone: kill -HUP {pid} makes it anew'
        return text

    def write_pid(self) -> None:
        """Write into the locks who holds them, as far as there is room."""
        for fd in self.fds:
            with contextlib.suppress(OSError):  # the directory, or a disk that is full
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def restore(self) -> Iterator[str]:
        """Lock again what is not there any more, or is another file now; yield the paths.

        Raises AlreadyRunning if somebody else has locked it, StartupError.
        """
        for index, path in enumerate(self._wanted()):
            if index == len(self.fds):
                self.fds.append(self._acquire(path))
            status = os.fstat(self.fds[index])
            if _followed(path, self._state_dir) != (status.st_dev, status.st_ino):
                fresh = self._acquire(path)
                os.close(self.fds[index])
                self.fds[index] = fresh
                self.write_pid()
                if path != self._state_dir:
                    yield path

    def release(self) -> None:
        """Let another daemon have them."""
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


def _followed(path: str, directory: str) -> tuple[int, int] | None:
    """Return device and inode of a lock; the directory may be named by a link."""
    return inode_of(os.path.realpath(path) if path == directory else path)


def _pid_in(fd: int) -> str:
    """Return the pid that a lock holds; empty if it holds none."""
    with contextlib.suppress(OSError):  # a directory
        pid = os.read(fd, 32).strip()
        return pid.decode() if pid.isdigit() else ""
    return ""
