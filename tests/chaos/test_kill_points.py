"""The daemon is killed at chosen system calls of each operation, under a writer whose log rotates.

What was asked for is done or not begun, never half done; what is wanted is up once, the rest is
down.
`make chaos` tries more points: CHAOS_ROUNDS / 4 is their number, CHAOS_SEED replays a failure.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.chaos.kill_points import OPERATIONS, STARTS, STRACE, Attack, Point
from tests.support import Daemons

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", 8)) // 4
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(1 << 32)))

ALWAYS = {
    "stop": [Point("pidfd_send_signal", 1)],
    "stop in waves": [Point("pidfd_send_signal", 5)],
    "restart in waves": [Point("pidfd_send_signal", 1)],
    "reload": [Point("pidfd_send_signal", 3)],
}
"""Between what the journal says and what is done."""

pytestmark = pytest.mark.skipif(STRACE is None, reason="strace is not installed")


@pytest.mark.timeout(120 + 10 * ROUNDS)
@pytest.mark.parametrize("what", [*OPERATIONS, *STARTS])
def test_killed_at_a_system_call(daemons: Daemons, what: str) -> None:
    print(f"CHAOS_SEED={SEED}")
    attack = Attack(daemons.prepare(), what, SEED)
    always = ALWAYS.get(what, [])
    for point in [*always, *attack.points(max(1, ROUNDS - len(always)))]:
        print(what, point)
        attack.strike(point)
    assert attack.finish() > 0
