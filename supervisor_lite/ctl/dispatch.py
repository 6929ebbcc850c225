"""Load the one module of ctl/commands/ that the typed command needs.

A table of imports, not of names: an import that is written out is seen by every tool.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.ctl.context import Commands


def dispatch(module: str) -> Commands:
    """Return the commands of a module, which is loaded; LookupError for one that is not here."""
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
