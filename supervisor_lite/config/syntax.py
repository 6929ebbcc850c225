"""What to say of a file that is no TOML: what was meant, as far as its lines show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from supervisor_lite.config.wording import dotted

if TYPE_CHECKING:
    import tomli

_HEADER = re.compile(r"\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"([A-Za-z0-9_-]+)\s*=")


def explain(label: str, error: tomli.TOMLDecodeError) -> str:
    """Return the text of a syntax error in the file `label`, with advice where there is some."""
    if "Cannot" in error.msg and (text := _defined_twice(label, error.doc, error.lineno)):
        return text
    return f"column {error.colno}: {error.msg}{_advice(error.doc, error.lineno)}"


def _defined_twice(label: str, text: str, line: int) -> str:
    """Say what is defined on `line` for the second time, and where first; "" if nothing is.

    Called for text that is no TOML, so it only compares lines: a table of the same header, or a
    key of the same name that stands above it in its table.
    """
    lines = [written.strip() for written in text.split("\n")]
    above = list(enumerate(lines[: line - 1], start=1))
    if (found := _HEADER.match(lines[line - 1])) is not None:
        for number, written in above:
            if (other := _HEADER.match(written)) is not None and other[1] == found[1]:
                return f"{found[1]}: is defined twice, first at {label}:{number}"
    elif (found := _KEY.match(lines[line - 1])) is not None:
        first = 0
        for number, written in reversed(above):
            if (header := _HEADER.match(written)) is not None:
                key = f"{header[1]}.{found[1]}"
                return f"{key}: is set twice, first at {label}:{first}" if first else ""
            if (other := _KEY.match(written)) is not None and other[1] == found[1]:
                first = number
    return ""


def _advice(text: str, line: int) -> str:
    """Return what to write instead, for mistakes that users of Supervisor's file make."""
    written = text.split("\n")[line - 1].strip()
    if header := re.match(r"\[\s*(program|group)\s*:\s*([^\]\s]+)\s*\]", written):
        return f"; write [{dotted(header.groups())}]"
    if re.match(r"""[A-Za-z_]+\s*=\s*(?:"[^"]*|'[^']*)$""", written):
        return "; the closing quote is missing"
    if re.match(r"[A-Za-z_]+\s*=\s*[^\s\"'\[{0-9]", written):
        return "; put text in quotes"
    if written.startswith(";"):
        return '; comments begin with "#"'
    return ""
