"""The highest run id that was given out, outside the journal, so that none is ever reused."""

from __future__ import annotations

import contextlib
import os
import stat

from supervisor_lite.store.instance import read_small_file

_PROMISED = 1000
"""Run ids for which the disk is waited for together."""

HIGHEST_RUN = (1 << 53) - 1
"""No run id is above it: JSON numbers are exact up to there."""


def _is_marked(path: str) -> bool:
    try:
        return bool(os.lstat(path).st_mode & stat.S_ISVTX)
    except OSError:
        return False


class RunIds:
    """A small file that is written over in place with each id: "LAST PROMISED BOOT".

    What a daemon has written survives its death, so within a boot LAST is exact, whatever became of
    the journal. A power cut may take LAST, but not PROMISED: no id above it is given out before
    that is on the disk (fdatasync(2)).

    On a disk without space LAST may stay behind. Then the file gets the sticky bit, which takes no
    space and has no meaning for a file (inode(7)): ids up to PROMISED can have been given out.
    """

    def __init__(self, path: str, boot: str) -> None:
        self._boot = boot
        self._promised = 0
        self._behind = _is_marked(path)
        self.last, self.possible = self._read(read_small_file(path))
        """The highest that an earlier daemon has written down as given out, and the highest that it
        can have given out, which is the same unless it could not write. 0 if nothing is known."""
        # If it cannot be written, neither can the journal beside it, and that is told there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            self._fd = os.open(path, flags, 0o600)
        except OSError:
            self._fd = -1

    def _read(self, text: str) -> tuple[int, int]:
        match text.partition("\n")[0].split():
            case [last, promised, boot] if last.isdecimal() and promised.isdecimal():
                highest = int(last if boot == self._boot else promised)
                possible = max(highest, int(promised)) if self._behind else highest
                return (highest, possible) if possible <= HIGHEST_RUN else (0, 0)
        return 0, 0

    def reserve(self, run: int) -> None:
        """Note that all ids up to this one are given out; to be called before they are."""
        sure = run <= self._promised
        if not sure:
            self._promised = run + _PROMISED
        self._write(run, sure=sure)

    def _write(self, run: int, *, sure: bool) -> None:
        self.last = run
        if self._fd < 0:
            return
        line = f"{run:016} {self._promised:016} {self._boot}\n"
        behind = True
        with contextlib.suppress(OSError):  # as above
            behind = os.pwrite(self._fd, line.encode(), 0) < len(line)
            if not sure:
                os.fdatasync(self._fd)
        if behind != self._behind:
            with contextlib.suppress(OSError):
                os.fchmod(self._fd, 0o600 | (stat.S_ISVTX if behind else 0))
                self._behind = behind

    def close(self) -> None:
        """Promise nothing more, and close the file."""
        if self._fd >= 0:
            self._promised = self.last
            self._write(self.last, sure=True)
            os.close(self._fd)
            self._fd = -1
