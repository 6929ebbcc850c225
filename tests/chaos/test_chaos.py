"""The daemon is ended again and again, at random moments, under load: nothing is lost.

`make chaos` does more of it: CHAOS_ROUNDS is the number of blows, CHAOS_SEED replays a failure.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.chaos.havoc import Havoc
from tests.support import Daemons

ROUNDS = os.environ.get("CHAOS_ROUNDS")
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(1 << 32)))


@pytest.mark.timeout(90 + int(ROUNDS or 25) * 15)
@pytest.mark.parametrize(("how", "rounds"), [("kill", 25), ("upgrade", 12)])
def test_nothing_is_lost(daemons: Daemons, how: str, rounds: int) -> None:
    """Every line once and in order, every pid as it was, nobody twice, the stopped stopped."""
    rounds = int(ROUNDS or rounds)
    print(f"CHAOS_SEED={SEED} CHAOS_ROUNDS={rounds}")
    havoc = Havoc.begin(daemons, SEED, rough=how == "kill")
    havoc.rounds(rounds)
    lines = havoc.finish()
    print(f"{havoc.strikes} blows; lines checked: {lines}")
    assert havoc.strikes >= rounds
    assert min(lines.values()) > 0


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("how", "rounds"), [("kill", 4), ("upgrade", 2)])
@pytest.mark.parametrize("number", range(2))
def test_nothing_is_lost_on_the_way_from_the_version_before(
    daemons: Daemons, how: str, rounds: int, number: int
) -> None:
    """The first blow ends the earlier version; this one begins with whatever that had half done."""
    print(f"CHAOS_SEED={SEED}")
    havoc = Havoc.begin(daemons, SEED + number, rough=how == "kill", earlier=True)
    havoc.rounds(rounds)
    assert min(havoc.finish().values()) > 0
