"""Read the words of a command line.

A small parser of our own: argparse would be a third of the time that `slctl status` takes, and
it refuses `tail -100 web`, which Supervisor's users type.
"""

from __future__ import annotations

from supervisor_lite.text import parse_duration, suggest

_MAX_SECONDS = 366 * 86400.0
_MAX_DIGITS = 15


class UsageError(Exception):
    """The command line makes no sense; the text says what is wrong with it."""


class UnusableConfiguration(UsageError):
    """The command line is right, but the configuration that it leads to cannot be used."""


class HelpAsked(Exception):
    """-h or --help was among the options."""


class Arguments:
    """What was typed: options by key (a flag has the empty text), and all other words."""

    __slots__ = ("_options", "words")

    def __init__(self, options: dict[str, str], words: list[str]) -> None:
        self._options = options
        self.words = words

    def has(self, key: str) -> bool:
        """Was the option given?"""
        return key in self._options

    def text(self, key: str, default: str = "") -> str:
        """Return the option's value."""
        return self._options.get(key, default)

    def integer(self, key: str, default: int) -> int:
        """Return the option's value as a whole number, zero or more. Raises UsageError."""
        text = self._options.get(key)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS:
            raise UsageError(f'"{text}" is not a whole number, or too large')
        return int(text)

    def seconds(self, key: str) -> float | None:
        """Return a duration (`10`, `2.5`, `1m30s`) in seconds. Raises UsageError."""
        text = self._options.get(key)
        return None if text is None else seconds(text)


def parse(arguments: list[str], known: dict[str, str], *, leading: bool = False) -> Arguments:
    """Sort options from other words.

    `known` maps each spelling to its key; a key that ends in "=" takes a value (`-n 5`, `-n5`,
    `--lines 5`, `--lines=5`), and the spelling "-#" stands for a number with a dash (`-100`).
    Options may stand anywhere, but with `leading` they end at the first other word.
    `--` ends them too. Raises UsageError, HelpAsked.
    """
    options: dict[str, str] = {}
    rest = list(arguments)
    words: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            if leading:
                break
            continue
        spelling, attached = _split(word, known)
        key = known.get(spelling)
        if key is None:
            if spelling in ("-h", "--help"):
                raise HelpAsked
            raise UsageError(f"there is no option {word}{_suggestion(spelling, known)}")
        if not key.endswith("="):
            if attached is not None:
                raise UsageError(f"{spelling} takes no value")
            options[key] = ""
        elif attached is not None:
            options[key[:-1]] = attached
        elif rest:
            options[key[:-1]] = rest.pop(0)
        else:
            raise UsageError(f"{spelling} needs a value")
    return Arguments(options, words + rest)


def seconds(text: str) -> float:
    """Return the seconds that `10`, `2.5` or `1m30s` means. Raises UsageError."""
    try:
        if any(map(str.isspace, text)):
            raise ValueError
        total = parse_duration(text)
    except ValueError:
        raise UsageError(f'"{text}" is not a number of seconds or a time like 1m30s') from None
    if total > _MAX_SECONDS:
        raise UsageError(f'"{text}" is more than a year')
    return total


def _split(word: str, known: dict[str, str]) -> tuple[str, str | None]:
    """Return the option's spelling and the value that is attached to it, if any."""
    if word.startswith("--"):
        spelling, equals, value = word.partition("=")
        return spelling, value if equals else None
    if "-#" in known and word[1:].isascii() and word[1:].isdigit():
        return "-#", word[1:]
    return word[:2], word[2:] or None


def _suggestion(spelling: str, known: dict[str, str]) -> str:
    return suggest(spelling, [*known, "--help"], "{}", ";") if spelling.startswith("--") else ""
