"""The entry point of slctl: global options, the table of commands, exit codes.

A command is a function `NAME(ctl, arguments) -> exit code` in one of this folder's modules; only
the module of the command that was typed is loaded.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from supervisor_lite import __version__
from supervisor_lite.client.errors import (
    BadReply,
    ClientError,
    ConnectionLost,
    RemoteError,
    ReplyTimeout,
    Unreachable,
)
from supervisor_lite.ctl import show
from supervisor_lite.ctl.context import Context, report_missing, tolerant_streams
from supervisor_lite.ctl.options import HelpAsked, UsageError, parse
from supervisor_lite.protocol import codes
from supervisor_lite.text import sanitize, suggest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[[Context, list[str]], int]

INTERRUPTED = 130
"""As a shell reports a death by SIGINT."""

READER_GONE = 141
"""As a shell reports a death by SIGPIPE."""

MODULES = {
    "status": "status", "pid": "status", "version": "status",
    "start": "processes", "stop": "processes", "restart": "processes", "signal": "processes",
    "clear": "processes", "add": "processes", "remove": "processes",
    "tail": "output", "maintail": "output", "logs": "output",
    "reread": "configuration", "update": "configuration", "avail": "configuration",
    "check": "configuration", "schema": "configuration", "import": "import_",
    "reload": "daemon", "shutdown": "daemon", "upgrade": "daemon",
    "events": "history", "why": "history", "runs": "history", "explain": "history",
    "fg": "foreground", "send": "foreground", "completion": "completion",
    "passwd": "passwd", "help": "help",
}  # fmt: skip
"""Which module has the function of which command."""

_CHANGING = frozenset(
    ("start", "stop", "restart", "signal", "clear", "add", "remove", "update", "reload",
     "shutdown", "upgrade", "send")
)  # fmt: skip
"""Commands of which it matters whether they were carried out when the connection breaks."""

_GLOBAL = {
    "-c": "config=", "--config": "config=", "-s": "socket=", "--socket": "socket=",
    "--color": "color=", "--version": "version",
}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run one command and return the exit code."""
    tolerant_streams()
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = READER_GONE
    except OSError as error:
        # The client and the configuration report their own: only writing is left.
        code = codes.FAILED
        _abandon_stdout()
        show.err(f"slctl: cannot write the result: {error.strerror}")
    else:
        return code
    _abandon_stdout()
    return code


def _run(argv: list[str]) -> int:
    ctl = Context()
    try:
        given = parse(argv, _GLOBAL, leading=True)
        if given.has("version"):
            show.out(f"slctl {__version__}")
            return codes.DONE
        ctl = Context(given.text("config") or None, given.text("socket") or None)
        ctl.use_color(given.text("color", "auto"))
    except HelpAsked:
        return execute(ctl, ["help"])
    except UsageError as error:
        return _usage("", str(error))
    return execute(ctl, given.words) if given.words else _no_command(ctl)


def execute(ctl: Context, words: list[str]) -> int:
    """Run one command; report what goes wrong, and return the exit code."""
    command, *arguments = words
    try:
        return _command(command)(ctl, arguments)
    except HelpAsked:
        from supervisor_lite.ctl.commands.help import help as show_help

        return show_help(ctl, [command])
    except UsageError as error:
        return _usage(command, str(error))
    except RemoteError as error:
        return _refused(error)
    except Unreachable as error:
        return _unreachable(error, ctl, command)
    except ClientError as error:
        return _no_answer(error, command)
    except KeyboardInterrupt:
        if command in _CHANGING:
            show.err(f"slctl: interrupted; the daemon goes on with the {command}")
        raise


def _command(name: str) -> Command:
    """Return the function of a command. Raises UsageError if there is none."""
    module = MODULES.get(name)
    if module is None:
        raise UsageError(
            f'there is no command "{sanitize(name)}"{suggest(name, MODULES, "{}", ";")}'
        )
    function: Command = getattr(import_module(f"supervisor_lite.ctl.commands.{module}"), name)
    return function


def _no_command(ctl: Context) -> int:
    """Do what `slctl` alone means: the shell on a terminal, else the status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return execute(ctl, ["status"])
    from supervisor_lite.ctl.shell import interact

    return interact(ctl, execute, [*MODULES])


def _usage(command: str, text: str) -> int:
    from supervisor_lite.ctl.commands.help import usage

    known = command if command in MODULES else ""
    show.err(f"slctl: {known}: {text}" if known else f"slctl: {text}")
    show.err(usage(known))
    return codes.USAGE


def _refused(error: RemoteError) -> int:
    """Report what the daemon said, and return the exit code that this means."""
    missing = report_missing(error)
    details = [text for text in error.data if text not in missing]
    if error.code == codes.USAGE and details:
        for text in details:  # complaints about the configuration, each with its place
            show.err(sanitize(text))
        return codes.USAGE
    if not missing:
        show.err(f"slctl: {_refusal(error)}")
    for text in details:
        show.err(f"  {sanitize(text)}")
    if error.code == codes.INVALID_PARAMS:
        return codes.USAGE
    return error.code if 0 < error.code < 128 else codes.FAILED


def _refusal(error: RemoteError) -> str:
    if error.code == codes.METHOD_NOT_FOUND:
        return f'the daemon does not know "{error.method}": is it older than this slctl?'
    return sanitize(error.message)


def _unreachable(error: Unreachable, ctl: Context, command: str) -> int:
    if error.denied:
        show.err(f"slctl: {sanitize(error)}")
        return codes.NOT_PERMITTED
    hint = "is supervisor-lite running?"
    if not ctl.located:
        hint += " Name its configuration with -c, or its socket with -s"
    show.err(f"slctl: {sanitize(error)}; {hint}")
    return codes.NO_SUCH_PROCESS if command in ("", "status") else codes.TIMED_OUT


def _no_answer(error: ClientError, command: str) -> int:
    show.err(f"slctl: {sanitize(error)}")
    if not isinstance(error, ConnectionLost | ReplyTimeout | BadReply):
        return codes.USAGE
    if command in _CHANGING:
        show.err(f"whether the {command} was carried out is not known; `slctl status` tells")
    return codes.FAILED if isinstance(error, BadReply) else codes.TIMED_OUT


def _abandon_stdout() -> None:
    """Let nothing more be written, so that the interpreter's last flush cannot complain."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
