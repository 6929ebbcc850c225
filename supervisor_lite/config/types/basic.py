"""Booleans and numbers."""

from __future__ import annotations

import re
from collections.abc import Callable

from supervisor_lite.config.types.base import Json, Unquoted
from supervisor_lite.config.types.units import show_duration
from supervisor_lite.config.wording import BadValueError

_YES = ("true", "yes", "on", "1")
_NO = ("false", "no", "off", "0")

# Of what else counts as a blank, int() and float() refuse some: hence re.ASCII.
_INTEGER = r"\s*[-+]?[0-9]{1,18}\s*"
_NUMBER = r"\s*[0-9]+(?:\.[0-9]+)?\s*"


def boolean(value: object) -> bool:
    """Accept a boolean, or one of Supervisor's words for it out of an expansion."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _YES:
            return True
        if word in _NO:
            return False
    raise BadValueError


def integer(low: int | None = None, high: int | None = None) -> Callable[[object], int]:
    """Return a parser of whole numbers within limits."""

    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(_INTEGER, value, re.ASCII):
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
    if isinstance(value, str) and re.fullmatch(_NUMBER, value, re.ASCII):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadValueError
    return float(value)


def number(expected: str, low: int | None = None, high: int | None = None) -> Unquoted:
    """Return the type of whole numbers within limits."""
    schema: Json = {"type": "integer"}
    if low is not None:
        schema["minimum"] = low
    if high is not None:
        schema["maximum"] = high
    return Unquoted(expected, integer(low, high), schema)


BOOLEAN = Unquoted("true or false", boolean, {"type": "boolean"})
NUMBER = number("a whole number")
COUNT = number("a whole number, 0 or more", 0)
POSITIVE = number("a whole number, 1 or more", 1)
NUMPROCS = number("a whole number from 0 to 10000", 0, 10000)
FRACTION = Unquoted(
    "a number from 0 to 1",
    fraction,
    {"type": "number", "minimum": 0, "maximum": 1},
    show=show_duration,
)
