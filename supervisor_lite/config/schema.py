# ruff: noqa: E501 - the tables below are tables: one key, one line
"""The shapes a configuration may hold: one table of keys, from which everything else follows.

The checks (`read.py`), the JSON Schema for editors and the reference in docs/configuration.md are
made from TABLES. Defaults are those of the dataclasses in rules/program.py and stand only there.
`python -m supervisor_lite.config.schema` prints the JSON Schema, with `--reference` the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple

from supervisor_lite.config import cgroups, container, gateway, kinds, listening, placing
from supervisor_lite.config.kinds import Json, Kind
from supervisor_lite.model.output import Output
from supervisor_lite.model.plan import Group
from supervisor_lite.model.process_attributes import Placement
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import Backoff, RestartLimit
from supervisor_lite.model.settings import AccessRule, DaemonSettings, GatewaySettings

Affects = Literal["child", "rules", "logs"]
"""Who reads a value of a program.

- "child": it is settled when a child is started, so a change needs a new one;
- "rules": decisions read it when they are made;
- "logs": what handles the output reads it. A new child is needed only if its output goes nowhere
  before the change or after it, because a child's end of the pipe is settled at its start.
"""


class Key(NamedTuple):
    """One key of a table."""

    name: str
    kind: Kind
    doc: str
    """One sentence for the reference and for editors."""
    of: type | None = None
    """The named tuple in which the value ends up, and whose default it has; None: in none."""
    field: str = ""
    """The field of `of`, if it is not called like the key."""
    within: str = ""
    """The field of a program that holds `of`, where that is a part of a program: "backoff"."""
    default: object = None
    """The default as written in TOML, where it is not that of the field; None: nothing."""
    required: bool = False
    per_process: bool = False
    """Expanded for every process, so it may use %(process_num)d and the program's own ENV_X."""
    aliases: tuple[str, ...] = ()
    shown: str = ""
    """The default in words, where it depends on other keys."""
    only_with: str = ""
    """The key without which this one has no effect."""
    affects: Affects | None = None
    """Of a program: what has to notice that the value has changed. None: it fills no field."""
    supervisor_name: str = ""
    """What it is called in Supervisor's file; empty: Supervisor has no such key."""
    published: bool = False
    """Clients see the value: it stands in the answer to `definitions`."""
    rpc_name: str = ""
    """What Supervisor's XML-RPC calls it in getAllConfigInfo; empty: it is not in there."""

    @property
    def program_field(self) -> str:
        """The field of a program that the value of this key, or a part of it, fills; or empty."""
        return self.within or ("" if self.of is None else self.field or self.name)

    def shown_default(self) -> object:
        """Return the default as one would write it in TOML, None if there is none."""
        if self.of is None or self.default is not None or self.required:
            return self.default
        value = field_default(self.of, self.field or self.name)
        return None if value is None else self.kind.show(value)


class Shape(Enum):
    """How often a table occurs."""

    ONE = "[{}]"
    NAMED = "[{}.NAME]"
    LIST = "[[{}]]"


class Table(NamedTuple):
    """One table of the file."""

    name: str
    shape: Shape
    doc: str
    keys: tuple[Key, ...]

    def by_name(self) -> dict[str, Key]:
        """Return the keys by every name that is accepted."""
        return {name: key for key in self.keys for name in (key.name, *key.aliases)}


def field_default(cls: Any, name: str) -> object:
    """Return the default of a field of a named tuple; None if it has none or an empty mapping."""
    assert name in cls._fields, f"{cls.__name__} has no {name}"
    default = cls._field_defaults.get(name)
    return None if isinstance(default, Mapping) else default


D, P, O, B, G = DaemonSettings, Program, Output, Backoff, GatewaySettings  # noqa: E741

