"""How a program is restarted: policy, backoff and budget."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class AutoRestart(Enum):
    """What to do when a process ends by itself after it has been RUNNING."""

    ALWAYS = "always"
    NEVER = "never"
    UNEXPECTED = "unexpected"
    """Respawn unless the exit code is in `exitcodes`; death by a signal is never expected."""


class BackoffKind(Enum):
    """How the pause grows from one failed start to the next."""

    LINEAR = "linear"
    """n seconds after the n-th failure: 1, 2, 3 … (Supervisor's rule)."""

    EXPONENTIAL = "exponential"
    """1, 2, 4, 8 … seconds."""

    CONSTANT = "constant"
    """The same number of seconds each time."""


class Backoff(NamedTuple):
    """The pause between a failed start and the next try."""

    kind: BackoffKind = BackoffKind.LINEAR
    seconds: float = 1.0
    """The step (linear), the first pause (exponential) or the pause itself (constant)."""
    max: float | None = None
    """No pause is longer than this many seconds."""
    jitter: float = 0.0
    """Up to this fraction of the pause is added, differently for every run (0 to 1)."""


class RestartLimit(NamedTuple):
    """How many automatic restarts are allowed in a sliding window."""

    restarts: int
    window: float
    """Seconds."""
    cooldown: float | None = None
    """After the limit: None goes FATAL; otherwise pause this many seconds, then one more try."""
