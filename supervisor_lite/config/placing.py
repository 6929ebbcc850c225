"""What the keys about limits, placement and secrets of a program take."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from supervisor_lite.config import kinds, values
from supervisor_lite.config.kinds import Json, Kind
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.process_attributes import ResourceLimit
from supervisor_lite.model.secrets import Credential, EnvFile
from supervisor_lite.text import suggest

_SIZES = ("as", "core", "data", "fsize", "memlock", "msgqueue", "rss", "stack")
_NUMBERS = ("nice", "nofile", "nproc", "rtprio", "sigpending")
_TIMES = {"cpu": 1, "rttime": 1_000_000}
"""How many of the kernel's units are a second."""

LIMITS = sorted((*_SIZES, *_NUMBERS, *_TIMES))
"""The names of getrlimit(2), all that Linux has."""

_UNLIMITED = "unlimited"
_MOST_CPUS = 8192
"""As many as a Linux kernel can be built for."""

_CPUS = re.compile(r"\s*[0-9]{1,5}\s*(?:-\s*[0-9]{1,5}\s*)?")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}")
_SHORTEST_CHECK = 0.1
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
            return values.size(value)
        if name in _TIMES:
            return _time(name, values.duration(value))
        return values.integer(0, (1 << 63) - 1)(value)

    return parse


def _time(name: str, seconds: float) -> int:
    """Return a time in the kernel's unit; a part of one is a whole one, never none."""
    # Rounded first: 0.07 * 1000000 is a little more than 70000.
    found = math.ceil(round(seconds * _TIMES[name], 6))
    if name == "cpu" and not found:
        raise BadValueError(hint=": it would be killed at once")
    return found


def _both(name: str) -> Callable[[object], tuple[int | None, int | None]]:
    """Return a parser of the soft and the hard limit: a list of them, or one value for both."""
    one = _amount(name)

    def parse(value: object) -> tuple[int | None, int | None]:
        if not isinstance(value, tuple):
            amount = one(value)
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
        found = {number for part in value.split(",") for number in _span(part)}
    else:
        found = {values.integer(0, _MOST_CPUS - 1)(value)}
    if not found:
        raise BadValueError(hint=", which names no CPU")
    return tuple(sorted(found))


def _span(text: str) -> range:
    if not _CPUS.fullmatch(text):
        raise BadValueError
    first, _, last = text.partition("-")
    low, high = int(first), int(last or first)
    if high < low:
        raise BadValueError(hint=f", where {high} is below {low}")
    if high >= _MOST_CPUS:
        raise BadValueError(hint=f"; no Linux has more than {_MOST_CPUS} CPUs")
    return range(low, high + 1)


def env_file(value: object) -> str:
    """Accept the path of a file with variables; with a "-" before it, the file may be missing."""
    path = values.text(value)
    if path == "-":
        raise BadValueError(hint=", which names no file")
    return path


def env_files(value: object) -> tuple[str, ...]:
    """Accept one such path, or a list of them."""
    return tuple(map(str, value)) if isinstance(value, tuple) else (env_file(value),)


def resolved(path: str, absolute: str) -> EnvFile:
    """Return the file that `env_file` names; `absolute` is its path without the "-"."""
    return EnvFile(path=absolute, optional=path.startswith("-"))


def credentials(value: object) -> tuple[Credential, ...]:
    """Return secrets from a table of paths."""
    if not isinstance(value, dict):
        raise BadValueError
    return tuple(Credential(name=name, path=str(value[name])) for name in sorted(value))


def memory(value: object) -> int:
    """Return bytes; nothing can run in 0."""
    found = values.size(value)
    if not found:
        raise BadValueError(hint=": that is always exceeded")
    return found


def check_interval(value: object) -> float:
    """Return seconds between two looks."""
    found = values.duration(value)
    if found < _SHORTEST_CHECK:
        raise BadValueError(hint=f"; at least {_SHORTEST_CHECK} s")
    return found


