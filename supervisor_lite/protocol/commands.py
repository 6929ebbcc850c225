"""The one table of commands: everything that is said of a command is said in its row.

A row is a method of the control socket (it has a `role`), a command of `slctl` (it has a `module`),
or both, which most are. From the table are made: the methods and their roles (control/access.py),
slctl's dispatch, help, usage, completion and shell, the REST endpoints that map one to one, the
manual page, and what the fuzz and security tests iterate over; docs/slctl.md and docs/protocol.md
are compared with it.

To add a command: a row here; its method in control/methods/ (decorated with the name); its function
in ctl/commands/ (decorated with the name). tests/protocol/test_commands.py counts these places.

This module is on the hot path of `slctl`: plain classes, no typing, no dataclasses.
"""

from __future__ import annotations

# As typing.TYPE_CHECKING, without the cost of importing typing.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

VIEW: Final = "view"
OPERATE: Final = "operate"
ADMIN: Final = "admin"

ROLES: Final = (VIEW, OPERATE, ADMIN)
"""Each may do what those before it may."""

# What the words after a command are: how the shell completes them.
PROCESSES: Final = "processes"
GROUPS: Final = "groups"
COMMAND: Final = "command"
SIGNALS: Final = "signals"
STREAMS: Final = "streams"
FILES: Final = "files"
SHELLS: Final = "shells"
NOTHING: Final = ""
KINDS: Final = {PROCESSES, GROUPS, COMMAND, SIGNALS, STREAMS, FILES, SHELLS, NOTHING}

STREAM_NAMES: Final = ("stdout", "stderr")
SHELL_NAMES: Final = ("bash", "zsh", "fish")


class Command:
    """One row of the table."""

    __slots__ = (
        "changes", "details", "module", "name", "params", "question", "rest", "role", "summary",
        "synopsis", "takes", "words",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        synopsis: str = "",
        summary: str = "",
        *,
        role: str = "",
        module: str = "",
        takes: str = NOTHING,
        words: tuple[str, ...] = (),
        params: str = "",
        changes: bool = False,
        rest: str = "",
        question: str = "",
        details: str = "",
    ) -> None:
        self.name = name
        self.synopsis = synopsis
        """What may follow it on slctl's command line."""
        self.summary = summary
        """A line of the help text, without a full stop."""
        self.role = role
        """Who may call the method of this name; empty if there is no such method."""
        self.module = module
        """Which module of ctl/commands/ has its function; empty if slctl has no such command."""
        self.takes = takes
        """What its words are: PROCESSES, GROUPS, COMMAND, … or NOTHING that could be completed."""
        self.words = words
        """What its words are one by one, the last for all that follow, if they differ."""
        self.params = params
        """The method's parameters, as docs/protocol.md has them; `?` marks optional ones."""
        self.changes = changes
        """Does it matter whether it was carried out when the connection breaks?"""
        self.rest = rest
        """Method and path of the REST endpoint that only passes it on; empty if none does."""
        self.question = question
        """What the interactive shell asks before it does this."""
        self.details = details
        """What `slctl help NAME` adds to the summary."""

    def parameters(self) -> dict[str, bool]:
        """Return the method's parameters in order, and whether they are needed."""
        words = self.params.split(", ") if self.params else []
        return {word.removesuffix("?"): not word.endswith("?") for word in words}


_WAIT_DETAILS = """\
--no-wait returns when the daemon has taken the order. With --timeout (30, 1m30s)
exits 7 if it has not come true by then; the daemon goes on all the same."""

_STARTS_DETAILS = """\
--no-wait does not wait for that. With --timeout
exits 7 if it has not come true by then; the daemon goes on all the same."""

_ONE = "/processes/{name}"

