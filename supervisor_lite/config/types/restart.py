"""How a program ends and is started again: signals, exit codes, policy, backoff and budget."""

from __future__ import annotations

import re

from supervisor_lite.config.types.base import Json, Unquoted, ValueType, choice_of
from supervisor_lite.config.types.basic import boolean, integer, number
from supervisor_lite.config.types.compound import OneOrMore
from supervisor_lite.config.types.text import STRING
from supervisor_lite.config.types.units import DURATION_TEXT, duration, show_duration
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.program import Leftovers
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind
from supervisor_lite.text import suggest


def signal_name(value: object) -> str:
    """Return the canonical name of a signal: "TERM", "RTMIN+1"."""
    import signal

    low, high = int(signal.SIGRTMIN), int(signal.SIGRTMAX)
    if isinstance(value, str):
        value = _signal_number(value, low, high)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValueError
    if low <= value <= high:
        return "RTMIN" if value == low else f"RTMIN+{value - low}"
    try:
        return signal.Signals(value).name[3:]
    except ValueError:
        raise BadValueError from None


def _signal_number(text: str, low: int, high: int) -> int:
    """Return the number of "TERM", "SIGTERM", "15" or "RTMAX-1"; `low` is RTMIN, `high` RTMAX."""
    import signal

    known = {name[3:]: int(number) for name, number in signal.Signals.__members__.items()}
    name = text.strip().upper().removeprefix("SIG")
    if name.isdecimal() and len(name) < 4:
        return int(name)
    if match := re.fullmatch(r"(RTMIN|RTMAX)\s*([+-])\s*([0-9]{1,2})", name):
        found = (low if match[1] == "RTMIN" else high) + int(match[2] + match[3])
        if not low <= found <= high:
            raise BadValueError
        return found
    if name not in known:
        raise BadValueError(hint=suggest(name, known))
    return known[name]


_EXIT_CODE = number("an exit code from 0 to 255", 0, 255)


def exit_codes(value: object) -> tuple[int, ...]:
    """Return exit codes from 0, [0, 2] or "0,2"; an empty list expects none."""
    if isinstance(value, str):
        parts = [part.strip() for part in value.split(",")]
        if not all(re.fullmatch("[0-9]{1,3}", part) for part in parts):
            raise BadValueError
        value = tuple(map(int, parts))
    elif not isinstance(value, tuple):
        value = (value,)
    return tuple(dict.fromkeys(map(integer(0, 255), value)))


def autorestart(value: object) -> AutoRestart:
    """Accept true, false and "unexpected"."""
    if isinstance(value, str) and value.strip().lower() == "unexpected":
        return AutoRestart.UNEXPECTED
    return AutoRestart.ALWAYS if boolean(value) else AutoRestart.NEVER


def show_autorestart(value: object) -> object:
    """Return what `autorestart` is set to in TOML."""
    assert isinstance(value, AutoRestart)
    return value.value if value is AutoRestart.UNEXPECTED else value is AutoRestart.ALWAYS


def backoff(value: object) -> Backoff:
    """Return the growth of the pause from "linear", "exponential" or seconds."""
    if isinstance(value, str) and value in ("linear", "exponential"):
        return Backoff(kind=BackoffKind(value))
    return Backoff(kind=BackoffKind.CONSTANT, seconds=duration(value))


def show_backoff(value: object) -> object:
    """Return what `backoff` is set to in TOML."""
    assert isinstance(value, Backoff)
    constant = value.kind is BackoffKind.CONSTANT
    return show_duration(value.seconds) if constant else value.kind.value


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


def _word_or_duration(*words: str) -> Json:
    return {"anyOf": [{"enum": list(words)}, {"type": "number", "minimum": 0}, DURATION_TEXT]}


SIGNAL = ValueType(
    'a signal like "TERM", "RTMIN+1" or 15',
    signal_name,
    {"anyOf": [STRING, {"type": "integer", "minimum": 1, "maximum": 64}]},
)
EXIT_CODES = OneOrMore(
    "an exit code or a list of them, 0 to 255",
    exit_codes,
    _EXIT_CODE,
    {
        "anyOf": [
            _EXIT_CODE.schema,
            {"type": "array", "items": _EXIT_CODE.schema},
            {"type": "string", "pattern": "^ *[0-9]+ *(, *[0-9]+ *)*$"},
        ]
    },
)
AUTORESTART = Unquoted(
    'true, false or "unexpected"',
    autorestart,
    {"enum": [True, False, AutoRestart.UNEXPECTED.value]},
    show=show_autorestart,
    words=(AutoRestart.UNEXPECTED.value,),
)
LEFTOVERS = choice_of(Leftovers)
BACKOFF = ValueType(
    '"linear", "exponential" or a number of seconds',
    backoff,
    _word_or_duration("linear", "exponential"),
    show=show_backoff,
)
RESTART_LIMIT = ValueType(
    'a number of restarts in a time, like "5/10m"',
    restart_limit,
    {"type": "string", "pattern": r"^\s*[0-9]+\s*/\s*[0-9].*$"},
)
LIMIT_ACTION = ValueType(
    '"fatal" or how long to pause, like "10m"', limit_action, _word_or_duration("fatal")
)
