"""The random name of a state directory, kept in small files outside the journal.

It is part of every run's identity: if the journal or all of the state directory is lost, the runs
that carry the name in their environment are still ours.
"""

from __future__ import annotations

import contextlib
import os

from supervisor_lite.files import write_whole


class InstanceFiles:
    """Where the name is kept besides the journal: beside it, and in the runtime directory."""

    def __init__(self, path: str, runtime_dir: str | None) -> None:
        state_dir = os.path.realpath(os.path.dirname(path))
        self._texts = {os.path.join(state_dir, "instance"): "{name}\n"}
        if runtime_dir is not None:
            # Another state directory that uses this runtime directory later is not the same.
            self._texts[os.path.join(runtime_dir, "instance")] = f"{{name}}\n{state_dir}\n"

    def read(self) -> str | None:
        """Return the name that one of the files holds, None if none does."""
        for path, template in self._texts.items():
            text = read_small_file(path)
            name = text[:32]
            if len(name) == 32 and name.isalnum() and text == template.replace("{name}", name):
                return name
        return None

    def write(self, name: str) -> None:
        """Have every file hold the name. Raises OSError if that beside the journal cannot be."""
        beside, *copies = self._texts
        _write(beside, self._texts[beside].replace("{name}", name))
        for path in copies:
            # One less to fall back on, but no reason not to start.
            with contextlib.suppress(OSError):
                _write(path, self._texts[path].replace("{name}", name))


def read_small_file(path: str) -> str:
    """Return what a small file holds; empty if it is missing, strange or unreadable."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            return file.read(8192).decode()
    except (OSError, ValueError):
        return ""


def _write(path: str, text: str) -> None:
    """Have a small file hold this, whole or not at all. Raises OSError."""
    if read_small_file(path) != text:
        write_whole(path, text, 0o600)
