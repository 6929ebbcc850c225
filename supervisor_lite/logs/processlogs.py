"""The output of one process: two streams, from run to run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from supervisor_lite.errors import OperationFailed, SpawnError
from supervisor_lite.logs import fifo
from supervisor_lite.logs.arrival import Arrival
from supervisor_lite.logs.filtering import OutputKind
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.loss import joined
from supervisor_lite.logs.pipes import Pipes
from supervisor_lite.logs.read import tail_lines
from supervisor_lite.logs.stream import OutputStream, StreamContext
from supervisor_lite.logs.syslog import DEVLOG
from supervisor_lite.model.constants import NOTHING
from supervisor_lite.model.output import Output, OutputLoss, OutputTrouble
from supervisor_lite.model.program import Program
from supervisor_lite.protocol.codes import ErrorCode

STDOUT: Final = "stdout"
STDERR: Final = "stderr"
STREAMS: Final = (STDOUT, STDERR)

MAX_LAST_WORDS: Final = 2048
"""Bytes of the output of a failed start that are kept at most."""


class ProcessLogs:
    """Captures what one process writes.

    Nothing is opened before `open`, which is called before each spawn. `report` gets texts for the
    daemon's log, one per trouble and one at its end. `on_output` gets what listeners may want to
    know: stream, what it is, and the text or the bytes. `on_loss` is called when what `trouble` or
    `dropped` return has changed.
    """

    __slots__ = (
        "_directory", "_fifos", "_program", "_report", "_safe", "_stderr", "_stdout", "arrival",
    )  # fmt: skip

    def __init__(
        self,
        pipes: Pipes,
        runtime_dir: str,
        program: Program,
        report: Callable[[str], None],
        *,
        syslog_socket: str = DEVLOG,
        on_output: Callable[[str, OutputKind, str | bytes], None] = lambda stream, kind, data: None,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self._directory = runtime_dir
        self._fifos = {name: fifo.fifo_path(runtime_dir, program, name) for name in STREAMS}
        self._safe = False
        """The directory of the FIFOs has been looked at."""
        self._program = program
        self._report = report
        context = StreamContext(
            pipes, report, program.name, syslog_socket, lambda kind, data: None, on_loss=on_loss
        )
        self._stdout, self._stderr = (
            OutputStream(
                context._replace(on_output=partial(on_output, name), stream=name),
                self._output(name),
            )
            for name in STREAMS
        )
        self._stdout.twin = self._stderr
        self._stderr.twin = self._stdout
        self.arrival = Arrival()
        """The order of stdout and stderr."""

    # Opening and what a spawn needs to know

    def open(
        self,
        uid: int,
        gid: int,
        *,
        adopting: bool = False,
        live: Mapping[str, int] = NOTHING,
    ) -> None:
        """Make or take the FIFOs, owned by the program's user, and open what they go to.

        What is open already stays. FIFOs that a live process of an earlier daemon may write into
        are drained too, even if the definition no longer asks for them. Raises SpawnError with the
        reason; when `adopting`, a log that cannot be opened is reported and tried again instead.
        `live` has by stream what a live process has open in place of the FIFO that is there.
        """
        if adopting:
            self.change(self._program)
        if not self._safe:
            fifo.make_directory(os.path.dirname(self._fifos[STDOUT]))
            self._safe = True
        for name in STREAMS:
            stream = self._stream(name)
            if not adopting:
                stream.redirect(self._output(name))
            path = self._fifos[name]
            if self._is_wanted(name) or name in live or os.path.lexists(path):
                stream.open(path, uid, gid, adopting, live.get(name))
            if stream.log is not None:
                stream.run_start = stream.log.end
        self.arrival.watch(self._stdout.log, self._stderr.log)

    def child_paths(self) -> tuple[str | None, str | None, bool]:
        """Return the paths of stdout and stderr, and whether stderr is the same as stdout.

        The child opens them for reading and writing; None means /dev/null.
        """
        stdout, stderr = (self._fifos[n] if self._is_wanted(n) else None for n in STREAMS)
        return stdout, stderr, self._program.redirect_stderr

    def move_to(self, runtime_dir: str) -> None:
        """Have the FIFOs of the next run made in this directory."""
        if runtime_dir != self._directory:
            self._directory, self._safe = runtime_dir, False
            program = self._program
            self._fifos = {name: fifo.fifo_path(runtime_dir, program, name) for name in STREAMS}

    def wanted_paths(self) -> dict[str, str]:
        """Return the paths of the FIFOs that the definition asks for, by stream."""
        return {name: path for name, path in self._fifos.items() if self._is_wanted(name)}

    def _is_wanted(self, name: str) -> bool:
        """Tell whether the definition wants this stream captured by itself."""
        if name == STDERR and self._program.redirect_stderr:
            return False
        return self._output(name).captured

    def _output(self, name: str) -> Output:
        """Return where the definition wants a stream to go.

        With `redirect_stderr`, stderr goes there too: a process that was spawned before that was
        set still writes to a FIFO of its own.
        """
        if name == STDOUT or self._program.redirect_stderr:
            return self._program.stdout
        return self._program.stderr

    def _stream(self, name: str) -> OutputStream:
        return self._stdout if name == STDOUT else self._stderr

    # While it runs

    def fds(self) -> dict[str, int]:
        """Return our descriptors of the open FIFOs, by stream.

        Whoever holds them keeps the output of a process that ends while no daemon is there.
        """
        captures = (STDOUT, self._stdout.capture), (STDERR, self._stderr.capture)
        return {name: capture.fd for name, capture in captures if capture is not None}

    def inodes(self) -> frozenset[tuple[int, int]]:
        """Return device and inode of the open FIFOs: a mark of whoever has inherited them."""
        streams = (self._stdout, self._stderr)
        return frozenset(stream.inode for stream in streams if stream.capture is not None)

    def drain(self) -> int:
        """Move what is in the pipes now and return how many bytes that was.

        Called when a run has ended: its last words must be in the log before that is told.
        """
        captures = (self._stdout.capture, self._stderr.capture)
        return sum(capture.drain() for capture in captures if capture is not None)

    def change(self, program: Program) -> None:
        """Take a changed definition, for output from the next byte, for a child from its spawn.

        Never raises: a log that cannot be opened is reported, and the old one is kept.
        """
        self._program = program
        for name in STREAMS:
            try:
                self._stream(name).redirect(self._output(name))
            except SpawnError as error:
                self._report(f"{error}; its output goes on as before")
        self.arrival.watch(self._stdout.log, self._stderr.log)

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
            text = f'cannot clear "{self._program.fullname}": no log file'
            raise OperationFailed(text, ErrorCode.NO_LOG_FILE)
        for log in dict.fromkeys(logs):
            try:
                log.clear()
            except OSError as error:
                text = f'cannot clear "{log.path}": {error.strerror}'
                raise OperationFailed(text, ErrorCode.IO_ERROR) from error
        self._retry()

    def _retry(self) -> None:
        self._stdout.retry()
        self._stderr.retry()

    def _logs(self) -> list[LogFile]:
        logs = (self._stdout.log, self._stderr.log)
        return list(dict.fromkeys(log for log in logs if log is not None))

    def trouble(self) -> OutputTrouble | None:
        """Return why output cannot be written at present; of stdout first."""
        return self._stdout.loss.trouble or self._stderr.loss.trouble

    def dropped(self) -> OutputLoss:
        """Return what was lost since the daemon is there."""
        return joined(self._stdout.loss.total, self._stderr.loss.total)

    # Reading

    def log(self, name: str) -> LogFile | None:
        """Return the log file of "stdout" or "stderr", to read and to follow, open or not.

        None if that stream has none: it goes nowhere, to syslog or to something special. With
        `redirect_stderr` both are the same.
        """
        stream = self._stdout if self._program.redirect_stderr else self._stream(name)
        return stream.logfile() if stream.has_log() else None

    def last_lines(self, count: int = 5) -> str:
        """Return the last lines that the present run has written: of stderr, else of stdout."""
        for stream in (self._stderr, self._stdout):
            log = stream.log
            if log is not None and log.end > stream.run_start:
                max_bytes = min(log.end - stream.run_start, MAX_LAST_WORDS)
                text = tail_lines(log.path, count, max_bytes).decode(errors="replace").strip("\n")
                if text.strip():
                    return text
        return ""

    # The end

    def close(self) -> None:
        """Read no more and close everything; the FIFOs stay for the next daemon."""
        self._stdout.close()
        self._stderr.close()

    def remove(self) -> None:
        """Close everything and remove the FIFOs: the process is no more."""
        self.close()
        for name in STREAMS:
            with contextlib.suppress(OSError):
                fifo.remove(self._fifos[name])
