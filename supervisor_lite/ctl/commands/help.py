"""The help texts of slctl."""

from __future__ import annotations

from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext, Commands
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.protocol import codes
from supervisor_lite.protocol.commands import PROCESSES, SLCTL
from supervisor_lite.text import sanitize

command = Commands()

GENERAL = "slctl [-c FILE|DIR] [-s SOCKET] [--color auto|always|never] COMMAND …"

NAMES = "NAME is web, site:web, site:*, all, or a shell pattern in quotes ('web_*')."


@command("help")
def help(ctl: CommandContext, arguments: list[str]) -> int:  # noqa: A001  (it is the command's name)
    """Print what slctl can do, or how one command is used. Needs no daemon."""
    words = ctl.parse([word for word in arguments if not word.startswith("-")], {}).words
    if not words:
        render.out(f"usage: {GENERAL}\n")
        for row in SLCTL.values():
            render.out(f"  {f'{row.name} {row.synopsis}'.rstrip():<48}  {row.summary}")
        render.out(f"\n{NAMES}")
        render.out("Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 (status) not all up,")
        render.out("4 no such process, 5 not permitted, 7 timeout or no daemon.")
        render.out(
            "-c, -s and --color may also stand after the command; SLCTL_CONFIG stands for -c."
        )
        return codes.DONE
    if words[0] not in SLCTL:
        from supervisor_lite.ctl.unknown import command_hint

        hint = command_hint(words[0])
        raise UsageError(f'there is no command "{sanitize(words[0])}"{hint}')
    row = SLCTL[words[0]]
    render.out(usage(row.name))
    render.out(f"\n{row.summary[0].upper()}{row.summary[1:]}.")
    if row.details:
        render.out(row.details)
    if row.takes == PROCESSES:
        render.out(NAMES)
    return codes.DONE


def usage(command: str) -> str:
    """Return the usage line of a command, or of slctl itself for an empty one."""
    if not command:
        return f"usage: {GENERAL}\n`slctl help` lists the commands."
    return f"usage: slctl {command} {SLCTL[command].synopsis}".rstrip()
