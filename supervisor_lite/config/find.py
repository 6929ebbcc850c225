"""Find the configuration that nobody has named."""

from __future__ import annotations

from supervisor_lite.errors import ConfigError, Diagnostic
from supervisor_lite.protocol import locate


def find() -> str:
    """Return the configuration in one of the usual places. Raises ConfigError."""
    try:
        path = locate.find_config()
    except locate.ForeignPathError as error:
        raise ConfigError([Diagnostic(error.path, 0, "", str(error))]) from None
    if path is None:
        raise ConfigError([_nothing_found()])
    return path


def _nothing_found() -> Diagnostic:
    first, *others = locate.candidates()
    text = (
        f"there is no such file, nor {' nor '.join(others)}; name one with -c, or write it:\n"
        '  [program.web]\n  command = "python3 -m http.server 8000"'
    )
    return Diagnostic(first, 0, "", text)