DAEMON = Table(
    "daemon",
    Shape.ONE,
    "The daemon itself. Everything is optional; it stands in the main file only.",
    (
        Key("runtime_dir", kinds.PATH, "Where the control socket, the pid file and the pipes of the programs live.", shown="/run/supervisor-lite; as a user $XDG_RUNTIME_DIR/supervisor-lite"),
        Key("state_dir", kinds.PATH, "Where the journal lives, from which the next daemon knows what runs.", shown="/var/lib/supervisor-lite; as a user $XDG_STATE_HOME/supervisor-lite"),
        Key("log_dir", kinds.PATH, 'Where logs live that are set to "auto"; created if missing.', aliases=("childlogdir",), shown="/var/log/supervisor-lite; as a user state_dir/log", supervisor_name="childlogdir"),
        Key("include", kinds.STRINGS, "Further files, as patterns relative to this file.", default=["conf.d/*.toml"]),
        Key("log_level", kinds.LOG_LEVEL, "The least important messages that the daemon logs.", D, aliases=("loglevel",), supervisor_name="loglevel"),
        Key("log_format", kinds.LOG_FORMAT, "How the daemon writes its own log.", D),
        Key("logfile", kinds.DAEMON_LOG, 'The daemon\'s own log; "none" keeps none, "syslog" sends it to syslog.', default="auto", shown="auto: log_dir/supervisor-lite.log", supervisor_name="logfile"),
        Key("logfile_maxbytes", kinds.SIZE, "Rotate the daemon's log when it would grow beyond this; 0 never.", D, supervisor_name="logfile_maxbytes"),
        Key("logfile_backups", kinds.COUNT, "How many rotated files of the daemon's log are kept.", D, supervisor_name="logfile_backups"),
        Key("silent", kinds.BOOLEAN, "In the foreground, do not also write the log to stderr.", D, supervisor_name="silent"),
        Key("pidfile", kinds.PATH, "Where the daemon writes its pid.", shown="runtime_dir/supervisor.pid", supervisor_name="pidfile"),
        Key("socket", kinds.PATH, "The control socket; at most 107 bytes long.", shown="runtime_dir/supervisor.sock"),
        Key("socket_mode", kinds.OCTAL, "Permissions of the control socket.", D),
        Key("socket_owner", kinds.USER, "Owner of the control socket.", D, shown="who the daemon is"),
        Key("socket_group", kinds.USER_GROUP, "Group of the control socket.", D, shown="that of the daemon"),
        Key("umask", kinds.OCTAL, "Permissions that are taken from new files, also those of programs.", D, supervisor_name="umask"),
        Key("directory", kinds.PATH, "The directory that the daemon changes to; must exist.", D, shown="where it was started", supervisor_name="directory"),
        Key("user", kinds.USER, "Started by root, the daemon becomes this user.", D, shown="who started it", supervisor_name="user"),
        Key("minfds", kinds.COUNT, "File descriptors that the daemon must be able to open.", D, supervisor_name="minfds"),
        Key("minprocs", kinds.COUNT, "Processes that the daemon's user must be able to have.", D, supervisor_name="minprocs"),
        Key("journal_age", kinds.DURATION, "How long changes of state and ended runs are remembered, for slctl why, runs and events.", D),
        Key("journal_count", kinds.COUNT, "How many changes, and how many runs, are remembered at most; 100000 of each take about 60 MB.", D),
        Key("cgroups", cgroups.PLACE, 'Where each run gets a cgroup of its own, which no descendant can leave: below the cgroup of the daemon, if that is delegated to it ("auto"), below the one of this directory, or nowhere ("off"). See docs/cgroups.md.', D),
        Key("exit_when", container.EXIT_WHEN, "Stop everything in order and end with the exit code of the program concerned: when one is FATAL, when nothing runs any more, or when this program has ended for good. For containers; see docs/containers.md.", D, shown="never"),
        Key("output_prefix", kinds.BOOLEAN, "Lines that go to no regular file, such as /dev/stdout, begin with the name of the process: `web | …` for stdout, `web ! …` for stderr.", D),
        Key("identifier", kinds.TEXT, "A name for this daemon, for those who run several.", D, supervisor_name="identifier"),
        Key("strip_ansi", kinds.BOOLEAN, "Leave escape sequences, such as colours, out of the logs of all programs.", D, supervisor_name="strip_ansi"),
        Key("environment", kinds.ENVIRONMENT, "Variables for every program; a program's own environment goes before.", default={}, supervisor_name="environment"),
        Key("nodaemon", kinds.BOOLEAN, "Accepted for Supervisor's sake and without effect: the daemon stays in the foreground unless it is started with --daemonize.", supervisor_name="nodaemon"),
        Key("nocleanup", kinds.BOOLEAN, "Accepted for Supervisor's sake and without effect: no log is ever deleted at start.", supervisor_name="nocleanup"),
    ),
)  # fmt: skip

