"""Counters that never fall, made of values that begin anew: with a run, with a daemon."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

Key = tuple[str, str]
"""The name of a metric, and what it is about: a process, or nothing."""


@dataclass(slots=True)
class _Counter:
    before: float
    """What earlier sources have counted."""
    source: object
    last: float


class Counters:
    """Adds up what each source of a counter has said last."""

    def __init__(self) -> None:
        self._counters: dict[Key, _Counter] = {}

    def add(self, key: Key, source: object, value: float, *, may_fall: bool = False) -> float:
        """Return the total; `source` is what the value belongs to and begins anew with.

        A value that falls has begun anew as well, unless it `may_fall`: that of a family does, when
        one of its processes ends.
        """
        counter = self._counters.setdefault(key, _Counter(0, source, value))
        if counter.source != source or (value < counter.last and not may_fall):
            counter.before += counter.last
            counter.source, counter.last = source, value
        counter.last = max(counter.last, value)
        return counter.before + counter.last

    def total(self, key: Key) -> float:
        """Return what was counted so far."""
        counter = self._counters.get(key)
        return 0.0 if counter is None else counter.before + counter.last

    def keep(self, names: Collection[str]) -> None:
        """Forget what is about other names."""
        for key in [key for key in self._counters if key[1] and key[1] not in names]:
            del self._counters[key]
