"""The home directory of whoever we are, and what is in it by default; for daemon and client."""

from __future__ import annotations

import os


class NoHomeError(ValueError):
    """Nobody can tell where the home directory is; the text says what to set."""

    def __init__(self, path: str) -> None:
        cause = (
            f"HOME is not set, and uid {os.geteuid()} has no entry in the user database (passwd)"
        )
        if os.environ.get("HOME"):
            cause = "HOME is not an absolute path"
        super().__init__(f'cannot tell what "{path}" is: {cause}; set HOME')


def expand_home(path: str) -> str:
    """Return a path with `~` and `~user` replaced. Raises NoHomeError.

    A `~user` who does not exist stays as it is.
    """
    if not path.startswith("~"):
        return path
    expanded = os.path.expanduser(path)
    own = path == "~" or path.startswith("~/")
    if own and (not os.path.isabs(expanded) or os.environ.get("HOME") == ""):
        raise NoHomeError(path)
    return expanded


def own_directory(variable: str, usual: str) -> str:
    """Return a directory of the user's: what a variable says, or else the usual one in their home.

    A relative path in the variable does not count (XDG Base Directory Specification). Raises
    NoHomeError.
    """
    found = os.environ.get(variable, "")
    return found if os.path.isabs(found) else expand_home(usual)
