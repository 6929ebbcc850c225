"""What a log file tells those who follow it."""

from __future__ import annotations

from typing import Protocol


class LogListener(Protocol):
    """What a follower is to its log file."""

    def on_append(self) -> None:
        """There is more to read."""

    def on_rotate(self, fd: int, origin: int, end: int) -> None:
        """The open file, which holds `origin` to `end`, is complete and about to be closed."""

    def on_truncate(self, position: int) -> None:
        """Everything before `position` is gone because an operator wanted it so."""
