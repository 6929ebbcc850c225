"""A small server on the sockets that the daemon has opened for it, and a client of it."""

from __future__ import annotations

import socket
import sys

from tests.programs import program

SERVER = r"""
import os, select, socket, sys
numbers = [int(word) for word in sys.argv[1:]] or range(3, 3 + int(os.environ["LISTEN_FDS"]))
sockets = [socket.socket(fileno=number) for number in numbers]
print("up", os.environ.get("LISTEN_PID") == str(os.getpid()), os.environ.get("LISTEN_FDS"),
      os.environ.get("LISTEN_FDNAMES"), flush=True)
while True:
    for sock in select.select(sockets, [], [])[0]:
        sock.setblocking(False)  # others may accept before us
        try:
            peer, _ = sock.accept()
        except BlockingIOError:
            continue
        with peer:
            peer.sendall(b"%d\n" % os.getpid())
"""
"""Answers every connection with its pid."""


def server(name: str, *where: object, **options: object) -> str:
    command = [sys.executable, "-c", SERVER.replace("%", "%%"), *options.pop("args", [])]  # type: ignore[misc]
    return program(name, command, sockets=list(where), **{"startsecs": 0, **options})


def ask(address: str, limit: float = 10.0) -> int:
    """Connect and return the pid of who answers."""
    if address.startswith("unix://"):
        sock = socket.socket(socket.AF_UNIX)
        place: object = address.removeprefix("unix://")
    else:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        place = (host.strip("[]"), int(port))
    with sock:
        sock.settimeout(limit)
        sock.connect(place)  # type: ignore[arg-type]
        with sock.makefile("rb") as file:
            return int(file.readline())
