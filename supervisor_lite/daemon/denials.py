"""Who was refused: written into the log at once, and summed up while it goes on.

Whoever knocks a thousand times a second is worth a line, and a line a minute, not a full disk.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from supervisor_lite.control.access import Caller

INTERVAL: Final = 60.0
"""Seconds between two lines about one user."""

MAX_USERS: Final = 64
"""Users of whom is told apart what they tried; all further ones are one."""

_OTHERS: Final = -1


class _Tried:
    """What was refused to a user since the last line about him."""

    __slots__ = ("methods", "pid")

    def __init__(self) -> None:
        self.methods: Counter[str] = Counter()
        self.pid = 0


class Denials:
    """Counts what is refused, and tells. No timer runs when nobody is refused anything."""

    def __init__(self, loop: asyncio.AbstractEventLoop, warn: Callable[..., object]) -> None:
        self._loop = loop
        self._warn = warn
        self._refused: dict[int, _Tried] = {}
        self._timer: asyncio.TimerHandle | None = None

    def note(self, caller: Caller, method: str, name: str | None) -> None:
        """Note that somebody was refused what he may not do."""
        uid = caller.uid
        if uid not in self._refused and len(self._refused) >= MAX_USERS:
            uid = _OTHERS
        before = self._refused.get(uid)
        if before is None:
            self._refused[uid] = _Tried()
            self._warn(
                f"not permitted: {method}", uid=caller.uid, pid=caller.pid, process=name or "-"
            )
        else:
            before.methods[method] += 1
            before.pid = caller.pid
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL, self._sum_up)

    def _sum_up(self) -> None:
        """Tell what was refused meanwhile; forget whom nothing was refused to."""
        self._timer = None
        again: dict[int, _Tried] = {}
        for uid, refused in self._refused.items():
            if refused.methods:
                again[uid] = _Tried()
                most = ", ".join(
                    f"{name} {count}" for name, count in refused.methods.most_common(5)
                )
                text = f"not permitted: {refused.methods.total()} more within a minute: {most}"
                self._warn(text, uid="others" if uid == _OTHERS else uid, pid=refused.pid)
        self._refused = again
        if again:
            self._timer = self._loop.call_later(INTERVAL, self._sum_up)
