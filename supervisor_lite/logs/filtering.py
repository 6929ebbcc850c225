"""Let a stream pass with parts of it left out, and let listeners have a copy of it.

The bytes are looked at while they are in the pipe; what belongs into the log is then spliced, the
rest read and dropped. So here, too, nothing that is to be in the log is ever only in the daemon's
memory. Only text between Supervisor's two tokens is, until the second one comes: it is on its way
to listeners, not to the log.
"""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from supervisor_lite.host.syscalls import bytes_in_pipe
from supervisor_lite.logs.peek import MOST, peek
from supervisor_lite.logs.scanner import Cutter, Piece
from supervisor_lite.logs.sinks import FileSink, Sink, Tap
from supervisor_lite.model.output import Output

Heard: TypeAlias = Literal["text", "message", "answer"]
"""What of the output is told: all of it, what was between the tokens, a listener's answer."""

Hear: TypeAlias = Callable[[Heard, str | bytes], None]

_FINAL: Final = 1 << 20
"""Bytes that are looked at when the output is over: what a pipe holds."""


class Decoder:
    """Makes text of pieces of output; a character that is cut in two waits for its other part."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, data: bytes, *, final: bool = False) -> str:
        """Return the text. What is no UTF-8 is shown as Supervisor shows it."""
        data = self._rest + data
        self._rest = b""
        try:
            text, used = codecs.utf_8_decode(data, "strict", final)
        except UnicodeDecodeError:
            return f"Undecodable: {data!r}"
        self._rest = data[used:]
        return text


class TextTap:
    """Tells what goes into a log."""

    __slots__ = ("_decoder", "_hear")

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._decoder = Decoder()

    def feed(self, data: bytes, *, final: bool = False) -> None:
        """See `Tap.feed`."""
        if text := self._decoder.decode(data, final=final):
            self._hear("text", text)

    def finish(self) -> None:
        """See `Tap.finish`."""
        self.feed(b"", final=True)

    def close(self) -> None:
        """Nothing is open."""


class Taps:
    """Several taps as one."""

    __slots__ = ("_taps",)

    def __init__(self, *taps: Tap) -> None:
        self._taps = taps

    def feed(self, data: bytes) -> None:
        """See `Tap.feed`."""
        for tap in self._taps:
            tap.feed(data)

    def finish(self) -> None:
        """See `Tap.finish`."""
        for tap in self._taps:
            tap.finish()

    def close(self) -> None:
        """See `Tap.close`."""
        for tap in self._taps:
            tap.close()


class EditedSink:
    """Stands before a sink, which gets the ordinary text.

    `waits_for` tells how many bytes stay in the pipe because they may be the beginning of a token
    or of an escape sequence.
    """

    __slots__ = (
        "_answers", "_cutter", "_fd", "_hear", "_inner", "_limit", "_message", "_text",
        "waits_for",
    )  # fmt: skip

    def __init__(self, inner: Sink, output: Output, hear: Hear) -> None:
        """Tell by `hear` what the output is set to tell. The sink becomes ours to close."""
        self._inner = inner
        self._hear = hear
        self._answers = output.answers
        self._limit = output.capture_maxbytes
        self._cutter = Cutter(capture=self._limit > 0, strip=output.strip_ansi)
        self._message = bytearray()
        self._fd = -1
        self.waits_for = 0
        self._text: TextTap | None = None
        if output.events_enabled:
            self._text = TextTap(hear)
            if isinstance(inner, FileSink):
                # It knows what has reached the file, also when the disk fails halfway.
                inner.tap = Taps(self._text, inner.tap) if inner.tap else self._text

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._inner.name

    @property
    def blocked_on(self) -> int:
        """See `Sink.blocked_on`."""
        return self._inner.blocked_on

    def take(self, fd: int, budget: int) -> int:
        """See `Sink.take`."""
        self._fd = fd
        return self._take(min(budget, MOST), final=False)

    def _take(self, budget: int, *, final: bool) -> int:
        moved = 0
        self.waits_for = 0
        self._inner.take(self._fd, 0)  # it may have to go on with what it could not write before
        while moved < budget and self._inner.blocked_on < 0:
            head = peek(self._fd, MOST)
            taken, all_of_it = self._pass(head, final=final)
            moved += taken
            if not all_of_it or not head:
                break
        return moved

    def _pass(self, head: bytes, *, final: bool) -> tuple[int, bool]:
        """Deal with what is at the head of the pipe; return how much, and whether that is all."""
        start = 0
        while start < len(head):
            piece, end = self._cutter.cut(head, start, final=final)
            if piece is Piece.BEGUN:
                if bytes_in_pipe(self._fd) <= len(head) - start:
                    self.waits_for = len(head) - start
                    return start, False
                if start:
                    return start, True  # there is more: look again, from here on
                # More is there than can be looked at, so this will never be decided.
                piece, end = Piece.CAUGHT if self._cutter.inside else Piece.TEXT, start + 1
            if piece is Piece.TEXT:
                moved = self._inner.take(self._fd, end - start)
                self._tell(head[start : start + moved])
                start += moved
                if start < end:
                    return start, False
                continue
            os.read(self._fd, end - start)
            self._drop(piece, head[start:end])
            start = end
        return start, True

    def _tell(self, data: bytes) -> None:
        """Tell of what has gone to the inner sink, if that does not tell itself."""
        if self._answers:
            self._hear("answer", data)
        if self._text is not None and not isinstance(self._inner, FileSink):
            self._text.feed(data)

    def _drop(self, piece: Piece, data: bytes) -> None:
        """Deal with what has left the pipe and does not go into the log."""
        if piece is Piece.CAUGHT:
            self._message += data
            del self._message[: max(0, len(self._message) - self._limit)]
            if self._text is not None:
                self._text.feed(data)
        elif piece is Piece.END:
            self._tell_message()

    def _tell_message(self) -> None:
        # What was cut off at its front may have been half of a character.
        data = bytes(self._message)
        start = next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
        self._message.clear()
        self._hear("message", Decoder().decode(data[start:], final=True))

    def finish(self) -> None:
        """See `Sink.finish`. What was only begun is text after all."""
        if self.waits_for:
            with contextlib.suppress(OSError):  # then it stays in the pipe, like all the rest
                self._take(_FINAL, final=True)
        if self._cutter.inside:
            self._cutter.inside = False
            self._tell_message()
        if self._text is not None and not isinstance(self._inner, FileSink):
            self._text.finish()
        self._inner.finish()

    def close(self) -> None:
        """See `Sink.close`."""
        self._inner.close()


class AnswerSink:
    """What an event listener says: told at once, and copied to its log.

    It is read, not spliced: a log that cannot be written must not keep events from anybody.
    """

    __slots__ = ("_failing", "_hear", "_log", "_report")

    waits_for = 0
    blocked_on = -1

    def __init__(self, log: FileSink | None, hear: Hear, report: Callable[[str], None]) -> None:
        self._log = log
        self._hear = hear
        self._report = report
        self._failing = False

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._log.name if self._log is not None else os.devnull

    def take(self, fd: int, budget: int) -> int:
        """See `Sink.take`."""
        try:
            data = os.read(fd, min(budget, MOST))
        except BlockingIOError:
            return 0
        if self._log is not None and data:
            self._copy(self._log, data)
        self._hear("answer", data)
        return len(data)

    def _copy(self, sink: FileSink, data: bytes) -> None:
        try:
            sink.log.append(data)
        except OSError as error:
            if not self._failing:
                self._report(f'cannot write "{sink.name}": {error.strerror}; its output is dropped')
            self._failing = True
        else:
            self._failing = False

    def finish(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """See `Sink.close`."""
        if self._log is not None:
            self._log.close()
