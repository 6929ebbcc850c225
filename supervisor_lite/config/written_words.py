"""The words of a command as they stand in the file: what of them a shell would have looked at.

Loaded only for a command that has something of a shell in it.
"""

from __future__ import annotations

import re

from supervisor_lite.config.types.command import PIECE
from supervisor_lite.rules.shell_words import Word, hidden, listed


def written_words(command: object) -> tuple[Word, ...]:
    """Return the words of a command as it stands in the file, with what a shell would look at."""
    if not isinstance(command, str):
        items = command if isinstance(command, list) else []
        return tuple(listed(str(item)) for item in items)
    words: list[Word] = []
    inside = False
    for match in re.finditer(PIECE, command):
        kind, piece = match.lastgroup, match[match.lastgroup or 0]
        if kind == "blank":
            inside = False
            continue
        if kind in ("joined", "open"):
            continue
        quoted = hidden(piece)
        bare = piece if kind == "plain" else quoted
        soft = piece if kind in ("plain", "double") else quoted
        if inside:
            text = "".join((words[-1].written, piece))
            words[-1] = Word(text, words[-1].bare + bare, words[-1].soft + soft)
        else:
            words.append(Word(piece, bare, soft))
        inside = True
    return tuple(words)
