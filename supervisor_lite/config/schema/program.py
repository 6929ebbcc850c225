# ruff: noqa: E501 - a table: one key, one line
"""The keys of [program.NAME]."""

from __future__ import annotations

from supervisor_lite.config.schema.key import Key, Shape, TableSchema
from supervisor_lite.config.types import (
    basic,
    cgroups,
    command,
    limits,
    output,
    restart,
    secrets,
    sockets,
    text,
    units,
    users,
)
from supervisor_lite.model.output import Output
from supervisor_lite.model.process_attributes import ProcessAttributes
from supervisor_lite.model.program import Program
from supervisor_lite.model.restart import Backoff, RestartLimit

PROGRAM = TableSchema(
    "program",
    Shape.NAMED,
    "A program to keep running. NAME has no blanks, none of “: / * ? [ ]”, does not begin with “-”, has at most 100 bytes, and is not “.”, “..” or “all”; so for groups, event listeners and processes.",
    (
        Key("command", command.COMMAND, "What to run, without a shell: a string is split like a shell does after its expansion, of a list each item is one argument. Without a slash it is looked up in PATH.", Program, required=True, per_process=True, affects="child", supervisor_name="command", published=True, rpc_name="command"),
        Key("process_name", text.NAME, "The name of each process; must hold %(process_num) if there are several.", Program, "name", default="%(program_name)s", per_process=True, affects="child", supervisor_name="process_name"),
        Key("numprocs", basic.NUMPROCS, "How many processes of this program to run; 0 is none.", default=1, supervisor_name="numprocs"),
        Key("numprocs_start", basic.COUNT, "The first %(process_num)d.", default=0, supervisor_name="numprocs_start"),
        Key("priority", basic.NUMBER, "Lower starts first and stops last.", Program, affects="rules", supervisor_name="priority", published=True, rpc_name="process_prio"),
        Key("autostart", basic.BOOLEAN, "Start it with the daemon, or when it is added.", Program, affects="rules", supervisor_name="autostart", published=True, rpc_name="autostart"),
        Key("startsecs", units.DURATION, "Up for this long it is RUNNING; an exit before that is a failed start. 0: RUNNING at once.", Program, affects="rules", supervisor_name="startsecs", published=True, rpc_name="startsecs"),
        Key("startretries", basic.COUNT, "How many further tries after a failed start, before it is FATAL.", Program, affects="rules", supervisor_name="startretries", published=True, rpc_name="startretries"),
        Key("autorestart", restart.AUTORESTART, 'Start it again when it ends after it was RUNNING: always, never, or unless its exit code is one of exitcodes ("unexpected").', Program, affects="rules", supervisor_name="autorestart", published=True),
        Key("exitcodes", restart.EXIT_CODES, "Exit codes that are expected; death by a signal never is.", Program, affects="rules", supervisor_name="exitcodes", published=True, rpc_name="exitcodes"),
        Key("stopsignal", restart.SIGNAL, "The signal that asks it to stop.", Program, affects="rules", supervisor_name="stopsignal", published=True, rpc_name="stopsignal"),
        Key("stopwaitsecs", units.DURATION, "How long it may take to stop, before it is killed.", Program, affects="rules", supervisor_name="stopwaitsecs", published=True, rpc_name="stopwaitsecs"),
        Key("stopasgroup", basic.BOOLEAN, "Send the stop signal to its whole process group.", Program, affects="rules", supervisor_name="stopasgroup", published=True),
        Key("killasgroup", basic.BOOLEAN, "Kill its whole process group.", Program, shown="as stopasgroup", affects="rules", supervisor_name="killasgroup", published=True, rpc_name="killasgroup"),
        Key("leftovers", restart.LEFTOVERS, "What becomes of its descendants that outlive its main process.", Program, affects="rules", published=True),
        Key("user", users.USER, "Run it as this user; the daemon must be root.", Program, shown="who the daemon is", affects="child", supervisor_name="user", published=True),
        Key("directory", text.PATH, "The directory it is started in.", Program, per_process=True, shown="that of the daemon", affects="child", supervisor_name="directory", published=True, rpc_name="directory"),
        Key("umask", units.OCTAL, "Permissions that are taken from the files it creates.", Program, shown="that of the daemon", affects="child", supervisor_name="umask", published=True),
        Key("environment", text.ENVIRONMENT, "Variables for it, besides those of the daemon and of [daemon] environment.", Program, default={}, per_process=True, affects="child", supervisor_name="environment"),
        Key("env_file", secrets.ENV_FILES, 'Files with NAME=VALUE lines, read at each start; what they say goes before environment. With "-" before the path, the file may be missing. See docs/limits.md.', Program, default=[], per_process=True, affects="child"),
        Key("credentials", secrets.CREDENTIALS, "Secrets that it finds as files of these names in `$CREDENTIALS_DIRECTORY`, readable by its user only; copied at each start. See docs/limits.md.", Program, default={}, per_process=True, affects="child"),
        Key("rlimits", limits.RLIMITS, "Its resource limits: one value is the soft and the hard limit, a list of two is both.", ProcessAttributes, per_process=True, within="placement", affects="child"),
        Key("nice", limits.NICE, "How readily it lets others have the processor: -20 (never) to 19.", ProcessAttributes, per_process=True, shown="that of the daemon", within="placement", affects="child"),
        Key("oom_score_adj", limits.OOM_SCORE_ADJ, "How soon the kernel kills it when memory is out: -1000 (never) to 1000 (first).", ProcessAttributes, per_process=True, shown="that of the daemon", within="placement", affects="child"),
        Key("cpu_affinity", limits.CPU_AFFINITY, "The CPUs on which it may run; those that the machine does not have are left out.", ProcessAttributes, per_process=True, shown="that of the daemon", within="placement", affects="child"),
        Key("no_new_privileges", basic.BOOLEAN, "Nothing that it executes gets more rights than it has: setuid bits and file capabilities are without effect.", ProcessAttributes, within="placement", affects="child"),
        Key("memory_max", cgroups.MEMORY, "Memory that it may use with all its descendants; with more, the kernel kills one of them. Needs cgroups, as the next three: see docs/cgroups.md.", Program, shown="no limit", affects="child"),
        Key("memory_high", cgroups.MEMORY, "Above this it is slowed down and its memory reclaimed; at most memory_max.", Program, shown="no limit", affects="child"),
        Key("cpu_max", cgroups.CPU, "CPU time that it may use with all its descendants.", Program, shown="no limit", affects="child"),
        Key("pids_max", basic.POSITIVE, "Processes and threads that it may have.", Program, shown="no limit", affects="child"),
        Key("memory_restart", limits.MEMORY_LIMIT, "Restart it when the resident memory of its main process and all descendants together exceeds this.", Program, shown="never", affects="rules"),
        Key("memory_check_interval", limits.CHECK_INTERVAL, "How often its memory is looked at, with memory_restart.", Program, only_with="memory_restart", affects="rules"),
        Key("stdin", output.STDIN, 'What it reads from: nothing, a pipe ("pipe") for slctl fg and send, or its only socket, as FastCGI wants it ("socket").', Program, affects="child", published=True),
        Key("sockets", sockets.SOCKETS, "Sockets on which the daemon listens for it, so that no connection is refused while it is restarted: addresses, or tables with listen, name, mode, owner, group, backlog. See docs/sockets.md.", Program, default=[], per_process=True, affects="child"),
        Key("redirect_stderr", basic.BOOLEAN, "Write its stderr to the log of its stdout.", Program, affects="child", supervisor_name="redirect_stderr", published=True, rpc_name="redirect_stderr"),
        Key("stdout_logfile", output.LOG_FILE, 'Where its stdout goes; "auto" is log_dir/NAME.stdout.log, NAME being the process, or GROUP.PROCESS if they differ.', Output, "path", default="auto", per_process=True, within="stdout", affects="child", supervisor_name="stdout_logfile", published=True, rpc_name="stdout_logfile"),
        Key("stdout_logfile_maxbytes", units.SIZE, "Rotate the file when it would grow beyond this; 0 never. Without effect for what is not a regular file, such as /dev/stdout.", Output, "maxbytes", per_process=True, within="stdout", affects="logs", supervisor_name="stdout_logfile_maxbytes", published=True, rpc_name="stdout_logfile_maxbytes"),
        Key("stdout_logfile_backups", basic.COUNT, "How many rotated files are kept.", Output, "backups", per_process=True, within="stdout", affects="logs", supervisor_name="stdout_logfile_backups", published=True, rpc_name="stdout_logfile_backups"),
        Key("stdout_syslog", basic.BOOLEAN, "Also send each line to syslog.", Output, "syslog", per_process=True, within="stdout", affects="logs", supervisor_name="stdout_syslog", published=True, rpc_name="stdout_syslog"),
        Key("stdout_events_enabled", basic.BOOLEAN, "Tell event listeners what it writes (PROCESS_LOG_STDOUT).", Output, "events_enabled", within="stdout", affects="logs", supervisor_name="stdout_events_enabled", published=True, rpc_name="stdout_events_enabled"),
        Key("stdout_capture_maxbytes", units.SIZE, "Tell them what it writes between Supervisor's two tokens (PROCESS_COMMUNICATION_STDOUT), the last so many bytes of it; 0: such tokens are ordinary text. See docs/listeners.md.", Output, "capture_maxbytes", within="stdout", affects="logs", supervisor_name="stdout_capture_maxbytes", published=True, rpc_name="stdout_capture_maxbytes"),
        Key("stderr_logfile", output.LOG_FILE, 'Where its stderr goes; "auto" is log_dir/NAME.stderr.log.', Output, "path", default="auto", per_process=True, within="stderr", affects="child", supervisor_name="stderr_logfile", published=True, rpc_name="stderr_logfile"),
        Key("stderr_logfile_maxbytes", units.SIZE, "As stdout_logfile_maxbytes.", Output, "maxbytes", per_process=True, within="stderr", affects="logs", supervisor_name="stderr_logfile_maxbytes", published=True, rpc_name="stderr_logfile_maxbytes"),
        Key("stderr_logfile_backups", basic.COUNT, "As stdout_logfile_backups.", Output, "backups", per_process=True, within="stderr", affects="logs", supervisor_name="stderr_logfile_backups", published=True, rpc_name="stderr_logfile_backups"),
        Key("stderr_syslog", basic.BOOLEAN, "As stdout_syslog.", Output, "syslog", per_process=True, within="stderr", affects="logs", supervisor_name="stderr_syslog", published=True, rpc_name="stderr_syslog"),
        Key("stderr_events_enabled", basic.BOOLEAN, "As stdout_events_enabled.", Output, "events_enabled", within="stderr", affects="logs", supervisor_name="stderr_events_enabled", published=True, rpc_name="stderr_events_enabled"),
        Key("stderr_capture_maxbytes", units.SIZE, "As stdout_capture_maxbytes.", Output, "capture_maxbytes", within="stderr", affects="logs", supervisor_name="stderr_capture_maxbytes", published=True, rpc_name="stderr_capture_maxbytes"),
        Key("serverurl", text.SERVER_URL, 'SUPERVISOR_SERVER_URL in its environment; "auto" is the first Unix socket of [gateway], or its last address, or without a gateway the control socket.', Program, default="auto", affects="child", supervisor_name="serverurl", published=True, rpc_name="serverurl"),
        Key("backoff", restart.BACKOFF, "How the pause grows from one failed start to the next: 1, 2, 3 … s, 1, 2, 4, 8 … s, or always the same.", Program, affects="rules"),
        Key("backoff_max", units.DURATION, "No such pause is longer than this.", Backoff, "max", within="backoff", affects="rules"),
        Key("backoff_jitter", basic.FRACTION, "Up to this fraction of the pause is added at random, so that many do not start at once.", Backoff, "jitter", within="backoff", affects="rules"),
        Key("restart_limit", restart.RESTART_LIMIT, "How many automatic restarts are allowed in which time.", Program, shown="no limit", affects="rules"),
        Key("restart_limit_action", restart.LIMIT_ACTION, "What happens then: FATAL, or one more try after a pause.", RestartLimit, "cooldown", default="fatal", within="restart_limit", only_with="restart_limit", affects="rules"),
    ),
)  # fmt: skip
