"""A way to a directory that is only ours: to look at it again is cheaper than to walk it again.

Only root and we can exchange a directory on such a way, as long as each of them has the owner and
the mode that it had. So it is enough to compare these, from the root on: whoever could exchange
what is below the first directory that has changed is found out at that directory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final

_BELIEVED_FOR: Final = 0.1
"""Seconds until the next look: a thousand programs are started with few of them."""


class KnownWay:
    """The way to a directory that only root and we can change."""

    __slots__ = ("_path", "_seen", "_steps", "_until")

    def __init__(self, path: str, seen: Sequence[os.stat_result], *, straight: bool) -> None:
        """`seen` are the directories that were entered; `straight`: none of them by a link."""
        self._path = path
        self._seen = seen
        self._until = time.monotonic() + _BELIEVED_FOR
        steps = _directories_to(path) if straight else []
        self._steps = steps if len(steps) == len(seen) else []

    def status(self) -> os.stat_result | None:
        """Return the status of the directory; None if it has to be walked to. Raises OSError."""
        before, now = self._seen[-1], time.monotonic()
        if now < self._until:
            return before if _is_same(os.stat(self._path), before) else None
        if not self._steps or not all(map(_is_same, map(os.lstat, self._steps), self._seen)):
            return None
        self._until = now + _BELIEVED_FOR
        return before


def _directories_to(path: str) -> list[str]:
    """Return a directory and all above it, the uppermost first."""
    steps = [path]
    while os.path.dirname(steps[-1]) != steps[-1]:
        steps.append(os.path.dirname(steps[-1]))
    return steps[::-1]


def _is_same(now: os.stat_result, before: os.stat_result) -> bool:
    """Is it the same directory, which the same people can change?"""
    if (now.st_ino, now.st_dev, now.st_mode) != (before.st_ino, before.st_dev, before.st_mode):
        return False
    return (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid)
