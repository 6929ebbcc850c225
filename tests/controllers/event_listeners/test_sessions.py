"""A listener's input: written without waiting, and handed on in an upgrade."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from supervisor_lite.controllers.event_listeners.sessions import ListenerSession
from supervisor_lite.rules.event_listener.buffer import QueuedEvent
from supervisor_lite.rules.event_listener.session import Answer, ListenerState

LARGE = "x" * 300_000
EVENT = QueuedEvent(7, 3, "REMOTE_COMMUNICATION", LARGE)


def run(work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(work)


class Bench:
    """A session whose listener is the test, at the other end of a small pipe."""

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, 65536)
        self.closed: list[ListenerSession] = []

    def session(self) -> ListenerSession:
        """Return one that is ready; called in a running loop."""
        made = ListenerSession(
            "ears", asyncio.get_running_loop(), self._open_input, self.closed.append
        )
        assert made.protocol.receive(b"READY\n") == [Answer.READY]
        return made

    def _open_input(self, name: str) -> int:
        assert name == "ears"
        return os.dup(self._writer)

    async def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                data += os.read(self.reader, size - len(data))
            except BlockingIOError:
                await asyncio.sleep(0)
        return data

    def hang_up(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def close(self) -> None:
        self.hang_up()
        os.close(self._writer)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_a_large_event_is_written_as_it_is_read(bench: Bench) -> None:
    async def main() -> None:
        session = bench.session()
        message = EVENT.message("me", "ears")
        session.send(EVENT, message)
        assert session.event == EVENT
        assert session.protocol.state is ListenerState.BUSY
        assert len(session.outbox) == len(message) - 65536
        assert await bench.read(len(message)) == message
        assert session.outbox == b""
        session.close()

    run(main())


def test_a_listener_that_has_closed_its_input_is_reported_once(bench: Bench) -> None:
    async def main() -> None:
        session = bench.session()
        assert session.is_ready()
        bench.hang_up()
        session.send(EVENT, b"lost")
        assert bench.closed == [session]
        assert session.input_closed
        assert session.event == EVENT, "for the pool to give to somebody else"
        session.protocol.receive(b"RESULT 2\nOKREADY\n")
        assert not session.is_ready()

    run(main())


def test_an_upgrade_in_the_middle_of_an_event_loses_no_byte(bench: Bench) -> None:
    async def main() -> None:
        old = bench.session()
        message = EVENT.message("me", "ears")
        old.send(EVENT, message)
        values = json.loads(json.dumps(old.to_json(12)))
        old.close()
        # The keys of the first version; daemons of other versions read them.
        assert set(values) >= {"run", "listening", "event", "outbox", "deaf"}
        older = {**values}
        del older["rejected"], older["rejections"]
        bench.session().restore(older)  # a daemon from before these
        new = ListenerSession(
            "ears", asyncio.get_running_loop(), bench._open_input, bench.closed.append
        )
        new.restore(values)
        assert (new.run, new.event, new.input_closed) == (12, EVENT, False)
        assert new.protocol.state is ListenerState.BUSY
        new.write()
        assert await bench.read(len(message)) == message
        assert new.protocol.receive(b"RESULT 2\nOK") == [Answer.ACCEPTED]
        new.close()

    run(main())
