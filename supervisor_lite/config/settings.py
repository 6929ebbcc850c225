"""The [daemon], [[access]] and [gateway] tables, resolved."""

from __future__ import annotations

import os
from typing import Any

from supervisor_lite.config.diagnostics import Diagnostics
from supervisor_lite.config.expand import Names
from supervisor_lite.config.paths import (
    directory_of_others,
    is_read_only,
    log_error,
    own_directory_error,
    owner_uid,
)
from supervisor_lite.config.read import Entry, Reader, Tables, Values
from supervisor_lite.config.schema.access import ACCESS
from supervisor_lite.config.schema.daemon import DAEMON
from supervisor_lite.config.schema.gateway import GATEWAY
from supervisor_lite.errors import ConfigError, Diagnostic
from supervisor_lite.model.output import SYSLOG
from supervisor_lite.model.settings import AccessRule, DaemonSettings, GatewaySettings
from supervisor_lite.protocol import directories, locate
from supervisor_lite.protocol.home import NoHomeError
from supervisor_lite.special_files import is_special, special_error
from supervisor_lite.users import user_id

MAX_SOCKET_PATH = 107
"""The longest path that a Unix socket can be bound to, in bytes."""

_SYSTEM = {
    "runtime_dir": f"/run/{locate.NAME}",
    "state_dir": f"/var/lib/{locate.NAME}",
    "log_dir": f"/var/log/{locate.NAME}",
}
"""Where root's daemon lives unless configured, as locate.py has it."""


def resolve_settings(
    tables: Tables, reader: Reader, names: Names, config: str | None = None
) -> DaemonSettings:
    """Return the settings of the daemon, of [daemon] and [[access]].

    `config` is the absolute path of the configuration, to which default directories may belong.
    """
    entry = tables.single.get("daemon")
    diagnostics = reader.diagnostics
    values: Values = {}
    if entry is not None:
        values = reader.read(entry, DAEMON.keys, names.plus({"here": entry.here}))
    try:
        paths = _paths(values, config)
    except NoHomeError as error:
        text = f"{error}, XDG_STATE_HOME, or state_dir in [daemon]"
        where, line = (config or "", 0) if entry is None else (entry.location.source.label, 0)
        raise ConfigError([Diagnostic(where, line, "daemon.state_dir", text)]) from None
    if entry is not None:
        _check_paths(entry, values, paths, diagnostics)
    _check_socket(entry, values, paths["socket"], diagnostics)
    # What is not set keeps the default of its field.
    fields: dict[str, Any] = {
        key.name: values[key.name]
        for key in DAEMON.keys
        if key.of is DaemonSettings and key.name in values
    }
    access = tables.listed.get("access", [])
    rules = tuple(rule for each in access if (rule := _access_rule(each, reader, names)))
    return DaemonSettings(**paths, **fields, access=rules)


def _paths(values: Values, config: str | None) -> dict[str, Any]:
    """Return the paths that are made from each other."""
    state_dir, runtime_dir, log_dir = _directories(values, config)
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


def _directories(values: Values, config: str | None) -> tuple[str, str, str]:
    """Return state, runtime and log directory, as set or as they are for this configuration."""
    defaults = {"state_dir": "", "runtime_dir": locate.default_runtime_dir()}
    as_root = os.geteuid() == 0
    for ending in ("", *([directories.mark(config)] if config is not None else [])):
        if not as_root and _began_as_root(values, ending):
            as_root, defaults = True, _SYSTEM
    if "state_dir" not in values and not as_root:
        defaults = {**defaults, "state_dir": locate.default_state_dir()}
    elif not defaults["state_dir"]:
        defaults = {**defaults, "state_dir": _SYSTEM["state_dir"]}
    marks = {
        key: locate.mark_of(defaults[key], config)
        for key in ("state_dir", "runtime_dir")
        if key not in values
    }
    mark = marks.get("state_dir") or marks.get("runtime_dir", "")
    state_dir = str(values.get("state_dir") or defaults["state_dir"] + mark)
    runtime_dir = str(values.get("runtime_dir") or defaults["runtime_dir"] + mark)
    log_dir = os.path.join(state_dir, "log")
    if as_root:
        log_dir = _SYSTEM["log_dir"] + mark
    elif "state_dir" not in values:
        log_dir = os.path.join(os.path.dirname(locate.default_log_dir()) + mark, "log")
    return state_dir, runtime_dir, str(values.get("log_dir") or log_dir)


