"""Files by descriptors of their directories, so that nobody can lead us somewhere else.

A log, a socket or a pid file may lie in a directory that another user owns: a program's user, for
whom we are root. Whoever may rename what is in a directory on the way can put a link, or another
directory, in its place at any moment, also between two of our system calls. So a path is walked
step by step (openat(2), O_PATH), and what is done at its end is done in the directory that was
found (renameat(2), unlinkat(2), mkdirat(2)).

One rule says what counts on the way, and it asks who may have made it:

- A directory may be anybody's. Nothing there is ours but what we make.
- A symbolic link is followed if root or we have made it, it has no second name, and nobody else
  could have moved it there: every directory that was walked through belongs to root or to us, and
  is not writable by everybody, or is sticky (inode(7)), like /tmp.
- A file is used if only root and we may put files into its directory. In any other directory it
  has to have one name and to belong to root, to us, or to the owner of the directory (where a group
  may write: to that group); what is no regular file, such as a FIFO, has to be root's or ours.

Links in /proc are the kernel's and lead to what has no path: such a path is the kernel's to follow.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat
import time
from collections import deque
from collections.abc import Iterator

_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_SAFE = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAX_LINKS = 40
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

    @property
    def by_kernel(self) -> str:
        """A path for what takes no descriptor, such as bind(2)."""
        return self.name if self._fd is None else f"/proc/self/fd/{self._fd}/{self.name}"

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
        return os.open(name, flags | os.O_CREAT | os.O_EXCL | _SAFE, mode, dir_fd=self._fd)

    def open(self, flags: int, mode: int = 0o644, *, name: str = "") -> int:
        """Open what is there, or make it if O_CREAT is given; never blocks. Raises OSError.

        Also where others have planted something (see above), and for a link.
        """
        name = name or self.name
        for _ in range(_MAX_LINKS):
            with contextlib.suppress(FileNotFoundError):
                return self._open_existing(name, flags & ~os.O_CREAT)
            if not flags & os.O_CREAT:
                break
            with contextlib.suppress(FileExistsError):
                return self.create(name, flags, mode)
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)

    def _open_existing(self, name: str, flags: int) -> int:
        if self._directory is None:
            return os.open(name, flags | _SAFE)
        fd = os.open(name, flags | _SAFE | os.O_NOFOLLOW, dir_fd=self._fd)
        if _is_closed(self._directory):
            return fd
        try:
            if cause := _planted(os.fstat(fd), self._directory):
                raise OSError(cause[0], cause[1], self.path)
        except BaseException:
            os.close(fd)
            raise
        return fd


def _is_closed(directory: os.stat_result) -> bool:
    """Tell whether only root and we may put files into a directory."""
    return _is_trusted(directory.st_uid) and not directory.st_mode & 0o022


def _planted(file: os.stat_result, directory: os.stat_result) -> tuple[int, str] | None:
    """Return errno and why a file is not to be used that others may have put there."""
    by_group = bool(directory.st_mode & stat.S_IWGRP)
    others = "and others may write to its directory"
    ours = _is_trusted(file.st_uid)
    if not stat.S_ISREG(file.st_mode):
        return None if ours else (errno.EPERM, f"it is no file, of uid {file.st_uid}, {others}")
    if file.st_nlink > 1:
        return errno.EMLINK, f"it has a second name (a hard link), {others}"
    if ours or file.st_uid == directory.st_uid or (by_group and file.st_gid == directory.st_gid):
        return None
    return errno.EPERM, f"it belongs to uid {file.st_uid}, {others}"


def _is_trusted(uid: int) -> bool:
    return uid in (0, os.geteuid(), _owner_of_all())


@functools.cache
def _owner_of_all() -> int:
    """Return whose the root directory is: root's, but in a user namespace without root (nobody)."""
    return os.stat("/").st_uid


_known: dict[str, tuple[float, os.stat_result]] = {}
"""Directories to which the whole way is private, with the time at which that was seen."""
_KNOWN_FOR = 0.1
"""Seconds for which that is believed: a thousand programs are started with one look."""


def at(path: str, *, also: int = -1) -> Place:
    """Return the place of a path, its last component not looked at. Raises OSError.

    Links of the user `also` count as well: the one that the daemon is about to become.
    """
    directory, _, name = path.rpartition("/")
    known = _known.get(directory)
    if known is not None and known[0] > time.monotonic() and name not in ("", ".", ".."):
        return Place(path, None, path, known[1], private=True)
    place = _Walk(path, also).place()
    if place.private and place.directory is not None and also == -1 and directory.startswith("/"):
        if len(_known) > _MAX_LINKS:
            _known.clear()
        _known[directory] = time.monotonic() + _KNOWN_FOR, place.directory
    return place


def locate(path: str, *, also: int = -1) -> Place:
    """Return the place that a path leads to, links at its end followed. Raises OSError."""
    return _Walk(path, also).destination()


def open_file(path: str, flags: int, mode: int = 0o644) -> int:
    """Open a file like open(2), but nothing that others have planted. Raises OSError."""
    with at(path) as place:
        try:
            return place.open(flags, mode)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
    with locate(path) as place:  # a link, perhaps one of those that count
        return place.open(flags, mode)