TABLE: Final = (
    # Of slctl and of the socket, in the order of the help text.
    Command(
        "status", "[NAME…] [--health] [--json]", "what is up, and why the rest is not",
        role=VIEW, module="status", takes=PROCESSES, params="names?",
        details="Exits 3 if anything listed is STOPPED, EXITED or FATAL; 4 if a name is unknown"
        " or\nno daemon answers. --json prints every key that docs/slctl.md lists.\n"
        "--health shows only what is wanted and not up, and exits 3 if that is anything: a check\n"
        "for containers and monitoring, to which finished jobs and stopped programs are fine.",
    ),
    Command(
        "start", "NAME… [--no-wait] [--timeout S]", "start; done when RUNNING",
        role=OPERATE, module="processes", takes=PROCESSES, params="names, wait?, timeout?",
        changes=True, rest=f"POST {_ONE}/start", details=_WAIT_DETAILS,
    ),
    Command(
        "stop", "NAME… [--no-wait] [--timeout S]", "stop; done when nothing is left",
        role=OPERATE, module="processes", takes=PROCESSES, params="names, wait?, timeout?",
        changes=True, rest=f"POST {_ONE}/stop", details=_WAIT_DETAILS,
    ),
    Command(
        "restart", "NAME… [--at-once] [--no-wait] [--timeout S]", "stop and start, in the daemon",
        role=OPERATE, module="processes", takes=PROCESSES,
        params="names, wait?, timeout?, at_once?", changes=True, rest=f"POST {_ONE}/restart",
        details="In waves: down by descending priority, then up by ascending; --at-once: not so.\n"
        + _WAIT_DETAILS,
    ),
    Command(
        "signal", "SIGNAL NAME…", "send a signal (HUP, SIGHUP, 1)",
        role=OPERATE, module="processes", takes=PROCESSES, words=(SIGNALS, PROCESSES),
        params="signal, names",
        changes=True, rest=f"POST {_ONE}/signal",
    ),
    Command(
        "pid", "[NAME…]", "pid of the daemon, or of processes",
        role=VIEW, module="status", takes=PROCESSES, params="names?",
        details="One a line, of those that run: `kill $(slctl pid web)` is harmless if web is down."
        "\nExits 3 if a process named is not running; `all` means those that are.",
    ),
    Command(
        "clear", "NAME…", "empty log files",
        role=OPERATE, module="processes", takes=PROCESSES, params="names",
        changes=True, rest=f"POST {_ONE}/clear",
    ),
    Command(
        "tail", "[-f] [-BYTES] NAME [stdout|stderr]", "the end of one output (1600 bytes)",
        role=VIEW, module="output", takes=PROCESSES, words=(PROCESSES, STREAMS),
        params="name, stream?, bytes?, follow?, pieces?, after?, max_behind?",
        details="Without -f the last BYTES (1600); with -f also what comes, until Ctrl-C.",
    ),
    Command(
        "maintail", "[-f] [-BYTES]", "the end of the daemon's own log",
        role=ADMIN, module="output", params="bytes?, follow?, pieces?, after?, max_behind?",
    ),
    Command(
        "logs", "[-f] [-n LINES] [NAME…]", "many outputs, merged, with names",
        role=VIEW, module="output", takes=PROCESSES,
        params="names?, lines?, follow?, pieces?, after?",
        details="`web | …` is a line of stdout, `web ! …` one of stderr.",
    ),
    Command(
        "fg", "NAME", "its output here, what you type to its input",
        module="foreground", takes=PROCESSES, words=(PROCESSES, NOTHING),
        details='The program needs stdin = "pipe".'
        " Ctrl-C, or the end of the input, leaves it running.",
    ),
    Command(
        "send", "NAME TEXT", "write a line to its input",
        role=OPERATE, module="foreground", takes=PROCESSES, words=(PROCESSES, NOTHING),
        params="name, text, foreground?",
        changes=True, rest=f"POST {_ONE}/send", details='The program needs stdin = "pipe".',
    ),
    Command(
        "events", "[-f] [--json] [--since ID] [-n COUNT]", "changes of state",
        role=VIEW, module="history", params="since?, limit?, follow?, before?",
        details="--since shows the changes after the one with that number (the first column).\n"
        "--json prints one object a line.",
    ),
    Command(
        "why", "NAME…", "the chain of causes",
        role=VIEW, module="history", takes=PROCESSES, params="names, offset?",
        rest=f"GET {_ONE}/why",
    ),
    Command(
        "runs", "[NAME…] [--json] [-n COUNT]", "the history of runs",
        role=VIEW, module="history", takes=PROCESSES, params="names?, limit?, before?",
    ),
    Command(
        "explain", "NAME…", "what the restart policy will do",
        role=VIEW, module="history", takes=PROCESSES, params="names",
        rest=f"GET {_ONE}/explain",
    ),
    Command(
        "reread", "", "read the configuration, show what would change",
        role=ADMIN, module="configuration", rest="POST /reread",
    ),
    Command(
        "update", "[GROUP…] [--yes] [--no-wait] [--timeout S]",
        "read the configuration, apply what has changed",
        role=ADMIN, module="configuration", takes=GROUPS, params="names?, wait?, timeout?, yes?",
        changes=True, rest="POST /update",
        details="Done when what it has started is RUNNING; if something is not, exits 1 and says"
        " why.\nIf a pattern of `include` matches nothing any more, or nothing would be left, it"
        " asks;\nwithout a terminal it needs --yes. " + _STARTS_DETAILS,
    ),
    Command(
        "add", "GROUP… [--no-wait] [--timeout S]", "take groups of the configuration into use",
        role=ADMIN, module="processes", takes=GROUPS, params="names, wait?, timeout?",
        changes=True, details="Done when what it has started is RUNNING. " + _STARTS_DETAILS,
    ),
    Command(
        "remove", "GROUP…", "take stopped groups out of use",
        role=ADMIN, module="processes", takes=GROUPS, params="names", changes=True,
        details="Also for the daemon after a crash or an upgrade; add or update bring them back.",
    ),
    Command(
        "avail", "", "every process of the configuration", role=VIEW, module="configuration",
    ),
    Command(
        "check", "[FILE|DIR]", "validate a configuration, without a daemon",
        module="configuration", takes=FILES,
    ),
    Command(
        "import", "[-o DIR] [--strict] SUPERVISORD.CONF", "convert a configuration of Supervisor",
        module="import_", takes=FILES,
        details="Prints one TOML file; with -o writes DIR/supervisor.toml and DIR/conf.d/*.toml;"
        " it\noverwrites nothing. What will be different and what is to do goes to stderr;"
        " --strict\nmakes them exit code 1.",
    ),
    Command(
        "schema", "", "JSON Schema of the configuration, for editors", module="configuration",
    ),
    Command(
        "reload", "[--no-wait] [--timeout S]", "stop everything, start the new configuration",
        role=ADMIN, module="daemon", params="wait?, timeout?", changes=True,
        question="Really restart every program?",
        details="This restarts every process. `slctl update` touches only what has changed.\n"
        "Done when all that starts by itself is RUNNING. " + _STARTS_DETAILS,
    ),
    Command(
        "shutdown", "[--leave-running]", "stop all processes and end the daemon, or the latter"
        " alone",
        role=ADMIN, module="daemon", params="leave_running?", changes=True,
        question="Really shut the daemon and all programs down?",
        details="--leave-running ends only the daemon; the next one takes the processes over.",
    ),
    Command(
        "upgrade", "", "re-execute the daemon in place; processes go on",
        role=ADMIN, module="daemon", changes=True,
    ),
    Command("version", "", "version of the daemon", role=VIEW, module="status"),
    Command(
        "passwd", "NAME [--role ROLE]", "a user of the web gateway, with a hashed password",
        module="passwd",
        details="Asks for the password (without a terminal: the first line of stdin) and prints\n"
        "what to put into the configuration. ROLE is view (the default), operate or admin.",
    ),
    Command(
        "completion", "bash|zsh|fish", "a completion script with live names",
        module="completion", takes=SHELLS,
        details="For bash: slctl completion bash >/etc/bash_completion.d/slctl",
    ),
    Command(
        "help", "[COMMAND]", "this text, or more about one command",
        module="help", takes=COMMAND,
    ),
    # Of the socket alone: what the gateway needs, for its page and for Supervisor's clients.
    Command("usage", role=VIEW, params="names?"),
    # introduce is for the gateway itself, and for whoever may do everything anyway.
    Command("introduce", role=ADMIN, params="whom, role?"),
    Command("definitions", role=VIEW),
    Command("trouble", role=VIEW, params="names"),
    Command("read_log", role=VIEW, params="name, stream?, offset?, length?, last?"),
    Command("read_main_log", role=ADMIN, params="offset?, length?, last?"),
    Command("clear_main_log", role=ADMIN),
    Command("remote_event", role=OPERATE, params="type, data"),
)  # fmt: skip

SLCTL: Final = {row.name: row for row in TABLE if row.module}
"""The commands of slctl, in the order of the help text."""

METHODS: Final = {row.name: row for row in TABLE if row.role}
"""The methods of the control socket."""
