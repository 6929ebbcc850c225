"""The commands about the configuration: reread, update, avail, check, schema."""

from __future__ import annotations

import os
import sys

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import BadReply
from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext, Commands, none_left
from supervisor_lite.protocol import codes
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

command = Commands()

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
    _warn(result)
    for name in sorted(found):
        render.out(f"{sanitize(name)}: {found[name]}")
    if not found:
        render.out("No config updates to processes")
    show_notes(result)
    return codes.DONE


@command("update")
def update(ctl: CommandContext, arguments: list[str]) -> int:
    """Read the configuration again and apply what has changed."""
    names = ctl.parse(arguments, {}).words
    with ctl.client(None) as client:
        result = client.call("update", {"names": names} if names else {})
    _warn(result)
    code = codes.DONE
    for row in listed(result, "results", "name", "result"):
        name, word = sanitize(row["name"]), str(row["result"])
        if row.get("ok", True):
            render.out(f"{name}: {_DONE.get(word) or sanitize(word)}")
        else:
            render.err(f"{name}: ERROR ({sanitize(row.get('reason') or word)})")
            code = codes.FAILED
    show_notes(result)
    return code


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


def _warn(result: Message) -> None:
    for text in result.get("warnings") or []:
        render.err(f"warning: {sanitize(text)}")
