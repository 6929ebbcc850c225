"""What is different about [supervisord] itself."""

from __future__ import annotations

from supervisor_lite.migrate.keys import Keys
from supervisor_lite.migrate.sections import Section
from supervisor_lite.migrate.toml_writer import Line
from supervisor_lite.migrate.values import TRUE

_MINFDS = 1024
"""Supervisor's default; most systems give every process as many anyway."""

_BACKGROUND = (
    "Supervisor goes into the background by itself; for that, start supervisor-lite with "
    "--daemonize"
)
_IN_FRONT = "Supervisor ignores it with nodaemon=true; left out"


def in_foreground(section: Section) -> bool:
    """Does Supervisor stay in the foreground with this [supervisord]?"""
    return (section.text("nodaemon") or "").lower() in TRUE


def adjust_daemon(section: Section, lines: dict[str, Line], keys: Keys) -> None:
    """Say what is different about the daemon itself."""
    nodaemon = lines.get("nodaemon")
    if nodaemon is None or nodaemon.value is False:
        if nodaemon is not None and not nodaemon.above:
            del lines["nodaemon"]
        elif nodaemon is not None:
            lines["nodaemon"] = Line("", nodaemon.above, remark=True)
        keys.notes(section, "nodaemon").note(_BACKGROUND)
    for key in ("umask", "directory"):
        if in_foreground(section) and key in lines:
            keys.notes(section, key).note(_IN_FRONT)
            line = lines.pop(key)
            if line.above:
                lines[f"# {key}"] = Line("", line.above, remark=True)
    minfds = lines.get("minfds")
    if minfds is not None and isinstance(minfds.value, int) and minfds.value > _MINFDS:
        keys.notes(section, "minfds").warn_lossy(
            "programs do not inherit this limit here: give those that need it "
            f"rlimits = {{ nofile = {minfds.value} }}"
        )
