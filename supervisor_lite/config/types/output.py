"""Where input comes from and output goes, and the daemon's own log."""

from __future__ import annotations

from supervisor_lite.config.types.base import Path, choice, choice_of
from supervisor_lite.config.types.text import text
from supervisor_lite.model.output import OnFull
from supervisor_lite.model.program import Stdin

_WORDS = ("auto", "none", "syslog")


def log_file(value: object) -> str:
    """Accept one of the words in any case, "off" for "none", or a path."""
    path = text(value)
    word = path.strip().lower()
    if word == "off":
        word = "none"
    return word if word in _WORDS else path


STDIN = choice_of(Stdin)
ON_FULL = choice_of(OnFull)
LOG_FILE = Path('"auto", "none", "syslog" or a path', log_file, _WORDS)
DAEMON_LOG = Path('"auto", "none", "syslog" or a path', log_file, _WORDS)
LOG_LEVEL = choice(
    {
        "debug": "debug",
        "info": "info",
        "warning": "warning",
        "error": "error",
        "critical": "critical",
        # What Supervisor calls them.
        "warn": "warning",
        "trace": "debug",
        "blather": "debug",
    },
    listed=("debug", "info", "warning", "error", "critical"),
)
LOG_FORMAT = choice({"console": "console", "json": "json"})
