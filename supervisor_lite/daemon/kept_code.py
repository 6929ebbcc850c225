"""A copy of our own code in the state directory, for the version after us to go back to.

A package manager replaces the files in place: when a new version turns out to be no good, what has
run until then is on no disk any more. The copy is made once a version, when the daemon is ready.
"""

from __future__ import annotations

import contextlib
import os
from binascii import crc32

import supervisor_lite

_DIRECTORY = "code"

_NOT_NEEDED = ("ctl", "gateway", "migrate", "__pycache__")
"""Folders of the package that the daemon does not use."""


def keep(state_dir: str) -> str:
    """Have a copy of the code that runs; return the directory that holds it, "" if there is none.

    Copies of other versions are removed. Never raises: a disk that is full is no reason not to run.
    """
    package = os.path.realpath(os.path.dirname(supervisor_lite.__file__))
    base = os.path.realpath(os.path.join(state_dir, _DIRECTORY))
    if os.path.dirname(os.path.dirname(package)) == base:
        return os.path.dirname(package)  # gone back to: it is what runs
    try:
        files = sorted(_files(package))
        place = os.path.join(base, _name(package, files))
        if not os.path.isdir(place):
            _copy(package, files, f"{place}.new")
            os.rename(f"{place}.new", place)
    except OSError:
        return ""
    for name in os.listdir(base):
        if os.path.join(base, name) != place:
            _remove(os.path.join(base, name))
    return place


def _files(package: str) -> list[str]:
    """Return the modules that a daemon uses, relative to the package."""
    found = []
    for directory, folders, names in os.walk(package):
        inside = os.path.relpath(directory, package)
        folders[:] = [name for name in folders if inside != "." or name not in _NOT_NEEDED]
        found += [os.path.normpath(f"{inside}/{name}") for name in names if name.endswith(".py")]
    return found


def _name(package: str, files: list[str]) -> str:
    """Return a name for exactly these files."""
    number = crc32(package.encode())
    for file in files:
        status = os.stat(f"{package}/{file}")
        number = crc32(f"{file} {status.st_size} {status.st_mtime_ns}".encode(), number)
    return f"{supervisor_lite.__version__}-{number:08x}"


def _copy(package: str, files: list[str], place: str) -> None:
    _remove(place)
    try:
        for file in files:
            target = f"{place}/supervisor_lite/{file}"
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            with open(f"{package}/{file}", "rb") as source, open(target, "wb") as copy:
                copy.write(source.read())
    except OSError:
        _remove(place)
        raise


def _remove(place: str) -> None:
    """Remove a copy as far as possible. Not by shutil, which would stay in memory for ever."""
    with contextlib.suppress(OSError):
        for directory, _, names in os.walk(place, topdown=False):
            for name in names:
                os.unlink(f"{directory}/{name}")
            os.rmdir(directory)
