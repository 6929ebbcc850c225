"""Programs, groups and the plan: frozen, resolved definitions with their defaults.

`config/` makes these from TOML; everything else only reads them. Every expansion is done, every
path absolute, every duration in seconds, every signal a canonical name ("TERM").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from supervisor_lite.rules.placement import Credential, EnvFile, Placement

KIB = 1024
MIB = 1024 * KIB

SYSLOG = "syslog"
"""In place of the path of a log."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class AutoRestart(Enum):
    """What to do when a process ends by itself after it has been RUNNING."""

    ALWAYS = "always"
    NEVER = "never"
    UNEXPECTED = "unexpected"
    """Respawn unless the exit code is in `exitcodes`; death by a signal is never expected."""


class Leftovers(Enum):
    """What becomes of descendants that outlive the main process of their run."""

    KILL = "kill"
    KEEP = "keep"


class Stdin(Enum):
    """What a child reads from."""

    NULL = "null"
    PIPE = "pipe"
    SOCKET = "socket"
    """Its only socket, on which it accepts connections itself (FastCGI)."""


class BackoffKind(Enum):
    """How the pause grows from one failed start to the next."""

    LINEAR = "linear"
    """n seconds after the n-th failure: 1, 2, 3 … (Supervisor's rule)."""

    EXPONENTIAL = "exponential"
    """1, 2, 4, 8 … seconds."""

    CONSTANT = "constant"
    """The same number of seconds each time."""


class Backoff(NamedTuple):
    """The pause between a failed start and the next try."""

    kind: BackoffKind = BackoffKind.LINEAR
    seconds: float = 1.0
    """The step (linear), the first pause (exponential) or the pause itself (constant)."""
    max: float | None = None
    """No pause is longer than this many seconds."""
    jitter: float = 0.0
    """Up to this fraction of the pause is added, differently for every run (0 to 1)."""


class RestartLimit(NamedTuple):
    """How many automatic restarts are allowed in a sliding window."""

    restarts: int
    window: float
    """Seconds."""
    cooldown: float | None = None
    """After the limit: None goes FATAL; otherwise pause this many seconds, then one more try."""


class Output(NamedTuple):
    """Where one stream of a child goes."""

    path: str | None = None
    """Absolute path of the log file; None keeps nothing."""
    maxbytes: int = 50 * MIB
    """Rotate when the file would grow beyond this; 0 never rotates."""
    backups: int = 10
    """How many rotated files are kept (`.1` is the newest); 0 keeps none."""
    syslog: bool = False
    """Also send each line to syslog."""
    prefix: str = ""
    """Put before each line, where several programs share what is no regular file."""
    events_enabled: bool = False
    """Tell event listeners what is written (PROCESS_LOG)."""
    capture_maxbytes: int = 0
    """Tell them what is written between two tokens (PROCESS_COMMUNICATION), at most so much; 0:
    tokens are ordinary text."""
    strip_ansi: bool = False
    """Leave out escape sequences."""
    answers: bool = False
    """It is what an event listener says to us."""

    @property
    def captured(self) -> bool:
        """Does it go anywhere at all?"""
        return (
            self.path is not None
            or self.syslog
            or self.events_enabled
            or self.capture_maxbytes > 0
            or self.answers
        )


class ListenSocket(NamedTuple):
    """A socket on which the daemon listens for a program."""

    listen: str
    """`tcp://127.0.0.1:8000`, `tcp://[::1]:8000`, `tcp://*:8000` or `unix:///path`."""
    name: str = ""
    """Its name in LISTEN_FDNAMES; empty: that of the program."""
    mode: int = 0o660
    """Permissions of a Unix socket."""
    owner: str | None = None
    """Owner of a Unix socket; None: the program's user."""
    group: str | None = None
    """Group of a Unix socket; None: the first group of the program's user."""
    backlog: int = 4096
    """Connections that may wait to be accepted; the kernel has a limit of its own."""


