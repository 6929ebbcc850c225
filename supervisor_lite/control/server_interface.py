"""What a connection needs of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from supervisor_lite.control.access import AccessTable, Caller
from supervisor_lite.control.configured import OwnConfiguration
from supervisor_lite.control.hang_ups import HangUps
from supervisor_lite.control.limits import Quotas
from supervisor_lite.control.turns import Turns

if TYPE_CHECKING:
    from supervisor_lite.control.connection import Connection
    from supervisor_lite.control.request import Handler


class ServerInterface(Protocol):
    """The server, as a connection sees it."""

    handlers: Callable[[str], Handler | None]
    """Returns what answers a method, or None."""
    own: OwnConfiguration
    access: AccessTable
    quotas: Quotas
    turns: Turns
    hang_ups: HangUps
    connections: dict[Connection, None]
    """In the order in which they came."""
    subscriptions: int
    """How many there have been."""
    report_bug: Callable[[Exception], None]
    report_denied: Callable[[Caller, str, str | None], None]
