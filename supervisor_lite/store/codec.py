"""Named tuples of `model/` as JSON, and back: what the journal keeps for a later daemon.

A named tuple is an object with its fields by name, an enumeration its value, a tuple an array. What
a field is to become again says its type hint: so a new field, also one with a named tuple of its
own, is read back without a word here. The hints of a class are looked at when the first of its
kind is read, because that costs more than a start without anything to adopt.

The later daemon may be a newer or an older version: fields that it does not know are dropped, those
that are missing have their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from supervisor_lite.model.cause import Cause, Leftover, Note, SpawnFailure
from supervisor_lite.model.exit import Exit

T = TypeVar("T", bound=tuple[Any, ...])

_PLAIN = frozenset({str, int, float, bool, NoneType})
"""Types that JSON has itself."""

_SPARSE = frozenset({Cause, Exit, Leftover, Note, SpawnFailure})
"""Written without what has its default: facts, of which most fields are not set."""

to_text = json.JSONEncoder(separators=(",", ":")).encode
"""Return JSON text of what `encode` has returned, without blanks."""


def encode(value: object) -> Any:
    """Return a value as JSON has it. Raises TypeError for a type that cannot be read back."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, tuple):
        fields: tuple[str, ...] | None = getattr(kind, "_fields", None)
        if fields is None:
            return [each if type(each) in _PLAIN else encode(each) for each in value]
        if kind in _SPARSE:
            return encode_short(value)
        return {
            name: each if type(each) in _PLAIN else encode(each)
            for name, each in zip(fields, value, strict=True)
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {name: encode(each) for name, each in value.items()}
    raise TypeError(f"cannot store {value!r}")


def encode_short(value: tuple[Any, ...]) -> dict[str, Any]:
    """Return a named tuple as an object without the fields that have their defaults.

    For what is never changed by another version's default: half the bytes.
    """
    defaults = _defaults(type(value))
    return {
        name: each if type(each) in _PLAIN else encode(each)
        for (name, default), each in zip(defaults, value, strict=True)
        if each != default
    }


@cache
def _defaults(kind: Any) -> tuple[tuple[str, object], ...]:
    return tuple((name, kind._field_defaults.get(name)) for name in kind._fields)


def decode(kind: type[T], values: Any) -> T:
    """Return the named tuple of this class that `encode` made an object of.

    Raises ValueError or TypeError if it is none, or holds what only a newer version understands.
    """
    if not isinstance(values, dict):
        raise TypeError(f"not an object: {values!r}")
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]
    known = {name: values[name] for name in fields if name in values}
    for name, convert in _converters(kind):
        if name in known:
            known[name] = convert(known[name])
    return kind(**known)


@cache
def _converters(kind: type) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return what has to be done to which fields of a class, beyond what JSON has done."""
    found = ((name, _converter(hint)) for name, hint in get_type_hints(kind).items())
    return tuple((name, convert) for name, convert in found if convert is not None)


def _converter(hint: Any) -> Callable[[Any], Any] | None:
    """Return what makes a value of this type out of JSON; None if it is one already."""
    if hint in _PLAIN:
        return None
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields"):
        return partial(decode, hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType) and len(inner) == 2 and inner[1] is NoneType:
        return _optional(_converter(inner[0]))
    if origin is tuple and len(inner) == 2 and inner[1] is Ellipsis:
        return _tuple(_converter(inner[0]))
    if origin is Mapping and inner == (str, str):
        return None
    raise TypeError(f"cannot read {hint!r} back from JSON")


def _optional(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if convert is None:
        return None
    return lambda value: None if value is None else convert(value)


def _tuple(convert: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    def converted(values: Any) -> tuple[Any, ...]:
        if not isinstance(values, list):  # the letters of a text would be a tuple, too
            raise TypeError(f"not an array: {values!r}")
        return tuple(values if convert is None else map(convert, values))

    return converted
