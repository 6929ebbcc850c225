"""The daemon's own settings: `[daemon]`, `[[access]]` and `[gateway]`, resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from supervisor_lite.model.constants import MIB, NOTHING
from supervisor_lite.model.output import OnFull


class AccessRule(NamedTuple):
    """One `[[access]]` table: who may do what to which programs."""

    role: str
    """"view", "operate" or "admin"."""
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    programs: tuple[str, ...] = ("*",)
    """Shell patterns over `group:name`."""


class DaemonSettings(NamedTuple):
    """The `[daemon]` table, resolved."""

    runtime_dir: str
    state_dir: str
    log_dir: str
    socket: str
    """Path of the control socket: `runtime_dir/supervisor.sock` unless set."""
    socket_mode: int = 0o600
    socket_owner: str | None = None
    socket_group: str | None = None
    pidfile: str = ""
    """`runtime_dir/supervisor.pid` unless set."""
    logfile: str | None = None
    """The daemon's own log, or SYSLOG; None keeps none. `log_dir/supervisor-lite.log` unless
    set."""
    logfile_maxbytes: int = 50 * MIB
    logfile_backups: int = 10
    log_level: str = "info"
    log_format: str = "console"
    silent: bool = False
    """In the foreground, do not also write the log to stderr."""
    umask: int = 0o022
    directory: str | None = None
    user: str | None = None
    minfds: int = 1024
    minprocs: int = 200
    strip_ansi: bool = False
    """Leave escape sequences out of the logs of programs."""
    identifier: str = "supervisor"
    environment: Mapping[str, str] = NOTHING
    access: tuple[AccessRule, ...] = ()
    journal_age: float = 30 * 86400.0
    """Seconds that changes and ended runs are kept."""
    cgroups: str = "auto"
    """Where each run has a cgroup of its own: "auto", "off" or the directory of a cgroup."""
    exit_when: str | None = None
    """"any-fatal", "all-exited" or "program:NAME": then all is stopped and the daemon ends."""
    output_prefix: bool = False
    """Lines that go to no regular file (the daemon's stdout) begin with the name of the process."""
    on_full: OnFull = OnFull.DROP
    """What becomes of output that cannot be written, where a program does not say it itself."""
    journal_count: int = 100_000
    """How many changes, and how many runs, are kept at most."""
    gateway_group: int | None = None
    """The gid for which the control socket is open besides: that of the unprivileged gateway."""


class GatewayUser(NamedTuple):
    """One `[[gateway.users]]` table: who may come over HTTP with a password."""

    name: str
    password_hash: str
    """As `slctl passwd` makes it; see passwords.py."""
    role: str = "view"
    """"view", "operate" or "admin"."""


class GatewaySettings(NamedTuple):
    """The `[gateway]` table, resolved: what `supervisor-lite-gateway` serves, and to whom."""

    listen: tuple[str, ...]
    """`unix:///path` or `http://host:port`, in the order of the file."""
    socket_mode: int = 0o600
    socket_owner: str | None = None
    socket_group: str | None = None
    socket_role: str = "admin"
    """What those may do who come over a Unix socket without a password."""
    socket_password: bool = False
    """Ask for a password on Unix sockets, too."""
    user: str | None = None
    """Started by root, the gateway becomes this user."""
    autostart: bool = True
    """The daemon starts its own gateway when it starts."""
    hosts: tuple[str, ...] = ()
    """Names under which browsers reach it, besides addresses and localhost."""
    users: tuple[GatewayUser, ...] = ()

    @property
    def server_url(self) -> str:
        """SUPERVISOR_SERVER_URL for programs: a Unix socket if there is one."""
        return next((url for url in self.listen if url.startswith("unix:")), self.listen[-1])

    @property
    def highest_role(self) -> str:
        """The most that anybody may do who comes in here: "view", "operate" or "admin"."""
        by_socket = any(url.startswith("unix:") for url in self.listen)
        roles = {user.role for user in self.users} | ({self.socket_role} if by_socket else set())
        return next((role for role in ("admin", "operate") if role in roles), "view")
