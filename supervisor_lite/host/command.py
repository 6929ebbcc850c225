"""Which file a program's command is, and why one cannot be run (execve(2))."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping

from supervisor_lite.errors import SpawnError, SpawnErrorCode
from supervisor_lite.host.permissions import ENTER, EXECUTE, obstacle
from supervisor_lite.model.advice import Advice, AdviceKind
from supervisor_lite.model.program import Program
from supervisor_lite.users import User

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
            # Of a directory of PATH that may not be searched, nobody knows what it holds.
            if error.errno == errno.EACCES and "/" in program.command[0]:
                refusal = refusal or _no_permission(candidate)
            continue
        found = _refusal(candidate, mode, program)
        if found is None:
            return candidate
        refusal = refusal or found
    from supervisor_lite.explain.masking import mask_text  # a command that is there needs none

    word = mask_text(program.command[0])
    missing = f'cannot find the command "{word}"{_meant(program, environment)}'
    raise refusal or SpawnError(missing, SpawnErrorCode.COMMAND_NOT_FOUND, word)


def _meant(program: Program, environment: Mapping[str, str]) -> str:
    """Say what was probably meant by a command that is not there; empty if nobody knows."""
    from supervisor_lite.explain.advice import advice_text
    from supervisor_lite.rules.first_word import SUBSTITUTES, first_word

    word = program.command[0]
    advice = first_word(word)
    if advice is None and "/" not in word:
        other = SUBSTITUTES.get(word, "")
        if os.path.isfile(os.path.join(program.directory or ".", word)):
            advice = Advice(AdviceKind.IN_DIRECTORY, name=word)
        elif other and _is_in_path(other, environment):
            advice = Advice(AdviceKind.OTHER_NAME, instead=other)
    return f": {advice_text(advice)}" if advice is not None else ""


def _is_in_path(name: str, environment: Mapping[str, str]) -> bool:
    directories = environment.get("PATH", DEFAULT_PATH).split(os.pathsep)
    return any(os.access(os.path.join(each, name), os.X_OK) for each in directories if each)


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


def exec_failure(error: OSError, path: str, user: User | None = None) -> SpawnError:
    """Return why a file that was found could not be run, or no child be made for it.

    `user`: who it was to be run as; None if that is who we are.
    """
    code = SpawnErrorCode.NO_RESOURCES
    match error.errno:
        case errno.ENOENT | errno.ENOEXEC:
            from supervisor_lite.host.program_file import file_trouble

            if (trouble := file_trouble(path)) is not None:
                return trouble
            text, code = f'cannot find the command "{path}"', SpawnErrorCode.COMMAND_NOT_FOUND
            if error.errno == errno.ENOEXEC:
                text = f'cannot run "{path}": no program and no script with a #! line'
                code = SpawnErrorCode.NOT_A_PROGRAM
        case errno.EACCES:
            return no_access(path, user)
        case errno.EAGAIN:
            text = f'cannot fork for "{path}": too many processes'
        case errno.ENOMEM:
            text = f'cannot fork for "{path}": no memory'
        case errno.EMFILE | errno.ENFILE:
            text = f'cannot spawn "{path}": too many open files'
        case _:
            cause = os.strerror(error.errno) if error.errno else str(error)
            text, code = f'cannot run "{path}": {cause}', SpawnErrorCode.OTHER
    return SpawnError(text, code, path)


def no_access(path: str, user: User | None) -> SpawnError:
    """Return why a file may not be run, as far as it shows from outside."""
    cause = os.strerror(errno.EACCES)
    if user is not None and (found := obstacle(path, user, EXECUTE)):
        what = "run" if found == path else "enter"
        cause = f'the user "{user.name}" may not {what} "{found}"'
    elif _is_noexec(path):
        cause = "its file system is mounted with noexec"
    text = f'cannot run "{path}": {cause}'
    return SpawnError(text, SpawnErrorCode.COMMAND_NOT_PERMITTED, path)


def no_entry(directory: str, number: int, user: User | None) -> SpawnError:
    """Return why a working directory cannot be entered; `number` is the errno."""
    cause = os.strerror(number)
    found = obstacle(directory, user, ENTER) if user is not None and number == errno.EACCES else ""
    if user is not None and found:
        cause = f'the user "{user.name}" may not enter "{found}"'
    text = f'cannot enter the directory "{directory}": {cause}'
    return SpawnError(text, SpawnErrorCode.DIRECTORY, directory)


def _is_noexec(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_NOEXEC)
    except OSError:
        return False
