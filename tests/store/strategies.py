"""Arbitrary values of named tuples, made from their type hints: a new field is covered at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_NOT_UTF8 = st.integers(0x80, 0xFF).map(lambda byte: chr(0xDC00 + byte))
"""What Python makes of a byte in a path that is not UTF-8 (PEP 383)."""

TEXT = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), _NOT_UTF8), max_size=8)


def values_of(hint: Any) -> SearchStrategy[Any]:
    """Return arbitrary values of a type; of a named tuple, with arbitrary values in every field."""
    if hint is str:
        return TEXT
    if hint is float:
        return st.floats(allow_nan=False)
    if hasattr(hint, "_fields"):
        fields = {name: values_of(each) for name, each in get_type_hints(hint).items()}
        return st.builds(hint, **fields)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return st.one_of(*map(values_of, inner))
    if origin is tuple:
        assert inner[1] is Ellipsis
        return st.lists(values_of(inner[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(*map(values_of, inner), max_size=3)
    return st.from_type(hint)
