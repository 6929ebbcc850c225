"""In which order the two streams of a process came, as far as that can be known.

Stdout and stderr are two pipes and two files: nothing in them says which line was first. What is
known is when the daemon has moved something from a pipe to its file, so each change from one stream
to the other is noted, the last `MAX_NOTED` of them, in memory. What came before that, or before
this daemon, has no order between the streams any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from supervisor_lite.logs.logfile import LogFile

MAX_NOTED: Final = 256
"""Changes from one stream to the other that are kept: 10 KB at most."""


class Stretch(NamedTuple):
    """A part of one stream, by positions in its log."""

    stream: int
    start: int
    end: int


class Arrival:
    """Notes the order of two logs, stream 0 and stream 1; costs nothing for a single one."""

    __slots__ = ("_before", "_logs", "_noted", "_notes")

    def __init__(self) -> None:
        self._logs: tuple[LogFile, LogFile] | None = None
        self._before = [0, 0]
        """Up to which positions nothing is known."""
        self._noted: list[int] = []
        """Of each stretch where it ends; the lowest bit is its stream."""
        self._notes: tuple[_StreamListener, ...] = ()

    def watch(self, first: LogFile | None, second: LogFile | None) -> None:
        """Note the order of these from now on, if there are two."""
        logs = None if first is None or second is None or first is second else (first, second)
        if logs == self._logs:
            return
        for log, note in zip(self._logs or (), self._notes, strict=True):
            log.detach(note)
        self._logs = logs
        self._noted.clear()
        self._notes = ()
        if logs is not None:
            self._before = [log.end for log in logs]
            self._notes = tuple(
                _StreamListener(self, stream, log) for stream, log in enumerate(logs)
            )
            for log, note in zip(logs, self._notes, strict=True):
                log.attach(note)

    def note(self, stream: int, end: int) -> None:
        """Note that a stream has come so far."""
        noted = self._noted
        if noted and noted[-1] & 1 == stream:
            noted[-1] = end << 1 | stream
            return
        noted.append(end << 1 | stream)
        if len(noted) > MAX_NOTED:
            oldest = noted.pop(0)
            self._before[oldest & 1] = oldest >> 1

    def in_order(self, starts: list[int], ends: list[int]) -> Iterator[Stretch]:
        """Yield what lies between these positions of the two logs in the order of arrival."""
        at = list(starts)
        known = [(0, self._before[0]), (1, self._before[1])]
        known += [(noted & 1, noted >> 1) for noted in self._noted]
        for stream, noted in (*known, (0, ends[0]), (1, ends[1])):
            end = min(noted, ends[stream])
            if at[stream] < end:
                yield Stretch(stream, at[stream], end)
                at[stream] = end


class _StreamListener:
    """Hears of one stream."""

    __slots__ = ("_arrival", "_log", "_stream")

    def __init__(self, arrival: Arrival, stream: int, log: LogFile) -> None:
        self._arrival = arrival
        self._stream = stream
        self._log = log

    def on_append(self) -> None:
        self._arrival.note(self._stream, self._log.end)

    def on_rotate(self, fd: int, origin: int, end: int) -> None:
        pass

    def on_truncate(self, position: int) -> None:
        pass