PROGRAM = Table(
    "program",
    Shape.NAMED,
    "A program to keep running. NAME has no blanks, no “:” and no “/”.",
    (
        Key("command", kinds.COMMAND, "What to run, without a shell: a string is split like a shell does after its expansion, of a list each item is one argument. Without a slash it is looked up in PATH.", P, required=True, per_process=True, affects="child", supervisor_name="command", published=True, rpc_name="command"),
        Key("process_name", kinds.NAME, "The name of each process; must hold %(process_num) if there are several.", P, "name", default="%(program_name)s", per_process=True, affects="child", supervisor_name="process_name"),
        Key("numprocs", kinds.NUMPROCS, "How many processes of this program to run; 0 is none.", default=1, supervisor_name="numprocs"),
        Key("numprocs_start", kinds.COUNT, "The first %(process_num)d.", default=0, supervisor_name="numprocs_start"),
        Key("priority", kinds.NUMBER, "Lower starts first and stops last.", P, affects="rules", supervisor_name="priority", published=True, rpc_name="process_prio"),
        Key("autostart", kinds.BOOLEAN, "Start it with the daemon, or when it is added.", P, affects="rules", supervisor_name="autostart", published=True, rpc_name="autostart"),
        Key("startsecs", kinds.DURATION, "Up for this long it is RUNNING; an exit before that is a failed start. 0: RUNNING at once.", P, affects="rules", supervisor_name="startsecs", published=True, rpc_name="startsecs"),
        Key("startretries", kinds.COUNT, "How many further tries after a failed start, before it is FATAL.", P, affects="rules", supervisor_name="startretries", published=True, rpc_name="startretries"),
        Key("autorestart", kinds.AUTORESTART, 'Start it again when it ends after it was RUNNING: always, never, or unless its exit code is one of exitcodes ("unexpected").', P, affects="rules", supervisor_name="autorestart", published=True),
        Key("exitcodes", kinds.EXIT_CODES, "Exit codes that are expected; death by a signal never is.", P, affects="rules", supervisor_name="exitcodes", published=True, rpc_name="exitcodes"),
        Key("stopsignal", kinds.SIGNAL, "The signal that asks it to stop.", P, affects="rules", supervisor_name="stopsignal", published=True, rpc_name="stopsignal"),
        Key("stopwaitsecs", kinds.DURATION, "How long it may take to stop, before it is killed.", P, affects="rules", supervisor_name="stopwaitsecs", published=True, rpc_name="stopwaitsecs"),
        Key("stopasgroup", kinds.BOOLEAN, "Send the stop signal to its whole process group.", P, affects="rules", supervisor_name="stopasgroup", published=True),
        Key("killasgroup", kinds.BOOLEAN, "Kill its whole process group.", P, shown="as stopasgroup", affects="rules", supervisor_name="killasgroup", published=True, rpc_name="killasgroup"),
        Key("leftovers", kinds.LEFTOVERS, "What becomes of its descendants that outlive its main process.", P, affects="rules", published=True),
        Key("user", kinds.USER, "Run it as this user; the daemon must be root.", P, shown="who the daemon is", affects="child", supervisor_name="user", published=True),
        Key("directory", kinds.PATH, "The directory it is started in.", P, per_process=True, shown="that of the daemon", affects="child", supervisor_name="directory", published=True, rpc_name="directory"),
        Key("umask", kinds.OCTAL, "Permissions that are taken from the files it creates.", P, shown="that of the daemon", affects="child", supervisor_name="umask", published=True),
        Key("environment", kinds.ENVIRONMENT, "Variables for it, besides those of the daemon and of [daemon] environment.", P, default={}, per_process=True, affects="child", supervisor_name="environment"),
        Key("env_file", placing.ENV_FILES, 'Files with NAME=VALUE lines, read at each start; what they say goes before environment. With "-" before the path, the file may be missing. See docs/limits.md.', P, default=[], per_process=True, affects="child"),
        Key("credentials", placing.CREDENTIALS, "Secrets that it finds as files of these names in `$CREDENTIALS_DIRECTORY`, readable by its user only; copied at each start. See docs/limits.md.", P, default={}, per_process=True, affects="child"),
        Key("rlimits", placing.RLIMITS, "Its resource limits: one value is the soft and the hard limit, a list of two is both.", Placement, per_process=True, within="placement", affects="child"),
        Key("nice", placing.NICE, "How readily it lets others have the processor: -20 (never) to 19.", Placement, per_process=True, shown="that of the daemon", within="placement", affects="child"),
        Key("oom_score_adj", placing.OOM_SCORE_ADJ, "How soon the kernel kills it when memory is out: -1000 (never) to 1000 (first).", Placement, per_process=True, shown="that of the daemon", within="placement", affects="child"),
        Key("cpu_affinity", placing.CPU_AFFINITY, "The CPUs on which it may run; those that the machine does not have are left out.", Placement, per_process=True, shown="that of the daemon", within="placement", affects="child"),
        Key("no_new_privileges", kinds.BOOLEAN, "Nothing that it executes gets more rights than it has: setuid bits and file capabilities are without effect.", Placement, within="placement", affects="child"),
        Key("memory_max", cgroups.MEMORY, "Memory that it may use with all its descendants; with more, the kernel kills one of them. Needs cgroups, as the next three: see docs/cgroups.md.", P, shown="no limit", affects="child"),
        Key("memory_high", cgroups.MEMORY, "Above this it is slowed down and its memory reclaimed; at most memory_max.", P, shown="no limit", affects="child"),
        Key("cpu_max", cgroups.CPU, "CPU time that it may use with all its descendants.", P, shown="no limit", affects="child"),
        Key("pids_max", kinds.POSITIVE, "Processes and threads that it may have.", P, shown="no limit", affects="child"),
        Key("memory_restart", placing.MEMORY, "Restart it when the resident memory of its main process and all descendants together exceeds this.", P, shown="never", affects="rules"),
        Key("memory_check_interval", placing.CHECK_INTERVAL, "How often its memory is looked at, with memory_restart.", P, only_with="memory_restart", affects="rules"),
        Key("stdin", kinds.STDIN, 'What it reads from: nothing, a pipe ("pipe") for slctl fg and send, or its only socket, as FastCGI wants it ("socket").', P, affects="child", published=True),
        Key("sockets", listening.SOCKETS, "Sockets on which the daemon listens for it, so that no connection is refused while it is restarted: addresses, or tables with listen, name, mode, owner, group, backlog. See docs/sockets.md.", P, default=[], per_process=True, affects="child"),
        Key("redirect_stderr", kinds.BOOLEAN, "Write its stderr to the log of its stdout.", P, affects="child", supervisor_name="redirect_stderr", published=True, rpc_name="redirect_stderr"),
        Key("stdout_logfile", kinds.OUTPUT, 'Where its stdout goes; "auto" is log_dir/NAME.stdout.log, NAME being the process, or GROUP.PROCESS if they differ.', Output, "path", default="auto", per_process=True, within="stdout", affects="child", supervisor_name="stdout_logfile", published=True, rpc_name="stdout_logfile"),
        Key("stdout_logfile_maxbytes", kinds.SIZE, "Rotate the file when it would grow beyond this; 0 never. Without effect for what is not a regular file, such as /dev/stdout.", O, "maxbytes", per_process=True, within="stdout", affects="logs", supervisor_name="stdout_logfile_maxbytes", published=True, rpc_name="stdout_logfile_maxbytes"),
        Key("stdout_logfile_backups", kinds.COUNT, "How many rotated files are kept.", O, "backups", per_process=True, within="stdout", affects="logs", supervisor_name="stdout_logfile_backups", published=True, rpc_name="stdout_logfile_backups"),
        Key("stdout_syslog", kinds.BOOLEAN, "Also send each line to syslog.", O, "syslog", per_process=True, within="stdout", affects="logs", supervisor_name="stdout_syslog", published=True, rpc_name="stdout_syslog"),
        Key("stdout_events_enabled", kinds.BOOLEAN, "Tell event listeners what it writes (PROCESS_LOG_STDOUT).", O, "events_enabled", within="stdout", affects="logs", supervisor_name="stdout_events_enabled", published=True, rpc_name="stdout_events_enabled"),
        Key("stdout_capture_maxbytes", kinds.SIZE, "Tell them what it writes between Supervisor's two tokens (PROCESS_COMMUNICATION_STDOUT), the last so many bytes of it; 0: such tokens are ordinary text. See docs/listeners.md.", O, "capture_maxbytes", within="stdout", affects="logs", supervisor_name="stdout_capture_maxbytes", published=True, rpc_name="stdout_capture_maxbytes"),
        Key("stderr_logfile", kinds.OUTPUT, 'Where its stderr goes; "auto" is log_dir/NAME.stderr.log.', Output, "path", default="auto", per_process=True, within="stderr", affects="child", supervisor_name="stderr_logfile", published=True, rpc_name="stderr_logfile"),
        Key("stderr_logfile_maxbytes", kinds.SIZE, "As stdout_logfile_maxbytes.", O, "maxbytes", per_process=True, within="stderr", affects="logs", supervisor_name="stderr_logfile_maxbytes", published=True, rpc_name="stderr_logfile_maxbytes"),
        Key("stderr_logfile_backups", kinds.COUNT, "As stdout_logfile_backups.", O, "backups", per_process=True, within="stderr", affects="logs", supervisor_name="stderr_logfile_backups", published=True, rpc_name="stderr_logfile_backups"),
        Key("stderr_syslog", kinds.BOOLEAN, "As stdout_syslog.", O, "syslog", per_process=True, within="stderr", affects="logs", supervisor_name="stderr_syslog", published=True, rpc_name="stderr_syslog"),
        Key("stderr_events_enabled", kinds.BOOLEAN, "As stdout_events_enabled.", O, "events_enabled", within="stderr", affects="logs", supervisor_name="stderr_events_enabled", published=True, rpc_name="stderr_events_enabled"),
        Key("stderr_capture_maxbytes", kinds.SIZE, "As stdout_capture_maxbytes.", O, "capture_maxbytes", within="stderr", affects="logs", supervisor_name="stderr_capture_maxbytes", published=True, rpc_name="stderr_capture_maxbytes"),
        Key("serverurl", kinds.TEXT, 'SUPERVISOR_SERVER_URL in its environment; "auto" is the first Unix socket of [gateway], or its last address, or without a gateway the control socket.', P, default="auto", affects="child", supervisor_name="serverurl", published=True, rpc_name="serverurl"),
        Key("backoff", kinds.BACKOFF, "How the pause grows from one failed start to the next: 1, 2, 3 … s, 1, 2, 4, 8 … s, or always the same.", P, affects="rules"),
        Key("backoff_max", kinds.DURATION, "No such pause is longer than this.", B, "max", within="backoff", affects="rules"),
        Key("backoff_jitter", kinds.FRACTION, "Up to this fraction of the pause is added at random, so that many do not start at once.", B, "jitter", within="backoff", affects="rules"),
        Key("restart_limit", kinds.RESTART_LIMIT, "How many automatic restarts are allowed in which time.", P, shown="no limit", affects="rules"),
        Key("restart_limit_action", kinds.LIMIT_ACTION, "What happens then: FATAL, or one more try after a pause.", RestartLimit, "cooldown", default="fatal", within="restart_limit", only_with="restart_limit", affects="rules"),
    ),
)  # fmt: skip

