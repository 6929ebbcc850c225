"""A command that is not there: what its first word would have been to a shell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from supervisor_lite.model.advice import Advice, AdviceKind

_KEYS: Final[Mapping[str, str]] = {
    "cd": 'directory = "…"',
    "export": "environment = { … }",
    "set": "environment = { … }",
    "source": 'env_file = "…" for variables',
    ".": 'env_file = "…" for variables',
    "exec": "the command without exec",
    "ulimit": "rlimits = { … }",
    "umask": 'umask = "…"',
    "trap": "stopsignal",
    "wait": "",
    "eval": "",
    "alias": "",
    "command": "the command itself",
    "if": "",
    "while": "",
    "until": "",
    "for": "",
    "case": "",
    "[[": "",
    "{": "",
    "(": "",
    "!": "",
}
"""By word of a shell: the key that does it here; empty if none does."""

SUBSTITUTES: Final[Mapping[str, str]] = {
    "python": "python3",
    "pip": "pip3",
    "node": "nodejs",
    "docker-compose": "docker",
    "apache2": "httpd",
    "httpd": "apache2",
}
"""Programs that other systems have by another name."""


def is_builtin(word: str) -> bool:
    """Is this a word that a shell does itself, so that a program of the name would do nothing?"""
    return word in ("cd", "export", "source", ".", "exec", "ulimit", "umask")


def first_word(word: str) -> Advice | None:
    """Return what was probably meant by the first word of a command that does not exist."""
    if (found := re.match(r"([A-Za-z_]\w*)=", word)) is not None:
        return Advice(AdviceKind.ASSIGNMENT, (word,), name=found[1])
    stem = word.rstrip(";")
    if stem in _KEYS or word[:1] in ("(", "!"):
        instead = _KEYS.get(stem, "")
        return Advice(AdviceKind.BUILTIN, (word,), name=stem, instead=instead)
    if word.startswith("~"):
        return Advice(AdviceKind.HOME, (word,))
    if "`" in word or "$(" in word:
        return Advice(AdviceKind.SUBSTITUTION, (word,))
    if (found := re.search(r"\$\{?([A-Za-z_]\w*)", word)) is not None:
        return Advice(AdviceKind.VARIABLE, (word,), name=found[1])
    if re.search(r"\S\s+\S", word):
        return Advice(AdviceKind.ONE_WORD, (word,))
    if word.endswith("&"):
        return Advice(AdviceKind.BACKGROUND, (word,))
    if re.search(r"[|&;<>]", word):
        return Advice(AdviceKind.OPERATOR, (word,))
    return None
