"""What an operator reads of changed settings of the daemon."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor_lite.explain.pending_settings import notes
from supervisor_lite.model.settings import AccessRule, DaemonSettings
from supervisor_lite.rules.pending_settings import pending_settings

OLD = DaemonSettings(
    runtime_dir="/run/s",
    state_dir="/var/lib/s",
    log_dir="/var/log/s",
    socket="/run/s/supervisor.sock",
    pidfile="/run/s/supervisor.pid",
)
UPGRADE = "with the next daemon (slctl upgrade)"
RESTART = "after a restart of the daemon"


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ()),
        ({"environment": {"A": "1"}, "strip_ansi": True, "log_dir": "/elsewhere"}, ()),
        ({"output_prefix": True}, ()),
        (
            {"cgroups": "off", "log_level": "debug"},
            (f"[daemon] log_level, cgroups: take effect {UPGRADE}",),
        ),
        ({"identifier": "x"}, (f"[daemon] identifier: takes effect {UPGRADE}",)),
        ({"access": (AccessRule(role="view"),)}, (f"[[access]]: takes effect {UPGRADE}",)),
        (
            {"access": (AccessRule(role="view"),), "minfds": 9},
            (f"[daemon] minfds and [[access]]: take effect {UPGRADE}",),
        ),
        (
            {"socket_mode": 0o660, "umask": 0},
            (
                f"[daemon] umask: takes effect {UPGRADE}",
                f"[daemon] socket_mode: takes effect {RESTART}",
            ),
        ),
        (
            {"user": "nobody", "cgroups": "off"},
            (f"[daemon] user, cgroups: take effect {RESTART}: an upgrade cannot change user",),
        ),
        (
            {
                "runtime_dir": "/tmp/s",
                "socket": "/tmp/s/supervisor.sock",
                "pidfile": "/tmp/s/supervisor.pid",
            },
            (
                f"[daemon] runtime_dir: takes effect {RESTART}:"
                " an upgrade cannot change runtime_dir",
            ),
        ),
        (
            {"runtime_dir": "/tmp/s", "socket": "/tmp/s/other.sock"},
            (
                f"[daemon] runtime_dir, socket: take effect {RESTART}:"
                " an upgrade cannot change runtime_dir, socket",
            ),
        ),
    ],
)
def test_what_waits_is_told_with_what_it_waits_for(
    changes: dict[str, Any], lines: tuple[str, ...]
) -> None:
    new = OLD._replace(**changes)
    assert notes(pending_settings(OLD, new)) == lines
