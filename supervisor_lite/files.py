"""Small files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os


def write_whole(path: str, text: str, mode: int) -> None:
    """Have a file hold this text: whoever opens it reads all of the old or all of the new.

    It is written beside and renamed (rename(2)), as `path` with ".new". The directory may be one
    that others write to: a file of theirs is not written to. Raises OSError.
    """
    fresh = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(fresh, path)
