"""Operations of several steps that have begun and are not done: what the next daemon finishes.

Each is a row of the table `meta`, which a version that knows nothing of it leaves alone. It is
committed before the first step; it is deleted with the last one, in the same commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from supervisor_lite.model.operation import Operation
from supervisor_lite.store.codec import decode, encode, to_text
from supervisor_lite.store.database import Database

_PREFIX = "operation:"


class OperationLog:
    """The operations of one journal."""

    def __init__(
        self, database: Database, commit: Callable[[], object], warn: Callable[[str], None]
    ) -> None:
        self._database = database
        self._commit = commit
        self._warn = warn
        self._last = 0
        """The number of the latest row."""

    def pending(self) -> list[tuple[str, Operation]]:
        """Return what an earlier daemon has not finished, by key, in the order of its begin."""
        found: dict[int, Operation] = {}
        sql = "SELECT key, value FROM meta WHERE key GLOB ?"
        for key, value in self._database.select(sql, (f"{_PREFIX}*",)):
            number = str(key).removeprefix(_PREFIX)
            try:
                found[int(number)] = decode(Operation, json.loads(value))
            except (ValueError, TypeError) as error:
                self._warn(f"operation {number} of an earlier daemon is unusable: {error}")
                self.end(str(key))
        self._last = max(self._last, *found) if found else self._last
        return [(f"{_PREFIX}{number}", found[number]) for number in sorted(found)]

    def begin(self, operation: Operation, key: str | None = None) -> str:
        """Write down that this begins, in place of the row with `key` if it is given.

        Committed on return. Returns the key for `end`.
        """
        if key is None:
            self._last += 1
            key = f"{_PREFIX}{self._last}"
        self.change(key, operation)
        self._commit()
        return key

    def change(self, key: str, operation: Operation) -> None:
        """What is still to be done of it is this; written with the next commit."""
        values = (key, to_text(encode(operation)))
        self._database.write("INSERT OR REPLACE INTO meta VALUES (?, ?)", values)

    def end(self, key: str) -> None:
        """It is done, or given up: deleted with the next commit."""
        self._database.write("DELETE FROM meta WHERE key = ?", (key,))

    def forget_all(self) -> None:
        """Nothing of an earlier daemon is to be finished any more."""
        self._database.write("DELETE FROM meta WHERE key GLOB ?", (f"{_PREFIX}*",))
