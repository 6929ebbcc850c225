"""Stop signals that are about to be sent: written down with their cause, deleted once sent.

A daemon that is killed between the two leaves the row to the next one, which sends them: else who
was never told to end would be killed at the end of its patience. Each batch is a row of the table
`meta`, which a version that knows nothing of it leaves alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from supervisor_lite.store.database import Database

_PREFIX = "unsent:"


class UnsentSignals:
    """Those of one journal, by the ids of their runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pending(self) -> frozenset[int]:
        """Return the runs whose stop signal an earlier daemon has perhaps not sent."""
        found: set[int] = set()
        rows = self._database.select("SELECT value FROM meta WHERE key GLOB ?", (f"{_PREFIX}*",))
        for (value,) in rows:
            try:
                runs = json.loads(value)
            except (ValueError, TypeError):
                continue
            if isinstance(runs, list):
                found.update(run for run in runs if type(run) is int)
        return frozenset(found)

    def begin(self, runs: Sequence[int]) -> str:
        """These get a stop signal after the next commit; return the key for `end`."""
        if not runs:
            return ""
        key = f"{_PREFIX}{runs[0]}"
        sql = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
        self._database.write(sql, (key, json.dumps(runs)))
        return key

    def end(self, key: str) -> None:
        """They are sent: deleted with the next commit."""
        if key:
            self._database.write("DELETE FROM meta WHERE key = ?", (key,))

    def forget_all(self) -> None:
        """Nothing of an earlier daemon is to be sent any more."""
        self._database.write("DELETE FROM meta WHERE key GLOB ?", (f"{_PREFIX}*",))
