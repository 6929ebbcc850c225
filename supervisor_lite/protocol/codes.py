"""Every code on the control socket: of errors, of results, and the exit codes of `slctl`.

An error carries two: `error.code` is a number (below zero JSON-RPC's own,
https://www.jsonrpc.org/specification#error_object; above zero the exit code that `slctl` ends
with), `error.data.code` is one of `ErrorCode`. What became of one process in an operation carries
one: `result.code`, of `ResultCode` if it is ok, else of `ErrorCode`. Programs decide by these and
never by a message, which may be worded otherwise in the next version. Codes are only ever added.
"""

from __future__ import annotations

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# JSON-RPC's own error codes.
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

# Ours: the exit codes of slctl.
DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_UP: Final = 3
NO_SUCH_PROCESS: Final = 4
NOT_PERMITTED: Final = 5
TIMED_OUT: Final = 7


class ErrorCode:
    """Why something was refused or failed. No enum, which would cost `slctl` a millisecond."""

    # Of a request that is wrong in itself; with JSON-RPC's own number each.
    PARSE_ERROR: Final = "parse_error"
    INVALID_REQUEST: Final = "invalid_request"
    UNKNOWN_METHOD: Final = "unknown_method"
    INVALID_PARAMS: Final = "invalid_params"
    INTERNAL_ERROR: Final = "internal_error"

    # Of what was meant.
    NO_SUCH_PROCESS: Final = "no_such_process"
    """`data.names` has the names that mean nothing."""
    NO_SUCH_GROUP: Final = "no_such_group"
    """`data.names` has the names of no group."""
    NO_SUCH_STREAM: Final = "no_such_stream"
    AMBIGUOUS_NAME: Final = "ambiguous_name"
    """One process is needed, and the name means several or none."""
    BAD_SIGNAL: Final = "bad_signal"
    BAD_CONFIGURATION: Final = "bad_configuration"
    """`data.details` has every complaint, with its place."""

    OTHER_CONFIGURATION: Final = "other_configuration"
    """The daemon of another configuration was meant."""

    # Of the state of things.
    NOT_PERMITTED: Final = "not_permitted"
    LIMIT_EXCEEDED: Final = "limit_exceeded"
    """One request, one connection or one user asks for more than it may."""
    SHUTTING_DOWN: Final = "shutting_down"
    NOT_RUNNING: Final = "not_running"
    ALREADY_ACTIVE: Final = "already_active"
    """The group is in force already."""
    CONFIRMATION_NEEDED: Final = "confirmation_needed"
    """It would take away more than may be meant: `data.removed`, `data.patterns`. With `yes`."""
    STILL_RUNNING: Final = "still_running"
    """A process of the group is up."""
    NO_LOG_FILE: Final = "no_log_file"
    NO_INPUT: Final = "no_input"
    """The process reads no input that we write: its stdin is no pipe, or it is a listener."""
    INPUT_FULL: Final = "input_full"
    """The process does not read its input; later it may."""
    INPUT_TOO_LONG: Final = "input_too_long"

    # Of what was tried.
    SPAWN_FAILED: Final = "spawn_failed"
    """The process could not be spawned at all."""
    START_FAILED: Final = "start_failed"
    """It was spawned and ended too soon."""
    ABORTED: Final = "aborted"
    """Somebody else asked for the opposite meanwhile."""
    TIMED_OUT: Final = "timed_out"
    UPGRADE_FAILED: Final = "upgrade_failed"
    IO_ERROR: Final = "io_error"
    """A file could not be read or written."""
    FAILED: Final = "failed"
    """None of the above."""


class ResultCode:
    """What became of a process or a group in an operation that is ok."""

    STARTED: Final = "started"
    ALREADY_STARTED: Final = "already_started"
    STOPPED: Final = "stopped"
    NOT_RUNNING: Final = "not_running"
    """There was nothing to stop."""
    RESTARTED: Final = "restarted"
    ACCEPTED: Final = "accepted"
    """Of a request not to wait: it goes on."""
    SIGNALLED: Final = "signalled"
    CLEARED: Final = "cleared"
    ADDED: Final = "added"
    CHANGED: Final = "changed"
    REMOVED: Final = "removed"


class LeftOutCode:
    """Why a process is not meant by `all` or a pattern."""

    CALLER: Final = "caller"
    """The caller runs inside of it."""
    GATEWAY: Final = "gateway"
    """The daemon runs it by itself, to serve HTTP."""


ERROR_CODES: Final = {
    PARSE_ERROR: ErrorCode.PARSE_ERROR,
    INVALID_REQUEST: ErrorCode.INVALID_REQUEST,
    METHOD_NOT_FOUND: ErrorCode.UNKNOWN_METHOD,
    INVALID_PARAMS: ErrorCode.INVALID_PARAMS,
    INTERNAL_ERROR: ErrorCode.INTERNAL_ERROR,
    FAILED: ErrorCode.FAILED,
    USAGE: ErrorCode.BAD_CONFIGURATION,
    NO_SUCH_PROCESS: ErrorCode.NO_SUCH_PROCESS,
    NOT_PERMITTED: ErrorCode.NOT_PERMITTED,
    TIMED_OUT: ErrorCode.TIMED_OUT,
}
"""What an error's number alone says: all that there is from a daemon before error codes."""
