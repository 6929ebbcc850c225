"""The commands about the configuration: reread, update, avail, check, schema."""

from __future__ import annotations

import os
import sys

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import BadReply, RemoteError
from supervisor_lite.ctl import render
from supervisor_lite.ctl.commands.processes import report
from supervisor_lite.ctl.context import CommandContext, Commands, none_left
from supervisor_lite.ctl.waiting import WAITING, patient_call, waiting
from supervisor_lite.protocol import codes
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

command = Commands()

_NOTHING = "No config updates to processes"

_TOUCHED = {
    "added": "added",
    "removed": "removed",
    "restarted": "restarted",
    "in_place": "changed in place",
}

_FOUND = (("added", "available"), ("changed", "changed"), ("removed", "disappeared"))
_DONE = {
    "added": "added process group",
    "changed": "updated process group",
    "removed": "removed process group",
}


@command("reread")
def reread(ctl: CommandContext, arguments: list[str]) -> int:
    """Read the configuration again and show what `update` would change."""
    none_left(ctl.parse(arguments, {}).words)
    with ctl.client() as client:
        result = client.call("reread")
    found = {}
    for key, word in _FOUND:
        names = result.get(key)
        if not isinstance(names, list):
            raise BadReply(f'cannot understand the answer: it has no list "{key}"')
        found.update({str(name): word for name in names})
    warn(result)
    for name in sorted(found):
        render.out(f"{sanitize(name)}: {found[name]}")
    if not found:
        render.out(_NOTHING)
    show_notes(result)
    return codes.DONE


@command("update")
def update(ctl: CommandContext, arguments: list[str]) -> int:
    """Read the configuration again and apply what has changed; done when all of it is up."""
    given = ctl.parse(arguments, {**WAITING, "--yes": "yes", "-y": "yes"})
    params: Message = {"names": given.words} if given.words else {}
    if given.has("yes"):
        params["yes"] = True
    with ctl.client(waiting(given, params)) as client:
        try:
            result = patient_call(ctl, client, "update", params, [])
        except RemoteError as error:
            if not _confirmed(error):
                raise
            result = patient_call(ctl, client, "update", {**params, "yes": True}, [])
    return _report(result)


def _report(result: Message) -> int:
    """Print what an update has done, and return the exit code."""
    warn(result)
    rows = listed(result, "results", "name", "result")
    failed = [{"fullname": row["name"], **row} for row in rows if not row.get("ok", True)]
    for row in rows:
        name, word = sanitize(row["name"]), str(row["result"])
        if row.get("ok", True):
            render.out(f"{name}: {_DONE.get(word) or sanitize(word)}")
    if summary := _summary(rows):
        render.out(summary)
    elif not rows and not result.get("notes"):
        render.err(_NOTHING)  # where Supervisor says nothing
    show_notes(result)
    return report({"results": failed})


def _summary(rows: list[Message]) -> str:
    """Return how many processes an update has touched, and how; "" if the daemon does not say."""
    counts = {key: sum(len(row.get(key) or ()) for row in rows) for key in _TOUCHED}
    said = [f"{number} {_TOUCHED[key]}" for key, number in counts.items() if number]
    return f"processes: {', '.join(said)}" if said else ""


def _confirmed(error: RemoteError) -> bool:
    """Ask whether that is meant, if it is what the daemon wants to know and somebody is there."""
    if error.code != ErrorCode.CONFIRMATION_NEEDED or not sys.stdin.isatty():
        return False
    if not sys.stderr.isatty():
        return False
    render.err(f"slctl: {sanitize(error)}")
    sys.stderr.write("Apply it all the same? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@command("avail")
def avail(ctl: CommandContext, arguments: list[str]) -> int:
    """List every process of the configuration, in use or not."""
    none_left(ctl.parse(arguments, {}).words)
    with ctl.client() as client:
        result = client.call("avail")
    for row in listed(result, "processes", "fullname", "in_use", "autostart"):
        name = sanitize(row["fullname"])
        used = "in use" if row["in_use"] else "avail"
        auto = "auto" if row["autostart"] else "manual"
        render.out(
            f"{name:<32} {used:<9} {auto:<9} {row.get('group_priority')}:{row.get('priority')}"
        )
    return codes.DONE


@command("check")
def check(ctl: CommandContext, arguments: list[str]) -> int:
    """Validate a configuration without a daemon; becomes `supervisor-lite --check`."""
    words = ctl.parse(arguments, {}).words
    none_left(words[1:])
    path = words[0] if words else ctl.config
    # -P: what lies in the current directory is not ours to import.
    command = [sys.executable, "-P", "-m", "supervisor_lite", "--check"]
    if path is not None:
        command += ["-c", path]
    sys.stdout.flush()
    os.execv(command[0], command)


@command("schema")
def schema(ctl: CommandContext, arguments: list[str]) -> int:
    """Print the JSON Schema of the configuration, for editors."""
    none_left(ctl.parse(arguments, {}).words)
    import json

    from supervisor_lite.config.schema.json_schema import json_schema

    render.out(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return codes.DONE


def show_notes(result: Message) -> None:
    """Say which changes need another daemon."""
    for text in result.get("notes") or []:
        render.out(sanitize(text))


def warn(result: Message) -> None:
    """Say what is probably not meant."""
    for text in result.get("warnings") or []:
        render.err(f"warning: {sanitize(text)}")
