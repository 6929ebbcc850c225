"""Small words about text: what is shown to people, whoever shows it. Imports nothing of ours."""

from __future__ import annotations


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


def counted(number: int, one: str, many: str) -> str:
    """Return a number with its noun: `1 process`, `2 processes`."""
    return f"{number} {one if number == 1 else many}"


def span(seconds: float) -> str:
    """Return a duration in words, in milliseconds where it is short."""
    if seconds < 0.095:
        return f"{max(round(seconds * 1000), 0)} ms"
    return duration(seconds)
