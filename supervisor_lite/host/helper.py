"""Run a short command of our own, such as the check of a new version, and wait for it."""

from __future__ import annotations

import asyncio
import os

from supervisor_lite.host.reaper import Reaper
from supervisor_lite.host.signals import DEFAULT_SIGNALS
from supervisor_lite.model.exit import Exit

_MAX_OUTPUT = 16384
"""Bytes of output that are kept."""


async def run_helper(
    reaper: Reaper, command: list[str], directory: str, timeout: float
) -> tuple[int, str]:
    """Run a command there; return its exit code (-1 if it did not end by itself) and its output.

    It is killed after `timeout` seconds. The reaper waits for it: nobody else may. Raises OSError
    if there is no such command or directory.
    """
    loop = asyncio.get_running_loop()
    output = os.memfd_create("output", os.MFD_CLOEXEC)
    ended: asyncio.Future[Exit] = loop.create_future()

    def on_end(exit_status: Exit) -> None:
        if not ended.done():
            ended.set_result(exit_status)

    try:
        pid = _spawn(command, directory, output)
        reaper.watch_helper(pid, on_end)
        try:
            exit_status = await asyncio.wait_for(asyncio.shield(ended), timeout)
        except TimeoutError:
            os.killpg(pid, 9)
            exit_status = await ended
        text = os.pread(output, _MAX_OUTPUT, 0).decode(errors="replace").strip()
    finally:
        os.close(output)
    return (exit_status.code if exit_status.code is not None else -1), text


def _spawn(command: list[str], directory: str, output: int) -> int:
    """Start the command in a session of its own, its output to a descriptor; return its pid."""
    home = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(directory)  # posix_spawn cannot; nothing of the daemon runs in between
        return os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, output, 1),
                (os.POSIX_SPAWN_DUP2, output, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=DEFAULT_SIGNALS,
        )
    finally:
        os.fchdir(home)
        os.close(home)
