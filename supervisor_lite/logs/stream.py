"""One stream of a process: its FIFO, where that goes, and how this can change on the way."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.logs import fifo
from supervisor_lite.logs.capture import Capture
from supervisor_lite.logs.devices import DISK, DeviceSink
from supervisor_lite.logs.filtering import AnswerSink, FilterSink, OnOutput
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.loss import Loss
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.sinks import FileSink, Sink
from supervisor_lite.logs.syslog import SyslogSink
from supervisor_lite.model.output import OnFull, Output
from supervisor_lite.special_files import is_special


class StreamContext(NamedTuple):
    """What the streams of a process need from outside."""

    pipes: Pipes
    report: Callable[[str], None]
    process: str
    """The process name, for syslog."""
    syslog_socket: str
    on_output: OnOutput
    """Gets what listeners may want to know of this stream."""
    stream: str = ""
    """stdout or stderr."""
    on_loss: Callable[[], None] = lambda: None
    """Called when what `OutputStream.loss` tells has changed."""


class OutputStream:
    """The stdout or stderr of a process.

    `log` is its log file, if it has one, kept while nothing is open too, so that it can be
    followed. `run_start` is the position there at which the last run began. `twin` is the other
    stream of the process: with the same path both share one log file.
    """

    __slots__ = ("_context", "capture", "inode", "log", "loss", "output", "run_start", "twin")

    def __init__(self, context: StreamContext, output: Output) -> None:
        self._context = context
        self.inode = 0, 0
        """Device and inode of the FIFO that is read."""
        self.output = output
        self.loss = Loss(context.stream, context.on_loss)
        self.twin: OutputStream | None = None
        self.log: LogFile | None = None
        self.capture: Capture | None = None
        self.run_start = 0

    def open(self, path: str, uid: int, gid: int, adopting: bool, live: int | None = None) -> None:
        """See `ProcessLogs.open`; `path` is the FIFO's. What is open already stays.

        `live` is a descriptor of a FIFO that is read instead of the one at `path`; it is ours.
        """
        if self.capture is not None:
            if self._is_at(path, uid):
                return
            if not self._is_at(path):
                self.close()
        if live is None and not fifo.make_fifo(path, uid, gid):
            text = f'cannot give "{path}" to uid {uid}: the program cannot reopen /dev/stdout'
            self._context.report(text)
        if self.capture is None:
            fd = fifo.open_for_reading(path) if live is None else live
            try:
                sink = self._sink(adopting)
            except BaseException:
                os.close(fd)
                raise
            status = os.fstat(fd)
            self.inode = status.st_dev, status.st_ino
            waits = self.output.on_full is OnFull.WAIT
            pipes, report = self._context.pipes, self._context.report
            self.capture = Capture(pipes, fd, sink, report, self.loss, waits=waits)

    def _is_at(self, path: str, uid: int | None = None) -> bool:
        """Tell whether the FIFO that we read is still the one that a child would open.

        With `uid`: and whether that user's child may open it, and nobody else's.
        """
        try:
            status = os.lstat(path)
        except OSError:
            return False
        if (status.st_dev, status.st_ino) != self.inode:
            return False
        return uid is None or (status.st_uid == uid and stat.S_IMODE(status.st_mode) == 0o600)

    def close(self) -> None:
        """Take what is in the pipe and read no more."""
        if self.capture is not None:
            self.capture.drain(patient=True)
            self.capture.close()
            self.capture = None

    def retry(self) -> None:
        """See `Capture.retry`."""
        if self.capture is not None:
            self.capture.retry()

    # Where it goes

    def _sink(self, adopting: bool) -> Sink:
        """Open what the output goes to; raises SpawnError unless adopting."""
        try:
            return self._open_sink(adopting)
        except OSError as error:
            text = f'cannot open log "{self.output.path}": {error.strerror}'
            if not adopting:
                raise SpawnError(text, SpawnErrorCode.OUTPUT, self.output.path or "") from error
            self._context.report(f"{text}; output is dropped from now on")
            return self._device(os.devnull)

    def _open_sink(self, adopting: bool) -> Sink:
        output, context = self.output, self._context
        if output.answers and not (output.path and is_special(output.path)):
            log = self._open_log(adopting) if output.path is not None else None
            return AnswerSink(log, context.on_output, context.report, self.loss)
        plain = self._plain(adopting)
        if not _is_looked_at(output):
            return plain
        return FilterSink(plain, output, context.pipes.peeker, context.on_output)

    def _plain(self, adopting: bool) -> Sink:
        """Open what takes the text as it is."""
        output = self.output
        if output.path is None:
            return self._syslog(self.loss) if output.syslog else self._device(os.devnull)
        if is_special(output.path):
            return self._device(output.path, output.prefix)
        tee = self._syslog() if output.syslog else None
        return FileSink(self._open_log(adopting), self._context.pipes.peeker, tee)

    def _device(self, path: str, prefix: str = "") -> DeviceSink:
        return DeviceSink(path, self._context.pipes, self._context.report, prefix, self.loss)

    def _open_log(self, adopting: bool) -> LogFile:
        log = self.logfile()
        try:
            log.open()
        except OSError as error:
            if not adopting and error.errno not in DISK:
                raise
            # The capture tries again; a full disk is no reason not to start a program.
        return log

    def _syslog(self, loss: Loss | None = None) -> SyslogSink:
        """Open syslog; only what it has alone is lost when it is lost there."""
        context = self._context
        return SyslogSink(
            context.pipes.loop, context.process, context.report, context.syslog_socket, loss
        )

    def has_log(self) -> bool:
        """Tell whether the output goes to a log file."""
        return self.output.path is not None and not is_special(self.output.path)

    def logfile(self) -> LogFile:
        """Return the log file, open or not. The output must have one."""
        output = self.output
        assert output.path is not None
        if self.log is None:
            other = self.twin.log if self.twin is not None else None
            if other is not None and other.path == output.path:
                self.log = other
            else:
                report = self._context.report
                self.log = LogFile(output.path, output.maxbytes, output.backups, report)
        return self.log

    # Changing that

    def redirect(self, output: Output) -> None:
        """Go somewhere else from the next byte; raises SpawnError, then nothing has changed."""
        old, log = self.output, self.log
        if output == old:
            return
        self.output = output
        try:
            if log is not None and self._may_keep(log):
                self._change(log)
            else:
                self.log = None
            if self.capture is not None and (self.log is None or _way(output) != _way(old)):
                self.capture.swap(self._sink(adopting=False))
        except SpawnError:
            self.output, self.log = old, log
            raise
        if self.capture is not None:
            self.capture.set_waits(output.on_full is OnFull.WAIT)
        self.retry()

    def _may_keep(self, log: LogFile) -> bool:
        """Tell whether a log can just take a new path, so that its followers stay with it."""
        shared = self.twin is not None and self.twin.log is log
        return self.has_log() and (log.path == self.output.path or not shared)

    def _change(self, log: LogFile) -> None:
        output = self.output
        assert output.path is not None
        try:
            log.change(output.path, output.maxbytes, output.backups)
        except OSError as error:
            raise SpawnError(
                f'cannot open log "{output.path}": {error.strerror}',
                SpawnErrorCode.OUTPUT,
                output.path,
            ) from error


def _is_looked_at(output: Output) -> bool:
    """Tell whether the bytes have to be looked at on their way."""
    return bool(
        output.events_enabled or output.capture_maxbytes or output.strip_ansi or output.answers
    )


def _way(output: Output) -> tuple[object, ...]:
    """Return what decides which sinks a stream goes through, apart from its log file."""
    looks = output.events_enabled, output.capture_maxbytes, output.strip_ansi, output.answers
    return output.syslog, *looks
