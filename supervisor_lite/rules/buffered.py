"""Whether a program keeps its output in a buffer of its own, so that nothing is seen of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PYTHON = re.compile(r"python[0-9.]*\Z")
_WITH_VALUE = "cmWX"
"""Options of python after whose letter comes a value, not more letters."""


def is_python_buffered(executable: str, command: Sequence[str], unbuffered: str | None) -> bool:
    """Does a running process write to a pipe by the block, as Python does unless it is told?

    `executable` is its name without directories, `command` its words, and `unbuffered` the value
    of PYTHONUNBUFFERED in its environment, None or empty for none (python(1)).
    """
    return bool(_PYTHON.match(executable)) and not unbuffered and not _has_u(command[1:])


def _has_u(words: Sequence[str]) -> bool:
    """Is -u among the options of the interpreter, which end with the name of a script?"""
    skip = False
    for word in words:
        if skip:
            skip = False
            continue
        if word.startswith("--"):
            continue
        if not word.startswith("-") or word == "-":
            return False
        for place, letter in enumerate(word[1:], 2):
            if letter == "u":
                return True
            if letter in "cm":
                return False
            if letter in _WITH_VALUE:
                skip = place == len(word)
                break
    return False
