"""What is wrong with listeners, told: to whoever asks for their status, and to the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from supervisor_lite.controllers.event_listeners.pools import Pool
from supervisor_lite.controllers.event_listeners.sessions import ListenerSession
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.model.cause import CauseKind
from supervisor_lite.model.listener_health import ListenerHealth
from supervisor_lite.rules.event_listener.trouble import QUIET, trouble

_FINAL = (CauseKind.PROTOCOL_BROKEN, CauseKind.INPUT_CLOSED)
"""What is so until the run ends, and told once."""


class ListenerReports:
    """Nothing here costs anything as long as nothing is wrong and nobody asks."""

    def __init__(
        self,
        supervisor: Supervisor,
        loop: asyncio.AbstractEventLoop,
        session_of: Callable[[str], ListenerSession | None],
        pool_of: Callable[[str], Pool | None],
    ) -> None:
        self._supervisor = supervisor
        self._loop = loop
        self._session_of = session_of
        self._pool_of = pool_of
        self._told: dict[tuple[str, CauseKind], float] = {}
        """When which trouble of which listener was told last."""

    def begin(self, name: str) -> None:
        """Show from now on how this listener is doing; its run begins."""
        process = self._supervisor.processes.get(name)
        if process is not None:
            process.show_listening(partial(self.of, name))
        for kind in _FINAL:
            self._told.pop((name, kind), None)

    def of(self, name: str) -> ListenerHealth | None:
        """Return how a listener is doing; None while it does not run."""
        session, pool = self._session_of(name), self._pool_of(name)
        if session is None:
            return None
        dropping = pool.dropping if pool is not None else 0
        wrong = trouble(
            session.protocol,
            input_closed=session.input_closed,
            rejections=session.rejections,
            dropping=dropping,
        )
        buffer = pool.buffer if pool is not None else None
        dropped, waiting = (buffer.dropped, len(buffer)) if buffer is not None else (0, 0)
        return ListenerHealth(wrong, session.rejected, dropped, waiting)

    def tell(self, name: str) -> None:
        """Note in the journal and the log what is wrong now, unless that was told just now."""
        listening, process = self.of(name), self._supervisor.processes.get(name)
        if listening is None or listening.trouble is None or process is None:
            return
        key, now = (name, listening.trouble.kind), self._loop.time()
        before = self._told.get(key)
        if before is None or (key[1] not in _FINAL and now - before >= QUIET):
            self._told[key] = now
            self._supervisor.interventions.note(process, listening.trouble, "")
