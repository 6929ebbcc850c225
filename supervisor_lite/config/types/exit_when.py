"""The condition on which the daemon ends by itself."""

from __future__ import annotations

from supervisor_lite.config.types.base import ValueType
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.text import suggest

ANY_FATAL = "any-fatal"
ALL_EXITED = "all-exited"
PROGRAM = "program:"


def exit_condition(value: object) -> str:
    """Accept one of the words, or `program:NAME`; whether there is such a program is not asked."""
    if not isinstance(value, str):
        raise BadValueError
    if value in (ANY_FATAL, ALL_EXITED):
        return value
    if not value.startswith(PROGRAM):
        raise BadValueError(hint=suggest(value, (ANY_FATAL, ALL_EXITED)))
    if value == PROGRAM:
        raise BadValueError(hint="; name a program, as in program:web")
    return value


EXIT_WHEN = ValueType(
    '"any-fatal", "all-exited" or "program:NAME"',
    exit_condition,
    {"anyOf": [{"enum": [ANY_FATAL, ALL_EXITED]}, {"type": "string", "pattern": "^program:.+$"}]},
)
