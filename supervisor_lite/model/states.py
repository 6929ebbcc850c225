"""The states of a process, with Supervisor's numbers, and the sets that matter."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """Where a process is now.

    Whether it *should* be up is another question: see `Record.wanted`.
    """

    STOPPED = 0
    """Never started, or stopped by request; nothing of it is left."""

    STARTING = 10
    """Spawned, but not up for `startsecs` yet."""

    RUNNING = 20
    """Up for at least `startsecs`."""

    BACKOFF = 30
    """A start failed; the next try comes at the deadline."""

    STOPPING = 40
    """Asked to end; killed at the deadline."""

    EXITED = 100
    """Ended by itself after it had been RUNNING; respawned at the deadline if there is one."""

    FATAL = 200
    """Every try to start it failed; only an operator's start leads out."""


QUIET = frozenset({State.STOPPED, State.EXITED, State.FATAL})
"""No process exists. Supervisor's "stopped" set: `slctl status` exits 3 for these."""

NOTHING_RUNS = QUIET | {State.BACKOFF}
"""No main process: a deadline is that of the next spawn, or of giving up."""

UP = frozenset({State.STARTING, State.RUNNING, State.BACKOFF})
"""Up or on its way up. Supervisor's "running" set: a start is refused, a stop is not."""

ALIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
"""A process may exist. Supervisor's "signallable" set."""
