"""JSON by the C half of `json`, without the half in Python.

Importing `json` costs `slctl` 13 ms of CPU, more than Python's own start: its decoder compiles
regular expressions, and `re` brings enum and functools along. All the work is done by `_json`, to
which `json` itself hands it on. `_json` is private to CPython: where it is missing, or takes other
arguments, `json` does the same, and so it does for whatever is not plain JSON.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Decoding:
    """What json.JSONDecoder tells the scanner by default."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {
        "-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan"),
    }.__getitem__  # fmt: skip


def _not_serializable(value: object) -> object:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


try:
    from _json import encode_basestring, encode_basestring_ascii, make_encoder, make_scanner

    _scan = make_scanner(_Decoding)  # type: ignore[arg-type]  # typeshed asks for another one

    def _pieces(value: object, quote: Any, colon: str, comma: str) -> Any:
        make = make_encoder({}, _not_serializable, quote, None, colon, comma, False, False, True)
        return make(value, 0)

    QUICK = _scan("[1]", 0) == ([1], 3) and "".join(_pieces(1, encode_basestring, ":", ",")) == "1"
except (ImportError, AttributeError, TypeError, ValueError):
    QUICK = False


def loads(line: bytes) -> Any:
    """Return what a JSON text means. Raises ValueError, RecursionError."""
    if QUICK:
        try:
            text = line.decode()
            value, end = _scan(text, 0)
        except (UnicodeDecodeError, StopIteration):
            end = -1
        if end >= 0 and end == len(text):
            return value
    import json  # what is wrong is told by it; and blanks around are skipped

    return json.loads(line)


def dumps(value: object, *, ascii_only: bool = False, compact: bool = True) -> str:
    """Return the JSON text of a value, as json.dumps does. Raises TypeError, ValueError."""
    colon, comma = (":", ",") if compact else (": ", ", ")
    if QUICK:
        quote = encode_basestring_ascii if ascii_only else encode_basestring
        return "".join(_pieces(value, quote, colon, comma))
    import json

    return json.dumps(value, separators=(comma, colon), ensure_ascii=ascii_only)
