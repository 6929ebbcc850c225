"""A name in a directory that is held open, and what is done there."""

from __future__ import annotations

import contextlib
import errno
import os

from supervisor_lite.safe_paths.rule import is_closed, planted

SAFE = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MAX_LINKS = 40
"""Links on one way; as many as the kernel follows (path_resolution(7))."""


class Place:
    """A name in a directory that is held open. To be closed; a context manager does that."""

    __slots__ = ("_directory", "_fd", "name", "path", "private")

    def __init__(
        self,
        path: str,
        fd: int | None,
        name: str,
        directory: os.stat_result | None,
        *,
        private: bool,
    ) -> None:
        self.path = path
        """As it was asked for, for messages."""
        self._fd = fd
        """None: `name` is a whole path, in directories that nobody else can exchange."""
        self._directory = directory
        """None: the path is in /proc, and the kernel's to follow to its end."""
        self.name = name
        self.private = private
        """Nobody but root and us can exchange a directory on the way, or what we have put here."""

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd is not None:
            os.close(self._fd)

    @property
    def directory(self) -> os.stat_result | None:
        """The status of the directory; None if the path is the kernel's to follow."""
        return self._directory

    @property
    def fd(self) -> int | None:
        """The descriptor (O_PATH) of the directory, for functions that take a `dir_fd`."""
        return self._fd

    def by_kernel(self, name: str) -> str:
        """Return a path of a name for what takes no descriptor, such as bind(2)."""
        return name if self._fd is None else f"/proc/self/fd/{self._fd}/{name}"

    @property
    def directory_owner(self) -> tuple[int, int]:
        """Uid and gid of the directory."""
        status = self._directory or os.stat(os.path.dirname(self.name))
        return status.st_uid, status.st_gid

    def status(self, name: str = "") -> os.stat_result | None:
        """Return what is there, no link followed; None if nothing is. Raises OSError."""
        try:
            if self._directory is None:
                return os.stat(name or self.name)
            return os.stat(name or self.name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def unlink(self, name: str = "", *, missing_ok: bool = False) -> None:
        """Remove a file (unlink(2))."""
        try:
            os.unlink(name or self.name, dir_fd=self._fd)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rename(self, old: str, new: str) -> None:
        """Rename a file within the directory, over what is there (rename(2))."""
        os.rename(old, new, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def create(self, name: str, flags: int, mode: int) -> int:
        """Make and open a file; raises FileExistsError if something is there, even a link."""
        return os.open(name, flags | os.O_CREAT | os.O_EXCL | SAFE, mode, dir_fd=self._fd)

    def open(self, flags: int, mode: int = 0o644, *, name: str = "") -> int:
        """Open what is there, or make it if O_CREAT is given; never blocks. Raises OSError.

        Also where others have planted something (see above), and for a link.
        """
        name = name or self.name
        for _ in range(MAX_LINKS):
            with contextlib.suppress(FileNotFoundError):
                return self._open_existing(name, flags & ~os.O_CREAT)
            if not flags & os.O_CREAT:
                break
            with contextlib.suppress(FileExistsError):
                return self.create(name, flags, mode)
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)

    def _open_existing(self, name: str, flags: int) -> int:
        if self._directory is None:
            return os.open(name, flags | SAFE)
        fd = os.open(name, flags | SAFE | os.O_NOFOLLOW, dir_fd=self._fd)
        if is_closed(self._directory):
            return fd
        try:
            if cause := planted(os.fstat(fd), self._directory):
                raise OSError(cause[0], cause[1], self.path)
        except BaseException:
            os.close(fd)
            raise
        return fd
