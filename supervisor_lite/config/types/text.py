"""Strings, names, paths and variables."""

from __future__ import annotations

from supervisor_lite.config.types.base import Json, Path, ValueType
from supervisor_lite.config.types.compound import ListOf, TableOf
from supervisor_lite.config.wording import BadValueError

NAME_LIMIT = 100
"""Bytes of the name of a program, group or process: two of them and an ending make a file name."""

RESERVED = (".", "..", "all")
"""What means something else: a directory, or every process."""

STRING: Json = {"type": "string", "minLength": 1}
"""The JSON Schema of a string that is not empty."""


def text(value: object) -> str:
    """Accept a string that is more than blanks."""
    if not isinstance(value, str) or not value.strip():
        raise BadValueError
    return value


def server_url(value: object) -> str | None:
    """Accept a URL; None for "auto" in any case."""
    url = text(value)
    return None if url.lower() == "auto" else url


def name(value: object) -> str:
    """Accept what can name a program, a group or a process."""
    if not isinstance(value, str) or not value or ":" in value or "/" in value:
        raise BadValueError
    if any(char.isspace() or not char.isprintable() for char in value):
        raise BadValueError
    if value[0] == "-" or any(char in "*?[]" for char in value):
        raise BadValueError('a name that slctl can take: without * ? [ ], not beginning with "-"')
    if value in RESERVED:
        meaning = "every process" if value == "all" else "a directory"
        raise BadValueError('a name other than ".", ".." and "all"', f"; that means {meaning}")
    if len(value.encode()) > NAME_LIMIT:
        raise BadValueError(f"a name of at most {NAME_LIMIT} bytes")
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
    for key in value:
        if not key or "=" in key or "\0" in key:
            raise BadValueError('names of variables without "="', f', with the name "{key}"')
    return value


TEXT = ValueType("a string that is not empty", text, STRING)
SERVER_URL = ValueType(TEXT.expected, server_url, STRING)
STRINGS = ListOf("a list of strings", TEXT)
NAME = ValueType(
    'a name without blanks, ":" and "/"',
    name,
    {**STRING, "maxLength": NAME_LIMIT, "pattern": r"^(?!-|\.$|\.\.$|all$)[^\s:/*?\[\]]+$"},
)
NAMES = ListOf("a list of names", NAME)
PATH = Path("a path", text)
VARIABLE = ValueType(
    "a string, a whole number or true or false",
    variable,
    {"type": ["string", "integer", "boolean"]},
    secret=True,
)
ENVIRONMENT = TableOf(
    'a table of variables like { PORT = "8080" }', environment, VARIABLE, secret=True
)
