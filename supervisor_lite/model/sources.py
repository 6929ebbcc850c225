"""What a reading of the configuration has looked at: enough to see that the disk is newer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from supervisor_lite.model.constants import NOTHING


class Stamp(NamedTuple):
    """What changes when a file is written or replaced."""

    mtime_ns: int
    size: int
    inode: int


class Include(NamedTuple):
    """A pattern of files, and those that it has matched."""

    directory: str
    """What the pattern is relative to, absolute."""
    pattern: str
    files: tuple[str, ...] = ()
    """As the pattern has found them."""

    @property
    def path(self) -> str:
        """The pattern as an absolute path."""
        absolute = self.pattern.startswith("/")
        return self.pattern if absolute else f"{self.directory}/{self.pattern}"


class Sources(NamedTuple):
    """Every file and every pattern of one reading."""

    stamps: Mapping[str, Stamp | None] = NOTHING
    """By absolute path, from just before the file was read; None: it could not be looked at."""
    includes: tuple[Include, ...] = ()
    places: Mapping[str, str] = NOTHING
    """By the name of a program or an event listener, the file that defines it."""
