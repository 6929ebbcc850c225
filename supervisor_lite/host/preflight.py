"""What would keep a program from being started, found out without a start.

For `check`, `reread`, `update` and `why`: the same reasons in the same words as at a start. What is
looked at may change until then, so nothing here is an error.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host.command import DEFAULT_PATH, find_command, no_access, no_entry
from supervisor_lite.host.permissions import ENTER, EXECUTE, READ, obstacle
from supervisor_lite.host.program_file import file_trouble
from supervisor_lite.host.secrets import env_file
from supervisor_lite.host.secrets.credentials import no_credential
from supervisor_lite.host.secrets.read import read_secret
from supervisor_lite.host.users import can_become_others, lookup, not_root_hint
from supervisor_lite.model.advice import Advice
from supervisor_lite.model.cause import SpawnFailure
from supervisor_lite.model.program import Program
from supervisor_lite.model.secrets import EnvFile
from supervisor_lite.rules.first_word import first_word, is_builtin
from supervisor_lite.users import User

Finding: TypeAlias = tuple[str, SpawnFailure | Advice]
"""The key, and what is wrong with its value."""


class _Start(NamedTuple):
    """What the findings of a program depend on."""

    word: str
    directory: str | None
    user: str | None
    env_file: tuple[EnvFile, ...]
    path: str
    credentials: object


class Preflight:
    """Looks at programs; what several have in common is looked at once."""

    def __init__(self, environment: Mapping[str, str], daemon: str | None = None) -> None:
        """`environment` is that of the daemon, and `daemon` the user that it becomes, if so."""
        self._path = environment.get("PATH", DEFAULT_PATH)
        self._daemon = lookup(daemon) if daemon is not None and os.geteuid() == 0 else None
        self._known: dict[_Start, tuple[Finding, ...]] = {}

    def look(self, program: Program) -> tuple[Finding, ...]:
        """Return what would keep a program from being started."""
        start = _Start(
            program.command[0],
            program.directory,
            program.user,
            program.env_file,
            program.environment.get("PATH", self._path),
            program.credentials,
        )
        if start not in self._known:
            self._known[start] = tuple(self._findings(program, start))
        return self._known[start]

    def _findings(self, program: Program, start: _Start) -> Iterator[Finding]:
        path = start.path
        for file in program.env_file:
            try:
                path = self._read(file).get("PATH", path)
            except SpawnError as error:
                yield "env_file", _failure(error)
        for credential in program.credentials:
            try:
                self._may_read(credential.path)
                read_secret(credential.path)
            except FileNotFoundError:
                continue  # config/ warns of it
            except OSError as error:
                failure = _failure(no_credential(credential, error))
                yield "credentials", failure
        try:
            user = self._user(program)
        except SpawnError as error:
            yield "user", _failure(error)
            return
        missing = False
        if program.directory is not None and (refused := _no_directory(program.directory, user)):
            missing = True
            yield "directory", _failure(refused)
        if not missing or os.path.isabs(start.word) or "/" not in start.word:
            try:
                yield from _command(program, {"PATH": path}, user)
            except SpawnError as error:
                yield "command", _failure(error)

    def _user(self, program: Program) -> User | None:
        """Return who it runs as, None if that is who we are. Raises SpawnError."""
        user = lookup(program.user) if program.user is not None else self._daemon
        ours = os.geteuid() if self._daemon is None else self._daemon.uid
        if user is None or (user.uid == ours and self._daemon is None and ours != 0):
            return None
        if user.uid != ours and not can_become_others(ours):
            cause = f"{os.strerror(errno.EPERM)}: {not_root_hint(ours)}"
            text = f'cannot become the user "{user.name}": {cause}'
            raise SpawnError(text, SpawnErrorCode.SETTING, user.name)
        return user

    def _may_read(self, path: str) -> None:
        """Raise PermissionError if the daemon's user may not read a file."""
        if self._daemon is not None and obstacle(path, self._daemon, READ):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _read(self, file: EnvFile) -> Mapping[str, str]:
        """Return the variables of a file; none if it is missing, of which config/ warns."""
        try:
            self._may_read(file.path)
        except PermissionError as error:
            raise env_file.failure(file, error.strerror) from None
        return env_file.variables([file._replace(optional=True)])


def _failure(error: SpawnError) -> SpawnFailure:
    return SpawnFailure(error.code, str(error), error.name)


def _no_directory(directory: str, user: User | None) -> SpawnError | None:
    """Return why a directory cannot be entered; None if it can."""
    try:
        if not os.path.isdir(directory):
            os.stat(directory)
            return no_entry(directory, errno.ENOTDIR, user)
    except OSError as error:
        return no_entry(directory, error.errno or 0, user)
    denied = not os.access(directory, os.X_OK, effective_ids=True)
    if user is not None:
        denied = bool(obstacle(directory, user, ENTER))
    return no_entry(directory, errno.EACCES, user) if denied else None


def _command(
    program: Program, environment: Mapping[str, str], user: User | None
) -> Iterator[Finding]:
    """Yield what is wrong with the file of a command. Raises SpawnError if there is none."""
    path = find_command(program, environment)
    if user is not None and obstacle(path, user, EXECUTE):
        raise no_access(path, user)
    if (trouble := file_trouble(path, environment["PATH"])) is not None:
        raise trouble
    word = program.command[0]
    advice = first_word(word) if is_builtin(word) else None
    if advice is not None:
        yield "command", advice
