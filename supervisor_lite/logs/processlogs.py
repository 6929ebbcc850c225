"""The output of one process: its FIFOs, their captures, its log files."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Final

from supervisor_lite.errors import OperationFailed, SpawnError
from supervisor_lite.logs import fifo
from supervisor_lite.logs.capture import Capture
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.read import tail_lines
from supervisor_lite.logs.sinks import FileSink, Sink, Tap
from supervisor_lite.logs.streams import StreamSink, is_special
from supervisor_lite.logs.to_syslog import DEVLOG, SyslogSink
from supervisor_lite.rules.program import Output, Program

STDOUT: Final = "stdout"
STDERR: Final = "stderr"
STREAMS: Final = (STDOUT, STDERR)

LAST_WORDS: Final = 2048
"""Bytes kept of the output of a failed start."""


class _Stream:
    """One stream: where it goes, and its capture while that is open."""

    __slots__ = ("capture", "inode", "log", "output", "run_start")

    def __init__(self, output: Output) -> None:
        self.output = output
        self.log: LogFile | None = None
        self.capture: Capture | None = None
        self.inode = 0
        self.run_start = 0
        """The position in the log at which the last run began."""


class ProcessLogs:
    """Captures what one process writes, from run to run.

    Nothing is opened before `open`; that is called before each spawn. `report` gets texts for the
    daemon's log, at most one per trouble and one at its end.
    """

    __slots__ = (
        "_devlog", "_loop", "_program", "_report", "_runtime_dir", "_stderr", "_stdout",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        runtime_dir: str,
        program: Program,
        report: Callable[[str], None],
        *,
        syslog_socket: str = DEVLOG,
    ) -> None:
        self._loop = loop
        self._runtime_dir = runtime_dir
        self._program = program
        self._report = report
        self._devlog = syslog_socket
        self._stdout = _Stream(program.stdout)
        self._stderr = _Stream(self._output(STDERR))

    # Opening

    def open(self, uid: int, gid: int, *, adopting: bool = False) -> None:
        """Make or take the FIFOs, owned by the program's user, and open what they go to.

        What is open already stays. FIFOs that a live process of an earlier daemon may write into
        are drained too, even if the definition no longer asks for them. Raises SpawnError with the
        reason; when `adopting`, a log that cannot be opened is reported and tried again instead.
        """
        fifo.make_directory(f"{self._runtime_dir}/{fifo.DIRECTORY}")
        for name, stream in self._streams():
            self._redirect(stream, self._output(name))
            path = self._fifo(name)
            if stream.capture is not None and not _is_at(path, stream.inode):
                self._end(stream)
            if stream.capture is None and (self._is_wanted(name) or os.path.lexists(path)):
                self._begin(stream, path, uid, gid, adopting)
            elif stream.capture is not None and not fifo.make_fifo(path, uid, gid):
                self._report(_not_given(path, uid))
            if stream.log is not None:
                stream.run_start = stream.log.end

    def _begin(self, stream: _Stream, path: str, uid: int, gid: int, adopting: bool) -> None:
        if not fifo.make_fifo(path, uid, gid):
            self._report(_not_given(path, uid))
        fd = fifo.open_for_reading(path)
        try:
            sink = self._sink(stream, adopting)
        except BaseException:
            os.close(fd)
            raise
        stream.inode = os.fstat(fd).st_ino
        stream.capture = Capture(self._loop, fd, sink, self._report)

    def _sink(self, stream: _Stream, lenient: bool = False) -> Sink:
        """Open what a stream goes to; raises SpawnError."""
        output = stream.output
        if output.path is None:
            return self._syslog() if output.syslog else StreamSink(os.devnull, self._report)
        try:
            if is_special(output.path):
                return StreamSink(output.path, self._report)
            log = self._logfile(stream)
            # A file that cannot be opened yet is tried again by the capture, a stream is not.
            with contextlib.suppress(OSError if lenient else ()):
                log.open()
        except OSError as error:
            text = f'cannot open log "{output.path}": {error.strerror}'
            if not lenient:
                raise SpawnError(text) from error
            self._report(f"{text}; output is dropped from now on")
            return StreamSink(os.devnull, self._report)
        tap: Tap | None = self._syslog() if output.syslog else None
        return FileSink(log, tap)

    def _syslog(self) -> SyslogSink:
        return SyslogSink(self._loop, self._program.name, self._report, self._devlog)

    def _logfile(self, stream: _Stream) -> LogFile:
        """Return the log file of a stream; both streams share one if they have the same path."""
        if stream.log is None:
            other = self._stderr if stream is self._stdout else self._stdout
            if other.log is not None and other.log.path == stream.output.path:
                stream.log = other.log
            else:
                stream.log = _new_log(stream.output, self._report)
        return stream.log

    # What a spawn needs to know

    def child_paths(self) -> tuple[str | None, str | None, bool]:
        """Return the paths of stdout and stderr, and whether stderr is the same as stdout.

        The child opens them for reading and writing; None means /dev/null.
        """
        if self._program.redirect_stderr:
            return self._child_path(STDOUT), None, True
        return self._child_path(STDOUT), self._child_path(STDERR), False

    def _child_path(self, name: str) -> str | None:
        return self._fifo(name) if self._is_wanted(name) else None

    def _is_wanted(self, name: str) -> bool:
        """Tell whether the definition wants this stream captured by itself."""
        if name == STDERR and self._program.redirect_stderr:
            return False
        output = self._output(name)
        return output.path is not None or output.syslog

    def _output(self, name: str) -> Output:
        """Return where the definition wants a stream to go.

        With `redirect_stderr`, stderr goes there too: a process that was spawned before that was
        set still writes to a FIFO of its own.
        """
        if name == STDOUT or self._program.redirect_stderr:
            return self._program.stdout
        return self._program.stderr

    def _fifo(self, name: str) -> str:
        return fifo.fifo_path(self._runtime_dir, self._program, name)

    # While it runs

    def drain(self) -> int:
        """Move what is in the pipes now; return how many bytes. See `Capture.drain`."""
        return sum(s.capture.drain() for _, s in self._streams() if s.capture is not None)

    def change(self, program: Program) -> None:
        """Take a changed definition: where output goes, from the next byte; what a child gets,
        from the next spawn.

        Never raises: a log that cannot be opened is reported, and the old one is kept.
        """
        self._program = program
        for name, stream in self._streams():
            try:
                self._redirect(stream, self._output(name))
            except SpawnError as error:
                self._report(f"{error}; its output goes on as before")

    def _redirect(self, stream: _Stream, new: Output) -> None:
        """Make a stream go somewhere else; raises SpawnError, then nothing has changed."""
        old, log = stream.output, stream.log
        if new == old:
            return
        stream.output = new
        try:
            if log is not None and self._may_keep(log, new):
                self._change_log(stream, log, old)
            else:
                stream.log = None
                if stream.capture is not None:
                    stream.capture.swap(self._sink(stream))
        except SpawnError:
            stream.output, stream.log = old, log
            raise
        if stream.capture is not None:
            stream.capture.retry()

    def _may_keep(self, log: LogFile, new: Output) -> bool:
        """Tell whether a log can just take a new path, so that its followers stay with it."""
        if new.path is None or is_special(new.path):
            return False
        return log.path == new.path or self._stdout.log is not self._stderr.log

    def _change_log(self, stream: _Stream, log: LogFile, old: Output) -> None:
        new = stream.output
        assert new.path is not None
        try:
            log.change(new.path, new.maxbytes, new.backups)
        except OSError as error:
            raise SpawnError(f'cannot open log "{new.path}": {error.strerror}') from error
        sink = stream.capture.sink if stream.capture is not None else None
        if isinstance(sink, FileSink) and new.syslog != old.syslog:
            if sink.tap is not None:
                sink.tap.close()
            sink.tap = self._syslog() if new.syslog else None

    def reopen(self) -> None:
        """Open the log files again, because something has moved them away (SIGUSR2)."""
        for log in self._logs():
            try:
                log.reopen()
            except OSError as error:
                text = f'cannot open log "{log.path}": {error.strerror}; the old file is kept'
                self._report(text)
        self._retry()

    def clear(self) -> None:
        """Empty the logs and delete what was rotated, in any state of the process.

        Raises OperationFailed if there is no log file or it cannot be done.
        """
        logs = [log for name in STREAMS if (log := self.log(name)) is not None]
        if not logs:
            raise OperationFailed(f'cannot clear "{self._program.fullname}": no log file')
        for log in dict.fromkeys(logs):
            try:
                log.clear()
            except OSError as error:
                raise OperationFailed(f'cannot clear "{log.path}": {error.strerror}') from error
        self._retry()

    def _retry(self) -> None:
        for _, stream in self._streams():
            if stream.capture is not None:
                stream.capture.retry()

    # Reading

    def log(self, name: str) -> LogFile | None:
        """Return the log file of "stdout" or "stderr", to read and to follow, open or not.

        None if that stream has none: it goes nowhere, to syslog or to something special. With
        `redirect_stderr` both are the same.
        """
        stream = self._stdout
        if name == STDERR and not self._program.redirect_stderr:
            stream = self._stderr
        path = stream.output.path
        if path is None or is_special(path):
            return None
        return self._logfile(stream)

    def last_lines(self, count: int = 5) -> str:
        """Return the last lines that the present run has written: of stderr, else of stdout."""
        for stream in (self._stderr, self._stdout):
            log = stream.log
            if log is not None and log.end > stream.run_start:
                most = min(log.end - stream.run_start, LAST_WORDS)
                text = tail_lines(log.path, count, most).decode(errors="replace")
                if text.strip():
                    return text.strip("\n")
        return ""

    # The end

    def close(self) -> None:
        """Read no more and close everything; the FIFOs stay for the next daemon."""
        for _, stream in self._streams():
            self._end(stream)

    def remove(self) -> None:
        """Close everything and remove the FIFOs: the process is no more."""
        self.close()
        for name in STREAMS:
            with contextlib.suppress(OSError):
                os.unlink(self._fifo(name))

    def _end(self, stream: _Stream) -> None:
        if stream.capture is not None:
            stream.capture.drain()
            stream.capture.close()
            stream.capture = None

    # Both streams

    def _streams(self) -> Iterator[tuple[str, _Stream]]:
        yield STDOUT, self._stdout
        yield STDERR, self._stderr

    def _logs(self) -> Iterator[LogFile]:
        logs = [stream.log for _, stream in self._streams() if stream.log is not None]
        yield from dict.fromkeys(logs)


def _new_log(output: Output, report: Callable[[str], None]) -> LogFile:
    assert output.path is not None
    return LogFile(output.path, output.maxbytes, output.backups, report)


def _is_at(path: str, inode: int) -> bool:
    with contextlib.suppress(OSError):
        return os.lstat(path).st_ino == inode
    return False


def _not_given(path: str, uid: int) -> str:
    return f'cannot give "{path}" to uid {uid}: the program cannot reopen /dev/stdout'
