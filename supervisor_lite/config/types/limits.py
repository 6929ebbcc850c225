"""What the kernel lets a program have: resource limits, niceness, OOM score, CPUs, memory."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache

from supervisor_lite.config.types.base import Json, ValueType
from supervisor_lite.config.types.basic import integer, number
from supervisor_lite.config.types.compound import OneOrMore, TableOf, one_or_list
from supervisor_lite.config.types.units import DURATION, SIZE, duration, size
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.process_attributes import ResourceLimit
from supervisor_lite.text import suggest

_SIZES = ("as", "core", "data", "fsize", "memlock", "msgqueue", "rss", "stack")
_NUMBERS = ("nice", "nofile", "nproc", "rtprio", "sigpending")
_TIMES = {"cpu": 1, "rttime": 1_000_000}
"""How many of the kernel's units are a second."""

LIMITS = sorted((*_SIZES, *_NUMBERS, *_TIMES))
"""The names of getrlimit(2), all that Linux has."""

_UNLIMITED = "unlimited"
_MAX_CPUS = 8192
"""As many as a Linux kernel can be built for."""

_CPU_RANGE = r"\s*[0-9]{1,5}\s*(?:-\s*[0-9]{1,5}\s*)?"
_MIN_INTERVAL = 0.1
"""Seconds."""


def resource_limits(value: object) -> tuple[ResourceLimit, ...]:
    """Return limits from a table of pairs (soft, hard) by name; None is unlimited."""
    if not isinstance(value, dict):
        raise BadValueError
    pairs = ((name, *value[name]) for name in sorted(value))
    return tuple(ResourceLimit(name=name, soft=soft, hard=hard) for name, soft, hard in pairs)


def _amount(name: str) -> Callable[[object], int | None]:
    """Return a parser of one limit; it gives the kernel's unit, None for unlimited."""

    def parse(value: object) -> int | None:
        if isinstance(value, str) and value.strip().lower() in (_UNLIMITED, "infinity"):
            return None
        if name in _SIZES:
            return size(value)
        if name in _TIMES:
            return _time(name, duration(value))
        return integer(0, (1 << 63) - 1)(value)

    return parse


def _time(name: str, seconds: float) -> int:
    """Return a time in the kernel's unit; a part of one is a whole one, never none."""
    # Rounded first: 0.07 * 1000000 is a little more than 70000.
    units = math.ceil(round(seconds * _TIMES[name], 6))
    if name == "cpu" and not units:
        raise BadValueError(hint=": it would be killed at once")
    return units


def _soft_and_hard(name: str) -> Callable[[object], tuple[int | None, int | None]]:
    """Return a parser of the soft and the hard limit: a list of them, or one value for both."""
    parse_amount = _amount(name)

    def parse(value: object) -> tuple[int | None, int | None]:
        if not isinstance(value, tuple):
            amount = parse_amount(value)
            return amount, amount
        if len(value) != 2:
            raise BadValueError(hint=f" of {len(value)}")
        soft, hard = value
        if hard is not None and (soft is None or soft > hard):
            raise BadValueError(hint=" where the soft limit is above the hard one")
        return soft, hard

    return parse


def cpus(value: object) -> tuple[int, ...]:
    """Return numbers of CPUs from 0, "0-3,8" or [0, 1, "4-7"]."""
    if isinstance(value, tuple):
        found = {number for item in value for number in cpus(item)}
    elif isinstance(value, str):
        found = {number for part in value.split(",") for number in _cpu_range(part)}
    else:
        found = {integer(0, _MAX_CPUS - 1)(value)}
    if not found:
        raise BadValueError(hint=", which names no CPU")
    return tuple(sorted(found))


def _cpu_range(text: str) -> range:
    if not re.fullmatch(_CPU_RANGE, text):
        raise BadValueError
    first, _, last = text.partition("-")
    low, high = int(first), int(last or first)
    if high < low:
        raise BadValueError(hint=f", where {high} is below {low}")
    if high >= _MAX_CPUS:
        raise BadValueError(hint=f"; no Linux has more than {_MAX_CPUS} CPUs")
    return range(low, high + 1)


def _cpus_of_items(value: object) -> tuple[int, ...]:
    """Join what the items of a list gave."""
    if isinstance(value, tuple):
        value = tuple(number for item in value if isinstance(item, tuple) for number in item)
    return cpus(value)


def memory(value: object) -> int:
    """Return bytes; nothing can run in 0."""
    found = size(value)
    if not found:
        raise BadValueError(hint=": that is always exceeded")
    return found


def check_interval(value: object) -> float:
    """Return seconds between two looks."""
    found = duration(value)
    if found < _MIN_INTERVAL:
        raise BadValueError(hint=f"; at least {_MIN_INTERVAL} s")
    return found


_AMOUNT: Json = {"type": ["string", "number"]}


@cache
def _limit(name: str) -> ValueType:
    what = "a size" if name in _SIZES else "a duration" if name in _TIMES else "a whole number"
    expected = f'{what} or "{_UNLIMITED}"'
    return OneOrMore(
        f"{expected}, or a list of the soft and the hard limit",
        _soft_and_hard(name),
        ValueType(expected, _amount(name), _AMOUNT),
    )


_ANY_LIMIT = ValueType(
    'a number, a size, a duration or "unlimited"', lambda value: value, one_or_list(_AMOUNT)
)


def _limit_type(name: str) -> ValueType:
    if name not in LIMITS:
        meant = suggest(name.lower().removeprefix("rlimit_"), LIMITS)
        raise BadValueError("the name of a limit", meant)
    return _limit(name)


def _show_limits(value: object) -> object:
    assert value == ()
    return {}


RLIMITS = TableOf(
    'a table of limits like { nofile = 4096, core = "unlimited", as = ["1GB", "2GB"] }',
    resource_limits,
    _ANY_LIMIT,
    type_of=_limit_type,
    schema={
        "type": "object",
        "properties": dict.fromkeys(LIMITS, _ANY_LIMIT.schema),
        "additionalProperties": False,
    },
    show=_show_limits,
)
NICE = number("a whole number from -20 to 19", -20, 19)
OOM_SCORE_ADJ = number("a whole number from -1000 to 1000", -1000, 1000)
_CPU = ValueType(
    'a CPU like 0 or "4-7"',
    cpus,
    {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": _MAX_CPUS - 1},
            {"type": "string", "pattern": r"^[0-9 ,-]+$|%\("},
        ]
    },
)
CPU_AFFINITY = OneOrMore('CPUs: "0-3,8" or a list like [0, 1, 8]', _cpus_of_items, _CPU)
MEMORY_LIMIT = ValueType('a size like "600MB"', memory, SIZE.schema, show=SIZE.show)
CHECK_INTERVAL = ValueType(
    'a duration like "15s"', check_interval, DURATION.schema, show=DURATION.show
)
