"""Commands: a string that is split like a shell does, or a list of arguments."""

from __future__ import annotations

import re

from supervisor_lite.config.types.base import ValueType
from supervisor_lite.config.types.compound import OneOrMore
from supervisor_lite.config.types.text import STRING
from supervisor_lite.config.wording import BadValueError

PIECE = r"""(?x)
    (?P<blank>[ \t\r\n]+) | (?P<plain>[^ \t\r\n'"\\]+) | '(?P<single>[^']*)'
  | "(?P<double>[^"\\]*(?:\\[\s\S][^"\\]*)*)" | (?P<joined>\\\r?\n)
  | \\(?P<escaped>[\s\S]) | (?P<open>['"\\])"""


def command(value: object) -> tuple[str, ...]:
    """Return the arguments of a command: a string is split, a list (a tuple here) kept."""
    if isinstance(value, str):
        value = split_words(value)
    if not isinstance(value, tuple):
        raise BadValueError
    if not value or not value[0]:
        raise BadValueError("a command", hint=", which names no program")
    return value


def split_words(text: str) -> tuple[str, ...]:
    """Split like `shlex.split`, at an eighth of its time, which counts for many programs.

    Unlike it, and like a shell, a backslash at the end of a line joins the line to the next.
    """
    words: list[str] = []
    inside = False
    for match in re.finditer(PIECE, text):
        kind, piece = match.lastgroup, match[match.lastgroup or 0]
        if kind == "blank":
            inside = False
            continue
        if kind == "joined":
            continue
        if kind == "open":
            is_quote = piece in "'\""
            what = "a quote that is never closed" if is_quote else "nothing after its backslash"
            raise BadValueError("a command", hint=f", which has {what}")
        if kind == "double":
            piece = re.sub(r"\\(?:([\"\\])|\r?\n)", r"\1", piece)
        if inside:
            words[-1] += piece
        else:
            words.append(piece)
        inside = True
    return tuple(words)


def argument(value: object) -> str:
    """Return one argument of a command in list form; a whole number is as good as its text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise BadValueError
    return value


ARGUMENT = ValueType("an argument", argument, {"type": ["string", "integer"]})
COMMAND = OneOrMore(
    "a command: a string or a list of arguments",
    command,
    ARGUMENT,
    {"anyOf": [STRING, {"type": "array", "items": ARGUMENT.schema, "minItems": 1}]},
)
