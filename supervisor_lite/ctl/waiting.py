"""How long a command waits until what it has asked for has come true."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervisor_lite.client.sync import Client
    from supervisor_lite.ctl.context import CommandContext
    from supervisor_lite.ctl.options import Arguments
    from supervisor_lite.protocol.messages import Message

WAITING = {"--no-wait": "no-wait", "--timeout": "timeout="}
"""The options that say so."""

GRACE = 10.0
"""Seconds that we wait longer than the daemon was told to, so that its answer comes first."""


def waiting(given: Arguments, params: Message) -> float | None:
    """Tell the daemon how long to wait, and return for how long to wait for its answer.

    Raises UsageError.
    """
    if given.has("no-wait"):
        params["wait"] = False
    limit = given.seconds("timeout")
    if limit is None:
        return None
    params["timeout"] = limit
    return limit + GRACE


def patient_call(
    ctl: CommandContext, client: Client, method: str, params: Message, names: list[str]
) -> Message:
    """Call a method that may take long, with a sign of life if stderr is a terminal.

    `names` are those of the processes that it is about; none: of all.
    """
    if not sys.stderr.isatty():
        return client.call(method, params)
    from supervisor_lite.ctl.sign_of_life import SignOfLife

    sign = SignOfLife(ctl, names)
    client.on_wait = sign.tick
    try:
        return client.call(method, params)
    finally:
        client.on_wait = None
        sign.erase()
