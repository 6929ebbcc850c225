"""The rotated files of a log, `.1` (the newest), `.2` …: made room for, and removed.

All of it happens in one directory, which is held open: whoever owns it cannot lead us to another.
"""

from __future__ import annotations

import contextlib

from supervisor_lite import safe_paths
from supervisor_lite.safe_paths import Place


def move_away(place: Place, backups: int) -> None:
    """Make `.1` free and rename the live file to it; without backups, remove it. Raises OSError.

    Only the files before the first gap move, each into a free place, so a death in between leaves a
    gap and nothing else. Without a gap the oldest is overwritten.
    """
    name = place.name
    if not backups:
        place.unlink()
        return
    gap = 1
    while gap < backups and place.status(f"{name}.{gap}") is not None:
        gap += 1
    for number in range(gap, 1, -1):
        place.rename(f"{name}.{number - 1}", f"{name}.{number}")
    place.rename(name, f"{name}.1")


def remove_rotated(path: str, backups: int) -> None:
    """Remove the rotated files of the log at `path`. Raises OSError."""
    with contextlib.suppress(FileNotFoundError), safe_paths.at(path) as place:
        number = 1
        while number <= backups or place.status(f"{place.name}.{number}") is not None:
            place.unlink(f"{place.name}.{number}", missing_ok=True)
            number += 1