GROUP = Table(
    "group",
    Shape.NAMED,
    "Programs that are named, started and stopped together. They lose the group of their own.",
    (
        Key("programs", kinds.NAMES, "The programs of this group.", default=[], supervisor_name="programs"),
        Key("priority", kinds.NUMBER, "The priority of the group.", Group, supervisor_name="priority"),
    ),
)  # fmt: skip

LISTENER = Table(
    "eventlistener",
    Shape.NAMED,
    "A program that is told what happens, by Supervisor's protocol: see docs/listeners.md. It has the keys of `[program.NAME]` except stdin, and these. Its processes are a pool: each event goes to one of them.",
    (
        Key("events", listening.EVENTS, "What it wants to hear of.", Group, required=True, supervisor_name="events"),
        Key("buffer_size", kinds.POSITIVE, "How many events may wait for the pool; one more drops the oldest.", Group, supervisor_name="buffer_size"),
        Key("result_handler", listening.HANDLER, "Who judges its results; there is no other than the default, which takes OK and FAIL.", default="default", supervisor_name="result_handler"),
        *(
            key._replace(default=-1, doc="As for a program, but by default listeners start first and stop last.") if key.name == "priority" else key
            for key in PROGRAM.keys
            if key.name != "stdin"
        ),
    ),
)  # fmt: skip

