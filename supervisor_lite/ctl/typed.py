"""What is typed, or comes through a pipe, on its way to the input of a process."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time

from supervisor_lite.client.errors import ClientError, RemoteError, Unreachable
from supervisor_lite.client.sync import Client
from supervisor_lite.ctl import render
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.text import sanitize

_RETRY = 50
"""Milliseconds until a line is tried again that the process, or a daemon, does not take yet."""

_QUIET = 0.3
"""Seconds without output after the end of the input: then there is no answer any more."""

_LONGEST = 2.0
"""Seconds for which answers are shown after the end of the input, though output goes on."""


_PIPE_BUF = 4096


class EndOfInput(Exception):
    """Nothing more will be typed, and what came was sent."""


class Typed:
    """Our stdin, line by line to a process. A line that cannot be taken yet waits here."""

    def __init__(self, path: str, configuration: str, name: str) -> None:
        """`path` is that of the control socket, `name` the process."""
        self._path = path
        self._configuration = configuration
        self._name = name
        self._rest = b""
        self._lines: list[bytes] = []
        self._fd = self._stdin()
        self._ended = self._fd < 0
        self._deadline = self._last = 0.0

    @staticmethod
    def _stdin() -> int:
        try:
            return sys.stdin.fileno()
        except (AttributeError, OSError, ValueError):
            return -1  # it was closed before we were started

    def prepare(self, poller: select.poll) -> int | None:
        """Have the poller look at stdin, if there is room; return how many ms it may take."""
        with contextlib.suppress(KeyError, ValueError):
            poller.unregister(self._fd)
        if self._lines:
            return _RETRY
        if not self._ended:
            poller.register(self._fd, select.POLLIN)
            return None
        now = time.monotonic()
        if not self._deadline:
            self._deadline, self._last = now + _LONGEST, now
        return max(0, int(1000 * (min(self._deadline, self._last + _QUIET) - now))) + 1

    def look(self, found: set[int], *, quiet: bool) -> None:
        """Read and send what there is. Raises EndOfInput."""
        if self._lines:
            self._send()
        elif self._fd in found and not self._ended:
            self._read()
        elif self._ended and self._deadline:
            now = time.monotonic()
            if not quiet:
                self._last = now
            if now >= self._deadline or (quiet and now >= self._last + _QUIET):
                raise EndOfInput

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError:
            data = b""  # a terminal that has gone
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines += _pieces(line + b"\n")
        if not data:
            self._ended = True
            self._lines += _pieces(self._rest)
            self._rest = b""
        self._send()

    def _send(self) -> None:
        while self._lines:
            text = self._lines[0].decode(errors="surrogateescape")
            try:
                with Client(self._path, configuration=self._configuration) as client:
                    _send_line(client, {"name": self._name, "text": text})
            except Unreachable:
                return  # the next daemon gets it
            except RemoteError as error:
                if error.code == ErrorCode.INPUT_FULL:
                    return
                self._report(error)
            except ClientError as error:
                self._report(error)
            self._lines.pop(0)

    def _report(self, error: ClientError) -> None:
        render.err(f"slctl: {sanitize(error)}")


def _send_line(client: Client, params: dict[str, object]) -> None:
    """Send what was typed, so that it is noted as such."""
    try:
        client.call("send", {**params, "foreground": True})
    except RemoteError as error:
        if error.code != ErrorCode.INVALID_PARAMS:
            raise
        client.call("send", params)  # an older daemon


def _pieces(line: bytes) -> list[bytes]:
    """Cut a line into what a pipe takes as a whole or not at all (PIPE_BUF), between characters."""
    found = []
    while line:
        end = min(len(line), _PIPE_BUF)
        while end < len(line) and line[end] & 0xC0 == 0x80 and end > _PIPE_BUF - 4:
            end -= 1
        found.append(line[:end])
        line = line[end:]
    return found
