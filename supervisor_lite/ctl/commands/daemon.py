"""The commands about the daemon itself: reload, shutdown, upgrade."""

from __future__ import annotations

import time

from supervisor_lite.client.errors import ConnectionLost, ReplyTimeout, Unreachable
from supervisor_lite.client.sync import Client
from supervisor_lite.ctl import render
from supervisor_lite.ctl.commands.configuration import show_notes, warn
from supervisor_lite.ctl.commands.processes import report
from supervisor_lite.ctl.context import CommandContext, Commands, none_left
from supervisor_lite.ctl.waiting import WAITING, patient_call, waiting
from supervisor_lite.protocol import codes
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.protocol.messages import Message

command = Commands()

EXIT_TIMEOUT = 30.0
"""Seconds for the daemon to hang up after it said that it is about to."""

UPGRADE_TIMEOUT = 60.0
"""Seconds for the new daemon to answer."""

_RETRY_PAUSE = 0.05


@command("reload")
def reload(ctl: CommandContext, arguments: list[str]) -> int:
    """Stop everything, read the configuration afresh, start what it says."""
    given = ctl.parse(arguments, WAITING)
    none_left(given.words)
    params: Message = {}
    with ctl.client(waiting(given, params)) as client:
        result = patient_call(ctl, client, "reload", params, [])
    warn(result)
    render.out("Restarted supervisor-lite")
    show_notes(result)
    return report({"results": result.get("results") or []})


@command("shutdown")
def shutdown(ctl: CommandContext, arguments: list[str]) -> int:
    """End the daemon; done when it has hung up on us."""
    given = ctl.parse(arguments, {"--leave-running": "leave-running"})
    none_left(given.words)
    leave = given.has("leave-running")
    with ctl.client(None) as client:
        client.connect()
        try:
            patient_call(ctl, client, "shutdown", {"leave_running": True} if leave else {}, [])
            client.timeout = EXIT_TIMEOUT
            client.wait_closed()
        except ReplyTimeout as error:
            raise ReplyTimeout("the daemon has said goodbye, but does not exit") from error
        except ConnectionLost:
            # It may have gone before its answer got through. Then nobody listens any more.
            if _listening(client.path):
                raise
    render.out("Shut down; the processes keep running" if leave else "Shut down")
    return codes.DONE


@command("upgrade")
def upgrade(ctl: CommandContext, arguments: list[str]) -> int:
    """Let the daemon re-execute itself in place; done when the new one answers."""
    none_left(ctl.parse(arguments, {}).words)
    with ctl.client() as client:
        before = client.call("version")
        client.timeout = UPGRADE_TIMEOUT
        try:
            patient_call(ctl, client, "upgrade", {}, [])
            client.wait_closed()
        except ConnectionLost:
            pass  # what an upgrade looks like from here; whether it is one is asked below
        after = _version_of_next(client)
    if error := after.get("upgrade_error"):
        render.err(f"slctl: the upgrade has failed, and the old version goes on: {sanitize(error)}")
        return codes.FAILED
    old, new = (sanitize(answer.get("version")) for answer in (before, after))
    number = sanitize(after.get("pid"))
    if after.get("pid") != before.get("pid"):
        render.err(f"slctl: another daemon has taken over: pid {number}, version {new}")
        return codes.FAILED
    change = f"from {old} to {new}" if old != new else f"to {new} again"
    render.out(f"Upgraded {change}, pid {number}")
    return codes.DONE


def _version_of_next(client: Client) -> Message:
    """Ask for the version until someone answers. Raises ReplyTimeout after UPGRADE_TIMEOUT."""
    deadline = time.monotonic() + UPGRADE_TIMEOUT
    while True:
        try:
            return client.call("version")
        except (ConnectionLost, Unreachable) as error:
            if time.monotonic() >= deadline:
                raise ReplyTimeout(f"no daemon answers at {client.path} any more") from error
            time.sleep(_RETRY_PAUSE)


def _listening(path: str) -> bool:
    try:
        with Client(path, EXIT_TIMEOUT) as client:
            client.connect()
    except Unreachable:
        return False
    return True
