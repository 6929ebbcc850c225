"""What is known of a key, and what a table is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from supervisor_lite.config.types.base import ValueType

Affects = Literal["child", "rules", "logs"]
"""Who reads a value of a program.

- "child": it is settled when a child is started, so a change needs a new one;
- "rules": decisions read it when they are made;
- "logs": what handles the output reads it. A new child is needed only if its output goes nowhere
  before the change or after it, because a child's end of the pipe is settled at its start.
"""


class Key(NamedTuple):
    """One key of a table."""

    name: str
    value_type: ValueType
    doc: str
    """One sentence for the reference and for editors."""
    of: type | None = None
    """The named tuple in which the value ends up, and whose default it has; None: in none."""
    field: str = ""
    """The field of `of`, if it is not called like the key."""
    within: str = ""
    """The field of a program that holds `of`, where that is a part of a program: "backoff"."""
    default: object = None
    """The default as written in TOML, where it is not that of the field; None: nothing."""
    required: bool = False
    per_process: bool = False
    """Expanded for every process, so it may use %(process_num)d and the program's own ENV_X."""
    aliases: tuple[str, ...] = ()
    shown: str = ""
    """The default in words, where it depends on other keys."""
    only_with: str = ""
    """The key without which this one has no effect."""
    affects: Affects | None = None
    """Of a program: what has to notice that the value has changed. None: it fills no field."""
    supervisor_name: str = ""
    """What it is called in Supervisor's file; empty: Supervisor has no such key."""
    published: bool = False
    """Clients see the value: it stands in the answer to `definitions`."""
    rpc_name: str = ""
    """What Supervisor's XML-RPC calls it in getAllConfigInfo; empty: it is not in there."""

    @property
    def program_field(self) -> str:
        """The field of a program that the value of this key, or a part of it, fills; or empty."""
        return self.within or ("" if self.of is None else self.field or self.name)

    def shown_default(self) -> object:
        """Return the default as one would write it in TOML, None if there is none."""
        if self.of is None or self.default is not None or self.required:
            return self.default
        value = field_default(self.of, self.field or self.name)
        return None if value is None else self.value_type.show(value)


class Shape(Enum):
    """How often a table occurs."""

    ONE = "[{}]"
    NAMED = "[{}.NAME]"
    LIST = "[[{}]]"


class TableSchema(NamedTuple):
    """One table of the file."""

    name: str
    shape: Shape
    doc: str
    keys: tuple[Key, ...]

    def by_name(self) -> dict[str, Key]:
        """Return the keys by every name that is accepted."""
        return {name: key for key in self.keys for name in (key.name, *key.aliases)}


def field_default(cls: Any, name: str) -> object:
    """Return the default of a field of a named tuple; None if it has none or an empty mapping."""
    assert name in cls._fields, f"{cls.__name__} has no {name}"
    default = cls._field_defaults.get(name)
    return None if isinstance(default, Mapping) else default
