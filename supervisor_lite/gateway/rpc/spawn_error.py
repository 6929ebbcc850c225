"""Why a process could not be spawned, in Supervisor's words where it has any."""

from __future__ import annotations

from supervisor_lite.errors import SpawnErrorCode

_WORDS: dict[str, str] = {
    SpawnErrorCode.COMMAND_NOT_FOUND: "can't find command {!r}",
    SpawnErrorCode.COMMAND_NOT_PERMITTED: "no permission to run command {!r}",
    SpawnErrorCode.COMMAND_IS_DIRECTORY: "command at {!r} is a directory",
    SpawnErrorCode.COMMAND_NOT_EXECUTABLE: "command at {!r} is not executable",
}


def spawn_error(code: object, name: object, text: object) -> str:
    """Return the words for an error of the daemon's method `trouble`; `text` is its own."""
    words = _WORDS.get(str(code))
    return words.format(str(name)) if words is not None else str(text)
