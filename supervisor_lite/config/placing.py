"""What the keys about limits, placement and secrets of a program take."""

from __future__ import annotations

import re
from collections.abc import Mapping

from supervisor_lite.config import kinds, values
from supervisor_lite.config.kinds import Json, Kind
from supervisor_lite.config.wording import BadValueError, suggest
from supervisor_lite.rules.placement import Credential, EnvFile, ResourceLimit

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
    """Return limits from a table like { nofile = 4096, core = "unlimited", as = ["1GB", "2GB"] }.

    One value is the soft and the hard limit, a list of two is both.
    """
    if not isinstance(value, dict):
        raise BadValueError
    return tuple(_resource_limit(str(name), value[name]) for name in sorted(value))


def _resource_limit(name: str, value: object) -> ResourceLimit:
    if name not in LIMITS:
        meant = suggest(name.lower().removeprefix("rlimit_"), LIMITS)
        raise BadValueError(hint=f' with the unknown limit "{name}"{meant}')
    both = value if isinstance(value, tuple) else (value, value)
    if len(both) != 2:
        raise BadValueError(hint=f"; {name} is one value, or a list of the soft and the hard one")
    soft, hard = (_amount(name, each) for each in both)
    if hard is not None and (soft is None or soft > hard):
        raise BadValueError(hint=f"; the soft limit of {name} is above the hard one")
    return ResourceLimit(name=name, soft=soft, hard=hard)


def _amount(name: str, value: object) -> int | None:
    """Return one limit in the kernel's unit, None for unlimited."""
    if isinstance(value, str) and value.strip().lower() in (_UNLIMITED, "infinity"):
        return None
    try:
        if name in _SIZES:
            return values.size(value)
        if name in _TIMES:
            return round(values.duration(value) * _TIMES[name])
        return values.integer(0, (1 << 63) - 1)(value)
    except BadValueError:
        kind = "a size" if name in _SIZES else "a duration" if name in _TIMES else "a whole number"
        raise BadValueError(hint=f'; {name} is {kind} or "{_UNLIMITED}"') from None


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
    for name in value:
        if not _CREDENTIAL.fullmatch(name):
            rule = "letters, digits and _ . @ - only"
            raise BadValueError(hint=f' with "{name}", which is no name of a file: {rule}')
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
_LIMIT = Kind(
    words='a number, a size, a duration or "unlimited"',
    parse=lambda value: value,
    schema=_listed(_AMOUNT),
    item=Kind(words="a limit", parse=lambda value: value, schema=_AMOUNT),
)


def _show_limits(value: object) -> Mapping[str, object]:
    assert value == ()
    return {}


RLIMITS = Kind(
    words='a table of limits like { nofile = 4096, core = "unlimited", as = ["1GB", "2GB"] }',
    parse=resource_limits,
    schema={
        "type": "object",
        "properties": dict.fromkeys(LIMITS, _LIMIT.schema),
        "additionalProperties": False,
    },
    show=_show_limits,
    item=_LIMIT,
    table=True,
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
