"""What a key can take: each kind's words, parser, JSON Schema and way of showing a default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from supervisor_lite.config import values
from supervisor_lite.model.program import Leftovers, Stdin
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind

Json = dict[str, object]


def _plainly(value: object) -> object:
    """Show a default as it is: enums by their word, tuples as lists."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """One kind of value. Compared by identity: every kind is a constant of this module."""

    words: str
    """Completes "expected …" in a complaint and describes the key in the reference."""
    parse: Callable[[object], object]
    """From a TOML value (lists as tuples of parsed items) to the resolved one; see values.py."""
    schema: Json
    """What an editor should accept, as JSON Schema."""
    show: Callable[[object], object] = _plainly
    """From a resolved value back to TOML, for defaults in the schema and the reference."""
    strings: tuple[str, ...] | None = None
    """The only strings accepted as they stand; None: all are given to the parser.

    A string with an expansion is always accepted: only its result is known to be right or wrong.
    """
    item: Kind | None = None
    """The kind of the elements of a list (or, with `table`, of the values of a table)."""
    table: bool = False
    named: Callable[[str], Kind] | None = None
    """With `table`, where it depends on the name: the kind of the value of that name.

    Raises BadValueError for what cannot be a name; its `expected` says what can.
    """
    not_paths: tuple[str, ...] | None = None
    """For paths, which are made absolute: the results that are words instead. None: no path."""
    octal: bool = False
    """A number above 7 must be written as 0o…: `umask = 77` does not mean 77."""
    secret: bool = False
    """Values are never shown in a complaint."""
    percent: bool = False
    """A percent sign that begins nothing is itself: `50%` need not be written `50%%`."""


def _words(*words: str) -> str:
    quoted = [f'"{word}"' for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _one_of(mapping: dict[str, object], listed: tuple[str, ...] = ()) -> Kind:
    words = listed or tuple(mapping)
    return Kind(
        words=_words(*words),
        parse=values.choice(mapping),
        schema={"enum": list(mapping)},
    )


def _number(words: str, low: int | None = None, high: int | None = None) -> Kind:
    schema: Json = {"type": "integer"}
    if low is not None:
        schema["minimum"] = low
    if high is not None:
        schema["maximum"] = high
    return Kind(words=words, parse=values.integer(low, high), schema=schema, strings=())


def _strings(words: str, item: Kind) -> Kind:
    schema: Json = {"type": "array", "items": item.schema}
    return Kind(words=words, parse=values.strings, schema=schema, strings=(), item=item)


_STRING: Json = {"type": "string", "minLength": 1}
_SIZE = r"^\s*[0-9]+(\.[0-9]+)?\s*([KkMmGgTt]([Ii]?[Bb])?|[Bb])?\s*$"
_TIME = r"^\s*([0-9]+(\.[0-9]+)?\s*(ms|[smhdw])?\s*)+$"
_TIME_SCHEMA: Json = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _TIME}]
}


def _show_backoff(value: object) -> object:
    assert isinstance(value, Backoff)
    constant = value.kind is BackoffKind.CONSTANT
    return values.show_duration(value.seconds) if constant else value.kind.value


BOOLEAN = Kind(words="true or false", parse=values.boolean, schema={"type": "boolean"}, strings=())
NUMBER = _number("a whole number")
COUNT = _number("a whole number, 0 or more", 0)
POSITIVE = _number("a whole number, 1 or more", 1)
NUMPROCS = _number("a whole number from 0 to 10000", 0, 10000)
FRACTION = Kind(
    words="a number from 0 to 1",
    parse=values.fraction,
    schema={"type": "number", "minimum": 0, "maximum": 1},
    show=values.show_duration,
    strings=(),
)
TEXT = Kind(words="a string that is not empty", parse=values.text, schema=_STRING)
SIZE = Kind(
    words='a size like 1048576 or "50MB"',
    parse=values.size,
    schema={"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _SIZE}]},
    show=values.show_size,
)
DURATION = Kind(
    words='a duration like 10, 0.5 or "1m30s"',
    parse=values.duration,
    schema=_TIME_SCHEMA,
    show=values.show_duration,
)
OCTAL = Kind(
    words='an octal mode like "022" or 0o22',
    parse=values.octal,
    schema={
        "anyOf": [
            {"type": "string", "pattern": "^(0o)?[0-7]{1,4}$"},
            {"type": "integer", "minimum": 0, "maximum": 0o777},
        ]
    },
    show=values.show_octal,
    octal=True,
)
SIGNAL = Kind(
    words='a signal like "TERM", "RTMIN+1" or 15',
    parse=values.signal_name,
    schema={"anyOf": [_STRING, {"type": "integer", "minimum": 1, "maximum": 64}]},
)
_EXIT_CODE = _number("an exit code from 0 to 255", 0, 255)
EXIT_CODES = Kind(
    words="an exit code or a list of them, 0 to 255",
    parse=values.exitcodes,
    schema={
        "anyOf": [
            _EXIT_CODE.schema,
            {"type": "array", "items": _EXIT_CODE.schema},
            {"type": "string", "pattern": "^ *[0-9]+ *(, *[0-9]+ *)*$"},
        ]
    },
    item=_EXIT_CODE,
)
AUTORESTART = Kind(
    words='true, false or "unexpected"',
    parse=values.autorestart,
    schema={"enum": [True, False, AutoRestart.UNEXPECTED.value]},
    show=values.show_autorestart,
    strings=(AutoRestart.UNEXPECTED.value,),
)
LEFTOVERS = _one_of(values.members(Leftovers))
STDIN = _one_of(values.members(Stdin))
LOG_LEVEL = _one_of(
    {
        "debug": "debug",
        "info": "info",
        "warning": "warning",
        "error": "error",
        "critical": "critical",
        # What Supervisor calls them.
        "warn": "warning",
        "trace": "debug",
        "blather": "debug",
    },
    listed=("debug", "info", "warning", "error", "critical"),
)
LOG_FORMAT = _one_of({"console": "console", "json": "json"})
ROLE = _one_of({"view": "view", "operate": "operate", "admin": "admin"})
ARGUMENT = Kind(
    words="an argument",
    parse=values.argument,
    schema={"type": ["string", "integer"]},
)
COMMAND = Kind(
    words="a command: a string or a list of arguments",
    parse=values.command,
    schema={
        "anyOf": [_STRING, {"type": "array", "items": ARGUMENT.schema, "minItems": 1}],
    },
    item=ARGUMENT,
)
VARIABLE = Kind(
    words="a string, a whole number or true or false",
    parse=values.variable,
    schema={"type": ["string", "integer", "boolean"]},
    secret=True,
)
ENVIRONMENT = Kind(
    words='a table of variables like { PORT = "8080" }',
    parse=values.environment,
    schema={"type": "object", "additionalProperties": VARIABLE.schema},
    item=VARIABLE,
    table=True,
    secret=True,
)
NAME = Kind(
    words='a name without blanks, ":" and "/"',
    parse=values.name,
    schema={
        "type": "string",
        "minLength": 1,
        "maxLength": values.NAME_LIMIT,
        "pattern": r"^(?!-)[^\s:/*?\[\]]+$",
    },
)
NAMES = _strings("a list of names", NAME)
STRINGS = _strings("a list of strings", TEXT)
PATH = Kind(words="a path", parse=values.text, schema=_STRING, not_paths=())
OUTPUT = Kind(
    words='"auto", "none", "syslog" or a path',
    parse=values.log_file("auto", "none", "syslog"),
    schema=_STRING,
    not_paths=("auto", "none", "syslog"),
)
DAEMON_LOG = Kind(
    words='"auto", "none", "syslog" or a path',
    parse=values.log_file("auto", "none", "syslog"),
    schema=_STRING,
    not_paths=("auto", "none", "syslog"),
)
USER = Kind(
    words="a user of this system",
    parse=values.user,
    schema={"anyOf": [_STRING, {"type": "integer", "minimum": 0}]},
)
USERS = _strings("a list of users", USER)
USER_GROUP = Kind(
    words="a group of users of this system",
    parse=values.user_group,
    schema={"anyOf": [_STRING, {"type": "integer", "minimum": 0}]},
)
USER_GROUPS = _strings("a list of groups of users", USER_GROUP)
BACKOFF = Kind(
    words='"linear", "exponential" or a number of seconds',
    parse=values.backoff,
    schema={"anyOf": [{"enum": ["linear", "exponential"]}, *_TIME_SCHEMA["anyOf"]]},  # type: ignore[misc]
    show=_show_backoff,
)
RESTART_LIMIT = Kind(
    words='a number of restarts in a time, like "5/10m"',
    parse=values.restart_limit,
    schema={"type": "string", "pattern": r"^\s*[0-9]+\s*/\s*[0-9].*$"},
)
LIMIT_ACTION = Kind(
    words='"fatal" or how long to pause, like "10m"',
    parse=values.limit_action,
    schema={"anyOf": [{"enum": ["fatal"]}, *_TIME_SCHEMA["anyOf"]]},  # type: ignore[misc]
)
