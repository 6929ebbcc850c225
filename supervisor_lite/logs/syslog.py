"""Send lines to syslog, a datagram each: the client, and a stream's sink that uses it.

Syslog being away or slow is never the program's fault: beside a log file, lines are dropped (and
that is reported); as the only place for the output, a slow syslog makes the program wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Final

from supervisor_lite.logs.loss import Loss
from supervisor_lite.logs.peek import MAX_PEEK

DEVLOG: Final = "/dev/log"
PRIORITY: Final = 14
"""Facility user (1), severity info (6): 1 * 8 + 6."""
MAX_LINE: Final = 8192
"""Bytes; a longer line is sent in several messages."""
MAX_BACKLOG: Final = 256 * 1024
"""Bytes that wait for a slow syslog beside a log file; more are dropped."""
RETRY_DELAY: Final = 1.0
"""Seconds before an absent syslog is looked for again."""


class SyslogClient:
    """A socket to syslog that is never waited for: what it does not take is the caller's matter.

    It is connected by the first message, and anew by the first one after `close`.
    """

    __slots__ = ("_address", "_socket")

    def __init__(self, address: str = DEVLOG) -> None:
        self._address = address
        self._socket: socket.socket | None = None

    def fileno(self) -> int:
        """Return the descriptor of the socket, -1 while there is none."""
        return self._socket.fileno() if self._socket is not None else -1

    def connect(self) -> None:
        """Connect if it is not connected. Raises OSError."""
        if self._socket is not None:
            return
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.setblocking(False)
        try:
            made.connect(self._address)
        except OSError:
            made.close()
            raise
        self._socket = made

    def send(self, priority: int, line: str) -> None:
        """Send one message in the format of syslog(3), where `priority` is explained, too.

        Raises BlockingIOError while syslog is too slow, and OSError when it is not there or was
        restarted: after `close` it can be tried again.
        """
        self.connect()
        assert self._socket is not None
        stamp = time.strftime("%b %e %H:%M:%S")
        message = f"<{priority}>{stamp} supervisor-lite[{os.getpid()}]: {line}"
        self._socket.send(message.encode(errors="backslashreplace"))

    def close(self) -> None:
        """Close the socket, if there is one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None


class SyslogSink:
    """Sends lines as "<process name> <line>"; a sink by itself or the tee of a log file."""

    __slots__ = (
        "_absent_until", "_backlog", "_client", "_is_tee", "_loop", "_loss", "_path", "_process",
        "_report", "_reported", "_waiting_for_room",
    )  # fmt: skip

    undecided = 0

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        process: str,
        report: Callable[[str], None],
        path: str = DEVLOG,
        loss: Loss | None = None,
    ) -> None:
        self._loop = loop
        self._loss = loss or Loss()
        self._process = process
        self._report = report
        self._path = path
        self._client = SyslogClient(path)
        self._backlog = bytearray()
        self._absent_until = 0.0
        self._reported = False
        self._is_tee = False
        self._waiting_for_room = False

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return "syslog"

    @property
    def blocked_on(self) -> int:
        """The socket, while a whole line waits for room in it."""
        return self._client.fileno() if b"\n" in self._backlog else -1

    # As a sink

    def transfer(self, fd: int, budget: int) -> int:
        """See `Sink.transfer`. A datagram per line is dear, so it is little at a time."""
        self._send()
        if self.blocked_on >= 0:
            return 0
        try:
            data = os.read(fd, min(budget, MAX_PEEK))
        except BlockingIOError:
            return 0
        self._add(data)
        self._send()
        return len(data)

    def mark(self, line: bytes) -> bool:
        """See `Sink.mark`."""
        if self._client.fileno() < 0:
            return False  # the next line looks for it again
        self._send()
        return self.blocked_on < 0 and self._send_one(line.rstrip(), ours=True)

    # As a tee

    def feed(self, data: bytes) -> None:
        """See `Tee.feed`."""
        self._is_tee = True
        self._add(data)
        self._send()
        if len(self._backlog) > MAX_BACKLOG:
            kept = self._backlog.find(b"\n", len(self._backlog) - MAX_BACKLOG // 2) + 1
            end = kept or len(self._backlog)
            self._loss.drop(bytes(self._backlog[:end]))
            del self._backlog[:end]
            self._complain("it is too slow")
        self._watch()

    def _watch(self) -> None:
        """Wait for room, unless a capture does that because this is its only sink."""
        if self._is_tee and not self._waiting_for_room and self.blocked_on >= 0:
            self._waiting_for_room = True
            self._loop.add_writer(self.blocked_on, self._writable)

    def _writable(self) -> None:
        self._send()
        if self.blocked_on < 0:
            self._reported = False
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._waiting_for_room and self._client.fileno() >= 0:
            self._loop.remove_writer(self._client.fileno())
        self._waiting_for_room = False

    def finish(self) -> None:
        """Send the last line although it has no end."""
        if self._backlog and not self._backlog.endswith(b"\n"):
            self._backlog += b"\n"
        self._send()
        self._watch()

    def close(self) -> None:
        """Release the socket; what waits is dropped."""
        self._disconnect()
        self._backlog.clear()

    # Lines and datagrams

    def _add(self, data: bytes) -> None:
        self._backlog += data
        if len(self._backlog) - (self._backlog.rfind(b"\n") + 1) > MAX_LINE:
            self._backlog += b"\n"  # a line without end must not be gathered for ever

    def _send(self) -> None:
        """Send every whole line, as long as there is room."""
        if self._is_tee and self._loss.pending and self._client.fileno() >= 0:
            if not self._send_one(self._loss.mark().rstrip(), ours=True):
                return
            self._loss.marked()
        sent = 0
        while (end := self._backlog.find(b"\n", sent)) >= 0:
            for start in range(sent, max(end, sent + 1), MAX_LINE):
                if not self._send_one(bytes(self._backlog[start : min(end, start + MAX_LINE)])):
                    del self._backlog[:start]
                    return
            sent = end + 1
        del self._backlog[:sent]

    def _send_one(self, line: bytes, *, ours: bool = False) -> bool:
        """Send or drop one line; return False if it must wait until there is room.

        One of `ours`, about what is lost, is not dropped.
        """
        text = line.decode(errors="backslashreplace").replace("\0", "\\x00")
        for _ in range(2):
            if not self._connected():
                break
            try:
                self._client.send(PRIORITY, f"{self._process} {text}")
            except BlockingIOError:
                return False
            except OSError:
                self._disconnect()  # it was started anew perhaps: try once more
            else:
                return True
        if not ours:
            self._loss.drop(line, 1)
        return not ours

    def _connected(self) -> bool:
        if self._client.fileno() >= 0:
            return True
        if self._loop.time() < self._absent_until:
            return False
        try:
            self._client.connect()
        except OSError as error:
            self._absent_until = self._loop.time() + RETRY_DELAY
            self._complain(error.strerror or str(error))
            return False
        self._reported = False
        self._loss.end()
        return True

    def _disconnect(self) -> None:
        self._stop_waiting()
        self._client.close()

    def _complain(self, cause: str) -> None:
        self._loss.begin(self.name, cause)
        if not self._reported:
            self._report(f'cannot write to syslog "{self._path}": {cause}; lines are dropped')
        self._reported = True
