"""The entry point of slctl: global options, the command that was typed, exit codes."""

from __future__ import annotations

import os
import sys

from supervisor_lite import __version__
from supervisor_lite.client.errors import (
    BadReply,
    ClientError,
    ConnectionLost,
    RemoteError,
    ReplyTimeout,
    Unreachable,
)
from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import OPTIONS, CommandContext, report_missing, tolerant_streams
from supervisor_lite.ctl.options import HelpAsked, UnusableConfiguration, UsageError, parse
from supervisor_lite.protocol import codes
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.commands import SLCTL
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.ctl.context import Commands, Function

INTERRUPTED = 130
"""As a shell reports a death by SIGINT."""

READER_GONE = 141
"""As a shell reports a death by SIGPIPE."""


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
        render.err(f"slctl: cannot write the result: {error.strerror}")
    else:
        return code
    _abandon_stdout()
    return code


def _run(argv: list[str]) -> int:
    ctl = CommandContext()
    try:
        given = parse(argv, {**OPTIONS, "--version": "version"}, leading=True)
        if given.has("version"):
            render.out(f"slctl {__version__}")
            return codes.DONE
        ctl.use(given)
    except HelpAsked:
        return execute(ctl, ["help"])
    except UsageError as error:
        return _usage("", sanitize(error, keep="\n"))
    return execute(ctl, given.words) if given.words else _no_command(ctl)


def execute(ctl: CommandContext, words: list[str]) -> int:
    """Run one command; report what goes wrong, and return the exit code."""
    command, *arguments = words
    try:
        return function(command)(ctl, arguments)
    except HelpAsked:
        from supervisor_lite.ctl.commands.help import help as show_help

        return show_help(ctl, [command])
    except UnusableConfiguration as error:
        render.err(f"slctl: {sanitize(error)}")
        return codes.USAGE
    except UsageError as error:
        return _usage(command, sanitize(error, keep="\n"))
    except RemoteError as error:
        return _refused(ctl, error)
    except Unreachable as error:
        return _unreachable(error, ctl, words)
    except ClientError as error:
        return _no_answer(error, command)
    except KeyboardInterrupt:
        if _changes(command):
            render.err(f"slctl: interrupted; the daemon goes on with the {command}")
        raise


def function(name: str) -> Function:
    """Return the function of a command. Raises UsageError if there is none."""
    row = SLCTL.get(name)
    if row is None:
        from supervisor_lite.ctl.unknown import command_hint

        hint = command_hint(name)
        raise UsageError(f'there is no command "{sanitize(name)}"{hint}')
    return dispatch(row.module).functions[name]


def dispatch(module: str) -> Commands:
    """Return the commands of one module of ctl/commands/, which alone is loaded.

    A table of imports, not of names: an import that is written out is seen by every tool. Raises
    LookupError for a module that is not here.
    """
    match module:
        case "status":
            from supervisor_lite.ctl.commands.status import command
        case "processes":
            from supervisor_lite.ctl.commands.processes import command
        case "output":
            from supervisor_lite.ctl.commands.output import command
        case "foreground":
            from supervisor_lite.ctl.commands.foreground import command
        case "history":
            from supervisor_lite.ctl.commands.history import command
        case "configuration":
            from supervisor_lite.ctl.commands.configuration import command
        case "import_":
            from supervisor_lite.ctl.commands.import_ import command
        case "daemon":
            from supervisor_lite.ctl.commands.daemon import command
        case "passwd":
            from supervisor_lite.ctl.commands.passwd import command
        case "completion":
            from supervisor_lite.ctl.commands.completion import command
        case "help":
            from supervisor_lite.ctl.commands.help import command
        case _:
            raise LookupError(module)
    return command


def _no_command(ctl: CommandContext) -> int:
    """Do what `slctl` alone means: the shell on a terminal, else the status."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return execute(ctl, ["status"])
    from supervisor_lite.ctl.shell import interact

    return interact(ctl, execute)


def _usage(command: str, text: str) -> int:
    from supervisor_lite.ctl.commands.help import usage

    known = command if command in SLCTL else ""
    render.err(f"slctl: {known}: {text}" if known else f"slctl: {text}")
    render.err(usage(known))
    return codes.USAGE


def _refused(ctl: CommandContext, error: RemoteError) -> int:
    """Report what the daemon said, and return the exit code that this means."""
    if error.code == ErrorCode.BAD_CONFIGURATION and error.details:
        for text in error.details:  # complaints about the configuration, each with its place
            render.err(sanitize(text))
        return codes.USAGE
    if not report_missing(ctl, error):
        render.err(f"slctl: {_refusal(error)}")
    for text in error.details:
        render.err(f"  {sanitize(text)}")
    if error.code == ErrorCode.INVALID_PARAMS:
        return codes.USAGE
    return error.number if 0 < error.number < 128 else codes.FAILED


def _refusal(error: RemoteError) -> str:
    if error.code == ErrorCode.UNKNOWN_METHOD:
        return f'the daemon does not know "{error.method}": is it older than this slctl?'
    return sanitize(error)


def _changes(command: str) -> bool:
    row = SLCTL.get(command)
    return row is not None and row.changes


def _unreachable(error: Unreachable, ctl: CommandContext, words: list[str]) -> int:
    if error.denied:
        render.err(f"slctl: {sanitize(error)}")
        return codes.NOT_PERMITTED
    config = ctl.configuration()
    hint, way_out = "is supervisor-lite running?", ""
    if config:
        hint += f" `supervisor-lite -c {config}` starts one, with --daemonize in the background"
    if config and not ctl.relocated:
        from supervisor_lite.ctl import lost

        ctl.relocated = lost.real_socket(config, error.path)
        if ctl.relocated:
            return execute(ctl, words)
        if other := lost.other_configuration(config):
            what = f'no daemon runs with "{config}"; the one here runs with "{other}"'
            render.err(f"slctl: {sanitize(what)}: name that with -c")
            return codes.USAGE
        way_out = lost.way_out(config, error.path)
    if not ctl.located and not config:
        hint += " Name its configuration with -c, or its socket with -s"
    render.err(f"slctl: {sanitize(error)}; {sanitize(way_out or hint)}")
    return codes.NO_SUCH_PROCESS if words[0] in ("", "status") else codes.TIMED_OUT


def _no_answer(error: ClientError, command: str) -> int:
    render.err(f"slctl: {sanitize(error)}")
    if not isinstance(error, ConnectionLost | ReplyTimeout | BadReply):
        return codes.USAGE
    if _changes(command):
        render.err(f"whether the {command} was carried out is not known; `slctl status` tells")
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
