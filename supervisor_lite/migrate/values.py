"""Values of Supervisor's file as TOML: what each kind of key takes, and how that is written here.

A converter returns None for what is better left out, after it has said why. A value that
Supervisor itself refuses raises Refused.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from supervisor_lite.config.types.command import command as check_command
from supervisor_lite.config.types.restart import signal_name
from supervisor_lite.config.types.text import name as check_name
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.migrate.percent import PercentError, escaped, hide, name_of, plainly, show
from supervisor_lite.migrate.report import KeyNotes
from supervisor_lite.migrate.toml_writer import Toml

TRUE = ("yes", "true", "on", "1")
_FALSE = ("no", "false", "off", "0")
_LEVELS = ("critical", "error", "warn", "info", "debug", "trace", "blather")
_BIG = 3 * 10**11
"""Seconds: more than any duration may be."""


class Refused(ValueError):
    """Supervisor does not start with this value."""


class ConvertContext(NamedTuple):
    """Where a value stood, and where it will stand."""

    here: str
    """The directory of the old file: %(here)s."""
    base: str
    """What relative paths were relative to, as far as one can know."""
    target: str | None
    """The directory of the new file, None if it is not known."""
    names: frozenset[str]
    """What may be expanded, besides variables."""
    notes: KeyNotes


Convert = Callable[[str, ConvertContext], Toml | None]


def expansions(value: str, context: ConvertContext, *, twice: bool = False) -> str:
    """Return a value whose expansions mean the same in the new file. Raises PercentError."""
    if "%" not in value:
        return value
    pieces: list[str] = []
    hidden = hide(value, pieces)
    if twice and "%" in hidden:
        try:
            hidden = hide(hidden, pieces)
        except PercentError:
            context.notes.note(
                "Supervisor expands this twice and so refuses %%; taken as one percent"
            )
    for piece in pieces:
        name = name_of(piece)
        if name not in context.names and not name.startswith("ENV_"):
            raise PercentError(f"Supervisor knows no {piece} here")
    if context.here != context.target:
        # Some are "%(here)s" with a width: Python's operator knows what that gives.
        pieces = [
            escaped(piece % {"here": context.here}) if name_of(piece) == "here" else piece
            for piece in pieces
        ]
    return show(hidden, pieces)


def boolean(value: str, _context: ConvertContext) -> Toml | None:
    """Convert yes and no."""
    word = value.lower()
    if word not in TRUE + _FALSE:
        raise Refused("yes or no")
    return word in TRUE


def number(value: str, _context: ConvertContext) -> Toml | None:
    """Convert a whole number of either sign."""
    try:
        return int(value)
    except ValueError:
        raise Refused("a whole number") from None


def count(value: str, context: ConvertContext) -> Toml | None:
    """Convert a number that Supervisor also takes below zero, where it means the same as 0."""
    given = number(value, context)
    assert isinstance(given, int)
    if given < 0:
        context.notes.note(f"{given} means the same as 0, which is what is written")
    return min(max(given, 0), _BIG)


def first_number(value: str, context: ConvertContext) -> Toml | None:
    """Convert numprocs_start."""
    given = number(value, context)
    assert isinstance(given, int)
    if given < 0:
        context.notes.warn_lossy("numbers of processes begin at 0 or above; left out")
        return None
    return given


def numprocs(value: str, context: ConvertContext) -> Toml | None:
    """Convert numprocs."""
    given = count(value, context)
    assert isinstance(given, int)
    if given > 10000:
        context.notes.warn_lossy("there can be 10000 processes of one program; 10000 is written")
    return min(given, 10000)


def size(value: str, context: ConvertContext) -> Toml | None:
    """Convert bytes, with KB, MB or GB."""
    match = re.fullmatch(r"\s*([-+]?\d[\d_]*)\s*([kmg]b)?\s*", value.lower())
    if match is None:
        raise Refused("a number of bytes, or one with KB, MB or GB")
    given = int(match[1])
    if given < 0:
        context.notes.note(f"{value} means the same as 0, which is what is written")
    if given >= 1 << 32:
        match = None if match[2] else match
        given = min(given, 1 << 62)
    return f"{given}{match[2].upper()}" if match and match[2] and given > 0 else max(given, 0)


def octal(value: str, context: ConvertContext) -> Toml | None:
    """Convert permission bits."""
    try:
        bits = int(value, 8)
    except ValueError:
        raise Refused("an octal number") from None
    if not 0 <= bits <= 0o777:
        context.notes.note("only the lower nine bits have an effect")
    bits &= 0o777
    return f"{bits:04o}" if bits > 0o77 else f"{bits:03o}"


def signal(value: str, context: ConvertContext) -> Toml | None:
    """Convert the name or number of a signal."""
    try:
        return signal_name(value)
    except BadValueError:
        if value.strip() in ("0", "IGN", "DFL"):
            context.notes.warn_lossy("is no signal that could be sent; TERM is sent")
            return None
        raise Refused("a signal") from None


def exitcodes(value: str, _context: ConvertContext) -> Toml | None:
    """Convert a list of exit codes."""
    try:
        codes = [int(code) for code in value.split(",")] if value else []
    except ValueError:
        raise Refused("exit codes with commas between them") from None
    if not all(0 <= code <= 255 for code in codes):
        raise Refused("exit codes from 0 to 255")
    return codes


def autorestart(value: str, context: ConvertContext) -> Toml | None:
    """Convert yes, no and unexpected."""
    return "unexpected" if value.lower() == "unexpected" else boolean(value, context)


def level(value: str, context: ConvertContext) -> Toml | None:
    """Convert the name of a log level."""
    word = value.lower()
    if word not in _LEVELS:
        raise Refused(f"one of {', '.join(_LEVELS)}")
    if word in ("debug", "trace", "blather"):
        context.notes.note(
            'is "debug" here, and the output of programs is not copied into this log'
        )
        return "debug"
    return "warning" if word == "warn" else word


def words(value: str, _context: ConvertContext) -> Toml | None:
    """Convert a list with commas."""
    return [word.strip() for word in value.split(",")] if value else []


def upper_words(value: str, _context: ConvertContext) -> Toml | None:
    """Convert a list of names in capitals."""
    return [word.strip().upper() for word in value.split(",")] if value else []


def plain(value: str, context: ConvertContext) -> Toml | None:
    """Convert text."""
    if not value:
        context.notes.note("is empty; left out")
        return None
    return value


def user(value: str, _context: ConvertContext) -> Toml | None:
    """Convert the name or number of a user, who may exist on another machine only."""
    if not value:
        raise Refused("a user")
    return value


def path(value: str, context: ConvertContext) -> Toml | None:
    """Convert a path; a relative one so that it stays where it was."""
    if not value:
        raise Refused("a path")
    if os.path.isabs(value) or value.startswith(("~", "%(")):
        return value
    if context.base == context.target:
        kept = value if value.startswith((".", "%")) or "/" in value else f"./{value}"
        context.notes.note(
            "is relative, for Supervisor to where it was started, here to the directory of this "
            "file"
        )
        return kept
    context.notes.note(
        "is relative to where Supervisor was started; that it was started in "
        f"{context.base} is a guess"
    )
    return os.path.normpath(os.path.join(escaped(context.base), value))


def directory(value: str, context: ConvertContext) -> Toml | None:
    """Convert the directory of a program."""
    if not value:
        context.notes.note("is empty; left out")
        return None
    if value.startswith("~"):
        context.notes.note("Supervisor looks for a directory named ~; here it is the user's home")
    return path(value, context)


def log_file(value: str, context: ConvertContext) -> Toml | None:
    """Convert where an output goes."""
    word = value.lower()
    if word in ("none", "off", ""):
        return "none"
    return word if word in ("auto", "syslog") else path(value, context)


def daemon_log(value: str, context: ConvertContext) -> Toml | None:
    """Convert where the daemon's own log goes; NONE and AUTO are file names there."""
    return value if value == "syslog" else path(value, context)


def command(value: str, _context: ConvertContext) -> Toml | None:
    """Convert a command. Raises BadValueError if it can never be started."""
    pieces: list[str] = []
    check_command(plainly(hide(value, pieces), pieces))
    return value


def process_name(value: str, context: ConvertContext) -> Toml | None:
    """Convert the pattern of process names."""
    pieces: list[str] = []
    plain_form = plainly(hide(value.strip(), pieces), pieces)
    if any(char in plain_form for char in " :/"):
        raise Refused('a name without blanks, ":" and "/"')
    try:
        check_name(plain_form)
    except BadValueError as error:
        context.notes.warn_lossy(
            f"cannot be a name here{error.hint}; the name of the program is taken"
        )
        return None
    return value.strip()
