"""Operations of several steps, as the journal has them until they are done."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class OperationKind(Enum):
    """What is being done. The values stand in the journal: none is ever renamed."""

    SHUTDOWN = "shutdown"
    """The daemon ends: the next one starts again what was wanted."""
    RELOAD = "reload"
    """Everything is stopped and started anew from the configuration."""
    UPDATE = "update"
    """A new configuration is being applied."""
    STOP = "stop"
    """Processes are stopped in waves."""
    RESTART = "restart"
    """Processes are restarted in waves."""


class Operation(NamedTuple):
    """One operation: enough for the next daemon to finish it."""

    kind: OperationKind
    by: str = ""
    """Who asked for it."""
    names: tuple[str, ...] = ()
    """What it is about: names of processes; for an update those of groups, none for all."""
    wanted: tuple[str, ...] = ()
    """Shutdown and reload: the processes that were wanted when it began."""
    ended: tuple[str, ...] = ()
    """Shutdown by `exit_when`: those that had ended for good and start with the next daemon."""
    runs: tuple[int, ...] = ()
    """Restart: the last run of each of `names` when it began, 0 for none."""
