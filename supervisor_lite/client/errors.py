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
    """The daemon's refusal."""

    def __init__(self, error: object, method: str, params: Message) -> None:
        """`error` is that of the reply, whatever it is; `method` and `params` are what was asked.

        A daemon from before error codes sends a list of texts as `data`, or none.
        """
        fields: Message = error if isinstance(error, dict) else {}
        number, data = fields.get("code"), fields.get("data")
        about: Message = data if isinstance(data, dict) else {"details": data}
        super().__init__(str(fields.get("message") or "the daemon gave no reason"))
        self.number = number if isinstance(number, int) else codes.INTERNAL_ERROR
        """Above zero an exit code of `slctl`, below zero one of JSON-RPC's."""
        known = codes.ERROR_CODES.get(self.number, codes.ErrorCode.FAILED)
        self.code = str(about.get("code") or known)
        """One of `ErrorCode`; from a newer daemon it may be another."""
        self.details = _texts(about.get("details"))
        """More lines for the operator."""
        self.names = _texts(about.get("names"))
        """The names that mean nothing, where that is what is wrong."""
        defined = about.get("defined")
        self.defined: Message = defined if isinstance(defined, dict) else {}
        """Those of `names` that the configuration on disk defines, with `group` and `file`."""
        self.method = method
        self.params = params


def _texts(found: object) -> list[str]:
    return [str(text) for text in found] if isinstance(found, list) else []


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
