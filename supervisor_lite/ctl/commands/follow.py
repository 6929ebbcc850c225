"""Read a subscription until one side goes away."""

from __future__ import annotations

import select
import sys

from supervisor_lite.ctl import render
from supervisor_lite.protocol import messages
from supervisor_lite.text import sanitize

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor_lite.client.sync import Client
    from supervisor_lite.protocol.messages import Message


def follow(client: Client) -> Iterator[tuple[str, Message]]:
    """Yield notifications until the daemon ends the subscription, saying why on stderr.

    What we have written is flushed whenever nothing more is at hand. Raises BrokenPipeError when
    the reader of our stdout has gone, even if no output comes that we could fail to write.
    """
    poller = select.poll()
    poller.register(client.fileno(), select.POLLIN)
    try:
        stdout = sys.stdout.fileno()
        poller.register(stdout, 0)  # no event asked for: only errors and hang-ups are told
    except (OSError, ValueError):
        stdout = -1

    def idle() -> None:
        sys.stdout.flush()
        if any(fd == stdout for fd, _ in poller.poll()):
            raise BrokenPipeError

    for method, params in client.notifications(idle):
        if method == messages.NOTE_MISSED:
            yield method, params
            if "changes" in params:
                render.err(f"[{sanitize(params['changes'])} changes missed]")
                continue
            name, count = sanitize(params.get("fullname")), sanitize(params.get("bytes"))
            render.err(f"[{name}: {count} bytes skipped: this reader was too slow]")
        elif method == messages.NOTE_END:
            yield method, params
            render.err(f"[{sanitize(params.get('reason') or 'end')}]")
            return
        else:
            yield method, params
