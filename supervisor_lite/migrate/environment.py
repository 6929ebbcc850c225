"""Supervisor's `environment=KEY="value",…` as a table, split as Supervisor 4.3 splits it."""

from __future__ import annotations

import shlex

from supervisor_lite.migrate.percent import hide, show
from supervisor_lite.migrate.toml_writer import Toml
from supervisor_lite.migrate.values import ConvertContext, Refused


def environment(value: str, context: ConvertContext) -> Toml | None:
    """Convert KEY="value",KEY2=value2, split as Supervisor 4.3 does."""
    pieces: list[str] = []
    hidden = hide(value, pieces)
    tokens = _tokens(hidden, pieces)
    if "#" in hidden and _ends_in_comment(hidden, pieces, tokens):
        context.notes.note(
            'to Supervisor what follows "#" is a comment: quote the value if not meant'
        )
    found: dict[str, Toml] = {}
    for start in range(0, len(tokens), 4):
        name, *rest = tokens[start : start + 4]
        if len(rest) < 2 or rest[0] != "=":
            raise Refused('KEY="value" pairs with commas between them')
        shown = show(name, pieces)
        if shown != name and "%(" in shown:
            context.notes.warn_lossy(
                f"{shown}: the name of a variable cannot be expanded; left out"
            )
        else:
            found[name] = show(rest[1].strip("'\""), pieces)
        if rest[2:] not in ([], [","]):
            # Neither piece is shown: it may be a secret.
            context.notes.note(
                f"Supervisor takes only the first word of {name}; the rest is lost there. Quote "
                "the value if that is not meant"
            )
    return found


def _ends_in_comment(text: str, pieces: list[str], tokens: list[str]) -> bool:
    """Tell whether the splitting has dropped what follows a "#"."""
    try:
        return tokens != _tokens(text, pieces, commenters="")
    except Refused:
        return True


def _tokens(text: str, pieces: list[str], commenters: str = "#") -> list[str]:
    """Split as Supervisor 4.3 does."""
    lexer = shlex.shlex(text)
    lexer.commenters = commenters
    # What an expansion gives is taken to be a part of a word.
    lexer.wordchars += "/.+-():" + hide("%(x)s" * len(pieces), [])
    try:
        return list(lexer)
    except ValueError:
        raise Refused("quotes that are closed") from None
