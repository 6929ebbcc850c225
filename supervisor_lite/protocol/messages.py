"""The messages on the control socket, shared by daemon and clients.

JSON-RPC 2.0 (https://www.jsonrpc.org/specification) over a Unix stream socket, one message per
line, UTF-8. `params` is always an object. A reply's `error.code` below zero is JSON-RPC's own;
above zero it is the exit code that `slctl` ends with. docs/protocol.md describes every method.

A client that sends a message without an `id` gets no reply. A subscription (`tail`, `logs`,
`maintail`, `events` with `follow`) answers with a subscription number, then sends notifications
that carry it until the client hangs up.

This module is on the hot path of `slctl`: it imports nothing heavy.
"""

from __future__ import annotations

from supervisor_lite.protocol import quick_json

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    Message = dict[str, Any]
    """A JSON object on its way over the socket."""
else:
    Message = dict

PROTOCOL_VERSION: Final = 1

MAX_LINE: Final = 1 << 20
"""Bytes in one request line, newline included. Longer ones are refused, the connection closed."""

# Hints, in replies of `tail` and `logs`.
HINT_PYTHON_BUFFERS: Final = "python_buffers"
"""{"fullname", "stream", "hint"}: it runs, has written nothing, and is Python, which may hold its
output back."""

# Notifications that the daemon sends to a subscriber.
NOTE_OUTPUT: Final = "output"
"""{"subscription", "fullname", "stream", "data"[, "encoding": "base64"]}"""
NOTE_MISSED: Final = "missed"
"""{"subscription", "fullname", "stream", "bytes"}: so much was skipped, the reader was too slow."""
NOTE_CHANGE: Final = "change"
"""{"subscription", "change": {…}}"""
NOTE_CONFIGURATION: Final = "configuration"
"""{"subscription"}: beside changes; the daemon has taken up its configuration anew."""
NOTE_END: Final = "end"
"""{"subscription", "reason"}: nothing more will come."""


def encode(message: dict[str, Any], errors: str = "backslashreplace") -> bytes:
    """Return the line for one message, newline included.

    Half a surrogate pair, which UTF-8 cannot carry, becomes an escape that JSON knows.
    """
    text = quick_json.dumps(message)
    return text.encode(errors=errors) + b"\n"


def encode_value(value: object) -> bytes:
    """Return JSON of any value, as `encode` has it in a message."""
    return quick_json.dumps(value).encode(errors="backslashreplace")


def request(number: int, method: str, params: dict[str, Any], configuration: str = "") -> bytes:
    """Return the line that asks for `method`. Raises UnicodeEncodeError.

    A daemon that runs with another `configuration` refuses it, if one is given.
    """
    asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    if configuration:
        asked["configuration"] = configuration
    return encode(asked, errors="strict")


def pack_data(data: bytes) -> dict[str, str]:
    """Return the fields that carry raw output: text where it is UTF-8, base64 where it is not."""
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        import base64

        return {"data": base64.b64encode(data).decode("ascii"), "encoding": "base64"}


def unpack_data(fields: dict[str, Any]) -> bytes:
    """Return the raw output that `pack_data` carried."""
    data: str = fields["data"]
    if fields.get("encoding") == "base64":
        import base64

        return base64.b64decode(data)
    return data.encode()
