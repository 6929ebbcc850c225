"""What the table of keys says about a definition: what a change needs, and what clients see."""

from __future__ import annotations

from enum import Enum

from supervisor_lite.config.schema.program import PROGRAM
from supervisor_lite.model.output import Output
from supervisor_lite.model.program import Program

_RULES_ONLY = {key.program_field for key in PROGRAM.keys if key.affects == "rules"} - {
    key.program_field for key in PROGRAM.keys if key.affects != "rules"
}

_READ_BY_CHILD = tuple(name for name in Program._fields if name not in _RULES_ONLY)
"""Fields that are settled, all or in part, when a child is started."""

_SETTLED_PARTS = {key.field for key in PROGRAM.keys if key.of is Output and key.affects == "child"}
"""Fields of an Output that are settled when a child is started."""

_PUBLISHED = [
    (key.name, key.program_field, (key.field or key.name) if key.within else "")
    for key in PROGRAM.keys
    if key.published
]
"""Key, field of a program, and field of that."""


def needs_new_child(old: Program, new: Program) -> bool:
    """Must a child that was started from `old` be replaced to be as `new` says?

    If not, everything that differs is read by decisions and logs only, and takes effect at once.
    """
    for name in _READ_BY_CHILD:
        before, after = getattr(old, name), getattr(new, name)
        if before != after and not _is_same_output(before, after):
            return True
    return False


def _is_same_output(before: object, after: object) -> bool:
    """Tell whether these are outputs of which the child's own end is the same."""
    if not isinstance(before, Output) or not isinstance(after, Output):
        return False
    settled = all(getattr(before, part) == getattr(after, part) for part in _SETTLED_PARTS)
    return settled and before.captured == after.captured


def published(program: Program) -> dict[str, object]:
    """Return what clients see of a definition, by the keys of the file, as JSON has it."""
    found: dict[str, object] = {}
    for key, field, part in _PUBLISHED:
        value = getattr(program, field)
        if part:
            value = getattr(value, part)
        if isinstance(value, Enum):
            value = value.value
        found[key] = list(value) if isinstance(value, tuple) else value
    return found
