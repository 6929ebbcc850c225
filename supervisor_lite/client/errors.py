"""What a client of the daemon raises.

On the hot path of `slctl`: it does not use errors.py, which costs more to import.
"""

from __future__ import annotations

import os

from supervisor_lite.protocol import codes

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message


class ClientError(Exception):
    """The base of what a `Client` raises; the text is for the operator.

    Raised as such when a request cannot be put into words, so that nothing was asked.
    """


class Unreachable(ClientError):
    """Nobody answers at the socket, or we may not connect to it. Nothing was asked."""

    def __init__(self, path: str, cause: str, *, denied: bool = False) -> None:
        super().__init__(f"cannot reach the daemon at {path}: {cause}")
        self.path = path
        self.cause = cause
        self.denied = denied
        """The daemon may well be there: the socket's permissions keep us out."""


class ConnectionLost(ClientError):
    """The daemon hung up before it answered; whether it did what was asked is not known."""


class ReplyTimeout(ClientError):
    """The daemon did not answer in time; it may still do what was asked."""


class BadReply(ClientError):
    """What came back is not an answer in our protocol."""


class RemoteError(ClientError):
    """The daemon's refusal.

    `code` above zero is an exit code of `slctl`, below zero one of JSON-RPC's; `data` has the
    details, one text each; `method` and `params` are what was asked.
    """

    def __init__(
        self, code: int, message: str, data: list[str], method: str, params: Message
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.method = method
        self.params = params


def remote_error(error: object, method: str, params: Message) -> RemoteError:
    """Return what the `error` of a reply says."""
    fields: Message = error if isinstance(error, dict) else {}
    code = fields.get("code")
    data = fields.get("data")
    return RemoteError(
        code if isinstance(code, int) else codes.INTERNAL_ERROR,
        str(fields.get("message") or "the daemon gave no reason"),
        [str(text) for text in data] if isinstance(data, list) else [],
        method,
        params,
    )


def cause_of(error: OSError | ValueError) -> str:
    """Return why a connection failed, in words."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)


def denial(path: str) -> str:
    """Say whom the socket lets in."""
    try:
        status = os.stat(path)
    except OSError:
        return "permission denied"
    return (
        f"permission denied (you are uid {os.geteuid()}; the socket belongs to "
        f"uid {status.st_uid}, gid {status.st_gid}, mode {status.st_mode & 0o777:04o})"
    )
