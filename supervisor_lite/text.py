"""What is shown to people, whoever shows it: safe text, plurals, durations, sizes, suggestions.

The one home of such helpers; imports nothing of ours. It is on the hot path of `slctl`, so `re` and
`difflib` are loaded by the functions that need them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def sanitize(text: object, keep: str = "") -> str:
    """Return the text with everything invisible spelled out, except the characters in `keep`.

    Names, reasons and output come from programs that the operator may not trust: an escape
    sequence could rewrite the screen, a newline or a bidirectional override could forge a line.
    """
    whole = str(text)
    if whole.isprintable():
        return whole
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in whole
    )


def columns(text: str) -> int:
    """Return how many columns of a terminal the text takes: wide characters two, marks none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def pad(text: str, width: int) -> str:
    """Return the text with blanks after it, so that it takes at least `width` columns."""
    return text + " " * (width - columns(text))


def fit(text: str, width: int) -> str:
    """Return the text, cut so that it takes at most `width` columns; … stands for what is cut."""
    if columns(text) <= width:
        return text
    if text.isascii():
        return f"{text[: max(width - 1, 0)].rstrip()}…"
    taken, end = 0, 0
    while end < len(text) and taken + columns(text[end]) < width:
        taken += columns(text[end])
        end += 1
    return f"{text[:end].rstrip()}…"


def plural(number: int, one: str, many: str) -> str:
    """Return a number with its noun: `1 process`, `2 processes`."""
    return f"{number} {one if number == 1 else many}"


def suggest(word: str, known: Iterable[str], form: str = '"{}"', lead: str = ",") -> str:
    """Return `, did you mean "x"?` for the nearest known word, or nothing if none is near.

    Upper and lower case, dashes and underscores do not count as differences.
    """
    import difflib

    words = {name.lower().replace("-", "_"): name for name in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), words, n=1)
    return f"{lead} did you mean {form.format(words[near[0]])}?" if near else ""


# Durations.


def duration(seconds: float) -> str:
    """Return a number of seconds as people say it: `0.5 s`, `90 s`, `2 m 5 s`, `3 h 2 m`."""
    if seconds < 100:
        return f"{round(seconds, 1):g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} m {rest} s" if rest else f"{minutes} m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} m" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def span(seconds: float) -> str:
    """Return a duration as `duration` does, but in milliseconds where it is short: `40 ms`."""
    if seconds < 0.095:
        return f"{max(round(seconds * 1000), 0)} ms"
    return duration(seconds)


def uptime(seconds: float) -> str:
    """Return an uptime as Supervisor writes it: `0:00:02`, `1 day, 2:03:04`."""
    whole = max(0, int(seconds))
    days, rest = divmod(whole, 86400)
    clock = f"{rest // 3600}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    if not days:
        return clock
    return f"{days} day{'s' if days > 1 else ''}, {clock}"


def parse_duration(text: str) -> float:
    """Return the seconds that `90`, `1.5`, `1m30s` or `250 ms` means; the units are ms s m h d w.

    Raises ValueError. A number may be so large that the result is infinite.
    """
    import re

    number = r"([0-9]+(?:\.[0-9]+)?)"
    # Of what else counts as a blank, float() refuses some: hence re.ASCII.
    if re.fullmatch(rf"\s*{number}\s*", text, re.ASCII):
        return float(text)
    if re.fullmatch(rf"\s*(?:{number}\s*(?:ms|[smhdw])\s*)+", text):
        parts = re.findall(rf"{number}\s*(ms|[smhdw])", text)
        return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
    raise ValueError(f"not a duration: {text!r}")


# Sizes.


def size(number: float) -> str:
    """Return a number of bytes as `512 B`, `12.3 MB`; the units are of 1024."""
    if number < 1024:
        return f"{number:.0f} B"
    for unit in ("KB", "MB", "GB"):
        number /= 1024
        if number < 1024:
            return f"{number:.1f} {unit}"
    return f"{number / 1024:.1f} TB"


def parse_size(text: str) -> int:
    """Return the bytes that `1048576`, `50MB` or `1.5 GiB` means; the units are of 1024.

    Fractions are rounded to whole bytes. Raises ValueError.
    """
    import re

    number = r"([0-9]{1,18}(?:\.[0-9]{1,18})?)"
    match = re.fullmatch(rf"\s*{number}\s*(?:([kmgt])(?:i?b)?|b)?\s*", text, re.IGNORECASE)
    if match is None:
        raise ValueError(f"not a size: {text!r}")
    amount, unit = match.groups()
    factor = _BYTES[(unit or "").lower()]
    return int(amount) * factor if amount.isdigit() else round(float(amount) * factor)


def exact_size(number: int) -> str | int:
    """Return bytes as a configuration has them: `50MB`, or the number where no unit divides it."""
    for letter in "tgmk":
        if number and number % _BYTES[letter] == 0:
            return f"{number // _BYTES[letter]}{letter.upper()}B"
    return number
