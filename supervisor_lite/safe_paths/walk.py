"""The way to a path, step by step, each from the directory before it (openat(2), O_PATH)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import deque
from collections.abc import Iterator

from supervisor_lite.safe_paths.known import KnownWay
from supervisor_lite.safe_paths.place import MAX_LINKS, Place
from supervisor_lite.safe_paths.rule import is_of_another_self, may_be_exchanged, mistrust

LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Walk:
    """The way to a path, one component after the other."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._theirs = False
        """A link was followed that root's next self has made: nothing is made there as root."""
        self._names = deque(name for name in path.split("/") if name not in ("", "."))
        self._own = len(self._names)
        """How many of the names left are of the path itself: those of a link come before them."""
        self._links = 0
        self._private = True
        self.is_ours_alone = True
        """As `Place.private`, and there is no group either that may exchange a directory."""
        self._entered: list[os.stat_result] = []
        self._kernel = path if path.startswith("/proc/") else ""
        self._fd = os.open("/" if path.startswith("/") else ".", LOOK | os.O_DIRECTORY)
        self._status = os.fstat(self._fd)
        self._judge()

    def _judge(self) -> None:
        """Note whether others may exchange what is in the directory that was entered."""
        self._entered.append(self._status)
        if may_be_exchanged(self._status, by_group=True):
            self.is_ours_alone = False
        if may_be_exchanged(self._status):
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

    def way(self, path: str) -> KnownWay:
        """Return the way to the directory that was entered, of this path, to be looked at again."""
        return KnownWay(path, self._entered, straight=not self._links)

    def _found(self) -> Place:
        if self._kernel:
            os.close(self._fd)
            return Place(self._path, None, self._kernel, None, private=True)
        name = self._names[0] if self._names else "."
        return Place(self._path, self._fd, name, self._status, private=self._private)

    def _look(self, name: str) -> int:
        """Return a descriptor (O_PATH) of what is there; -1 if nothing is."""
        try:
            return os.open(name, LOOK, dir_fd=self._fd)
        except FileNotFoundError:
            return -1

    def _step(self, make: int | None) -> bool:
        """Take one step, of a link to where it leads; tell whether a directory was made for it."""
        name = self._names.popleft()
        found, made = self._look(name), False
        if found < 0:
            # What a link leads to is not made: a disk is missing there, perhaps.
            if make is None or self._theirs or len(self._names) >= self._own:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, make if not self._names else 0o755, dir_fd=self._fd)
                made = True
            found = os.open(name, LOOK, dir_fd=self._fd)
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
        if self._links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if cause := mistrust(status, private=self._private):
            path = os.path.join(os.readlink(f"/proc/self/fd/{self._fd}"), name)
            raise OSError(errno.EPERM, f'the link "{path}" {cause}')
        self._theirs = self._theirs or is_of_another_self(status.st_uid)
        target = os.readlink("", dir_fd=link)
        if target.startswith("/proc/"):
            self._kernel = os.path.join(target, *self._names)
            return
        names = [part for part in target.split("/") if part not in ("", ".")]
        self._names.extendleft(reversed(names))
        if target.startswith("/"):
            self._move(os.open("/", LOOK | os.O_DIRECTORY), os.stat("/"))
