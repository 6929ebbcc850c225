"""Secrets in command lines, made unreadable. docs/access.md has the rule for users.

What is secret cannot be known, only guessed by its name. A value that is masked without need costs
nothing, one that is not does; so a name is taken for a secret's if it contains one of a few words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"

_SECRET = re.compile(
    r"(?<!com)(?<!by)pass(?!ive|thr|enger)|pwd|secret|token|key|credential|authorization|bearer"
    r"|cookie|jwt|signature|kennwort"
    r"|(?<![a-z])(?:auth|oauth|pw|pin|otp|sig|salt)(?![a-z])|(?:auth|pw)(?![a-z])",
    re.IGNORECASE,
)
"""Words of a name that make it a secret's; the short ones only if they stand alone in it.

Not `auth` and `pw` where a name ends with them.
"""

_USER = re.compile(
    r"(?<![^\s\"'])((?:-[uU]|--user|--proxy-user)[\s=]?[\"']?[^\s:\"']*+:)(?!//)[^\s\"']++"
)
"""`name:password` behind options of curl and the like."""

_USER_OPTION = frozenset({"-u", "--user", "--proxy-user", "-U"})

_NAME = re.compile(r"[\w.\-]++")

_VALUE = (
    r"(?:\\[\"'](?:[^\"'\\]|\\[^\"'])*+\\[\"']|[\[{][^\]}]*+[\]}]?"
    r"|(?:\"(?:[^\"\\]|\\.)*+\"|'[^']*+'|\\.|[^\s&;,\"'\\<])++|[\"'\\]\S*+)"
)
"""In quotes that are written with a backslash; a list or an object; a word of the shell."""

_AFTER_NAME = re.compile(rf"(:\s++)[^\"'\n\\\[{{]++|(\\?[\"']?\s*+(?:[:=]=|=>|[=:>])\s*+){_VALUE}")
"""A header's value goes to the end of its line or of the quotes, others to the next blank."""

_AFTER_OPTION = re.compile(rf"(\s++)(?!-){_VALUE}")

_RULES = (
    # A private key.
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END|\Z)", re.DOTALL), MASK),
    # ://user:password@host, to the last @ before a slash; https://token@host has no other use.
    (re.compile(r"(://[^\s/:@?#]*+:)[^\s/?#]*@"), rf"\1{MASK}@"),
    (re.compile(r"(https?://)[^\s/:@?#]++@", re.IGNORECASE), rf"\1{MASK}@"),
    # What follows in an Authorization header, in whatever way its name is written.
    (
        re.compile(r"\b(Basic|Bearer|Digest|Negotiate)(\s++)[\w+/=.~\-]{6,}", re.IGNORECASE),
        rf"\1\2{MASK}",
    ),
    (_USER, rf"\1{MASK}"),
    # What begins as no other word does: JSON web tokens, keys of GitHub, GitLab, Slack, AWS, ...
    (
        re.compile(
            r"\b(?:eyJ[\w\-]{8,}\.[\w.\-]++|gh[opsur]_\w{20,}|github_pat_\w++|glpat-[\w\-]++"
            r"|xox[a-z]-[\w\-]++|[rsp]k_(?:live|test)_\w++|sk-[\w\-]{20,}|A[KS]IA[0-9A-Z]{16})"
        ),
        MASK,
    ),
)
"""What a secret looks like wherever it stands. Each costs as much as the text is long, no more."""


def mask_text(text: str) -> str:
    """Return a text without the secrets that it names."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _mask_named(text) if _SECRET.search(text) else text


def _mask_named(text: str) -> str:
    """Mask what follows a name that is a secret's: name=…, "name": "…", --name …, Name: …"""
    parts: list[str] = []
    done = 0
    while (found := _NAME.search(text, done)) is not None:
        end = found.end()
        parts.append(text[done:end])
        done = end
        if _SECRET.search(found[0]):
            value = _AFTER_NAME.match(text, end)
            if value is None and _takes_value(found[0]):
                value = _AFTER_OPTION.match(text, end)
            if value is not None:
                parts.append(next(filter(None, value.groups())) + MASK)
                done = value.end()
    return "".join([*parts, text[done:]])


def _takes_value(option: str) -> bool:
    """May the word after this one be its value?"""
    return option.startswith("-") and not option.startswith("--no-")


def mask_words(words: Iterable[str]) -> tuple[str, ...]:
    """Return a command line without its secrets."""
    masked: list[str] = []
    before = ""
    for word in words:
        masked.append(_mask_word(before, word))
        before = word
    return tuple(masked)


def _mask_word(before: str, word: str) -> str:
    """Return a word as it may be shown after the one before it."""
    if _is_secret_option(before) and not word.startswith("-"):
        return MASK
    if before in _USER_OPTION and ":" in word:
        return f"{word.partition(':')[0]}:{MASK}"
    name, equals, _ = word.partition("=")
    if equals and _NAME.fullmatch(name) and _SECRET.search(name):
        return f"{name}={MASK}"
    return mask_text(word)


def _is_secret_option(word: str) -> bool:
    whole = _NAME.fullmatch(word) is not None
    return whole and _takes_value(word) and _SECRET.search(word) is not None


def mask_values(values: object) -> object:
    """Return JSON with every text in it masked."""
    if isinstance(values, str):
        return mask_text(values)
    if isinstance(values, dict):
        return {key: mask_values(value) for key, value in values.items()}
    return [mask_values(value) for value in values] if isinstance(values, list) else values
