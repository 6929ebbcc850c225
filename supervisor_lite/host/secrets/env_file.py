"""Files with variables for a program: NAME=VALUE lines, read at each spawn.

    # a comment
    export PORT=8080            # and one after a value
    TOKEN='literally $this'
    TEXT="two lines\\nwith escapes: \\" \\\\ \\$"

Nothing is expanded: a dollar sign is a dollar sign. A text in quotes may go over several lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host.secrets.read import read_secret
from supervisor_lite.model.secrets import EnvFile

_NAME = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=([ \t]*)")
_QUOTED = re.compile(r"""'(?P<single>[^']*)'|"(?P<double>[^"\\]*(?:\\[\s\S][^"\\]*)*)\"""")
_REST = re.compile(r"[ \t\r]*(?:\#.*)?$", re.MULTILINE)
_COMMENT = re.compile(r"[ \t]\#")
_ESCAPE = re.compile(r"\\([\s\S])")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}


class _LineError(ValueError):
    """A line is no assignment; the text says where, and nothing of what stands there."""


def variables(files: Iterable[EnvFile]) -> dict[str, str]:
    """Return the variables of all files; those of a later file go before an earlier one's.

    Raises SpawnError, which names the file and the line, and never a value.
    """
    found: dict[str, str] = {}
    for file in files:
        try:
            found.update(parse(read_secret(file.path)))
        except FileNotFoundError as error:
            if not file.optional:
                raise failure(file, error.strerror) from None
        except OSError as error:
            raise failure(file, error.strerror) from None
        except _LineError as error:
            # Not "from error": a traceback would show the line.
            raise failure(file, str(error)) from None
    return found


def failure(file: EnvFile, cause: str | None) -> SpawnError:
    """Return that a file cannot be read, and why."""
    text = f'cannot read the env_file "{file.path}": {cause}'
    return SpawnError(text, SpawnErrorCode.SECRET, file.path)


def parse(data: bytes) -> dict[str, str]:
    """Return the variables of one file. Raises ValueError with the number of the line."""
    text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        line = text[place:end].strip()
        if line and not line.startswith("#"):
            name, value, end = _assignment(text, place, end)
            if "\0" in value:
                raise _LineError(f"line {_line(text, place)}: it holds a NUL character")
            found[name] = value
        place = end + 1
    return found


def _assignment(text: str, place: int, end: int) -> tuple[str, str, int]:
    """Return name, value and the end of the last line of the assignment that begins here."""
    start = _NAME.match(text, place, end)
    if start is None:
        raise _LineError(f"line {_line(text, place)}: expected NAME=VALUE")
    if text[start.end() : start.end() + 1] not in ("'", '"'):
        raw = text[start.start(2) : end]
        comment = _COMMENT.search(raw)
        return start[1], (raw[: comment.start()] if comment else raw).strip(), end
    quoted = _QUOTED.match(text, start.end())
    if quoted is None:
        raise _LineError(f"line {_line(text, place)}: a quote that is never closed")
    rest = _REST.match(text, quoted.end())
    if rest is None:
        raise _LineError(f"line {_line(text, quoted.end())}: something follows the closing quote")
    value = quoted["single"]
    if value is None:
        value = _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), quoted["double"])
    return start[1], value, rest.end()


def _line(text: str, place: int) -> int:
    return text.count("\n", 0, place) + 1
