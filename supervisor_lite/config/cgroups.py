"""What the keys about cgroups take: where they are, and the limits of a run."""

from __future__ import annotations

import re

from supervisor_lite.config import values
from supervisor_lite.config.kinds import Kind
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.text import suggest

_WORDS = ("auto", "off")

_PERIOD = 100_000
"""Microseconds over which a percentage of CPU time is shared out: the kernel's default."""
_PERIODS = range(1_000, 1_000_001)
_LEAST = 1_000
"""The smallest quota that the kernel takes."""

_PERCENT = re.compile(r"\s*([0-9]{1,6}(?:\.[0-9]{1,3})?)\s*%\s*")
_PAIR = re.compile(r"\s*([0-9]{1,12})\s+([0-9]{1,12})\s*")


def place(value: object) -> str:
    """Accept one of the words, or a path (which the reader has made absolute)."""
    path = values.text(value)
    if path in _WORDS or path.startswith("/"):
        return path
    raise BadValueError(hint=suggest(path, _WORDS))


def memory(value: object) -> int:
    """Return bytes; not none at all, which nothing could live with."""
    size = values.size(value)
    if not size:
        raise BadValueError
    return size


def cpu(value: object) -> str:
    """Return quota and period in microseconds, as the kernel writes them: "150%" of one CPU."""
    if not isinstance(value, str):
        raise BadValueError
    if match := _PERCENT.fullmatch(value):
        quota, period = round(float(match[1]) * _PERIOD / 100), _PERIOD
    elif match := _PAIR.fullmatch(value):
        quota, period = int(match[1]), int(match[2])
    else:
        raise BadValueError
    if period not in _PERIODS:
        raise BadValueError(hint=f": the period is {_PERIODS[0]} to {_PERIODS[-1]} microseconds")
    if quota < _LEAST:
        raise BadValueError(hint=f": that is less than the {_LEAST} microseconds that it must be")
    return f"{quota} {period}"


PLACE = Kind(
    words='"auto", "off" or the absolute path of a cgroup',
    parse=place,
    schema={"anyOf": [{"enum": list(_WORDS)}, {"type": "string", "pattern": "^/"}]},
)
MEMORY = Kind(
    words='a size like 67108864 or "64MB", more than 0',
    parse=memory,
    schema={
        "anyOf": [
            {"type": "integer", "minimum": 1},
            {
                "type": "string",
                "pattern": r"^\s*[0-9]+(\.[0-9]+)?\s*([KkMmGgTt]([Ii]?[Bb])?|[Bb])?\s*$",
            },
        ]
    },
    show=values.show_size,
)
CPU = Kind(
    percent=True,
    words='a share of one CPU like "150%", or quota and period in microseconds like "50000 100000"',
    parse=cpu,
    schema={
        "type": "string",
        "pattern": r"^\s*([0-9]+(\.[0-9]+)?\s*%%?|[0-9]+\s+[0-9]+)\s*$",
    },
)
