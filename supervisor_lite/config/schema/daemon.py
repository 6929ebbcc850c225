# ruff: noqa: E501 - a table: one key, one line
"""The keys of [daemon]."""

from __future__ import annotations

from supervisor_lite.config.schema.key import Key, Shape, TableSchema
from supervisor_lite.config.types import basic, cgroups, exit_when, output, text, units, users
from supervisor_lite.model.settings import DaemonSettings

DAEMON = TableSchema(
    "daemon",
    Shape.ONE,
    "The daemon itself. Everything is optional; it stands in the main file only.",
    (
        Key("runtime_dir", text.PATH, "Where the control socket, the pid file and the pipes of the programs live.", shown="/run/supervisor-lite; as a user $XDG_RUNTIME_DIR/supervisor-lite"),
        Key("state_dir", text.PATH, "Where the journal lives, from which the next daemon knows what runs.", shown="/var/lib/supervisor-lite; as a user $XDG_STATE_HOME/supervisor-lite"),
        Key("log_dir", text.PATH, 'Where logs live that are set to "auto"; created if missing.', aliases=("childlogdir",), shown="/var/log/supervisor-lite; as a user state_dir/log", supervisor_name="childlogdir"),
        Key("include", text.STRINGS, "Further files, as patterns relative to this file.", default=["conf.d/*.toml"]),
        Key("log_level", output.LOG_LEVEL, "The least important messages that the daemon logs.", DaemonSettings, aliases=("loglevel",), supervisor_name="loglevel"),
        Key("log_format", output.LOG_FORMAT, "How the daemon writes its own log.", DaemonSettings),
        Key("logfile", output.DAEMON_LOG, 'The daemon\'s own log; "none" keeps none, "syslog" sends it to syslog.', default="auto", shown="auto: log_dir/supervisor-lite.log", supervisor_name="logfile"),
        Key("logfile_maxbytes", units.SIZE, "Rotate the daemon's log when it would grow beyond this; 0 never.", DaemonSettings, supervisor_name="logfile_maxbytes"),
        Key("logfile_backups", basic.COUNT, "How many rotated files of the daemon's log are kept.", DaemonSettings, supervisor_name="logfile_backups"),
        Key("silent", basic.BOOLEAN, "In the foreground, do not also write the log to stderr.", DaemonSettings, supervisor_name="silent"),
        Key("pidfile", text.PATH, "Where the daemon writes its pid.", shown="runtime_dir/supervisor.pid", supervisor_name="pidfile"),
        Key("socket", text.PATH, "The control socket; at most 107 bytes long.", shown="runtime_dir/supervisor.sock"),
        Key("socket_mode", units.OCTAL, "Permissions of the control socket.", DaemonSettings),
        Key("socket_owner", users.USER, "Owner of the control socket.", DaemonSettings, shown="who the daemon is"),
        Key("socket_group", users.USER_GROUP, "Group of the control socket.", DaemonSettings, shown="that of the daemon"),
        Key("umask", units.OCTAL, "Permissions that are taken from new files, also those of programs.", DaemonSettings, supervisor_name="umask"),
        Key("directory", text.PATH, "The directory that the daemon changes to; must exist.", DaemonSettings, shown="where it was started", supervisor_name="directory"),
        Key("user", users.USER, "Started by root, the daemon becomes this user.", DaemonSettings, shown="who started it", supervisor_name="user"),
        Key("minfds", basic.COUNT, "File descriptors that the daemon must be able to open.", DaemonSettings, supervisor_name="minfds"),
        Key("minprocs", basic.COUNT, "Processes that the daemon's user must be able to have.", DaemonSettings, supervisor_name="minprocs"),
        Key("journal_age", units.DURATION, "How long changes of state and ended runs are remembered, for slctl why, runs and events.", DaemonSettings),
        Key("journal_count", basic.COUNT, "How many changes, and how many runs, are remembered at most; 100000 of each take about 60 MB.", DaemonSettings),
        Key("cgroups", cgroups.BASE, 'Where each run gets a cgroup of its own, which no descendant can leave: below the cgroup of the daemon, if that is delegated to it ("auto"), below the one of this directory, or nowhere ("off"). See docs/cgroups.md.', DaemonSettings),
        Key("exit_when", exit_when.EXIT_WHEN, "Stop everything in order and end with the exit code of the program concerned: when one is FATAL, when nothing runs any more, or when this program has ended for good. For containers; see docs/containers.md.", DaemonSettings, shown="never"),
        Key("output_prefix", basic.BOOLEAN, "Lines that go to no regular file, such as /dev/stdout, begin with the name of the process: `web | …` for stdout, `web ! …` for stderr.", DaemonSettings),
        Key("on_full", output.ON_FULL, "What programs do whose own on_full is not set.", DaemonSettings),
        Key("identifier", text.TEXT, "A name for this daemon, for those who run several.", DaemonSettings, supervisor_name="identifier"),
        Key("strip_ansi", basic.BOOLEAN, "Leave escape sequences, such as colours, out of the logs of all programs.", DaemonSettings, supervisor_name="strip_ansi"),
        Key("environment", text.ENVIRONMENT, "Variables for every program; a program's own environment goes before.", DaemonSettings, default={}, supervisor_name="environment"),
        Key("nodaemon", basic.BOOLEAN, "Accepted for Supervisor's sake and without effect: the daemon stays in the foreground unless it is started with --daemonize.", supervisor_name="nodaemon"),
        Key("nocleanup", basic.BOOLEAN, "Accepted for Supervisor's sake and without effect: no log is ever deleted at start.", supervisor_name="nocleanup"),
    ),
)  # fmt: skip
