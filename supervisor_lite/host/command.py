"""Which file a program's command is, and why one cannot be run (execve(2))."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.files import open_regular
from supervisor_lite.model.program import Program

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find_command(program: Program, environment: Mapping[str, str]) -> str:
    """Return the absolute path of the program's file.

    A first word with a slash is relative to `directory`, else to the daemon's; one without is
    searched in the child's PATH. Raises SpawnError if nothing executable is found.
    """
    refusal: SpawnError | None = None
    for candidate in _candidates(program, environment):
        try:
            mode = os.stat(candidate).st_mode
        except OSError as error:
            if error.errno == errno.EACCES:
                refusal = refusal or _no_permission(candidate)
            continue
        found = _refusal(candidate, mode, program)
        if found is None:
            return candidate
        refusal = refusal or found
    from supervisor_lite.explain.masking import mask_text  # a command that is there needs none

    word = mask_text(program.command[0])
    missing = f'cannot find the command "{word}"'
    raise refusal or SpawnError(missing, SpawnErrorCode.COMMAND_NOT_FOUND, word)


def _candidates(program: Program, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield where the command may be."""
    word = program.command[0]
    if "/" in word:
        if program.directory is not None and not os.path.isabs(word):
            yield os.path.join(program.directory, word)
        yield os.path.abspath(word)
        return
    for directory in environment.get("PATH", DEFAULT_PATH).split(os.pathsep):
        if directory:
            yield os.path.join(directory, word)


def _refusal(path: str, mode: int, program: Program) -> SpawnError | None:
    """Return why a file that is there is not to be run; None if it is."""
    if stat.S_ISDIR(mode):
        text = f'the command "{path}" is a directory'
        return SpawnError(text, SpawnErrorCode.COMMAND_IS_DIRECTORY, path)
    if not mode & 0o111:
        text = f'the command "{path}" is not executable'
        return SpawnError(text, SpawnErrorCode.COMMAND_NOT_EXECUTABLE, path)
    if program.user is None and not os.access(path, os.X_OK):
        return _no_permission(path)
    return None


def _no_permission(path: str) -> SpawnError:
    text = f'no permission to run the command "{path}"'
    return SpawnError(text, SpawnErrorCode.COMMAND_NOT_PERMITTED, path)


def exec_failure(error: OSError, path: str) -> SpawnError:
    """Return why a file that was found could not be run, or no child be made for it."""
    code, about = SpawnErrorCode.OTHER, path
    match error.errno:
        case errno.ENOENT if interpreter := _interpreter(path):
            text = f'the interpreter "{interpreter}" of "{path}" does not exist'
            code, about = SpawnErrorCode.NOT_A_PROGRAM, interpreter
        case errno.ENOENT:
            text = f'cannot find the command "{path}"'
            code = SpawnErrorCode.COMMAND_NOT_FOUND
        case errno.ENOEXEC:
            text = f'cannot run "{path}": no program and no script with a #! line'
            code = SpawnErrorCode.NOT_A_PROGRAM
        case errno.EAGAIN:
            text = f'cannot fork for "{path}": too many processes'
            code = SpawnErrorCode.NO_RESOURCES
        case errno.ENOMEM:
            text = f'cannot fork for "{path}": no memory'
            code = SpawnErrorCode.NO_RESOURCES
        case errno.EMFILE | errno.ENFILE:
            text = f'cannot spawn "{path}": too many open files'
            code = SpawnErrorCode.NO_RESOURCES
        case _:
            cause = os.strerror(error.errno) if error.errno else str(error)
            text = f'cannot run "{path}": {cause}'
            if error.errno == errno.EACCES:
                code = SpawnErrorCode.COMMAND_NOT_PERMITTED
    return SpawnError(text, code, about)


def _interpreter(path: str) -> str:
    """Return the interpreter that a script names in its first line, or an empty string."""
    try:
        with open(open_regular(path), "rb") as file:
            first = file.readline(256)
    except OSError:
        return ""
    words = first[2:].split() if first.startswith(b"#!") else []
    return words[0].decode(errors="replace") if words else ""
