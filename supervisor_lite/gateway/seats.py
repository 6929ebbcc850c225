"""Who may stay connected: a number of seats for each listener, shared fairly.

Nobody is kept out by those who hold connections open: when there is no seat left, the oldest
connection on which nobody has shown who he is gives up its seat, first those of the address that
has most of them; after those, connections on which nothing is asked at the moment.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

MAX_CONNECTIONS = 256
"""Connections of one listener."""

MAX_STRANGERS = 64
"""Connections from one address, or of one local user, on which nobody has shown who he is."""

MAX_OF_ONE_USER = 192
"""Connections of one user."""


@dataclass(eq=False, slots=True)
class Seat:
    """One connection."""

    address: str
    """Of whom: an address, a network of IPv6 (whose addresses are one user's), or a local uid."""
    is_busy: Callable[[], bool]
    drop: Callable[[], None]
    user: str | None = None
    """Who has shown that it is he."""
    is_streaming: bool = False
    half_closed: bool = False
    """It sends nothing more, and may still read."""


class Seats:
    """The connections of one listener."""

    def __init__(self) -> None:
        self._seats: dict[Seat, None] = {}
        """In the order in which they were taken."""

    def enter(self, seat: Seat) -> bool:
        """Take a seat, maybe another's; False if all are taken by users who are being served."""
        strangers = [other for other in self._seats if other.user is None]
        mine = [other for other in strangers if other.address == seat.address]
        if len(mine) >= MAX_STRANGERS:
            self._drop(mine[0])
        elif len(self._seats) >= MAX_CONNECTIONS:
            other = self._whose(strangers)
            if other is None:
                return False
            self._drop(other)
        self._seats[seat] = None
        return True

    def leave(self, seat: Seat) -> None:
        """Give it up."""
        self._seats.pop(seat, None)

    def is_for(self, seat: Seat, user: str) -> bool:
        """Note who it is; False if he has too many."""
        if seat.user != user:
            if sum(other.user == user for other in self._seats) >= MAX_OF_ONE_USER:
                return False
            seat.user = user
        return True

    def drop_all(self) -> None:
        """Hang up on everybody but those who wait for an answer, which was permitted to them."""
        for seat in list(self._seats):
            if seat.is_streaming or not seat.is_busy():
                self._drop(seat)

    def _whose(self, strangers: list[Seat]) -> Seat | None:
        if strangers:
            counts = Counter(seat.address for seat in strangers)
            address, _ = counts.most_common(1)[0]
            return next(seat for seat in strangers if seat.address == address)
        return next((seat for seat in self._seats if not seat.is_busy()), None)

    def _drop(self, seat: Seat) -> None:
        self.leave(seat)
        seat.drop()


def address_of(host: str) -> str:
    """Return what stands for an address: of IPv6 its network, which one machine has to itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
