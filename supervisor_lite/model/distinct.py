"""Named tuples that are equal only to others of their own class, and never false."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T", bound=type[tuple[object, ...]])


def distinct(kind: T) -> T:
    """Let a named tuple be equal only to one of the same class, and be true even if it is empty."""

    def equal(self: tuple[object, ...], other: object) -> bool:
        return type(other) is kind and tuple.__eq__(self, other)

    def unequal(self: tuple[object, ...], other: object) -> bool:
        return not equal(self, other)

    for name, method in (
        ("__eq__", equal),
        ("__ne__", unequal),
        ("__hash__", tuple.__hash__),
        ("__bool__", lambda _: True),
    ):
        setattr(kind, name, method)
    return kind