class Program(NamedTuple):
    """The resolved definition of one process."""

    name: str
    """The process name, unique in its group."""
    command: tuple[str, ...]
    """The argument vector; a first word without a slash is looked up in the child's PATH."""
    group: str = ""
    """The group's name; empty means: the same as `name`."""
    program: str = ""
    """The `[program.NAME]` it comes from; empty means: the same as `name`."""
    directory: str | None = None
    user: str | None = None
    """Login name or numeric uid as written; None stays who the daemon is."""
    umask: int | None = None
    environment: Mapping[str, str] = _NOTHING
    """Added to the daemon's environment; `[daemon] environment` is merged in already."""
    priority: int = 999
    autostart: bool = True
    autorestart: AutoRestart = AutoRestart.UNEXPECTED
    exitcodes: tuple[int, ...] = (0,)
    startsecs: float = 1.0
    startretries: int = 3
    stopsignal: str = "TERM"
    stopwaitsecs: float = 10.0
    stopasgroup: bool = False
    killasgroup: bool = False
    leftovers: Leftovers = Leftovers.KILL
    stdin: Stdin = Stdin.NULL
    redirect_stderr: bool = False
    stdout: Output = Output()
    stderr: Output = Output()
    backoff: Backoff = Backoff()
    restart_limit: RestartLimit | None = None
    serverurl: str | None = None
    """Overrides SUPERVISOR_SERVER_URL in the child."""
    sockets: tuple[ListenSocket, ...] = ()
    """Bound by the daemon, and open from the first start until nothing needs them any more."""
    placement: Placement | None = None
    """None: its limits, niceness and so on are those of the daemon."""
    env_file: tuple[EnvFile, ...] = ()
    """Their variables go before `environment`, those of a later file before an earlier one's."""
    credentials: tuple[Credential, ...] = ()
    memory_restart: int | None = None
    """Restart it when its processes together have more resident memory than this, in bytes."""
    memory_check_interval: float = 15.0
    """Seconds between two looks at its memory."""
    memory_max: int | None = None
    """Bytes of memory that a run may use, in its cgroup; with more somebody of it is killed."""
    memory_high: int | None = None
    """Bytes above which it is slowed down and its memory reclaimed."""
    cpu_max: str | None = None
    """CPU time that it may use: quota and period in microseconds, with a blank between them."""
    pids_max: int | None = None
    """Processes and threads that it may have."""
    listener: bool = False
    """It is an event listener: its stdin and stdout are the protocol of docs/listeners.md."""

    @property
    def fullname(self) -> str:
        """`group:name`, or just `name` when both are equal."""
        if not self.group or self.group == self.name:
            return self.name
        return f"{self.group}:{self.name}"


class Group(NamedTuple):
    """Processes that are named, started and stopped together."""

    name: str
    priority: int = 999
    processes: tuple[Program, ...] = ()
    events: tuple[str, ...] = ()
    """What its listeners want to hear of; empty: this is no pool of event listeners."""
    buffer_size: int = 10
    """How many events may wait for its listeners."""


class Plan(NamedTuple):
    """Everything that the configuration says should exist."""

    groups: Mapping[str, Group] = _NOTHING

    def processes(self) -> Iterator[Program]:
        """Yield every process, by group name, then in its group's order."""
        for name in sorted(self.groups):
            yield from self.groups[name].processes


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
    environment: Mapping[str, str] = _NOTHING
    access: tuple[AccessRule, ...] = ()
    journal_age: float = 30 * 86400.0
    """Seconds that changes and ended runs are kept."""
    cgroups: str = "auto"
    """Where each run has a cgroup of its own: "auto", "off" or the directory of a cgroup."""
    exit_when: str | None = None
    """"any-fatal", "all-exited" or "program:NAME": then all is stopped and the daemon ends."""
    output_prefix: bool = False
    """Lines that go to no regular file (the daemon's stdout) begin with the name of the process."""
    journal_count: int = 100_000
    """How many changes, and how many runs, are kept at most."""


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
    hosts: tuple[str, ...] = ()
    """Names under which browsers reach it, besides addresses and localhost."""
    users: tuple[GatewayUser, ...] = ()

    @property
    def server_url(self) -> str:
        """SUPERVISOR_SERVER_URL for programs: a Unix socket if there is one."""
        return next((url for url in self.listen if url.startswith("unix:")), self.listen[-1])


class Configuration(NamedTuple):
    """What one reading of the configuration gives."""

    settings: DaemonSettings
    plan: Plan
    gateway: GatewaySettings | None = None
    """None: no HTTP at all."""
    files: tuple[str, ...] = ()
    """Every file that was read, the main one first."""
    warnings: tuple[str, ...] = ()
    """What is legal but probably not meant, e.g. an include that matches nothing."""
