"""Is it a supervisord.conf at all?"""

from __future__ import annotations

from supervisor_lite.errors import ConfigError, Diagnostic
from supervisor_lite.migrate.keys import KINDS
from supervisor_lite.migrate.sections import Ini

SILENT = ("supervisorctl", "include", "unix_http_server", "inet_http_server")
"""Sections that become no table of their own, but are no mistake."""

KNOWN = (*KINDS, *SILENT, "rpcinterface", "ctlplugin")
"""What Supervisor looks for: whatever else stands there, it ignores."""

_OURS = ("daemon", "program", "eventlistener", "group", "gateway")
_UNIT = ("Unit", "Service", "Timer", "Socket", "Install")


def refuse_others(ini: Ini) -> None:
    """Raise ConfigError for what has no section that Supervisor knows."""
    kinds = [section.kind for section in ini.sections.values()]
    if any(kind in KNOWN for kind in kinds):
        return
    text = "this is no supervisord.conf: it has none of its sections, such as [program:web]"
    if any(kind.strip("[]").partition(".")[0] in _OURS for kind in kinds):
        text = "this is no supervisord.conf but a configuration of supervisor-lite"
    elif any(kind in _UNIT for kind in kinds):
        text = "this is no supervisord.conf but a unit of systemd"
    raise ConfigError([Diagnostic(ini.files[0].label, 0, "", text)])
