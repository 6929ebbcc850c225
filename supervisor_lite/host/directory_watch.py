"""Know when something is removed from a directory, or the directory itself (inotify(7)).

A directory that is not there is waited for by the nearest one above it that is. Nothing is looked
at unless the kernel tells of a change; what is made or written in a directory that is there is not
told at all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection

from supervisor_lite.host import syscalls


class DirectoryWatch:
    """A watch on a few directories; one descriptor, and nothing if the user has too many."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_gone: Callable[[], None]) -> None:
        """`on_gone` is called when something that matters may be gone, or may be possible again."""
        self._loop = loop
        self._on_gone = on_gone
        self._fd = -1
        self._names: dict[int, set[str]] = {}
        """The names that matter, by watch."""

    def watch(self, directories: Collection[str], names: Collection[str]) -> None:
        """Watch these directories, as they are now, for the removal of these names in them."""
        self.close()
        try:
            self._fd = syscalls.open_inotify()
        except OSError:
            return  # too many: it is noticed at the next spawn, or when somebody asks
        for path in directories:
            self._add(path, names)
        self._loop.add_reader(self._fd, self._on_change)

    def _add(self, path: str, names: Collection[str]) -> None:
        awaited = ""
        while True:
            try:
                number = syscalls.watch_directory(self._fd, path, arrivals=bool(awaited))
            except OSError:
                if os.path.dirname(path) == path:
                    return
                path, awaited = os.path.split(path)
                continue
            self._names.setdefault(number, set()).update({awaited} if awaited else names)
            return

    def _on_change(self) -> None:
        gone = False
        for number, is_self, name in syscalls.read_directory_changes(self._fd):
            gone = gone or is_self or name in self._names.get(number, ())
        if gone:
            self._on_gone()

    def close(self) -> None:
        """Watch nothing any more."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
        self._fd = -1
        self._names.clear()
