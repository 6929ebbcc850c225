"""Changes of state, sent to a subscriber as they happen and at its own speed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from supervisor_lite.control.subscriptions import Subscription
from supervisor_lite.core.bus import Bus
from supervisor_lite.core.view import rfc3339
from supervisor_lite.errors import OperationFailed
from supervisor_lite.explain.cause import cause_text, notes_text
from supervisor_lite.model.change import Change
from supervisor_lite.protocol import messages
from supervisor_lite.store.codec import encode
from supervisor_lite.store.journal import Journal

MAX_RECENT = 256
"""Changes that are kept at hand for subscribers; who is farther behind reads the journal."""

MAX_BATCH = 64
"""Changes sent to a subscriber at once; between two batches the loop does other things."""


class RecentChanges:
    """The latest changes, without a gap; shared by all subscribers."""

    def __init__(self, bus: Bus) -> None:
        self._changes: deque[Change] = deque(maxlen=MAX_RECENT)
        bus.subscribe(Change, self._add)

    def _add(self, change: Change) -> None:
        if self._changes and change.serial != self._changes[-1].serial + 1:
            self._changes.clear()  # something in between was only written to the journal
        self._changes.append(change)

    def first(self) -> int | None:
        """Return the serial of the oldest change at hand."""
        return self._changes[0].serial if self._changes else None

    def after(self, serial: int, count: int) -> list[Change]:
        """Return the next changes after this serial that are at hand."""
        start = max(serial + 1 - (self.first() or 0), 0)
        return list(islice(self._changes, start, start + count))


class ChangeFeed:
    """Sends changes to one subscriber, at its own speed.

    It remembers a position, not data: what a slow reader has not taken waits at hand or in the
    journal. So nothing is sent twice and nothing left out, unless the journal has lost it.
    """

    def __init__(
        self,
        journal: Journal,
        recent: RecentChanges,
        subscription: Subscription,
        sees: Callable[[str], bool],
        position: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._journal = journal
        self._recent = recent
        self._subscription = subscription
        self._sees = sees
        self._position = position
        """Serial of the last change that was sent, or was not for this reader."""
        self._paused = False
        self._scheduled = False
        self._closed = False

    def on_change(self) -> None:
        """Look, in the loop's next iteration, whether there is something to send."""
        behind = self._position < self._journal.serial
        if behind and not (self._scheduled or self._paused or self._closed):
            self._scheduled = True
            self._loop.call_soon(self._run)

    def resume(self) -> None:
        """Go on: the reader has read."""
        self._paused = False
        self.on_change()

    def close(self) -> None:
        """Send no more."""
        self._closed = True

    def _run(self) -> None:
        self._scheduled = False
        if self._paused or self._closed:
            return
        changes = self._next()
        for change in changes:
            self._skip_to(change.serial - 1)
            self._position = change.serial
            if not self._sees(change.name):
                continue
            if not self._subscription.notify(messages.NOTE_CHANGE, change=change_json(change)):
                self._paused = True
                return
        if not changes:
            self._skip_to(self._journal.serial)
        self.on_change()

    def _next(self) -> list[Change]:
        """Return what comes next, from hand or from the journal."""
        first = self._recent.first()
        if first is None or self._position + 1 < first:
            try:
                found = self._journal.history.changes(after=self._position, limit=MAX_BATCH)
            except OperationFailed:
                found = []
            older = [change for change in found if first is None or change.serial < first]
            if older:
                return older
        return self._recent.after(self._position, MAX_BATCH)

    def _skip_to(self, serial: int) -> None:
        """Tell how many changes are lost: the journal could not be written or has forgotten."""
        lost = serial - self._position
        if lost > 0:
            self._position = serial
            self._subscription.notify(messages.NOTE_MISSED, changes=lost)


# On the wire.


def change_json(change: Change) -> dict[str, Any]:
    """Return a change as docs/protocol.md describes it."""
    return {
        "serial": change.serial,
        "time": rfc3339(change.time),
        "name": change.name,
        "process": change.process,
        "group": change.group,
        "from": change.from_state,
        "to": change.to_state,
        "cause": sendable(cause_text(change.cause)),
        "note": sendable(notes_text(change.notes)),
        "by": sendable(change.by),
        "run": change.run,
        "pid": change.pid,
        "exitcode": change.exitcode,
        "signal": change.signal,
        "expected": change.expected,
        "tries": change.tries,
        "last_words": sendable(change.last_words),
        "cause_data": sendable_data(encode(change.cause)),
        "notes": sendable_data(encode(change.notes)),
    }


def sendable_data(value: Any) -> Any:
    """Return JSON with every text in it as UTF-8 can carry it."""
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, dict):
        return {name: sendable_data(each) for name, each in value.items()}
    return [sendable_data(each) for each in value] if isinstance(value, list) else value


def sendable(text: str) -> str:
    """Return the text as UTF-8 can carry it: a caller may have typed half a surrogate pair."""
    return text if text.isascii() else text.encode(errors="replace").decode()
