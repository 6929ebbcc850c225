"""Changed settings of the daemon: which are pending, and what takes them up."""

from __future__ import annotations

from typing import Any

from supervisor_lite.model.settings import DaemonSettings
from supervisor_lite.rules.pending_settings import IMMUTABLE, pending_settings, split_by_remedy

OLD = DaemonSettings(
    runtime_dir="/run/s",
    state_dir="/var/lib/s",
    log_dir="/var/log/s",
    socket="/run/s/supervisor.sock",
    pidfile="/run/s/supervisor.pid",
)


def test_no_setting_is_forgotten() -> None:
    """A new field is told about unless somebody has decided that an update applies it."""
    applied = {"environment", "strip_ansi", "output_prefix", "on_full", "log_dir"}
    applied |= {"gateway_group"}
    for field in DaemonSettings._fields:
        changes: dict[str, Any] = {field: object()}
        new = OLD._replace(**changes)
        assert pending_settings(OLD, new) == (() if field in applied else (field,))


def test_an_immutable_setting_makes_all_need_a_fresh_start() -> None:
    """An upgrade is refused then, so it cannot take up the others either."""
    assert split_by_remedy(("minfds", "socket_mode")) == (("minfds",), ("socket_mode",))
    for name in IMMUTABLE:
        assert split_by_remedy(("minfds", name)) == ((), ("minfds", name))
