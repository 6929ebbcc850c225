"""Every exception class we raise.

Texts read: cannot <verb> "<thing>": <cause>. They are for people; programs decide by the class and
by `code`, which is stable and goes over the control socket (protocol/codes.py). The numbers of
JSON-RPC are mapped in `control/jsonrpc.py`, the exit codes of `slctl` in `ctl/main.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from supervisor_lite.protocol import codes
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.text import sanitize


class SupervisorLiteError(Exception):
    """The base of all our exceptions."""

    code: str = ErrorCode.FAILED
    """One of `ErrorCode`, or what a subclass says."""


class Diagnostic(NamedTuple):
    """One thing that is wrong with a configuration.

    `line` is 1-based, 0 when unknown; `key` is the dotted path (`program.web.autorestart`),
    empty when the file as a whole is meant.
    """

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        if self.key:
            return sanitize(f"{place}: {self.key}: {self.text}")
        # Of a file as a whole we may say more than fits on a line.
        return "\n".join(map(sanitize, f"{place}: {self.text}".split("\n")))


class ConfigError(SupervisorLiteError):
    """The configuration cannot be used; carries everything that is wrong, not just the first."""

    code = ErrorCode.BAD_CONFIGURATION

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics


class SpawnErrorCode(StrEnum):
    """Why a child could not be started; the values are part of the control socket's contract."""

    COMMAND_NOT_FOUND = "command_not_found"
    COMMAND_NOT_PERMITTED = "command_not_permitted"
    COMMAND_IS_DIRECTORY = "command_is_directory"
    COMMAND_NOT_EXECUTABLE = "command_not_executable"
    NOT_A_PROGRAM = "not_a_program"
    """The kernel cannot run this file, or its interpreter is not there."""
    DIRECTORY = "directory"
    """The working directory cannot be entered."""
    USER = "user"
    """There is no such user."""
    OUTPUT = "output"
    """A FIFO or a log cannot be made or opened."""
    SOCKET = "socket"
    """One of its sockets cannot be bound."""
    SECRET = "secret"
    """An env_file or a credential cannot be read or handed over."""
    SETTING = "setting"
    """The kernel refuses a limit, a priority, a user or the like."""
    NO_RESOURCES = "no_resources"
    """No memory, no descriptors, or too many processes."""
    INTERNAL = "internal"
    """A bug of ours."""
    OTHER = "other"


class SpawnError(SupervisorLiteError):
    """A child could not be started; the text is the reason shown to the operator.

    `name` is what it is about, if that has a name: a path, a user, a key.
    """

    def __init__(
        self, text: str, code: SpawnErrorCode = SpawnErrorCode.OTHER, name: str = ""
    ) -> None:
        super().__init__(text)
        self.code: SpawnErrorCode = code
        self.name = name


class NoSuchProcess(SupervisorLiteError):
    """Names or patterns that match no process that we know."""

    code = ErrorCode.NO_SUCH_PROCESS

    def __init__(self, names: Sequence[str], text: str = "") -> None:
        super().__init__(text or ", ".join(names))
        self.names = tuple(names)
        self.defined: dict[str, dict[str, str]] = {}
        """Those that the configuration on disk defines, with the `group` to update, and `file`."""


class NoSuchGroup(NoSuchProcess):
    """Names of no group that the configuration has, or that is in force."""

    code = ErrorCode.NO_SUCH_GROUP

    def __init__(self, names: Sequence[str], text: str = "") -> None:
        super().__init__(names, text or f"no such group: {', '.join(names)}")


class BadSignal(SupervisorLiteError):
    """A signal name or number that this system does not have."""

    code = ErrorCode.BAD_SIGNAL


class OtherConfiguration(SupervisorLiteError):
    """The caller means the daemon of another configuration."""

    code = ErrorCode.OTHER_CONFIGURATION


class NotPermitted(SupervisorLiteError):
    """The caller may not do this."""

    code = ErrorCode.NOT_PERMITTED


class LimitExceeded(SupervisorLiteError):
    """One request, one connection or one user asks for more than it may (control/limits.py)."""

    code = ErrorCode.LIMIT_EXCEEDED


class OperationFailed(SupervisorLiteError):
    """What was asked for could not be done; the text says why, `code` which kind of failure."""

    def __init__(self, text: str, code: str = ErrorCode.FAILED) -> None:
        super().__init__(text)
        self.code = code


class ConfirmationNeeded(OperationFailed):
    """What would be done is perhaps not what is meant: it is done if it is asked for with `yes`."""

    def __init__(self, text: str, removed: Sequence[str], patterns: Sequence[str]) -> None:
        """`removed`: the groups that would go; `patterns`: of files, that match none any more."""
        super().__init__(text, ErrorCode.CONFIRMATION_NEEDED)
        self.removed = tuple(removed)
        self.patterns = tuple(patterns)


class AlreadyRunning(SupervisorLiteError):
    """Another daemon owns these directories."""


class StartupError(SupervisorLiteError):
    """The daemon cannot start: a directory, a limit or a privilege is missing."""


class ProtocolError(SupervisorLiteError):
    """A message on the control socket is not one of ours; `number` is JSON-RPC's."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.code = codes.ERROR_CODES[number]
