"""The help texts of slctl."""

from __future__ import annotations

from supervisor_lite.ctl import show
from supervisor_lite.ctl.context import Context
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.protocol import codes
from supervisor_lite.text import sanitize, suggest

GENERAL = "slctl [-c FILE|DIR] [-s SOCKET] [--color auto|always|never] COMMAND …"

COMMANDS: dict[str, tuple[str, str]] = {
    "status": ("[NAME…] [--json]", "what is up, and why the rest is not"),
    "start": ("NAME… [--no-wait] [--timeout S]", "start; done when RUNNING"),
    "stop": ("NAME… [--no-wait] [--timeout S]", "stop; done when nothing is left"),
    "restart": ("NAME… [--no-wait] [--timeout S]", "stop and start, in the daemon"),
    "signal": ("SIGNAL NAME…", "send a signal (HUP, SIGHUP, 1)"),
    "pid": ("[NAME…]", "pid of the daemon, or of processes (0: not running)"),
    "clear": ("NAME…", "empty log files"),
    "tail": ("[-f] [-BYTES] NAME [stdout|stderr]", "the end of one output (1600 bytes)"),
    "maintail": ("[-f] [-BYTES]", "the end of the daemon's own log"),
    "logs": ("[-f] [-n LINES] [NAME…]", "many outputs, merged, with names"),
    "fg": ("NAME", "its output here, what you type to its input"),
    "send": ("NAME TEXT", "write a line to its input"),
    "events": ("[-f] [--json] [--since ID] [-n COUNT]", "changes of state"),
    "why": ("NAME…", "the chain of causes"),
    "runs": ("[NAME…] [--json] [-n COUNT]", "the history of runs"),
    "explain": ("NAME…", "what the restart policy will do"),
    "reread": ("", "read the configuration, show what would change"),
    "update": ("[GROUP…]", "read the configuration, apply what has changed"),
    "add": ("GROUP…", "take groups of the configuration into use"),
    "remove": ("GROUP…", "take stopped groups out of use"),
    "avail": ("", "every process of the configuration"),
    "check": ("[FILE|DIR]", "validate a configuration, without a daemon"),
    "import": ("[-o DIR] [--strict] SUPERVISORD.CONF", "convert a configuration of Supervisor"),
    "schema": ("", "JSON Schema of the configuration, for editors"),
    "reload": ("", "stop everything, start the new configuration"),
    "shutdown": ("[--leave-running]", "stop all processes and end the daemon, or the latter alone"),
    "upgrade": ("", "re-execute the daemon in place; processes go on"),
    "version": ("", "version of the daemon"),
    "passwd": ("NAME [--role ROLE]", "a user of the web gateway, with a hashed password"),
    "completion": ("bash|zsh|fish", "a completion script with live names"),
    "help": ("[COMMAND]", "this text, or more about one command"),
}
"""Synopsis and summary of each command, in the order of the help text."""

DETAILS = {
    "status": "Exits 3 if anything listed is STOPPED, EXITED or FATAL; 4 if a name is unknown or\n"
    "no daemon answers. --json prints every key that docs/slctl.md lists.",
    "start": "--no-wait returns when the daemon has taken the order. With --timeout (30, 1m30s)\n"
    "exits 7 if it has not come true by then; the daemon goes on all the same.",
    "pid": "Exits 1 if a process named is not running.",
    "tail": "Without -f the last BYTES (1600); with -f also what comes, until Ctrl-C.",
    "fg": 'The program needs stdin = "pipe". Ctrl-C leaves it running.',
    "send": 'The program needs stdin = "pipe".',
    "completion": "For bash: slctl completion bash >/etc/bash_completion.d/slctl",
    "logs": "`web | …` is a line of stdout, `web ! …` one of stderr.",
    "events": "--since shows the changes after the one with that number (the first column).\n"
    "--json prints one object a line.",
    "import": "Prints one TOML file; with -o writes DIR/supervisor.toml and DIR/conf.d/*.toml; it\n"
    "overwrites nothing. What will be different goes to stderr; --strict makes it exit code 1.",
    "passwd": "Asks for the password (without a terminal: the first line of stdin) and prints\n"
    "what to put into the configuration. ROLE is view (the default), operate or admin.",
    "shutdown": "--leave-running ends only the daemon; the next one takes the processes over.",
    "reload": "This restarts every process. `slctl update` touches only what has changed.",
}
DETAILS["stop"] = DETAILS["restart"] = DETAILS["start"]

NAMES = "NAME is web, site:web, site:*, all, or a shell pattern in quotes ('web_*')."


def help(ctl: Context, arguments: list[str]) -> int:  # noqa: A001  (it is the command's name)
    """Print what slctl can do, or how one command is used. Needs no daemon."""
    words = [word for word in arguments if not word.startswith("-")]
    if not words:
        show.out(f"usage: {GENERAL}\n")
        for name, (synopsis, summary) in COMMANDS.items():
            show.out(f"  {f'{name} {synopsis}'.rstrip():<48}  {summary}")
        show.out(f"\n{NAMES}")
        show.out("Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 (status) not all up,")
        show.out("4 no such process, 5 not permitted, 7 timeout or no daemon.")
        return codes.DONE
    name = words[0]
    if name not in COMMANDS:
        hint = suggest(name, COMMANDS, "{}", ";")
        raise UsageError(f'there is no command "{sanitize(name)}"{hint}')
    synopsis, summary = COMMANDS[name]
    show.out(usage(name))
    show.out(f"\n{summary[0].upper()}{summary[1:]}.")
    if name in DETAILS:
        show.out(DETAILS[name])
    if "NAME" in synopsis and name != "passwd":  # whose NAME is a user
        show.out(NAMES)
    return codes.DONE


def usage(command: str) -> str:
    """Return the usage line of a command, or of slctl itself for an empty one."""
    if not command:
        return f"usage: {GENERAL}\n`slctl help` lists the commands."
    return f"usage: slctl {command} {COMMANDS[command][0]}".rstrip()
