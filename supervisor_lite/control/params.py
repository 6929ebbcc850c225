"""The parameters of a request: read one by one, checked, none left over."""

from __future__ import annotations

from typing import Any

from supervisor_lite.control.limits import MAX_NAMES
from supervisor_lite.errors import LimitExceeded, ProtocolError
from supervisor_lite.protocol.codes import INVALID_PARAMS


class Params:
    """Typed access to `params`; everything wrong is a ProtocolError that names the parameter."""

    def __init__(self, values: object) -> None:
        if not isinstance(values, dict):
            raise ProtocolError(INVALID_PARAMS, "params must be an object")
        self._values: dict[str, Any] = dict(values)

    def _pop(self, key: str) -> Any:
        return self._values.pop(key, None)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string."""
        value = self._pop(key)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise ProtocolError(INVALID_PARAMS, f"{key} must be a string")
        return value

    def has(self, key: str) -> bool:
        """Was it given?"""
        return self._values.get(key) is not None

    def texts(self, key: str) -> dict[str, dict[str, str]]:
        """Return objects of strings by name; an empty object if absent."""
        value = self._pop(key)
        if value is None:
            return {}
        fits = isinstance(value, dict) and all(
            isinstance(each, dict) and all(isinstance(text, str) for text in each.values())
            for each in value.values()
        )
        if not fits:
            raise ProtocolError(INVALID_PARAMS, f"{key} must be an object of objects of strings")
        found: dict[str, dict[str, str]] = value
        return found

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self._pop(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ProtocolError(INVALID_PARAMS, f"{key} must be true or false")
        return value

    def count(self, key: str, default: int, *, maximum: int) -> int:
        """Return a whole number from 0 to `maximum`."""
        value = self._pop(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
            raise ProtocolError(INVALID_PARAMS, f"{key} must be a whole number from 0 to {maximum}")
        return value

    def number(self, key: str) -> int | None:
        """Return a whole number that is not negative, or None."""
        value = self._values.get(key)
        return None if value is None else self.count(key, 0, maximum=1 << 62)

    def seconds(self, key: str) -> float | None:
        """Return a duration in seconds that is not negative, or None."""
        value = self._pop(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise ProtocolError(INVALID_PARAMS, f"{key} must be a number of seconds")
        return float(value)

    def names(self, *, required: bool) -> list[str]:
        """Return `names`, a list of strings; an empty list if absent and not required.

        Raises LimitExceeded for too many.
        """
        value = self._pop("names")
        if value is None and not required:
            return []
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            raise ProtocolError(INVALID_PARAMS, "names must be a list of strings")
        if required and not value:
            raise ProtocolError(INVALID_PARAMS, "names must not be empty")
        if len(value) > MAX_NAMES:
            raise LimitExceeded(f"{len(value)} names in one request; at most {MAX_NAMES} may be")
        return value

    def done(self) -> None:
        """Raise ProtocolError for parameters that nobody has asked for."""
        if self._values:
            unknown = ", ".join(sorted(self._values))
            raise ProtocolError(INVALID_PARAMS, f"unknown parameter: {unknown}")
