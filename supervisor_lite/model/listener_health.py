"""How an event listener is doing, as far as it is told."""

from __future__ import annotations

from typing import NamedTuple

from supervisor_lite.model.cause import Cause


class ListenerHealth(NamedTuple):
    """One run of an event listener, and its pool."""

    trouble: Cause | None = None
    """Why it does not get events, or does not deal with them; None: it does, as it seems."""
    rejected: int = 0
    """Events that this run has rejected."""
    dropped: int = 0
    """Events that its pool had no room for, in the life of the daemon."""
    waiting: int = 0
    """Events that wait for its pool now."""
