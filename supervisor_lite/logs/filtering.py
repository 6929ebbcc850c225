"""Let a stream pass with parts of it left out, and give observers a copy of it.

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
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.loss import Loss
from supervisor_lite.logs.peek import MAX_PEEK, Peeker
from supervisor_lite.logs.scanner import OutputScanner, Segment
from supervisor_lite.logs.sinks import Sink
from supervisor_lite.model.output import Output

OutputKind: TypeAlias = Literal["text", "message", "answer"]
"""What of the output is told: all of it, what was between the tokens, a listener's answer."""

OnOutput: TypeAlias = Callable[[OutputKind, str | bytes], None]

_MAX_LAST_PEEK: Final = 1 << 20
"""Bytes that are looked at when the output is over: what a pipe holds."""


class Decoder:
    """Makes text of parts of output; a character that is cut in two waits for its other part."""

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


class FilterSink:
    """Stands before a sink, which gets the ordinary text.

    This is the one place where output is observed: what the inner sink has delivered it knows from
    `Sink.transfer`, also when a disk fails halfway, and what is left out never gets there.

    `undecided` tells how many bytes stay in the pipe because they may be the beginning of a token
    or of an escape sequence.
    """

    __slots__ = (
        "_answers", "_decoder", "_fd", "_inner", "_max_message", "_message", "_on_output",
        "_peeker", "_scanner", "undecided",
    )  # fmt: skip

    def __init__(self, inner: Sink, output: Output, peeker: Peeker, on_output: OnOutput) -> None:
        """Tell `on_output` what the output is set to tell. The sink becomes ours to close."""
        self._inner = inner
        self._peeker = peeker
        self._on_output = on_output
        self._answers = output.answers
        self._decoder = Decoder() if output.events_enabled else None
        self._scanner = OutputScanner(capture=output.capture_maxbytes > 0, strip=output.strip_ansi)
        self._max_message = output.capture_maxbytes
        self._message = bytearray()
        self._fd = -1
        self.undecided = 0

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._inner.name

    @property
    def blocked_on(self) -> int:
        """See `Sink.blocked_on`."""
        return self._inner.blocked_on

    def transfer(self, fd: int, budget: int) -> int:
        """See `Sink.transfer`."""
        self._fd = fd
        return self._transfer(min(budget, MAX_PEEK), final=False)

    def _transfer(self, budget: int, *, final: bool) -> int:
        moved = 0
        self.undecided = 0
        self._inner.transfer(self._fd, 0)  # it may have to go on with what it could not write
        while moved < budget and self._inner.blocked_on < 0:
            head = self._peeker.peek(self._fd, MAX_PEEK)
            passed, all_of_it = self._pass(head, final=final)
            moved += passed
            if not all_of_it or not head:
                break
        return moved

    def _pass(self, head: bytes, *, final: bool) -> tuple[int, bool]:
        """Deal with what is at the head of the pipe; return how much, and whether that is all."""
        start = 0
        while start < len(head):
            segment, end = self._scanner.scan(head, start, final=final)
            if segment is Segment.INCOMPLETE:
                if bytes_in_pipe(self._fd) <= len(head) - start:
                    self.undecided = len(head) - start
                    return start, False
                if start:
                    return start, True  # there is more: look again, from here on
                # More is there than can be looked at, so this will never be decided.
                segment, end = self._scanner.text, start + 1
            if segment is Segment.TEXT:
                moved = self._inner.transfer(self._fd, end - start)
                self._observe(head[start : start + moved])
                start += moved
                if start < end:
                    return start, False
                continue
            os.read(self._fd, end - start)
            self._leave_out(segment, head[start:end])
            start = end
        return start, True

    def _observe(self, data: bytes) -> None:
        """Tell of what has gone to the inner sink."""
        if self._answers:
            self._on_output("answer", data)
        self._tell_text(data)

    def _leave_out(self, segment: Segment, data: bytes) -> None:
        """Deal with what has left the pipe and does not go into the log."""
        if segment is Segment.CAPTURED:
            self._message += data
            del self._message[: max(0, len(self._message) - self._max_message)]
            self._tell_text(data)
        elif segment is Segment.END:
            self._tell_message()

    def _tell_text(self, data: bytes, *, final: bool = False) -> None:
        if self._decoder is not None and (text := self._decoder.decode(data, final=final)):
            self._on_output("text", text)

    def _tell_message(self) -> None:
        # What was cut off at its front may have been half of a character.
        data = bytes(self._message)
        start = next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)
        self._message.clear()
        self._on_output("message", Decoder().decode(data[start:], final=True))

    def mark(self, line: bytes) -> bool:
        """See `Sink.mark`. Who waits for a token that is lost would wait for ever."""
        if self._scanner.inside:
            self._scanner.inside = False
            self._tell_message()
        self.undecided = 0
        return self._inner.mark(line)

    def finish(self) -> None:
        """See `Sink.finish`. What was only begun is text after all."""
        if self.undecided:
            with contextlib.suppress(OSError):  # then it stays in the pipe, like all the rest
                self._transfer(_MAX_LAST_PEEK, final=True)
        if self._scanner.inside:
            self._scanner.inside = False
            self._tell_message()
        self._tell_text(b"", final=True)
        self._inner.finish()

    def close(self) -> None:
        """See `Sink.close`."""
        self._inner.close()


class AnswerSink:
    """What an event listener says: told at once, and copied to its log.

    It is read, not spliced: a log that cannot be written must not keep events from anybody.
    """

    __slots__ = ("_log", "_loss", "_on_output", "_report")

    undecided = 0
    blocked_on = -1

    def __init__(
        self,
        log: LogFile | None,
        on_output: OnOutput,
        report: Callable[[str], None],
        loss: Loss | None = None,
    ) -> None:
        self._log = log
        self._on_output = on_output
        self._report = report
        self._loss = loss or Loss()

    @property
    def name(self) -> str:
        """See `Sink.name`."""
        return self._log.path if self._log is not None else os.devnull

    def transfer(self, fd: int, budget: int) -> int:
        """See `Sink.transfer`."""
        try:
            data = os.read(fd, min(budget, MAX_PEEK))
        except BlockingIOError:
            return 0
        if self._log is not None and data:
            self._copy(self._log, data)
        self._on_output("answer", data)
        return len(data)

    def _copy(self, log: LogFile, data: bytes) -> None:
        loss = self._loss
        try:
            if loss.pending:
                log.append(loss.mark())
                loss.marked()
            log.append(data)
        except OSError as error:
            reason = error.strerror or str(error)
            if loss.trouble is None:
                self._report(f'cannot write "{log.path}": {reason}; its output is dropped')
            loss.begin(log.path, reason)
            loss.drop(data)
        else:
            loss.end()

    def mark(self, line: bytes) -> bool:
        """See `Sink.mark`. It is done with the next answer."""
        return False

    def finish(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """See `Sink.close`."""
        if self._log is not None:
            self._log.close()
