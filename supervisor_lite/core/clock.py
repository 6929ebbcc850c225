"""The two clocks that the engine reads, so that a test can turn them by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Clock(NamedTuple):
    """What time it is. The event loop's timers must go by the same monotonic time."""

    monotonic: Callable[[], float] = time.monotonic
    """Seconds that only grow, for everything that is computed with: what asyncio's loops have."""
    wall: Callable[[], float] = time.time
    """Seconds since the epoch, for everything that is shown or kept."""