def file_status(path: str) -> os.stat_result | None:
    """Return what a path leads to; None if nothing is there. Raises OSError."""
    with at(path) as place:
        status = place.status()
    if status is None or not stat.S_ISLNK(status.st_mode):
        return status
    with locate(path) as place:
        return place.status()


def open_directory(path: str, *, make: int | None = None, also: int = -1) -> tuple[int, bool]:
    """Return a descriptor of a directory, and whether it was made just now. Raises OSError.

    With `make`, a mode, it is made if it is missing, and what is missing above it.
    """
    walk = _Walk(path, also)
    made = walk.enter(make)
    with walk.here() as place:
        return os.open(place.name, os.O_RDONLY | os.O_DIRECTORY | _SAFE, dir_fd=place.fd), made


def make_directories(path: str) -> bool:
    """Make a directory and what is missing above it; tell whether it was not there. OSError."""
    fd, made = open_directory(path, make=0o755)
    os.close(fd)
    return made


class _Walk:
    """The way to a path, one component after the other."""

    def __init__(self, path: str, also: int) -> None:
        self._path = path
        self._also = also
        self._names = deque(name for name in path.split("/") if name not in ("", "."))
        self._own = len(self._names)
        """How many of the names left are of the path itself: those of a link come before them."""
        self._links = 0
        self._private = True
        self._kernel = path if path.startswith("/proc/") else ""
        self._fd = os.open("/" if path.startswith("/") else ".", _LOOK | os.O_DIRECTORY)
        self._status = os.fstat(self._fd)
        self._judge()

    def _judge(self) -> None:
        """Note whether others may exchange what is in the directory that was entered."""
        mode, uid = self._status.st_mode, self._status.st_uid
        anybody = mode & stat.S_IWOTH and not mode & stat.S_ISVTX
        if anybody or not (_is_trusted(uid) or uid == self._also):
            self._private = False

    @contextlib.contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            os.close(self._fd)
            if isinstance(error, OSError):
                error.filename = self._path
            raise

    def place(self) -> Place:
        """See `at`."""
        with self._closing():
            while len(self._names) > 1 and not self._kernel:
                self._step(None)
            return self._found()

    def destination(self) -> Place:
        """See `locate`."""
        with self._closing():
            while self._names and not self._kernel:
                if len(self._names) == 1:
                    found = self._look(self._names[0])
                    if found < 0:
                        break
                    link = stat.S_ISLNK(os.fstat(found).st_mode)
                    os.close(found)
                    if not link:
                        break
                self._step(None)
            return self._found()

    def enter(self, make: int | None) -> bool:
        """Go into the directory itself; tell whether it was made."""
        made = False
        with self._closing():
            while self._names and not self._kernel:
                made = self._step(make)
        return made

    def here(self) -> Place:
        """Return the directory that was entered."""
        with self._closing():
            return self._found()

    def _found(self) -> Place:
        if self._kernel:
            os.close(self._fd)
            return Place(self._path, None, self._kernel, None, private=True)
        name = self._names[0] if self._names else "."
        return Place(self._path, self._fd, name, self._status, private=self._private)

    def _look(self, name: str) -> int:
        """Return a descriptor (O_PATH) of what is there; -1 if nothing is."""
        try:
            return os.open(name, _LOOK, dir_fd=self._fd)
        except FileNotFoundError:
            return -1

    def _step(self, make: int | None) -> bool:
        """Take one step, of a link to where it leads; tell whether a directory was made for it."""
        name = self._names.popleft()
        found, made = self._look(name), False
        if found < 0:
            # What a link leads to is not made: a disk is missing there, perhaps.
            if make is None or len(self._names) >= self._own:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, make if not self._names else 0o755, dir_fd=self._fd)
                made = True
            found = os.open(name, _LOOK, dir_fd=self._fd)
        self._own = min(self._own, len(self._names))
        try:
            status = os.fstat(found)
            if stat.S_ISDIR(status.st_mode):
                found, fd = -1, found
                self._move(fd, status)
                return made
            if not stat.S_ISLNK(status.st_mode):
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._follow(found, status, name)
        finally:
            if found >= 0:
                os.close(found)
        return made

    def _move(self, fd: int, status: os.stat_result) -> None:
        os.close(self._fd)
        self._fd, self._status = fd, status
        self._judge()

    def _follow(self, link: int, status: os.stat_result, name: str) -> None:
        """Go on where a link leads to that is called `name`, if it is one to follow."""
        self._links += 1
        if self._links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if cause := self._mistrust(status):
            path = os.path.join(os.readlink(f"/proc/self/fd/{self._fd}"), name)
            raise OSError(errno.EPERM, f'the link "{path}" {cause}')
        target = os.readlink("", dir_fd=link)
        if target.startswith("/proc/"):
            self._kernel = os.path.join(target, *self._names)
            return
        names = [part for part in target.split("/") if part not in ("", ".")]
        self._names.extendleft(reversed(names))
        if target.startswith("/"):
            self._move(os.open("/", _LOOK | os.O_DIRECTORY), os.stat("/"))

    def _mistrust(self, link: os.stat_result) -> str:
        """Return why a link is not followed, empty if it is."""
        if not _is_trusted(link.st_uid) and link.st_uid != self._also:
            return f"belongs to uid {link.st_uid}"
        if not self._private:
            return "lies where others than root and the daemon may have moved it"
        return "has a second name (a hard link)" if link.st_nlink > 1 else ""
