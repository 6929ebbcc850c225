"""One thing that a child does to itself between fork and exec, and what it is called."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import NamedTuple

from supervisor_lite.errors import SpawnError, SpawnErrorCode


class Step(NamedTuple):
    """A step on the way from the daemon's copy to the program."""

    words: str
    """What is done, as it follows "cannot"."""
    act: Callable[[], object]
    """Does it. Raises OSError or MemoryError."""
    code: SpawnErrorCode = SpawnErrorCode.SETTING
    """What its failure is to whoever reads data."""
    name: str = ""
    """What it is about, if that has a name: a path, a user, a key."""
    required: bool = True
    """If not, the program is started all the same, without it."""
    hint: str = ""
    """What to do about it, after the reason."""

    def perform(self) -> None:
        """Do it. Raises StepError."""
        try:
            self.act()
        except (OSError, MemoryError) as error:
            raise StepError(self, number_of(error)) from error


class StepError(OSError):
    """A step has failed."""

    def __init__(self, step: Step, number: int) -> None:
        super().__init__(number, os.strerror(number))
        self.step = step

    def as_spawn_error(self) -> SpawnError:
        """Return it as the reason why there is no child."""
        step = self.step
        hint = f": {step.hint}" if step.hint else ""
        return SpawnError(f"cannot {step.words}: {self.strerror}{hint}", step.code, step.name)


def number_of(error: OSError | MemoryError) -> int:
    """Return the errno; memory may be out in a child because of a limit that was just set."""
    return errno.ENOMEM if isinstance(error, MemoryError) else error.errno or 0
