"""The commands that write to a process: send, and fg, which also shows what it answers."""

from __future__ import annotations

import sys
import threading

from supervisor_lite.client.errors import ClientError, RemoteError
from supervisor_lite.ctl import render
from supervisor_lite.ctl.commands.follow import follow
from supervisor_lite.ctl.commands.output import RawWriter, TerminalWriter
from supervisor_lite.ctl.context import CommandContext, Commands
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.client.sync import Client

command = Commands()

_ENDED_STATES = ("STOPPED", "EXITED", "FATAL")


@command("send")
def send(ctl: CommandContext, arguments: list[str]) -> int:
    """Write a line to the input of a process that has `stdin = "pipe"`."""
    words = ctl.parse(arguments, {}).words
    if len(words) < 2:
        raise UsageError("it needs a NAME and a TEXT")
    text = " ".join(words[1:])
    try:
        with ctl.client() as client:
            client.call("send", {"name": words[0], "text": text + "\n"})
    except RemoteError as error:
        if error.number != codes.FAILED:
            raise
        render.err(f"{sanitize(words[0])}: ERROR ({sanitize(error)})")
        return codes.FAILED
    return codes.DONE


@command("fg")
def fg(ctl: CommandContext, arguments: list[str]) -> int:
    """Be in the foreground of a process: its output here, what is typed to its input."""
    words = ctl.parse(arguments, {}).words
    if len(words) != 1:
        raise UsageError("it needs one NAME")
    with ctl.client() as client:
        listed = client.call("status", {"names": words})["processes"]
        if len(listed) != 1:
            raise UsageError(f'"{words[0]}" is {len(listed)} processes; name one')
        name = str(listed[0]["fullname"])
        if listed[0]["state"] != "RUNNING":
            render.err("slctl: fg: process not running")
            return codes.FAILED
        render.out("==> Press Ctrl-C to exit <==")
        sys.stdout.flush()
        client.call("events", {"limit": 0, "follow": True})
        client.call("logs", {"names": [name], "lines": 0, "follow": True})
        threading.Thread(target=_send_lines, args=(ctl, name), daemon=True).start()
        writer = TerminalWriter() if ctl.style.terminal else RawWriter()
        try:
            for method, note in follow(client):
                if method == messages.NOTE_OUTPUT:
                    writer.write(messages.unpack_data(note))
                elif method == messages.NOTE_CHANGE and _ended(note, name):
                    writer.finish()
                    render.err("Process got killed")
                    return codes.FAILED
        except KeyboardInterrupt:
            writer.finish()
            render.out("Exiting foreground")
            return codes.DONE
        writer.finish()
    return codes.TIMED_OUT


def _ended(note: dict[str, object], name: str) -> bool:
    change = note.get("change")
    return (
        isinstance(change, dict)
        and change.get("name") == name
        and change.get("to") in _ENDED_STATES
    )


def _send_line(client: Client, params: dict[str, object]) -> None:
    """Send what was typed, so that it is noted as such."""
    try:
        client.call("send", {**params, "foreground": True})
    except RemoteError as error:
        if error.code != ErrorCode.INVALID_PARAMS:
            raise
        client.call("send", params)  # an older daemon


def _send_lines(ctl: CommandContext, name: str) -> None:
    """Send each line that is typed; runs beside the reader of the output."""
    for line in sys.stdin:
        try:
            with ctl.client() as client:
                _send_line(client, {"name": name, "text": line})
        except ClientError as error:
            render.err(f"slctl: {sanitize(error)}")
            return
