"""What a process is defined as: in force, at its next spawn, and what is not in step with that."""

from __future__ import annotations

from supervisor_lite.model.program import Program


class Definition:
    """The definition of one process. Only `Process` changes it."""

    __slots__ = ("current", "is_outdated", "is_removed", "next")

    def __init__(self, program: Program) -> None:
        self.current = program
        """What the live run was started with, and what the rules go by."""
        self.next: Program | None = None
        """A newer one, that takes effect at the next spawn: a live child cannot be changed."""
        self.is_outdated = False
        """The configuration on disk, as it was last read, has another one than `latest`."""
        self.is_removed = False
        """Nobody defines the process any more: it leaves the table when it is down."""

    @property
    def latest(self) -> Program:
        """What its next run has."""
        return self.next or self.current

    def replace(self, program: Program) -> None:
        """Put another one into force."""
        self.current = program
        self.next = None
