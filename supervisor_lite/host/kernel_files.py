"""Small files of the kernel's own, in /proc and /sys: read whole, written with one write(2)."""

from __future__ import annotations

import os
from typing import Final

_PART: Final = 64 * 1024
"""Bytes of one read(2): hardly any environment has more, so there is a single one."""


def read_value(path: str) -> str:
    """Return what a file of the kernel says; nothing if it cannot be read."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall().decode(errors="replace")
    except OSError:
        return ""


def read_start(path: str, most: int) -> bytes:
    """Return what a file in /proc begins with, of which a process says how long it is; OSError."""
    found = b""
    with open(path, "rb", buffering=0) as file:
        while len(found) < most and (part := file.read(min(_PART, most - len(found)))):
            found += part
            if len(part) < _PART:
                break
    return found


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
