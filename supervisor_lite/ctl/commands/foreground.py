"""The commands that write to a process: send, and fg, which also shows what it answers."""

from __future__ import annotations

import sys

from supervisor_lite.client.errors import RemoteError
from supervisor_lite.ctl import render
from supervisor_lite.ctl.commands.follow import follow, follow_changes
from supervisor_lite.ctl.commands.output import output_of
from supervisor_lite.ctl.context import CommandContext, Commands
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.ctl.screens import RawWriter, TerminalWriter
from supervisor_lite.ctl.typed import EndOfInput, Typed
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.client.sync import Client
    from supervisor_lite.protocol.messages import Message

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
    foreground = _Foreground(name)
    writer = TerminalWriter() if ctl.style.terminal else RawWriter()
    try:
        typed = Typed(ctl.socket(), ctl.configuration(), name)
        for method, note in follow(ctl, foreground.subscribe, typed):
            if method == messages.NOTE_OUTPUT:
                writer.write(output_of(note))
                foreground.note(note)
            elif method == messages.NOTE_CHANGE and foreground.has_ended(note):
                writer.finish()
                render.err("Process got killed")
                return codes.FAILED
    except (KeyboardInterrupt, EndOfInput):
        writer.finish()
        render.out("Exiting foreground")
        return codes.DONE
    writer.finish()
    return codes.TIMED_OUT


class _Foreground:
    """How far we have come in the output and the changes of a process, whichever daemon tells."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._after: Message = {}
        self._serial: int | None = None

    def subscribe(self, client: Client) -> None:
        """Follow both from where we are."""
        self._serial = follow_changes(client, self._serial)
        logs: Message = {"names": [self._name], "follow": True}
        if not self._after:
            try:
                first = client.call("logs", {"names": [self._name], "lines": 0, "pieces": True})
            except RemoteError as error:
                if error.code != ErrorCode.INVALID_PARAMS:
                    raise
                client.call("logs", {**logs, "lines": 0})  # a daemon that knows no marks
                return
            self._after = dict(first["after"].get(self._name, {}))
        client.call("logs", {**logs, "after": {self._name: self._after}})

    def note(self, note: Message) -> None:
        """Remember how far the output has come."""
        if note.get("after") is not None:
            self._after[str(note.get("stream"))] = note["after"]

    def has_ended(self, note: Message) -> bool:
        """Does a change say that it is not in the foreground of anything any more?"""
        change = note.get("change")
        if not isinstance(change, dict):
            return False
        if self._serial is not None:
            self._serial = change.get("serial", self._serial)
        return change.get("name") == self._name and change.get("to") in _ENDED_STATES
