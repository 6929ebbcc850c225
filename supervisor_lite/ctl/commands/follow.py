"""Follow something until one side goes away for good: a daemon that dies is waited for."""

from __future__ import annotations

import select
import sys

from supervisor_lite.client.errors import ConnectionLost, ReplyTimeout, Unreachable
from supervisor_lite.client.sync import Client
from supervisor_lite.ctl import render
from supervisor_lite.protocol import messages
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from supervisor_lite.ctl.context import CommandContext
    from supervisor_lite.ctl.typed import Typed
    from supervisor_lite.protocol.messages import Message

_PAUSE = 200
"""Milliseconds between two tries to reach the next daemon."""


def follow(
    ctl: CommandContext, subscribe: Callable[[Client], None], typed: Typed | None = None
) -> Iterator[tuple[str, Message]]:
    """Yield notifications until the daemon ends the subscription, saying why on stderr.

    `subscribe` asks for them, of each daemon anew: it has to know how far it has come. It is called
    at once, and again when the daemon has hung up and the next one answers; what it raises at first
    is raised here. `typed` is looked at beside the notifications.

    What we have written is flushed whenever nothing more is at hand. Raises BrokenPipeError when
    the reader of our stdout has gone, even if no output comes that we could fail to write.
    """
    client = ctl.client()
    try:
        subscribe(client)
        while True:
            try:
                yield from _notes(client, typed)
                return
            except ConnectionLost:
                render.err("[the daemon has hung up: waiting for the next one]")
            client.close()
            client = _next_daemon(ctl, client.path, subscribe)
            render.err("[a daemon answers again: going on]")
    finally:
        client.close()


def _next_daemon(ctl: CommandContext, path: str, subscribe: Callable[[Client], None]) -> Client:
    """Return a client of the next daemon, subscribed."""
    while True:
        client = Client(path, configuration=ctl.configuration())
        try:
            subscribe(client)
            return client
        except (Unreachable, ConnectionLost, ReplyTimeout) as error:
            client.close()
            if isinstance(error, Unreachable) and error.denied:
                raise
        if ctl.configuration():
            from supervisor_lite.ctl import lost

            path = lost.real_socket(ctl.configuration(), path) or path
        _pause()


def _pause() -> None:
    """Wait a moment. Raises BrokenPipeError if the reader of our stdout goes."""
    poller = select.poll()
    _watch_stdout(poller)
    if poller.poll(_PAUSE):
        raise BrokenPipeError


def _watch_stdout(poller: select.poll) -> int:
    """Have it told when the reader of our stdout has gone; return its descriptor, or -1."""
    try:
        stdout = sys.stdout.fileno()
        poller.register(stdout, 0)  # no event asked for: only errors and hang-ups are told
    except (OSError, ValueError):
        return -1
    return stdout


def _notes(client: Client, typed: Typed | None) -> Iterator[tuple[str, Message]]:
    """Yield notifications of one daemon until it ends the subscription."""
    poller = select.poll()
    connection = client.fileno()
    poller.register(connection, select.POLLIN)
    stdout = _watch_stdout(poller)

    def idle() -> None:
        sys.stdout.flush()
        while True:
            patience = None if typed is None else typed.prepare(poller)
            found = {fd for fd, _ in poller.poll(patience)}
            if stdout in found:
                raise BrokenPipeError
            if typed is not None:
                typed.look(found, quiet=connection not in found)
            if connection in found:
                return

    for method, params in client.notifications(idle):
        yield method, params
        if method == messages.NOTE_MISSED:
            if "changes" in params:
                render.err(f"[{sanitize(params['changes'])} changes missed]")
                continue
            name, count = sanitize(params.get("fullname")), sanitize(params.get("bytes"))
            render.err(f"[{name}: {count} bytes skipped: this reader was too slow]")
        elif method == messages.NOTE_END:
            render.err(f"[{sanitize(params.get('reason') or 'end')}]")
            return


def follow_changes(client: Client, serial: int | None) -> int | None:
    """Follow the changes after one, or from now on; return the serial to go on from."""
    asked: Message = {"limit": 0, "follow": True}
    if serial is not None:
        asked["since"] = serial
    found = client.call("events", asked)
    return serial if serial is not None else found.get("serial")
