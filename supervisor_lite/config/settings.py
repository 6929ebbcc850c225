"""The [daemon], [[access]] and [gateway] tables, resolved."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from typing import Any

from supervisor_lite.config.expand import Names
from supervisor_lite.config.paths import is_special, no_log, not_makeable, owner
from supervisor_lite.config.read import Entry, Reader, Values
from supervisor_lite.config.schema import ACCESS, DAEMON, GATEWAY
from supervisor_lite.config.source import Report
from supervisor_lite.model.output import SYSLOG
from supervisor_lite.model.settings import AccessRule, DaemonSettings, GatewaySettings
from supervisor_lite.protocol import locate

SOCKET_LIMIT = 107
"""The longest path that a Unix socket can be bound to, in bytes."""

_SYSTEM = {
    "runtime_dir": f"/run/{locate.NAME}",
    "state_dir": f"/var/lib/{locate.NAME}",
    "log_dir": f"/var/log/{locate.NAME}",
}
"""Where root's daemon lives unless configured, as locate.py has it."""


def resolve_settings(
    entry: Entry | None,
    access: Sequence[Entry],
    reader: Reader,
    report: Report,
    names: Names,
) -> DaemonSettings:
    """Return the settings of the daemon; `entry` is None without a [daemon] table."""
    values: Values = {}
    if entry is not None:
        here = names.plus({"here": entry.spot.source.here})
        values = reader.read(entry, DAEMON.keys, here)
    paths = _paths(values)
    if entry is not None:
        _check_places(entry, values, paths, report)
    _check_socket(entry, values, paths["socket"], report)
    # What is not set keeps the default of the dataclass.
    fields: dict[str, Any] = {
        key.name: values[key.name]
        for key in DAEMON.keys
        if key.of is DaemonSettings and key.name in values
    }
    if "environment" in values:
        fields["environment"] = values["environment"]
    rules = tuple(rule for e in access if (rule := _access_rule(e, reader, report, names)))
    return DaemonSettings(**paths, **fields, access=rules)


def _paths(values: Values) -> dict[str, Any]:
    """Return the paths that are made from each other."""
    if _began_as_root(values):
        values = {**_SYSTEM, **values}
    state_dir = str(values.get("state_dir") or locate.default_state_dir())
    runtime_dir = str(values.get("runtime_dir") or locate.default_runtime_dir())
    log_dir = values.get("log_dir")
    if log_dir is None and "state_dir" in values and os.geteuid() != 0:
        log_dir = os.path.join(state_dir, "log")
    log_dir = str(log_dir or locate.default_log_dir())
    logfile = values.get("logfile", "auto")
    if logfile == "auto":
        logfile = os.path.join(log_dir, "supervisor-lite.log")
    return {
        "runtime_dir": runtime_dir,
        "state_dir": state_dir,
        "log_dir": log_dir,
        "socket": values.get("socket") or os.path.join(runtime_dir, "supervisor.sock"),
        "pidfile": values.get("pidfile") or os.path.join(runtime_dir, "supervisor.pid"),
        "logfile": None if logfile == "none" else logfile,
    }


def _began_as_root(values: Values) -> bool:
    """Tell whether root has become `user` in this daemon: its places are still those of root.

    They are told by their owner, for neither `reread` nor an upgrade can ask root again.
    """
    if os.geteuid() == 0 or "user" not in values:
        return False
    user = str(values["user"])
    uid = int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    places = [path for key, path in _SYSTEM.items() if key not in values]
    return uid == os.geteuid() and all(owner(path) == uid for path in places)


def _check_places(entry: Entry, values: Values, paths: dict[str, Any], report: Report) -> None:
    """Complain of paths in [daemon] that cannot work."""
    made = (paths["runtime_dir"], paths["state_dir"], paths["log_dir"])
    for key in ("runtime_dir", "state_dir", "log_dir"):
        if key in values and (trouble := not_makeable(paths[key])):
            report.complain(entry.at(key), trouble)
    taken = {entry.spot.source.path: "configuration", paths["socket"]: "socket"}
    for key in ("socket", "pidfile", "logfile"):
        path = paths[key]
        if key not in values or path is None or path == SYSLOG or is_special(path):
            continue
        if trouble := no_log(path, made):
            report.complain(entry.at(key), trouble)
        elif (other := taken.setdefault(path, key)) != key:
            report.complain(entry.at(key), f"cannot use {path}: it is the {other}")
    directory = values.get("directory")
    if directory is not None and not os.path.isdir(str(directory)):
        report.complain(entry.at("directory"), f"there is no directory {directory}")


def _check_socket(entry: Entry | None, values: Values, path: str, report: Report) -> None:
    """Complain of a socket that cannot be bound."""
    length = len(os.fsencode(path))
    if length <= SOCKET_LIMIT:
        return
    text = (
        f"the path of the control socket is {length} bytes long, "
        f"and the system allows {SOCKET_LIMIT}: {path}"
    )
    if entry is None:
        report.fail(0, path, text)  # it is made of the environment's XDG_RUNTIME_DIR
        return
    key = next((key for key in ("socket", "runtime_dir") if key in values), "socket")
    report.complain(entry.at(key), text)


def _access_rule(entry: Entry, reader: Reader, report: Report, names: Names) -> AccessRule | None:
    values = reader.read(entry, ACCESS.keys, names.plus({"here": entry.spot.source.here}))
    if "users" not in entry.raw and "groups" not in entry.raw:
        report.complain(entry.spot, "says nobody: set users, groups or both")
    if "role" not in values:
        return None
    fields: dict[str, Any] = values
    return AccessRule(**fields)


def resolve_gateway(
    entry: Entry | None, reader: Reader, report: Report, names: Names
) -> GatewaySettings | None:
    """Return what the gateway serves; `entry` is None without a [gateway] table."""
    if entry is None:
        return None
    here = names.plus({"here": entry.spot.source.here})
    values: dict[str, Any] = reader.read(entry, GATEWAY.keys, here)
    if "listen" not in values:
        return None
    settings = GatewaySettings(**values)
    users = [user.name for user in settings.users]
    for name in sorted({name for name in users if users.count(name) > 1}):
        report.complain(entry.at("users"), f'has "{name}" twice')
    open_tcp = any(url.startswith("http:") for url in settings.listen)
    if not users and "users" not in entry.raw and (open_tcp or settings.socket_password):
        text = "needs users with passwords; `slctl passwd NAME` makes one"
        key = "listen" if open_tcp else "socket_password"
        report.complain(entry.at(key), text)
    return settings
