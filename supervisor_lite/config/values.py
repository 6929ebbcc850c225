"""The kinds of values that a configuration holds: what is accepted, and what it means.

A parser takes what TOML gave (or the text that an expansion gave) and returns the resolved
value, or raises BadValueError. It never says what it got: that is added by the reader, who knows
whether the value came out of an environment variable and may not be shown.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import Enum

from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind
from supervisor_lite.text import exact_size, parse_duration, parse_size, suggest

# Of what else counts as a blank, int() and float() refuse some.
_NUMBER = re.compile(r"\s*[0-9]+(?:\.[0-9]+)?\s*", re.ASCII)
_INTEGER = re.compile(r"\s*[-+]?[0-9]{1,18}\s*", re.ASCII)

_WORD_PIECE = re.compile(
    r"""(?P<blank>[ \t\r\n]+) | (?P<plain>[^ \t\r\n'"\\]+) | '(?P<single>[^']*)'
      | "(?P<double>[^"\\]*(?:\\[\s\S][^"\\]*)*)" | (?P<joined>\\\r?\n)
      | \\(?P<escaped>[\s\S]) | (?P<open>['"\\])""",
    re.VERBOSE,
)

NAME_LIMIT = 100
"""Bytes of the name of a program, group or process: two of them and an ending make a file name."""


def boolean(value: object) -> bool:
    """Accept a boolean, or one of Supervisor's words for it out of an expansion."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0"):
            return False
    raise BadValueError


def integer(low: int | None = None, high: int | None = None) -> Callable[[object], int]:
    """Return a parser of whole numbers within limits."""

    def parse(value: object) -> int:
        if isinstance(value, str) and _INTEGER.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadValueError
        if (low is not None and value < low) or (high is not None and value > high):
            raise BadValueError
        if abs(value) >= 1 << 63:
            # TOML, SQLite and the kernel end there.
            raise BadValueError(hint=", which takes more than 64 bits")
        return value

    return parse


def fraction(value: object) -> float:
    """Accept a number from 0 to 1."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadValueError
    return float(value)


def text(value: object) -> str:
    """Accept a string that is more than blanks."""
    if not isinstance(value, str) or not value.strip():
        raise BadValueError
    return value


def size(value: object) -> int:
    """Return bytes from 1048576 or "50MB"; units are of 1024, fractions are rounded."""
    if isinstance(value, str):
        try:
            value = parse_size(value)
        except ValueError:
            raise BadValueError from None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise BadValueError
    return value


def show_size(value: object) -> object:
    """Return bytes as an operator writes them: "50MB"."""
    assert isinstance(value, int)
    return exact_size(value)


def duration(value: object) -> float:
    """Return seconds from 90, 1.5, "90", "1m30s" or "250ms"."""
    if isinstance(value, str):
        try:
            value = parse_duration(value)
        except ValueError:
            raise BadValueError from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValueError
    # Ten thousand years: as good as never, and no timer overflows.
    if not math.isfinite(value) or not 0 <= value <= 3.2e11:
        raise BadValueError
    return float(value)


def show_duration(value: object) -> object:
    """Return seconds as an operator writes them: 10, 0.5."""
    assert isinstance(value, int | float)
    return int(value) if value == int(value) else value


def octal(value: object) -> int:
    """Return permission bits from "022" or 0o22."""
    if isinstance(value, str) and re.fullmatch(r"(?:0o)?[0-7]{1,4}", value):
        value = int(value.removeprefix("0o"), 8)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0o777:
        raise BadValueError
    return value


def show_octal(value: object) -> object:
    """Return permission bits as an operator writes them: "022"."""
    assert isinstance(value, int)
    return f"{value:04o}" if value > 0o77 else f"{value:03o}"


def signal_name(value: object) -> str:
    """Return the canonical name of a signal: "TERM", "RTMIN+1"."""
    import signal

    low, high = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
    known = {name[3:]: int(number) for name, number in signal.Signals.__members__.items()}
    if isinstance(value, str):
        name = value.strip().upper().removeprefix("SIG")
        if name.isdecimal() and len(name) < 4:
            value = int(name)
        elif match := re.fullmatch(r"(RTMIN|RTMAX)\s*([+-])\s*([0-9]{1,2})", name):
            base = low if match[1] == "RTMIN" else high
            value = base + int(match[2] + match[3])
            if not low <= value <= high:
                raise BadValueError
        elif name in known:
            value = known[name]
        else:
            raise BadValueError(hint=suggest(name, known))
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValueError
    if low <= value <= high:
        return "RTMIN" if value == low else f"RTMIN+{value - low}"
    try:
        return signal.Signals(value).name[3:]
    except ValueError:
        raise BadValueError from None


def exitcodes(value: object) -> tuple[int, ...]:
    """Return exit codes from 0, [0, 2] or "0,2"; an empty list expects none."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        if not all(re.fullmatch("[0-9]{1,3}", part) for part in parts):
            raise BadValueError
        value = tuple(map(int, parts))
    elif not isinstance(value, tuple):
        value = (value,)
    code = integer(0, 255)
    return tuple(dict.fromkeys(map(code, value)))


def autorestart(value: object) -> AutoRestart:
    """Accept true, false and "unexpected"."""
    if isinstance(value, str) and value.strip().lower() == "unexpected":
        return AutoRestart.UNEXPECTED
    return AutoRestart.ALWAYS if boolean(value) else AutoRestart.NEVER


def show_autorestart(value: object) -> object:
    """Return what `autorestart` is set to in TOML."""
    assert isinstance(value, AutoRestart)
    return value.value if value is AutoRestart.UNEXPECTED else value is AutoRestart.ALWAYS


def choice(values: dict[str, object]) -> Callable[[object], object]:
    """Return a parser that accepts the given words."""

    def parse(value: object) -> object:
        if not isinstance(value, str):
            raise BadValueError
        if value not in values:
            raise BadValueError(hint=suggest(value, values))
        return values[value]

    return parse


def members(enum: type[Enum]) -> dict[str, object]:
    """Return the words of an Enum for `choice`."""
    return {str(member.value): member for member in enum}


def command(value: object) -> tuple[str, ...]:
    """Return the arguments of a command: a string is split like a shell does, a list kept."""
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
    for match in _WORD_PIECE.finditer(text):
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


def variable(value: object) -> str:
    """Return the text of an environment variable's value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # TOML's 3.10 is the number 3.1; nobody would find out why.
        raise BadValueError(hint=": put it in quotes, or its digits may change")
    if not isinstance(value, str):
        raise BadValueError
    return value


def environment(value: object) -> dict[str, str]:
    """Accept a table whose keys can be names of variables."""
    if not isinstance(value, dict):
        raise BadValueError
    for name in value:
        if not name or "=" in name or "\0" in name:
            raise BadValueError('names of variables without "="', f', with the name "{name}"')
    return value


def name(value: object) -> str:
    """Accept what can name a program, a group or a process."""
    if not isinstance(value, str) or not value or ":" in value or "/" in value:
        raise BadValueError
    if any(char.isspace() or not char.isprintable() for char in value):
        raise BadValueError
    if value[0] == "-" or any(char in "*?[]" for char in value):
        raise BadValueError('a name that slctl can take: without * ? [ ], not beginning with "-"')
    if len(value.encode()) > NAME_LIMIT:
        raise BadValueError(f"a name of at most {NAME_LIMIT} bytes")
    return value


def backoff(value: object) -> Backoff:
    """Return the growth of the pause from "linear", "exponential" or seconds."""
    if isinstance(value, str) and value in ("linear", "exponential"):
        return Backoff(kind=BackoffKind(value))
    return Backoff(kind=BackoffKind.CONSTANT, seconds=duration(value))


def restart_limit(value: object) -> tuple[int, float]:
    """Return count and seconds from "5/10m"."""
    if not isinstance(value, str):
        raise BadValueError
    count, slash, window = value.partition("/")
    if not slash or not re.fullmatch(r"\s*[0-9]{1,9}\s*", count, re.ASCII) or not int(count):
        raise BadValueError
    seconds = duration(window)
    if not seconds:
        raise BadValueError
    return int(count), seconds


def limit_action(value: object) -> float | None:
    """Return the cool-down in seconds, None for "fatal"."""
    return None if value == "fatal" else duration(value)


def log_file(*words: str) -> Callable[[object], str]:
    """Return a parser of log destinations: one of the words in any case, or a path."""

    def parse(value: object) -> str:
        path = text(value)
        word = path.strip().lower()
        if word == "off":
            word = "none"
        return word if word in words else path

    return parse


def user(value: object) -> str:
    """Return the name or number of a user that exists, as written."""
    import pwd

    return _account(value, pwd.getpwuid, pwd.getpwnam, lambda: [u.pw_name for u in pwd.getpwall()])


def user_group(value: object) -> str:
    """Return the name or number of a group of users that exists, as written."""
    import grp

    return _account(value, grp.getgrgid, grp.getgrnam, lambda: [g.gr_name for g in grp.getgrall()])


def _account(
    value: object,
    by_number: Callable[[int], object],
    by_name: Callable[[str], object],
    everyone: Callable[[], list[str]],
) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise BadValueError
    try:
        if value.isascii() and value.isdecimal():
            by_number(int(value))
        else:
            by_name(value)
    except (KeyError, OverflowError, ValueError):
        raise BadValueError(hint=suggest(value, everyone())) from None
    return value


def strings(value: object) -> tuple[str, ...]:
    """Accept a list of strings (the reader has turned it into a tuple)."""
    if not isinstance(value, tuple):
        raise BadValueError
    return value