def _began_as_root(values: Values, ending: str) -> bool:
    """Tell whether root has become `user` in this daemon: its directories are still those of root.

    They are told by their owner, for neither `reread` nor an upgrade can ask root again. `ending`
    is what their names end with.
    """
    if os.geteuid() == 0 or "user" not in values:
        return False
    uid = user_id(str(values["user"]))
    paths = [path + ending for key, path in _SYSTEM.items() if key not in values]
    return uid == os.geteuid() and all(owner_uid(path) == uid for path in paths)


def _check_paths(
    entry: Entry, values: Values, paths: dict[str, Any], diagnostics: Diagnostics
) -> None:
    """Report paths in [daemon] that cannot work."""
    made = (paths["runtime_dir"], paths["state_dir"], paths["log_dir"])
    for key in ("runtime_dir", "state_dir", "log_dir"):
        if key in values and (text := own_directory_error(paths[key])):
            # The system may come to write it again: the daemon's start is tried until then.
            report = diagnostics.warn if is_read_only(paths[key]) else diagnostics.error
            report(entry.at(key), text)
    _warn_of_others(entry, values, paths, diagnostics)
    taken = {entry.location.source.path: "configuration", paths["socket"]: "socket"}
    for key in ("socket", "pidfile", "logfile"):
        path = paths[key]
        if key not in values or path is None or path == SYSLOG:
            continue
        if is_special(path):
            if key == "logfile" and (text := special_error(path)):
                diagnostics.error(entry.at(key), text)
            continue
        if text := log_error(path, made):
            diagnostics.error(entry.at(key), text)
        elif (other := taken.setdefault(path, key)) != key:
            diagnostics.error(entry.at(key), f"cannot use {path}: it is the {other}")
    directory = values.get("directory")
    if directory is not None and not os.path.isdir(str(directory)):
        diagnostics.error(entry.at("directory"), f"there is no directory {directory}")


def _warn_of_others(
    entry: Entry, values: Values, paths: dict[str, Any], diagnostics: Diagnostics
) -> None:
    """Warn of paths that somebody else than root and the daemon's user can lead elsewhere."""
    user = user_id(str(values["user"])) if "user" in values else os.geteuid()
    for key, path in paths.items():
        if key in values and path is not None and path != SYSLOG and not is_special(path):
            within = f"{path}/file" if key.endswith("_dir") else path
            if text := directory_of_others(within, user):
                diagnostics.warn(entry.at(key), text)


def _check_socket(entry: Entry | None, values: Values, path: str, diagnostics: Diagnostics) -> None:
    """Report a socket that cannot be bound."""
    length = len(os.fsencode(path))
    if length <= MAX_SOCKET_PATH:
        return
    text = (
        f"the path of the control socket is {length} bytes long, "
        f"and the system allows {MAX_SOCKET_PATH}: {path}"
    )
    if entry is None:
        diagnostics.error_in_file(0, path, text)  # it is made of the environment's XDG_RUNTIME_DIR
        return
    key = next((key for key in ("socket", "runtime_dir") if key in values), "socket")
    diagnostics.error(entry.at(key), text)


def _access_rule(entry: Entry, reader: Reader, names: Names) -> AccessRule | None:
    values = reader.read(entry, ACCESS.keys, names.plus({"here": entry.here}))
    if "users" not in entry.raw and "groups" not in entry.raw:
        reader.diagnostics.error(entry.location, "says nobody: set users, groups or both")
    if "role" not in values:
        return None
    fields: dict[str, Any] = values
    return AccessRule(**fields)


def resolve_gateway(entry: Entry | None, reader: Reader, names: Names) -> GatewaySettings | None:
    """Return what the gateway serves; `entry` is None without a [gateway] table."""
    if entry is None:
        return None
    here = names.plus({"here": entry.here})
    values: dict[str, Any] = reader.read(entry, GATEWAY.keys, here)
    if "listen" not in values:
        return None
    settings = GatewaySettings(**values)
    users = [user.name for user in settings.users]
    for name in sorted({name for name in users if users.count(name) > 1}):
        reader.diagnostics.error(entry.at("users"), f'has "{name}" twice')
    open_tcp = any(url.startswith("http:") for url in settings.listen)
    if not users and "users" not in entry.raw and (open_tcp or settings.socket_password):
        text = "needs users with passwords; `slctl passwd NAME` makes one"
        key = "listen" if open_tcp else "socket_password"
        reader.diagnostics.error(entry.at(key), text)
    return settings
