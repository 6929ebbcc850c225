"""Old output in bounded pieces: of one log, or of the streams of a process in order of arrival.

A reply holds `PIECE` bytes at most, whatever was asked for. With it go marks, one for each stream:
where the rest begins, and how much that is. Who brings them back as `after` gets the next piece, of
this daemon or another. Nothing is remembered here between two pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from supervisor_lite.errors import ProtocolError
from supervisor_lite.logs import archive
from supervisor_lite.logs.arrival import Arrival
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.marks import from_text, to_text
from supervisor_lite.logs.read import last_boundary
from supervisor_lite.protocol import codes

PIECE = 1 << 20
"""Bytes of old output in a reply to who can ask for the next piece."""


class Span(NamedTuple):
    """What is wanted of a log, by position."""

    log: LogFile
    start: int
    end: int
    exact: bool = True
    """Nothing is missing before it."""

    def text(self, *, following: bool = False) -> str:
        """Return the mark of its start as clients keep it."""
        try:
            mark = archive.mark_at(self.log, self.start)
        except OSError:
            mark = None
        return to_text(mark, None if following else self.end - self.start)


def after(log: LogFile, text: str) -> Span:
    """Return what comes after a mark. Raises ProtocolError, OperationFailed."""
    try:
        mark, left = from_text(text)
    except ValueError:
        what = "after must be what a reply or a notification had as after"
        raise ProtocolError(codes.INVALID_PARAMS, what) from None
    found = archive.find(log, mark)
    end = log.end if left is None else min(log.end, found.position + left)
    return Span(log, found.position, end, found.exact)


def read(span: Span, most: int) -> tuple[bytes, Span]:
    """Return the beginning of it, whole lines if there is more, and the rest of it.

    What has vanished meanwhile is left out. Raises OperationFailed.
    """
    wanted = max(0, min(most, span.end - span.start))
    data = archive.read(span.log, span.start, wanted) if wanted else b""
    position = span.start + len(data) if data or not wanted else span.end
    if position < span.end:
        whole = data.rfind(b"\n") + 1 or last_boundary(data) or len(data)
        position -= len(data) - whole
        data = data[:whole]
    return data, span._replace(start=position)


def read_in_order(
    spans: Sequence[Span], arrival: Arrival, most: int
) -> tuple[list[tuple[int, bytes]], list[Span]]:
    """Return pieces of one or two streams in the order of arrival, and the rest of each.

    Raises OperationFailed.
    """
    if len(spans) < 2:
        read_spans = [read(span, most) for span in spans]
        return [(0, data) for data, _ in read_spans if data], [rest for _, rest in read_spans]
    datas, rests, ends = [], [], []
    for span in spans:
        data, rest = read(span, most)
        datas.append(data)
        rests.append(rest)
        ends.append(span.end if rest.start < span.end else span.start + len(data))
    starts = [span.start for span in spans]
    at = list(starts)
    found = []
    for stream, start, end in arrival.in_order(starts, ends):
        first = start - starts[stream]
        data = datas[stream][first : first + min(most, end - start)]
        if data:
            found.append((stream, data))
        at[stream] += len(data)
        most -= len(data)
        if len(data) < end - start:
            break
    return found, [
        span._replace(start=position, end=end, exact=True)
        for span, position, end in zip(spans, at, ends, strict=True)
    ]


def beginning(log: LogFile) -> Span:
    """Return all that has come since this daemon is there. Raises OperationFailed."""
    oldest = log.end
    for part in archive.parts(log):
        oldest = part.start
        if oldest <= 0:
            break
    return Span(log, min(log.end, max(0, oldest)), log.end)


def last_bytes(log: LogFile, count: int) -> Span:
    """Return the last bytes. Raises OperationFailed."""
    return Span(log, archive.start_of_bytes(log, count), log.end)
