"""One line on a terminal that says what a command is waiting for, and vanishes when it has come.

Loaded only where stderr is a terminal.
"""

from __future__ import annotations

import os
import sys
import time

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import ClientError
from supervisor_lite.text import columns, fit, plural, sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.client.sync import Client
    from supervisor_lite.ctl.context import CommandContext
    from supervisor_lite.protocol.messages import Message

_PAUSE = 3.0
"""Seconds, at least, between two questions."""

_PATIENCE = 2.0
"""Seconds that the daemon has to answer one: what we really wait for goes first."""

_SHOWN = 3
"""Processes that are named."""

_ON_THE_WAY = ("STOPPING", "STARTING", "BACKOFF")


class SignOfLife:
    """Asks the daemon, over a connection of its own, what it has not done yet."""

    __slots__ = ("_client", "_due", "_params", "_width")

    def __init__(self, ctl: CommandContext, names: list[str]) -> None:
        """Without names: whatever process is on its way."""
        self._client: Client = ctl.client(_PATIENCE)
        self._params: Message = {"names": names} if names else {}
        self._due = 0.0
        self._width = 0

    def tick(self) -> None:
        """Show what is waited for, unless that was done a moment ago."""
        if time.monotonic() < self._due:
            return
        try:
            with self._client as client:
                rows = listed(client.call("status", self._params), "processes", "fullname", "state")
        except ClientError:
            rows = []  # it has other things to do, and we only wait
        self._show(waited_for(rows))
        self._due = time.monotonic() + _PAUSE

    def _show(self, text: str) -> None:
        try:
            wide = os.get_terminal_size(sys.stderr.fileno()).columns
        except (OSError, ValueError):
            wide = 0
        text = fit(text, (wide or 80) - 1)  # 0: it does not know
        # Blanks, and no escape sequence: every terminal knows them.
        width, self._width = self._width, columns(text)
        blanks = " " * (width - self._width)
        sys.stderr.write(f"\r{text}{blanks}" if text else f"\r{blanks}\r")
        sys.stderr.flush()

    def erase(self) -> None:
        """Leave the line as it was, for what is to be said."""
        if self._width:
            self._show("")


def waited_for(rows: list[Message]) -> str:
    """Return the line for processes as `status` has them."""
    pending = [row for row in rows if row["state"] in _ON_THE_WAY]
    words = [_words(row) for row in pending[:_SHOWN]]
    if len(pending) > _SHOWN:
        words.append(plural(len(pending) - _SHOWN, "other", "others"))
    return f"slctl: waiting: {', '.join(words) or 'the daemon is at work'}"


def _words(row: Message) -> str:
    reason = sanitize(row.get("reason") or "")
    words = f"{sanitize(row['fullname'])} is {sanitize(row['state'])}"
    return f"{words} ({reason})" if reason else words
