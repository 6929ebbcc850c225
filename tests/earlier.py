"""An earlier version of the package, taken out of the history of the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.client import ROOT
from tests.support import Daemon

COMMIT = "86b7e13bed65c5591df8b33febeb58c8c4d6f9ae"
"""The last commit of schema 1 of the journal."""


def unpack(directory: Path) -> Path:
    """Put that version's package into a directory; return where it is to be found from.

    Skips the test if the repository does not have that commit, as a shallow clone.
    """
    line = ["git", "-C", str(ROOT), "archive", COMMIT, "supervisor_lite"]
    try:
        done = subprocess.run(line, capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        pytest.skip(f"there is no commit {COMMIT} here to take the earlier version from: {error}")
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x", "-C", str(directory)], input=done.stdout, check=True)
    return directory


class Versions:
    """Runs a daemon from a link, so that its next start or upgrade may be of another version."""

    def __init__(self, daemon: Daemon) -> None:
        """The earlier version is in force; the daemon is not started yet."""
        self._link = daemon.dir / "version"
        self._link.symlink_to(unpack(daemon.dir / "earlier"))
        daemon.environment["PYTHONPATH"] = str(self._link)

    def switch(self) -> None:
        """Put the version of this checkout into force, as a deployment does: all at once."""
        fresh = self._link.with_name("fresh")
        fresh.symlink_to(ROOT)
        fresh.replace(self._link)