ACCESS = Table(
    "access",
    Shape.LIST,
    "Who may do what over the control socket, besides root and the daemon's own user.",
    (
        Key("role", kinds.ROLE, "view: see; operate: also start, stop, restart, signal; admin: everything.", AccessRule, required=True),
        Key("users", kinds.USERS, "These users …", default=[]),
        Key("groups", kinds.USER_GROUPS, "… and the members of these groups of users.", default=[]),
        Key("programs", kinds.STRINGS, "Which processes: patterns over GROUP:PROCESS.", AccessRule),
    ),
)  # fmt: skip

GATEWAY = Table(
    "gateway",
    Shape.ONE,
    "What `supervisor-lite-gateway` serves over HTTP; without this table it does not start. In the main file only. See docs/gateway.md.",
    (
        Key("listen", gateway.ADDRESSES, "Unix sockets and addresses of this machine; without a host the loopback, `*` is every interface.", required=True),
        Key("socket_mode", kinds.OCTAL, "Permissions of its Unix sockets.", G),
        Key("socket_owner", kinds.USER, "Owner of its Unix sockets.", G, shown="who the gateway is"),
        Key("socket_group", kinds.USER_GROUP, "Group of its Unix sockets.", G, shown="that of the gateway"),
        Key("socket_role", kinds.ROLE, "What those may do who come over a Unix socket: the permissions of the file say who can.", G),
        Key("socket_password", kinds.BOOLEAN, "Ask for a password on Unix sockets, too.", G),
        Key("user", kinds.USER, "Started by root, the gateway becomes this user after it has bound its sockets.", G, shown="who started it"),
        Key("hosts", gateway.HOSTS, "Names under which browsers reach it, besides addresses and localhost.", default=[]),
        Key("users", gateway.HTTP_USERS, "Who may come with a password: name, password_hash (by `slctl passwd`), role (view, operate, admin). TCP needs at least one.", default=[]),
    ),
)  # fmt: skip

