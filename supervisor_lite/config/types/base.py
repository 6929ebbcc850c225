"""What a type of value is: what it accepts, what that means, and how editors and people see it.

Every type is a constant of a module of this package. The reader (`config/read.py`) expands a string
and gives the text to `parse_text`; anything else goes to `read`, which reads the members of lists
and tables by their own types first. Both end in `parse_scalar`, the meaning of one value, which
raises BadValueError. No parser says what it got: the reader adds that, who knows whether the value
came out of an environment variable and may not be shown.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from supervisor_lite.config.wording import BadValueError
from supervisor_lite.protocol.home import NoHomeError, expand_home
from supervisor_lite.text import suggest

if TYPE_CHECKING:
    from supervisor_lite.config.read import Context

Json = dict[str, object]

Parse = Callable[[object], object]
"""From a TOML value (a list as a tuple of resolved items) to the resolved value."""

BAD = object()
"""Stands for a value about which an error was reported."""


def as_written(value: object) -> object:
    """Return a resolved value as TOML has it: enums by their word, tuples as lists."""
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


class ValueType:
    """One type of value. Compared by identity."""

    relative = False
    """The meaning of a text depends on the directory of the file in which it stands."""

    def __init__(
        self,
        expected: str,
        parse: Parse,
        schema: Json,
        *,
        show: Callable[[object], object] = as_written,
        secret: bool = False,
    ) -> None:
        self.expected = expected
        """Completes "expected …" in a diagnostic and describes the key in the reference."""
        self._parse = parse
        self.schema = schema
        """What it accepts without an expansion, as JSON Schema."""
        self.show = show
        """From a resolved value back to TOML, for defaults in the schema and the reference."""
        self.secret = secret
        """Values are never shown in a diagnostic."""

    def parse_scalar(self, value: object) -> object:
        """Return what a value means. Raises BadValueError."""
        return self._parse(value)

    def parse_text(self, text: str, here: str) -> object:
        """Return what an expanded string in a file of the directory `here` means."""
        return self.parse_scalar(text)

    def read(self, raw: object, context: Context) -> object:
        """Return what a TOML value other than a string means; BAD if a member of it is wrong."""
        return self.parse_scalar(raw)

    def before_expansion(self, raw: str) -> str:
        """Return a string as it is given to the expansion."""
        return raw

    def check_written(self, text: str) -> None:
        """Refuse a string that is no value unless an expansion gave it. Raises BadValueError."""

    def json_schema(self) -> Json:
        """Return what an editor should accept."""
        return self.schema


class Unquoted(ValueType):
    """A type that TOML writes without quotes, such as numbers and booleans.

    A string is refused unless it holds an expansion, of which only the result is known to be right
    or wrong, or is one of `words`.
    """

    def __init__(
        self,
        expected: str,
        parse: Parse,
        schema: Json,
        *,
        show: Callable[[object], object] = as_written,
        words: tuple[str, ...] = (),
    ) -> None:
        super().__init__(expected, parse, schema, show=show)
        self._words = words

    def check_written(self, text: str) -> None:
        """Refuse everything but the words."""
        if text not in self._words:
            raise BadValueError(hint=suggest(text, self._words) if self._words else "")

    def json_schema(self) -> Json:
        """Also accept an expansion: numprocs = "%(ENV_WORKERS)s"."""
        return {"anyOf": [self.schema, {"type": "string", "pattern": r"%\("}]}


class Path(ValueType):
    """A path, which is made absolute, unless the text means one of `words`."""

    relative = True

    def __init__(self, expected: str, parse: Parse, words: tuple[str, ...] = ()) -> None:
        super().__init__(expected, parse, {"type": "string", "minLength": 1})
        self._words = words

    def parse_text(self, text: str, here: str) -> object:
        """Return the absolute path, or the word."""
        value = self.parse_scalar(text)
        return value if value in self._words else absolute(str(value), here)


def absolute(path: str, here: str) -> str:
    """Return an absolute, normal path; `~` is a home, the rest is relative to `here`."""
    try:
        expanded = expand_home(path)
    except NoHomeError as error:
        raise BadValueError(hint=f": {error}") from None
    if expanded.startswith("~"):
        raise BadValueError(hint=", and there is no such user")
    return os.path.normpath(os.path.join(here, expanded))


def quoted_words(words: tuple[str, ...]) -> str:
    """Return words as one enumerates them: `"a", "b" or "c"`."""
    quoted = [f'"{word}"' for word in words]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def choice(meanings: Mapping[str, object], listed: tuple[str, ...] = ()) -> ValueType:
    """Return the type of the given words; `listed` are those that people are told of."""

    def parse(value: object) -> object:
        if not isinstance(value, str):
            raise BadValueError
        if value not in meanings:
            raise BadValueError(hint=suggest(value, meanings))
        return meanings[value]

    return ValueType(quoted_words(listed or tuple(meanings)), parse, {"enum": list(meanings)})


def choice_of(enum: type[Enum]) -> ValueType:
    """Return the type of the values of an Enum."""
    return choice({str(member.value): member for member in enum})
