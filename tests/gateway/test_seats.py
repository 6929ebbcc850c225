"""Who keeps his connection, and whose password is checked next: rules, without a network."""

from __future__ import annotations

import asyncio

import pytest

from supervisor_lite.gateway import seats
from supervisor_lite.gateway.checks import MAX_WAITING, Checks
from supervisor_lite.gateway.seats import MAX_CONNECTIONS, MAX_STRANGERS, Seat, Seats, address_of


class Hall:
    """A listener, with who had to go."""

    def __init__(self) -> None:
        self.seats = Seats()
        self.dropped: list[str] = []

    def come(self, address: str, name: str = "", *, user: str = "", busy: bool = False) -> bool:
        seat = Seat(address, lambda: busy, lambda: self.dropped.append(name or address))
        entered = self.seats.enter(seat)
        if entered and user:
            assert self.seats.is_for(seat, user)
        return entered


def test_one_address_has_so_many_strangers_and_the_oldest_goes() -> None:
    hall = Hall()
    assert hall.come("other", "other")
    for number in range(1000):
        assert hall.come("bad", f"bad {number}")
    assert len(hall.dropped) == 1000 - MAX_STRANGERS
    assert hall.dropped[:2] == ["bad 0", "bad 1"]
    assert "other" not in hall.dropped


def test_of_many_addresses_the_one_with_most_strangers_gives_way() -> None:
    hall = Hall()
    hall.come("user", "user", user="deploy")
    hall.come("other", "other")
    for number in range(MAX_CONNECTIONS + 50):
        assert hall.come(f"bad {number % 10}")
    assert not {"user", "other"} & set(hall.dropped)
    assert len(hall.dropped) == 52


def test_then_those_who_ask_for_nothing_and_nobody_who_is_served() -> None:
    hall = Hall()
    users = MAX_CONNECTIONS // 64
    for number in range(MAX_CONNECTIONS - 1):
        assert hall.come("proxy", f"{number}", user=f"u{number % users}", busy=True)
    assert hall.come("proxy", "idle", user="u0")
    assert hall.come("proxy", "new", user="u0", busy=True)
    assert hall.dropped == ["idle"]
    assert not hall.come("proxy", "more")


def test_one_user_leaves_seats_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "MAX_OF_ONE_USER", 2)
    hall, mine = Hall(), [Seat("a", lambda: True, lambda: None) for _ in range(3)]
    assert all(map(hall.seats.enter, mine))
    believed = [hall.seats.is_for(seat, "deploy") for seat in (*mine, mine[0])]
    assert believed == [True, True, False, True]
    hall.seats.leave(mine[0])
    assert hall.seats.is_for(mine[2], "deploy")


@pytest.mark.parametrize(
    ("host", "address"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("fe80::1%eth0", "fe80::/64"),
     ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("::1", "::/64"), ("?", "?")],
)  # fmt: skip
def test_what_an_address_stands_for(host: str, address: str) -> None:
    assert address_of(host) == address


async def test_wrong_passwords_of_others_hold_up_nobody() -> None:
    """One is being checked; of those that wait the one goes first who has not been wrong."""
    checks, order = Checks(), list[str]()

    async def check(address: str, name: str, *, right: bool) -> bool:
        if not await checks.begin((address, name)):
            return False
        order.append(name)
        await asyncio.sleep(0)
        checks.end((address, name), right=right)
        return True

    assert await check("bad", "guessed", right=False)
    guesses = [asyncio.ensure_future(check("bad", "guessed", right=False)) for _ in range(50)]
    await asyncio.sleep(0)
    order.clear()
    both = [check("bad", "deploy", right=True), check("good", "guessed", right=True)]
    assert all(await asyncio.gather(*both))
    assert "deploy" in order[:3]
    done = await asyncio.gather(*guesses)
    assert done.count(True) == 1 + MAX_WAITING


async def test_who_gives_up_waiting_lets_the_next_one_begin() -> None:
    checks = Checks()
    assert await checks.begin(("a", "x"))
    second = asyncio.ensure_future(checks.begin(("a", "y")))
    third = asyncio.ensure_future(checks.begin(("a", "z")))
    await asyncio.sleep(0)
    checks.end(("a", "x"), right=True)
    second.cancel()
    assert await third
    checks.end(("a", "z"), right=True)
    assert await checks.begin(("a", "x"))