TABLES: Mapping[str, Table] = {
    table.name: table for table in (DAEMON, PROGRAM, GROUP, LISTENER, ACCESS, GATEWAY)
}

ELSEWHERE: Mapping[str, str] = {
    "supervisord": "that is [daemon] here",
    "unix_http_server": "the control socket is set in [daemon]: socket, socket_mode, socket_owner",
    "inet_http_server": "that is [gateway] here: listen, users",
    "supervisorctl": "slctl finds the daemon through this file",
    "include": "that is the key include of [daemon] here",
    "fcgi-program": 'that is a program here, with sockets = ["…"] and stdin = "socket"',
    "rpcinterface": "RPC interfaces are not supported",
    "files": "that is the key include of [daemon] here",
    "socket_backlog": 'that is sockets = [{ listen = "…", backlog = … }] here',
}
"""Words of Supervisor's file that mean nothing here, with what to do about them."""


def json_schema() -> Json:
    """Return a JSON Schema (draft 2020-12) with which an editor checks a configuration file."""
    properties: Json = {}
    for table in TABLES.values():
        reference: Json = {"$ref": f"#/$defs/{table.name}"}
        about: Json = {"description": table.doc}
        if table.shape is Shape.NAMED:
            names = {"propertyNames": kinds.NAME.schema}
            about |= {"type": "object", **names, "additionalProperties": reference}
        elif table.shape is Shape.LIST:
            about |= {"type": "array", "items": reference}
        else:
            about |= reference
        properties[table.name] = about
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "supervisor-lite configuration",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": {table.name: _table_schema(table) for table in TABLES.values()},
    }


def _table_schema(table: Table) -> Json:
    properties: Json = {}
    for key in table.keys:
        schema = key.kind.schema
        if key.kind.strings is not None:
            # Numbers and booleans may come out of an expansion: numprocs = "%(ENV_WORKERS)s".
            schema = {"anyOf": [schema, {"type": "string", "pattern": r"%\("}]}
        properties[key.name] = _with_default({"description": key.doc, **schema}, key)
        for alias in key.aliases:
            about = {"description": f"The same as {key.name}.", "deprecated": True}
            properties[alias] = {**about, **schema}
    required = [key.name for key in table.keys if key.required]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _with_default(schema: Json, key: Key) -> Json:
    default = None if key.shown and not key.default else key.shown_default()
    return schema if default is None else {**schema, "default": default}


def main(argv: list[str]) -> str:
    """Return the JSON Schema, or with `--reference` the reference documentation."""
    if argv == ["--reference"]:
        from supervisor_lite.config.reference import reference

        return reference(TABLES)
    import json

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(main(sys.argv[1:]))
