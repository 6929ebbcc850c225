"""On which line does each key of a TOML text stand? For diagnostics about valid TOML.

The parser keeps no positions, so this is a second, cheaper reading. It is done only for a file
that a diagnostic is about, and relies on the text being valid TOML.
"""

from __future__ import annotations

import re

KeyPath = tuple[str | int, ...]
"""Keys from the root to a value; an integer is an index into an array."""

# Strings are single tokens, so nothing inside them can be taken for structure. No possessive
# quantifiers: those of Python before 3.11.5 are wrong (github.com/python/cpython/issues/106052).
_TOKEN = re.compile(
    r"""
    (?P<skip>   [ \t\r]+ | \#[^\n]* )
  | (?P<newline> \n )
  | (?P<string> \"{3} [^\\"]* (?: (?: \\[\s\S] | "(?!"") ) [^\\"]* )* \"{3,5}
              | '{3} [^']* (?: '(?!'') [^']* )* '{3,5}
              | " [^\\"]* (?: \\. [^\\"]* )* "
              | ' [^']* ' )
  | (?P<mark>   [\[\]{}=,.] )
  | (?P<bare>   [^\s\[\]{}=,.\#"']+ )
    """,
    re.VERBOSE,
)


def line_numbers(text: str) -> dict[KeyPath, int]:
    """Return the 1-based line of every table, key and array element of valid TOML.

    A key in an inline table has its own line; a table that is only implied by `[a.b]` or `a.b = 1`
    has the line of the first such place.
    """
    return _Scanner(text).scan()


class _Scanner:
    """One pass over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._last_index: dict[KeyPath, int] = {}
        line = 1
        for match in _TOKEN.finditer(text):
            kind, token = match.lastgroup or "", match.group()
            if kind != "skip":
                self._tokens.append((kind, token, line))
            if kind in ("newline", "string"):
                line += token.count("\n")

    def scan(self) -> dict[KeyPath, int]:
        """Read statement by statement."""
        table: KeyPath = ()
        while self._at < len(self._tokens):
            kind, token, line = self._tokens[self._at]
            if kind == "newline":
                self._at += 1
            elif token == "[":
                table = self._header(line)
            else:
                self._assignment(table)
        return self._lines

    def _header(self, line: int) -> KeyPath:
        """Read `[a.b]` or `[[a.b]]` and return the path of that table."""
        self._at += 1
        is_array = self._mark() == "["
        self._at += is_array
        parts = self._keys("]")
        self._at += is_array
        path: KeyPath = ()
        for number, part in enumerate(parts, start=1):
            path = (*path, part)
            if is_array and number == len(parts):
                self._lines.setdefault(path, line)
                self._last_index[path] = self._last_index.get(path, -1) + 1
            if path in self._last_index:
                path = (*path, self._last_index[path])
            self._lines.setdefault(path, line)
        self._lines[path] = line  # an explicit header beats an implied one
        return path

    def _assignment(self, table: KeyPath) -> None:
        """Read `a.b = value`."""
        line = self._tokens[self._at][2]
        path = table
        for part in self._keys("="):
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._value(path)

    def _keys(self, end: str) -> list[str]:
        """Read dotted keys up to and with the mark `end`."""
        parts: list[str] = []
        while True:
            kind, token, _ = self._tokens[self._at]
            self._at += 1
            if kind == "mark" and token == end:
                return parts
            if kind == "string":
                parts.append(_unquote(token))
            elif kind == "bare":
                parts.append(token)

    def _value(self, path: KeyPath) -> None:
        """Read one value, noting the lines of what is inside it."""
        opening = self._mark()
        if opening not in ("[", "{"):
            while self._at < len(self._tokens):
                kind, token, _ = self._tokens[self._at]
                if kind == "newline" or (kind == "mark" and token in ",]}"):
                    return
                self._at += 1
            return
        self._at += 1
        index = 0
        while True:
            kind, token, line = self._tokens[self._at]
            if kind == "newline" or (kind == "mark" and token == ","):
                self._at += 1
            elif kind == "mark" and token in "]}":
                self._at += 1
                return
            elif opening == "{":
                self._assignment(path)
            else:
                self._lines[(*path, index)] = line
                self._value((*path, index))
                index += 1

    def _mark(self) -> str:
        kind, token, _ = self._tokens[self._at]
        return token if kind == "mark" else ""


def _unquote(token: str) -> str:
    if token[0] == "'" or "\\" not in token:
        return token[1:-1]
    import tomli

    key: str = tomli.loads(f"key = {token}")["key"]
    return key
