"""Files with variables and credentials, by their paths: what is in them is read at each start."""

from __future__ import annotations

import re

from supervisor_lite.config.types.base import ValueType, absolute
from supervisor_lite.config.types.compound import OneOrMore, TableOf
from supervisor_lite.config.types.text import PATH, STRING, text
from supervisor_lite.config.wording import BadValueError
from supervisor_lite.model.secrets import Credential, EnvFile

_CREDENTIAL = r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,127}"


class _EnvFileType(ValueType):
    """The path of a file with variables; with a "-" before it, the file may be missing."""

    relative = True

    def parse_text(self, text: str, here: str) -> object:
        path = self.parse_scalar(text)
        assert isinstance(path, str)
        try:
            found = absolute(path.removeprefix("-"), here)
        except BadValueError as error:
            raise BadValueError("a path", error.hint) from None
        return EnvFile(path=found, optional=path.startswith("-"))


class _EnvFiles(OneOrMore):
    """One such file, or a list of them."""

    relative = True

    def parse_text(self, text: str, here: str) -> object:
        return (_ENV_FILE.parse_text(text, here),)


def env_file(value: object) -> str:
    """Accept the path of a file with variables, which "-" alone is not."""
    path = text(value)
    if path == "-":
        raise BadValueError(hint=", which names no file")
    return path


def env_files(value: object) -> tuple[EnvFile, ...]:
    """Accept the files of a list."""
    if not isinstance(value, tuple):
        raise BadValueError
    return value


def credentials(value: object) -> tuple[Credential, ...]:
    """Return secrets from a table of paths."""
    if not isinstance(value, dict):
        raise BadValueError
    return tuple(Credential(name=name, path=str(value[name])) for name in sorted(value))


def _credential_type(name: str) -> ValueType:
    if not re.fullmatch(_CREDENTIAL, name):
        rule = "letters, digits and _ . @ - only, beginning with none of the last three"
        raise BadValueError(f"a name for a file of at most 128 characters ({rule})")
    return PATH


_ENV_FILE = _EnvFileType('a path, or one with "-" before it', env_file, STRING)
ENV_FILES = _EnvFiles(
    'a path or a list of paths, with "-" before those that may be missing', env_files, _ENV_FILE
)
CREDENTIALS = TableOf(
    'a table of paths like { db = "/etc/secrets/db" }',
    credentials,
    PATH,
    type_of=_credential_type,
)
