"""What is legal in a configuration and probably not meant: a kind with the facts, no sentence.

Sentences are made of these in explain/advice.py, for the warnings of `check`, `reread` and
`update`, for the reason of a spawn that failed, and for `why`.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class AdviceKind(Enum):
    """What is probably not meant. `words` are those of the command that it is about."""

    # A shell would do something with these words; there is none.
    OPERATOR = "operator"
    """`&&`, `|`, `;` and the like."""
    REDIRECTION = "redirection"
    """`>FILE`, `2>&1`, `<FILE`."""
    BACKGROUND = "background"
    """`&` at the end."""
    VARIABLE = "variable"
    """`$HOME`, `${X}`; `name` is its name."""
    HOME = "home"
    """`~/…`."""
    PATTERN = "pattern"
    """`*.log`."""
    SUBSTITUTION = "substitution"
    """Backquotes, `$(…)`."""
    BUILTIN = "builtin"
    """A word that a shell does itself as the command: `name`; `instead` is what does it here."""
    ASSIGNMENT = "assignment"
    """`FOO=1` before a command: `name` is FOO."""
    # Words that are not separated as they should be.
    ONE_WORD = "one_word"
    """A command with its arguments in one item of a list."""
    OPTION_WITH_VALUE = "option_with_value"
    """An option and its value in one item: `--port 80`."""
    SCRIPT_IN_WORDS = "script_in_words"
    """What follows `sh -c` in more than one word."""
    # A command that is not found, and another one that is.
    IN_DIRECTORY = "in_directory"
    """It is in the directory of the program, where nobody looks for a name without a slash."""
    OTHER_NAME = "other_name"
    """It is there by the name `instead`."""
    # How it runs.
    ENDS_AT_ONCE = "ends_at_once"
    """A job: `number` tries, `seconds` are its startsecs."""
    GOES_TO_BACKGROUND = "goes_to_background"
    """It leaves its main process; `instead` keeps it in the foreground, if that is known."""
    WOULD_GO_TO_BACKGROUND = "would_go_to_background"
    """The same, because of `words`."""
    GOES_NOWHERE = "goes_nowhere"
    """Output to `words`, which is /dev/null."""


class Advice(NamedTuple):
    """One thing that is probably not meant. Which fields are set depends on the kind."""

    kind: AdviceKind
    words: tuple[str, ...] = ()
    name: str = ""
    instead: str = ""
    number: int = 0
    seconds: float = 0.0
