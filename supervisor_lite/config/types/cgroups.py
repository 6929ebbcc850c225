"""Where cgroups are made, and what the processes in one may use together (cgroups(7))."""

from __future__ import annotations

import re

from supervisor_lite.config.types.base import ValueType
from supervisor_lite.config.types.text import text
from supervisor_lite.config.types.units import SIZE_TEXT, show_size, size
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.text import suggest

_WORDS = ("auto", "off")

_PERIOD = 100_000
"""Microseconds over which a percentage of CPU time is shared out: the kernel's default."""
_PERIODS = range(1_000, 1_000_001)
_MIN_QUOTA = 1_000
"""The smallest quota that the kernel takes."""

_PERCENT = r"\s*([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*%\s*"
_PAIR = r"\s*([0-9]{1,12})\s+([0-9]{1,12})\s*"


def base(value: object) -> str:
    """Accept one of the words, or the absolute path of a cgroup."""
    path = text(value)
    if path in _WORDS or path.startswith("/"):
        return path
    raise BadValueError(hint=suggest(path, _WORDS))


def memory(value: object) -> int:
    """Return bytes; not none at all, which nothing could live with."""
    found = size(value)
    if not found:
        raise BadValueError
    return found


def cpu(value: object) -> str:
    """Return quota and period in microseconds, as the kernel writes them: "150%" of one CPU."""
    if not isinstance(value, str):
        raise BadValueError
    if match := re.fullmatch(_PERCENT, value):
        quota, period = round(float(match[1]) * _PERIOD / 100), _PERIOD
    elif match := re.fullmatch(_PAIR, value):
        quota, period = int(match[1]), int(match[2])
    else:
        raise BadValueError
    if period not in _PERIODS:
        raise BadValueError(hint=f": the period is {_PERIODS[0]} to {_PERIODS[-1]} microseconds")
    if quota < _MIN_QUOTA:
        text = f": that is less than the {_MIN_QUOTA} microseconds that it must be"
        raise BadValueError(hint=text)
    return f"{quota} {period}"


class _Share(ValueType):
    """A share of CPU time: `50%` need not be written `50%%`."""

    def before_expansion(self, raw: str) -> str:
        # A percent sign that is neither doubled nor the beginning of an expansion is itself.
        return re.sub(r"%(?![%(])(?<!%%)", "%%", raw)


BASE = ValueType(
    '"auto", "off" or the absolute path of a cgroup',
    base,
    {"anyOf": [{"enum": list(_WORDS)}, {"type": "string", "pattern": "^/"}]},
)
MEMORY = ValueType(
    'a size like 67108864 or "64MB", more than 0',
    memory,
    {"anyOf": [{"type": "integer", "minimum": 1}, SIZE_TEXT]},
    show=show_size,
)
CPU = _Share(
    'a share of one CPU like "150%", or quota and period in microseconds like "50000 100000"',
    cpu,
    {
        "type": "string",
        "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*%%?|[0-9]+\s+[0-9]+)\s*$",
    },
)
