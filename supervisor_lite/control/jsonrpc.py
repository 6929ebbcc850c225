"""JSON-RPC 2.0 as the control socket speaks it: bytes in and out, no I/O.

https://www.jsonrpc.org/specification; docs/protocol.md says what is ours.
"""

from __future__ import annotations

import json
import math
from enum import Enum
from typing import Any, NamedTuple

from supervisor_lite.control.limits import MAX_ID, MAX_MESSAGE, MAX_UNKNOWN
from supervisor_lite.errors import (
    BadSignal,
    ConfigError,
    ConfirmationNeeded,
    NoSuchProcess,
    NotPermitted,
    OperationFailed,
    OtherConfiguration,
    ProtocolError,
    SupervisorLiteError,
)
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.codes import ErrorCode


class RawJson(NamedTuple):
    """A result that is JSON already."""

    data: bytes


Result = dict[str, Any] | RawJson


class NoId(Enum):
    """What stands for an id where there is none."""

    NOTIFICATION = "a notification: JSON-RPC wants it to be carried out and never answered"


Id = int | float | str | None | NoId


class Call(NamedTuple):
    """One request, with the id that its answer needs."""

    id: Id
    method: str
    params: Any
    configuration: Any = None
    """That of the daemon which is meant, if the caller says so."""


def parse(line: bytes) -> Call:
    """Return the request that a line is. Raises ProtocolError: then its id is not known."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(codes.PARSE_ERROR, f"not JSON: {error}") from None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        raise ProtocolError(codes.INVALID_REQUEST, "not a request: an object with a method")
    number = message.get("id", NoId.NOTIFICATION)
    if isinstance(number, bool) or not isinstance(number, int | float | str | None | NoId):
        raise ProtocolError(codes.INVALID_REQUEST, "id must be a number or a string")
    if isinstance(number, str) and len(number) > MAX_ID:
        raise ProtocolError(codes.INVALID_REQUEST, f"id has at most {MAX_ID} characters")
    if isinstance(number, float) and not math.isfinite(number):
        raise ProtocolError(codes.INVALID_REQUEST, "id must be a number that JSON has")
    params, configuration = message.get("params", {}), message.get("configuration")
    return Call(number, message["method"], params, configuration)


def result_line(number: Id, result: Result) -> bytes:
    """Return the line that answers a request."""
    if isinstance(result, RawJson):
        start = b'{"jsonrpc":"2.0","id":%s,"result":' % json.dumps(number).encode()
        return start + result.data + b"}\n"
    return messages.encode({"jsonrpc": "2.0", "id": number, "result": result})


def failure_line(number: Id, error: SupervisorLiteError) -> bytes:
    """Return the line that says why a request was not carried out."""
    data: dict[str, Any] = {"code": error.code}
    text = str(error)
    if isinstance(error, ConfigError):
        text = "the configuration cannot be used"
        data["details"] = [str(diagnostic) for diagnostic in error.diagnostics]
    elif isinstance(error, NoSuchProcess):
        data["names"] = list(error.names[:MAX_UNKNOWN])
        if error.defined:
            data["defined"] = error.defined
    elif isinstance(error, ConfirmationNeeded):
        data["removed"] = list(error.removed[:MAX_UNKNOWN])
        data["patterns"] = list(error.patterns[:MAX_UNKNOWN])
    return _error_line(number, error_number(error), text, data)


def bug_line(number: Id, error: Exception) -> bytes:
    """Return the line that says that we have made a mistake."""
    text = f"internal error: {type(error).__name__}; the daemon's log has more"
    return _error_line(number, codes.INTERNAL_ERROR, text, {"code": ErrorCode.INTERNAL_ERROR})


def notification_line(method: str, params: dict[str, Any]) -> bytes:
    """Return the line of a notification."""
    return messages.encode({"jsonrpc": "2.0", "method": method, "params": params})


def _error_line(number: Id, code: int, text: str, data: dict[str, Any]) -> bytes:
    if len(text) > MAX_MESSAGE:
        text = f"{text[:MAX_MESSAGE]}…"
    error = {"code": code, "message": text, "data": data}
    return messages.encode({"jsonrpc": "2.0", "id": number, "error": error})


def error_number(error: SupervisorLiteError) -> int:
    """Map our errors to the numbers of the protocol; the only place that does."""
    match error:
        case ProtocolError():
            return error.number
        case ConfigError() | BadSignal() | OtherConfiguration():
            return codes.USAGE
        case NoSuchProcess():
            return codes.NO_SUCH_PROCESS
        case NotPermitted():
            return codes.NOT_PERMITTED
        case OperationFailed(code=ErrorCode.TIMED_OUT):
            return codes.TIMED_OUT
        case _:
            return codes.FAILED
