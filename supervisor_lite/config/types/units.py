"""Sizes in bytes, durations in seconds and permissions in octal."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from supervisor_lite.config.types.base import Json, ValueType
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.text import exact_size, parse_duration, parse_size

if TYPE_CHECKING:
    from supervisor_lite.config.read import Context

_LONGEST = 3.2e11
"""Seconds, ten thousand years: as good as never, and no timer overflows."""

SIZE_TEXT: Json = {
    "type": "string",
    "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([KkMmGgTt]([Ii]?[Bb])?|[Bb])?\s*$",
}
DURATION_TEXT: Json = {
    "type": "string",
    "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*(ms|[smhdw])?\s*)+$",
}


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
    if not math.isfinite(value) or not 0 <= value <= _LONGEST:
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


class _Mode(ValueType):
    """Permission bits: a number above 7 must be written as 0o…, for `umask = 77` is not 0o77."""

    def read(self, raw: object, context: Context) -> object:
        # To the TOML parser 0o22 and 18 are the same, so the file itself is asked.
        if isinstance(raw, int) and raw > 7 and "0o" not in context.written():
            raise BadValueError(got=f"the decimal number {raw}", hint=f'; write "{raw:03d}"')
        return self.parse_scalar(raw)


SIZE = ValueType(
    'a size like 1048576 or "50MB"',
    size,
    {"anyOf": [{"type": "integer", "minimum": 0}, SIZE_TEXT]},
    show=show_size,
)
DURATION = ValueType(
    'a duration like 10, 0.5 or "1m30s"',
    duration,
    {"anyOf": [{"type": "number", "minimum": 0}, DURATION_TEXT]},
    show=show_duration,
)
OCTAL = _Mode(
    'an octal mode like "022" or 0o22',
    octal,
    {
        "anyOf": [
            {"type": "string", "pattern": "^(0o)?[0-7]{1,4}$"},
            {"type": "integer", "minimum": 0, "maximum": 0o777},
        ]
    },
    show=show_octal,
)
