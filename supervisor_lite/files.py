"""Small files that are written whole or not at all."""

from __future__ import annotations

import os

from supervisor_lite import safe_paths


def write_whole(path: str, text: str, mode: int) -> None:
    """Have a file hold this text: whoever opens it reads all of the old or all of the new.

    It is written beside and renamed (rename(2)), as `path` with ".new". The directory may be one
    that others write to: a file of theirs is not written to. Raises OSError.
    """
    with safe_paths.at(path) as place:
        fresh = f"{place.name}.new"
        place.unlink(fresh, missing_ok=True)
        with os.fdopen(place.create(fresh, os.O_WRONLY, mode), "w", encoding="utf-8") as file:
            file.write(text)
        place.rename(fresh, place.name)
