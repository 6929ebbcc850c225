"""Groups of the configuration that are out of use: the next daemon leaves them so.

Each is a row of the table `meta`, which a version that knows nothing of it leaves alone. What a
failed commit has lost is written again with the next one.
"""

from __future__ import annotations

from supervisor_lite.store.database import Database

_PREFIX = "unused:"


class UnusedGroups:
    """Those of one journal, by name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        sql = "SELECT key FROM meta WHERE key GLOB ?"
        rows = database.select(sql, (f"{_PREFIX}*",))
        self._names = {str(key).removeprefix(_PREFIX) for (key,) in rows}
        self._unwritten: set[str] = set()
        """Names whose rows are perhaps not as they should be."""

    @property
    def names(self) -> frozenset[str]:
        """The groups that are out of use."""
        return frozenset(self._names)

    def add(self, name: str) -> None:
        """It is out of use from the next commit on."""
        self._names.add(name)
        self._unwritten.add(name)

    def discard(self, name: str) -> None:
        """It is not out of use any more, from the next commit on."""
        if name in self._names:
            self._names.remove(name)
            self._unwritten.add(name)

    def forget_all(self) -> None:
        """All groups are to be in use again."""
        self._unwritten |= self._names
        self._names.clear()

    def write(self) -> None:
        """Write what has changed, as a part of the commit that follows."""
        for name in self._unwritten:
            if name in self._names:
                sql = "INSERT OR REPLACE INTO meta VALUES (?, '')"
            else:
                sql = "DELETE FROM meta WHERE key = ?"
            self._database.write(sql, (_PREFIX + name,))

    def on_committed(self) -> None:
        """What was written is in the file."""
        self._unwritten.clear()
