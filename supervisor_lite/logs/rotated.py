"""The rotated predecessors of a log file, `.1` (the newest), `.2` …, and how they make room.

Only the files before the first gap move, each into a free place, so a death at any moment leaves a
gap and nothing else: the order is that of the numbers, always. With many files this takes a while,
so it can be done in parts. All is done in one directory that is held open, so that whoever owns it
cannot lead us to another.
"""

from __future__ import annotations

import contextlib

from supervisor_lite import safe_paths
from supervisor_lite.safe_paths import Place

_MAX_BEYOND = 1000
"""Rotated files that are removed beyond `backups`: of an earlier setting, or planted."""


class RotatedFiles:
    """Renames and removes them; remembers what it need not look for again."""

    __slots__ = ("_filled", "_gap")

    def __init__(self) -> None:
        self._filled = 0
        """How many places, from `.1` on, are known to be taken."""
        self._gap = 0
        """The free one among them, while room is being made."""

    def forget(self) -> None:
        """Others, or another setting, may have changed which places are free."""
        self._gap = self._filled = 0

    def take_in(self, place: Place, backups: int, renames: int) -> bool:
        """Make `.1` free and rename the live file to it; False if that takes more renames.

        Without a gap the oldest is overwritten; without backups the live file is removed. Raises
        OSError.
        """
        if not backups:
            place.unlink(missing_ok=True)
            return True
        name = place.name
        gap, self._gap = self._gap or self._find_gap(place, backups), 0
        while gap > 1:
            if not renames:
                self._gap = gap
                return False
            renames -= 1
            try:
                place.rename(f"{name}.{gap - 1}", f"{name}.{gap}")
            except FileNotFoundError:
                self._filled = 0  # there is a gap that we do not know of
            gap -= 1
        # The live file may have been moved away in this instant: then there is nothing to move.
        with contextlib.suppress(FileNotFoundError):
            place.rename(name, f"{name}.1")
        return True

    def _find_gap(self, place: Place, backups: int) -> int:
        """Return the number of the first place that is free, or else of the last one.

        Those that were filled when it was looked for last are not looked at again.
        """
        gap = min(self._filled + 1, backups)
        while gap < backups and place.status(f"{place.name}.{gap}") is not None:
            gap += 1
        self._filled = gap
        return gap

    def remove(self, path: str, backups: int) -> None:
        """Delete them all, or the first of more than anybody keeps; raises OSError."""
        self.forget()
        with contextlib.suppress(FileNotFoundError), safe_paths.at(path) as place:
            for number in range(1, backups + _MAX_BEYOND + 1):
                name = f"{place.name}.{number}"
                if number > backups and place.status(name) is None:
                    return
                place.unlink(name, missing_ok=True)
