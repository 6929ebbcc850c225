"""Which secrets a child is given: by the paths of their files, never by their values."""

from __future__ import annotations

from typing import NamedTuple


class EnvFile(NamedTuple):
    """A file with variables, read at each spawn."""

    path: str
    optional: bool = False
    """It may be missing."""


class Credential(NamedTuple):
    """A secret that a child finds as a file in $CREDENTIALS_DIRECTORY."""

    name: str
    """The name of that file."""
    path: str
    """The file that is copied there at each spawn."""
