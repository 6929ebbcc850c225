"""A copy of our own code in the state directory: of the version that runs, whatever the disk says.

A package manager replaces the files in place. When a new version turns out to be no good, what has
run until then is on no disk any more; and what we load only when somebody asks for it would be of
another version than all the rest. So the copy is what is gone back to (going_back.py), and what
modules are loaded from as soon as it is there.

It is made once a version, a few files at a time with pauses between them: neither the start nor a
program waits for it. To make hundreds of files takes as long as to start a hundred programs. What
is to be copied is noted before, a moment after the daemon is ready: a file that has been replaced
since is noticed, and then there is no copy. There is none either where others may write on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import sys
from binascii import crc32
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import supervisor_lite
from supervisor_lite import safe_paths

_DIRECTORY = "code"

_NOT_NEEDED = ("ctl", "gateway", "migrate", "__pycache__")
"""Folders of the package that the daemon does not use."""

_DELAY = 0.25
"""Seconds after the start: short, since until then changed files would be taken for ours."""

_WAIT = 0.4
"""Seconds after that until the first file is copied: a hundred programs have started then."""

_PAUSE = 0.03
"""Seconds between one part of the copy and the next."""

_FILES_AT_A_TIME = 8

_Stamp: TypeAlias = tuple[int, int]
"""Size and time of a file."""


class KeptCode:
    """Makes the copy, and has it used."""

    def __init__(self, loop: asyncio.AbstractEventLoop, state_dir: str) -> None:
        self._loop = loop
        self._steps = _keep(state_dir)
        self._place = ""
        self._pause = 0.0

    def begin(self) -> None:
        """Have a copy soon, as long as the files on disk are surely ours."""
        self._loop.call_later(_DELAY, self._go_on)

    def _go_on(self) -> None:
        if self.step():
            self._loop.call_later(self._pause, self._go_on)

    def step(self) -> bool:
        """Do a part of it; tell whether there is more to do."""
        for place, pause in self._steps:
            self._place, self._pause = place, pause
            return True
        return False

    def finish(self) -> str:
        """Do the rest; return the directory that holds the copy, "" if there is none."""
        while self.step():
            pass
        return self._place


def _keep(state_dir: str) -> Iterator[tuple[str, float]]:
    """Have a copy of the code that runs, in steps.

    Yield the directory that holds it, once it does, and the seconds until the next step. Copies of
    other versions are removed. Never raises: a disk that is full is no reason not to run.
    """
    package = os.path.realpath(os.path.dirname(supervisor_lite.__file__))
    base = os.path.realpath(os.path.join(state_dir, _DIRECTORY))
    if os.path.dirname(os.path.dirname(package)) == base:
        yield os.path.dirname(package), 0.0  # gone back to: it is what runs
        return
    with contextlib.suppress(OSError):
        safe_paths.make_directories(base, 0o700)
        if not safe_paths.is_ours_alone(base):
            return  # others could have us run what they like
        files: dict[str, _Stamp] = {}
        for names in _folders(package):
            files.update((name, _stamp(os.stat(f"{package}/{name}"))) for name in names)
            yield "", 0.0
        place = os.path.join(base, _name(package, files))
        if not os.path.isdir(place):
            yield "", _WAIT
            for _ in _copy(package, files, f"{place}.new"):
                yield "", _PAUSE
            os.rename(f"{place}.new", place)
        _load_from(place)
        yield place, _PAUSE
        for name in os.listdir(base):
            if os.path.join(base, name) != place:
                for _ in _remove(os.path.join(base, name)):
                    yield place, _PAUSE


def _folders(package: str) -> Iterator[list[str]]:
    """Yield the modules that a daemon uses, relative to the package, one folder after another."""
    for directory, folders, names in os.walk(package):
        inside = os.path.relpath(directory, package)
        folders[:] = sorted(name for name in folders if inside != "." or name not in _NOT_NEEDED)
        yield [
            os.path.normpath(f"{inside}/{name}") for name in sorted(names) if name.endswith(".py")
        ]


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_size, status.st_mtime_ns


def _name(package: str, files: Mapping[str, _Stamp]) -> str:
    """Return a name for exactly these files."""
    number = crc32(package.encode())
    for file, (size, time) in files.items():
        number = crc32(f"{file} {size} {time}".encode(), number)
    return f"{supervisor_lite.__version__}-{number:08x}"


def _copy(package: str, files: Mapping[str, _Stamp], place: str) -> Iterator[None]:
    """Copy the files, a few between one `yield` and the next. Raises OSError, with nothing left."""
    yield from _remove(place)
    made: set[str] = set()
    try:
        for count, (file, stamp) in enumerate(files.items(), 1):
            target = f"{place}/supervisor_lite/{file}"
            folder = os.path.dirname(target)
            if folder not in made:
                os.makedirs(folder, mode=0o700, exist_ok=True)
                made.add(folder)
            with open(f"{package}/{file}", "rb", buffering=0) as source, open(target, "wb") as copy:
                copy.write(source.read())
                if _stamp(os.fstat(source.fileno())) != stamp:
                    raise OSError(errno.ESTALE, "changed meanwhile")
            if count % _FILES_AT_A_TIME == 0:
                yield
    except OSError:
        for _ in _remove(place):
            pass
        raise


def _load_from(place: str) -> None:
    """Load modules from the copy from now on; from the package if somebody removes the copy."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == supervisor_lite.__name__ and hasattr(module, "__path__"):
            module.__path__ = [f"{place}/{name.replace('.', '/')}", *module.__path__]


def _remove(place: str) -> Iterator[None]:
    """Remove a copy as far as possible. Not by shutil, which would stay in memory for ever."""
    with contextlib.suppress(OSError):
        for directory, _, names in os.walk(place, topdown=False):
            for name in names:
                os.unlink(f"{directory}/{name}")
            os.rmdir(directory)
            yield
