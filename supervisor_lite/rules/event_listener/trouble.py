"""When something is wrong with an event listener: what it says, reads, answers, or is too slow for.

An event listener that is RUNNING may still be of no use; nothing else would show that.
"""

from __future__ import annotations

from supervisor_lite.model.cause import Cause, CauseKind
from supervisor_lite.rules.event_listener.session import ListenerProtocol, ListenerState

MANY_REJECTIONS = 3
"""Rejections in a row after which a listener counts as one that rejects everything."""

QUIET = 60.0
"""Seconds before the same trouble of the same listener is told again."""


def trouble(
    protocol: ListenerProtocol, *, input_closed: bool, rejections: int, dropping: int
) -> Cause | None:
    """Return what is wrong; None if nothing is.

    `rejections` are those in a row; `dropping` is how many events its pool had to drop since it
    could send one.
    """
    if protocol.state is ListenerState.UNKNOWN:
        return Cause(CauseKind.PROTOCOL_BROKEN, text=protocol.offence)
    if input_closed:
        return Cause(CauseKind.INPUT_CLOSED)
    if rejections >= MANY_REJECTIONS:
        return Cause(CauseKind.EVENTS_REJECTED, number=rejections)
    if dropping:
        return Cause(CauseKind.EVENTS_DROPPED, number=dropping)
    return None
