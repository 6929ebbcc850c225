"""Notify a service manager such as systemd of our state (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable

from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import TableChanged
from supervisor_lite.text import plural

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM",
             "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")  # fmt: skip
"""Meant for the daemon; its children must not see them."""


_KEPT = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM")
"""Those that stay true across an upgrade."""

_MAX_DIGITS = 18
"""Of a time in microseconds that means anything."""

_RETRY = 0.05
"""Seconds until a manager that had no room is notified again that we are ready."""


class Notifier:
    """Sends to the socket that the environment named when the daemon started."""

    def __init__(self, address: str | None, variables: dict[str, str] | None = None) -> None:
        self._address = "\0" + address[1:] if address and address[0] == "@" else address
        self.is_full = False
        """The manager had no room for what was sent last: it is lost."""
        self.variables = variables or {}
        """What was taken out of the environment; a new version of ourselves needs it again."""

    @property
    def has_manager(self) -> bool:
        """Is there anybody who wants to be notified?"""
        return self._address is not None

    @property
    def watchdog_timeout(self) -> float:
        """Seconds within which the manager wants a sign of life; 0 if it does not care."""
        pid = self.variables.get("WATCHDOG_PID")
        usec = self.variables.get("WATCHDOG_USEC", "")
        if (
            not usec.isdecimal()
            or len(usec) > _MAX_DIGITS
            or (pid is not None and pid != str(os.getpid()))
        ):
            return 0.0
        return int(usec) / 1e6

    @property
    def stderr_is_journal(self) -> bool:
        """Is our stderr systemd's journal (systemd.exec(5))?"""
        stream = self.variables.get("JOURNAL_STREAM")
        if stream is None:
            return False
        try:
            status = os.fstat(2)
        except OSError:
            return False  # closed
        return stream == f"{status.st_dev}:{status.st_ino}"

    @classmethod
    def from_environment(cls) -> Notifier:
        """Take NOTIFY_SOCKET and its kin out of the environment, so that no child inherits it."""
        address = os.environ.get("NOTIFY_SOCKET")
        taken = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
        kept = {name: taken[name] for name in _KEPT if name in taken}
        return cls(address, kept)

    def store(self, name: str, fd: int) -> None:
        """Have a descriptor kept for the next daemon, also when its other side hangs up."""
        self.send("FDSTORE=1", f"FDNAME={name}", "FDPOLL=0", fds=(fd,))

    def unstore(self, name: str) -> None:
        """Have the descriptors of this name closed."""
        self.send("FDSTOREREMOVE=1", f"FDNAME={name}")

    def notify_reloading(self, *more: str) -> None:
        """Announce that we are becoming something else, until READY=1 is sent again."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", *more)

    def send(self, *lines: str, fds: tuple[int, ...] = ()) -> bool:
        """Send assignments such as READY=1; return False if nobody has received them."""
        if self._address is None:
            return False
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as sock:
            try:
                sock.connect(self._address)
                if fds:
                    socket.send_fds(sock, ["\n".join(lines).encode()], list(fds))
                else:
                    sock.send("\n".join(lines).encode())
                self.is_full = False
            except OSError as error:
                self.is_full = isinstance(error, BlockingIOError)
                return False  # a manager that went away is not our failure
        return True


class Readiness:
    """What the manager is to know of a daemon that serves: that it is ready, and that it lives."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, notifier: Notifier, supervisor: Supervisor
    ) -> None:
        self._loop = loop
        self._notifier = notifier
        self._supervisor = supervisor
        self._told = ""
        """The status that it knows."""
        self._scheduled = False

    def begin(self) -> None:
        """Notify that we are ready, and from now on what our status is."""
        self.notify_ready()
        if self._notifier.has_manager:
            self._supervisor.bus.subscribe(TableChanged, lambda _: self._schedule_status())

    def notify_ready(self) -> None:
        """Notify that we are ready, at the start or again; not while the daemon ends."""
        self._send(self.notify_ready, "READY=1")

    def notify_reload(self) -> None:
        """Notify that everything is being stopped and started anew; see `notify_status`."""
        self._told = "STATUS=reloading: everything is stopped and started anew"
        self._notifier.send(self._told)

    def notify_status(self) -> None:
        """Notify what our status is, if that is news."""
        self._scheduled = False
        if self._told != self._status():
            self._send(self.notify_status)

    def _schedule_status(self) -> None:
        """Look in the loop's next iteration: many processes come and go at once."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.notify_status)

    def _status(self) -> str:
        count = plural(len(self._supervisor.processes), "process", "processes")
        return f"STATUS=supervising {count}"

    def _send(self, again: Callable[[], None], *lines: str) -> None:
        """Send this and the status; `again` is called later if there is no room."""
        if self._supervisor.stopping:
            return
        status = self._status()
        if self._notifier.send(*lines, status):
            self._told = status
        elif self._notifier.is_full:  # of descriptors of many programs that were to be stored
            self._loop.call_later(_RETRY, again)

    def start_watchdog(self) -> None:
        """Give signs of life from the event loop, if asked for (sd_watchdog_enabled(3))."""
        if self._notifier.watchdog_timeout:
            self._feed_watchdog(self._notifier.watchdog_timeout / 2)

    def _feed_watchdog(self, interval: float) -> None:
        self._notifier.send("WATCHDOG=1")
        self._loop.call_later(interval, self._feed_watchdog, interval)
