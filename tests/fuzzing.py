"""How long hypothesis looks for trouble: a bounded number of examples, or for FUZZ_SECONDS.

In an ordinary run the examples are the same every time, so that it cannot fail by chance.
`make fuzz` looks at new ones, each test for so many seconds; what fails is kept and tried first
next time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

SECONDS = float(os.environ.get("FUZZ_SECONDS") or 0)

TIMEOUT = 120 + 2 * SECONDS
"""Seconds that a test may take."""


def fuzz(
    check: Callable[..., None], examples: int = 150, **strategies: SearchStrategy[object]
) -> None:
    """Call `check` with many values of the strategies; it fails as soon as one of them does."""
    limits = settings(
        max_examples=examples, deadline=None, derandomize=not SECONDS,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    tried = limits(given(**strategies)(check))
    end = time.monotonic() + SECONDS
    tried()
    while time.monotonic() < end:
        tried()
