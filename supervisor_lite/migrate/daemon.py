"""What is different about [supervisord] itself."""

from __future__ import annotations

from supervisor_lite.migrate.keys import Keys
from supervisor_lite.migrate.sections import Section
from supervisor_lite.migrate.toml_writer import Line

_MINFDS = 1024
"""Supervisor's default; most systems give every process as many anyway."""

_BACKGROUND = (
    "Supervisor goes into the background by itself; for that, start supervisor-lite with "
    "--daemonize"
)
_IN_FRONT = "Supervisor ignores it with nodaemon=true; here it has its effect"


def adjust_daemon(section: Section, lines: dict[str, Line], keys: Keys) -> None:
    """KeyNotes what is different about the daemon itself."""
    nodaemon = lines.get("nodaemon")
    if nodaemon is None or nodaemon.value is False:
        lines.pop("nodaemon", None)
        keys.notes(section, "nodaemon").note(_BACKGROUND)
    else:
        for key in ("umask", "directory"):
            if key in lines:
                keys.notes(section, key).note(_IN_FRONT)
    minfds = lines.get("minfds")
    if minfds is not None and isinstance(minfds.value, int) and minfds.value > _MINFDS:
        keys.notes(section, "minfds").warn_lossy(
            "programs do not inherit this limit here: give those that need it "
            f"rlimits = {{ nofile = {minfds.value} }}"
        )
