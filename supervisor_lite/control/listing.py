"""The list of processes that clients ask for all the time: what did not change is not made anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from supervisor_lite.control.names import in_order
from supervisor_lite.core.process import Process


class Listing:
    """Remembers the order of the table, and the last list that was asked for."""

    def __init__(self, table: Mapping[str, Process]) -> None:
        self._table = table
        self._unordered: list[Process] = []
        self._ordered: list[Process] = []
        self._views: list[bytes] = []
        self._joined = b""

    def everything(self) -> list[Process]:
        """Return all processes as they are listed."""
        # Comparing two lists of the same objects is a hundred times cheaper than sorting one.
        unordered = list(self._table.values())
        if unordered != self._unordered:
            self._unordered, self._ordered = unordered, in_order(unordered)
        return self._ordered

    def views(self, processes: Sequence[Process]) -> bytes:
        """Return the JSON objects of processes, with commas in between."""
        views = [process.view() for process in processes]
        if views != self._views:
            self._views, self._joined = views, b",".join(views)
        return self._joined
