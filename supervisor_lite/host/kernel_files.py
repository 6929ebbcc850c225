"""Small files of the kernel's own, in /proc and /sys: read whole, written with one write(2)."""

from __future__ import annotations

import os


def read_value(path: str) -> str:
    """Return what a file of the kernel says; nothing if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall().decode(errors="replace")
    except OSError:
        return ""


def write_value(path: str, text: str) -> None:
    """Write to a file of the kernel. Raises OSError.

    Not through a file object: the kernel's refusal comes with write(2), which that puts off. And
    not with O_CREAT: what is not there is no file of the kernel.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