def _listed(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "array", "items": schema}]}


_AMOUNT: Json = {"type": ["string", "number"]}


def _limit(name: str) -> Kind:
    kind = "a size" if name in _SIZES else "a duration" if name in _TIMES else "a whole number"
    words = f'{kind} or "{_UNLIMITED}"'
    return Kind(
        words=f"{words}, or a list of the soft and the hard limit",
        parse=_both(name),
        schema=_listed(_AMOUNT),
        item=Kind(words=words, parse=_amount(name), schema=_AMOUNT),
    )


_LIMITS = {name: _limit(name) for name in LIMITS}
_ANY_LIMIT = Kind(
    words='a number, a size, a duration or "unlimited"',
    parse=lambda value: value,
    schema=_listed(_AMOUNT),
)


def _limit_kind(name: str) -> Kind:
    if name not in _LIMITS:
        meant = suggest(name.lower().removeprefix("rlimit_"), LIMITS)
        raise BadValueError("the name of a limit", meant)
    return _LIMITS[name]


def _credential_kind(name: str) -> Kind:
    if not _CREDENTIAL.fullmatch(name):
        rule = "letters, digits and _ . @ - only, beginning with none of the last three"
        raise BadValueError(f"a name for a file of at most 128 characters ({rule})")
    return kinds.PATH


def _show_limits(value: object) -> Mapping[str, object]:
    assert value == ()
    return {}


RLIMITS = Kind(
    words='a table of limits like { nofile = 4096, core = "unlimited", as = ["1GB", "2GB"] }',
    parse=resource_limits,
    schema={
        "type": "object",
        "properties": dict.fromkeys(LIMITS, _ANY_LIMIT.schema),
        "additionalProperties": False,
    },
    show=_show_limits,
    item=_ANY_LIMIT,
    table=True,
    named=_limit_kind,
)
NICE = Kind(
    words="a whole number from -20 to 19",
    parse=values.integer(-20, 19),
    schema={"type": "integer", "minimum": -20, "maximum": 19},
    strings=(),
)
OOM_SCORE_ADJ = Kind(
    words="a whole number from -1000 to 1000",
    parse=values.integer(-1000, 1000),
    schema={"type": "integer", "minimum": -1000, "maximum": 1000},
    strings=(),
)
_CPU = Kind(
    words='a CPU like 0 or "4-7"',
    parse=cpus,
    schema={
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": _MOST_CPUS - 1},
            {"type": "string", "pattern": r"^[0-9 ,-]+$|%\("},
        ]
    },
)
CPU_AFFINITY = Kind(
    words='CPUs: "0-3,8" or a list like [0, 1, 8]',
    parse=lambda value: cpus(_flat(value)),
    schema=_listed(_CPU.schema),
    item=_CPU,
)


def _flat(value: object) -> object:
    """Join what the items of a list gave."""
    if not isinstance(value, tuple):
        return value
    return tuple(number for item in value if isinstance(item, tuple) for number in item)


_ENV_FILE = Kind(
    words='a path, or one with "-" before it', parse=env_file, schema=kinds.TEXT.schema
)
ENV_FILES = Kind(
    words='a path or a list of paths, with "-" before those that may be missing',
    parse=env_files,
    schema=_listed(kinds.TEXT.schema),
    item=_ENV_FILE,
)
CREDENTIALS = Kind(
    words='a table of paths like { db = "/etc/secrets/db" }',
    parse=credentials,
    schema={"type": "object", "additionalProperties": kinds.PATH.schema},
    item=kinds.PATH,
    table=True,
    named=_credential_kind,
)
MEMORY = Kind(
    words='a size like "600MB"', parse=memory, schema=kinds.SIZE.schema, show=kinds.SIZE.show
)
CHECK_INTERVAL = Kind(
    words='a duration like "15s"',
    parse=check_interval,
    schema=kinds.DURATION.schema,
    show=kinds.DURATION.show,
)
