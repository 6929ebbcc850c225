"""Expansions in Supervisor's values, handled without knowing what they expand to.

Supervisor expands with Python's `%` operator. Where an expansion must pass through something else
first (a second expansion, the splitting of `environment=`), it is hidden behind one character and
shown again afterwards.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from supervisor_lite.config.expand import ExpansionError, Names, expand

_TOKEN = re.compile(
    r"%(?:%|\((?P<name>[^()]*)\)(?P<form>[-+ #0]*[0-9]*(?:\.[0-9]+)?)[hlL]?(?P<type>[A-Za-z]))?"
)
_HIDDEN = 0xF0000
"""The first character of a plane that nobody uses."""


class PercentError(ValueError):
    """A value that Supervisor, or we, cannot expand."""


def escaped(text: str) -> str:
    """Return text that expands to `text`."""
    return text.replace("%", "%%")


def hide(text: str, pieces: list[str]) -> str:
    """Return `text` expanded, each %(name)s as one character; `pieces` takes what it stands for.

    Raises PercentError.
    """

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if match["name"] is None:
            raise PercentError("Supervisor refuses a single percent sign; it is written %%")
        if match["type"] not in "sdiuoxX":
            raise PercentError(f"{match[0]} cannot be written here: use %({match['name']})s")
        pieces.append(f"%({match['name']}){match['form']}{match['type']}")
        return chr(_HIDDEN + len(pieces) - 1)

    return _TOKEN.sub(one, text)


def show(text: str, pieces: list[str]) -> str:
    """Return the text that expands to what `hide` has made."""

    def one(char: str) -> str:
        number = ord(char) - _HIDDEN
        return pieces[number] if 0 <= number < len(pieces) else char

    return "".join(map(one, escaped(text)))


def name_of(piece: str) -> str:
    """Return the name in %(name)s."""
    return piece[2 : piece.index(")")]


def expand_here(text: str, here: str, environ: Mapping[str, str]) -> str:
    """Return a value expanded here and now, as [include] files= is. Raises PercentError."""
    names = Names({"here": here, "host_node_name": os.uname().nodename}, environ)
    try:
        return expand(text, names)
    except ExpansionError as error:
        raise PercentError(str(error)) from None


def plainly(text: str, pieces: list[str]) -> str:
    """Return a hidden text with a word for each expansion, to look at its form."""
    return "".join("x" if 0 <= ord(char) - _HIDDEN < len(pieces) else char for char in text)


def sample(text: str, program: str) -> str | None:
    """Return what a value may expand to; None if that depends on the machine."""
    names = {"program_name": program, "group_name": program, "process_num": 0, "numprocs": 1}
    pieces: list[str] = []
    hide(text, pieces)
    return text % names if all(name_of(piece) in names for piece in pieces) else None
