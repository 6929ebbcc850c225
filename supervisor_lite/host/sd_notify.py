"""Tell a service manager how we are (sd_notify(3))."""

from __future__ import annotations

import os
import socket

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
             "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")  # fmt: skip
"""Meant for the daemon; its children must not see them."""


class Notifier:
    """Sends to the socket that the environment named when the daemon started."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address[0] == "@" else address

    @classmethod
    def from_environment(cls) -> Notifier:
        """Take NOTIFY_SOCKET and its kin out of the environment, so that no child inherits it."""
        address = os.environ.get("NOTIFY_SOCKET")
        for name in VARIABLES:
            os.environ.pop(name, None)
        return cls(address)

    def send(self, *lines: str, fds: tuple[int, ...] = ()) -> bool:
        """Send assignments such as READY=1; False if there is nobody, or nobody listens."""
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
            except OSError:
                return False  # a manager that went away is not our failure
        return True
