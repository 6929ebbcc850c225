"""A program: the frozen, resolved definition of one process, with its defaults.

`config/` makes these from TOML; everything else only reads them. Every expansion is done, every
path absolute, every duration in seconds, every signal a canonical name ("TERM").
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from supervisor_lite.model.constants import NOTHING
from supervisor_lite.model.output import Output
from supervisor_lite.model.process_attributes import ProcessAttributes
from supervisor_lite.model.restart import AutoRestart, Backoff, RestartLimit
from supervisor_lite.model.secrets import Credential, EnvFile
from supervisor_lite.model.sockets import ListenSocket


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
    environment: Mapping[str, str] = NOTHING
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
    placement: ProcessAttributes | None = None
    """None: its limits, niceness and so on are those of the daemon. Called so in the journal."""
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
    pidfile: str | None = None
    """The file in which the program writes the pid of its main process, which it may replace."""
    listener: bool = False
    """It is an event listener: its stdin and stdout are the protocol of docs/listeners.md."""
    internal: bool = False
    """The daemon's own, without a table of its own: `all` and patterns do not stop it."""

    @property
    def fullname(self) -> str:
        """`group:name`, or just `name` when both are equal."""
        if not self.group or self.group == self.name:
            return self.name
        return f"{self.group}:{self.name}"
