"""The floor: start commands and start again what dies, with nothing around it.

    python -I bare.py popen|spawn COMMANDS [asked]

COMMANDS is a file of NUL-separated words, a command a line. `popen` starts with subprocess.Popen,
`spawn` with os.posix_spawn; `asked` waits for a byte on stdin first. Not part of the package: this
is run by itself, and imports only what it needs.
"""

from __future__ import annotations

import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Start, and then restart for ever."""
    how, path, *asked = sys.argv[1:]
    with open(path) as file:
        commands = [line.rstrip("\n").split("\0") for line in file]
    start = _popen() if how == "popen" else _spawn
    poll = select.epoll()
    if asked:
        os.write(1, b"ready\n")
        os.read(0, 1)
    running: dict[int, tuple[int, list[str]]] = {}

    def begin(command: list[str]) -> None:
        pid = start(command)
        pidfd = os.pidfd_open(pid)
        poll.register(pidfd, select.EPOLLIN)
        running[pidfd] = pid, command

    for command in commands:
        begin(command)
    while True:
        for pidfd, _ in poll.poll():
            _, command = running.pop(pidfd)
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
            os.close(pidfd)
            begin(command)


def _spawn(command: list[str]) -> int:
    return os.posix_spawn(command[0], command, os.environ, setsid=True)


def _popen() -> Callable[[list[str]], int]:
    import subprocess  # dear, and not needed for the other way

    null = subprocess.DEVNULL
    kept = []

    def start(command: list[str]) -> int:
        child = subprocess.Popen(
            command, stdin=null, stdout=null, stderr=null, start_new_session=True
        )
        child.returncode = 0  # we reap it ourselves
        kept.append(child)
        return child.pid

    return start


if __name__ == "__main__":
    main()
