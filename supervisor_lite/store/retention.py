"""How much is kept of what is over, and what is deleted of it."""

from __future__ import annotations

import math
from collections.abc import Callable

from supervisor_lite.store.database import Database
from supervisor_lite.store.history_clock import HistoryClock


class Retention:
    """Deletes changes and ended runs that are too old, or too many."""

    def __init__(
        self,
        database: Database,
        wall: Callable[[], float],
        passed: Callable[[], float],
        age: float,
        count: int,
    ) -> None:
        """`age` in seconds; `count` of changes, and of runs."""
        self._database = database
        self._age = age
        self._count = count
        self._clock = HistoryClock(self._stood(wall), wall, passed)

    def _stood(self, wall: Callable[[], float]) -> float:
        """Return when the last daemon lived, as far as that was written down."""
        rows = self._database.select("SELECT value FROM meta WHERE key = 'history_clock'")
        try:
            stood = float(rows[0][0])
        except (IndexError, TypeError, ValueError):
            stood = math.nan
        if math.isfinite(stood):
            return stood
        latest = (
            "SELECT time FROM changes ORDER BY serial DESC LIMIT 1",
            "SELECT max(intended, coalesce(ended, 0)) FROM runs ORDER BY run DESC LIMIT 1",
        )
        found = [row[0] for sql in latest for row in self._database.select(sql)]
        return max((each for each in found if isinstance(each, int | float)), default=wall())

    def trim(self, serial: int, run: int) -> None:
        """Delete from the old end: what it costs depends on what goes, not on what stays.

        `serial` and `run` are the latest.
        """
        now = self._clock.now()
        sql = "INSERT OR REPLACE INTO meta VALUES ('history_clock', ?)"
        self._database.write(sql, (str(now),))
        before = now - self._age
        self._database.write(
            "DELETE FROM changes WHERE serial < max(?1, coalesce("
            "(SELECT serial FROM changes WHERE time >= ?2 ORDER BY serial LIMIT 1), ?3))",
            (serial - self._count + 1, before, serial + 1),
        )
        # A run that is alive stays, and one that ended lately, however long ago it began.
        self._database.write(
            "DELETE FROM runs WHERE run < max(?1, coalesce("
            "(SELECT run FROM runs WHERE intended >= ?2 ORDER BY run LIMIT 1), ?3))"
            " AND ended IS NOT NULL AND (ended < ?2 OR run < ?1)",
            (run - self._count + 1, before, run + 1),
        )
