"""Changes of state, as they happen, for everybody who watches: one subscription at the daemon.

After a change the row of its process is asked for once, however many watch. What was added or
removed by an update shows when things have been quiet for a moment, by a look at the whole table.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator

from supervisor_lite.client.aio import AsyncClient
from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import ClientError, RemoteError
from supervisor_lite.gateway.daemon import Daemon, row_shown
from supervisor_lite.model.cause import CauseKind
from supervisor_lite.protocol import messages
from supervisor_lite.protocol.messages import Message

QUEUE = 10_000
"""Messages that a watcher may be behind; then it is told to look at everything anew."""

QUIET = 1.0
"""Seconds without a change after which the whole table is looked at."""

MISSED = 1000
"""Changes that are asked for at once after a time without a daemon; the rest follows."""

_TRY_AGAIN = 2.0

_log = logging.getLogger("supervisor_lite.gateway")

Notice = tuple[str, Message]
""""change", "process", "gone", "reset" or "daemon", and what there is to say."""


class Hub:
    """Follows the daemon from `run` on; tells watchers and counts."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._watchers: set[Watcher] = set()
        self._known: dict[str, Message] | None = None
        """The rows that watchers have; None until the whole table was looked at for them."""
        self._rows: _Rows | None = None
        self.starts: Counter[tuple[str, str]] = Counter()
        """(name, cause) -> starts since the gateway is there."""
        self.exits: Counter[tuple[str, str, str]] = Counter()
        """(name, exit code or signal, "true" or "false" for expected) -> ends, likewise."""
        self.connected = False
        self.on_configuration: Callable[[], None] = lambda: None
        """Called when the daemon has taken up its configuration."""
        self._serial: int | None = None
        """Of the last change that was counted."""

    async def run(self) -> None:
        """Follow the daemon for ever, through its restarts."""
        complained = False
        while True:
            try:
                async with self._daemon.connect() as client:
                    await self._follow(client)
            except ClientError as error:
                if not complained and not self._daemon.ending.is_set():
                    _log.warning("%s; trying again", error)
                complained = True
            else:
                complained = False
            if self.connected:
                self.connected = complained = False
                self._tell("daemon", {"connected": False})
            await asyncio.sleep(_TRY_AGAIN)

    async def _follow(self, client: AsyncClient) -> None:
        found = await client.call("events", {**self._position(), "follow": True})
        self.connected = True
        self._tell("daemon", {"connected": True})
        self._known = None
        async with _Rows(self._daemon, self._on_rows) as rows:
            self._rows = rows
            for change in listed(found, "changes", "serial"):
                if self._serial is not None:
                    self._on_change(change, rows)
                else:
                    self._serial = int(change["serial"])  # here counting begins
            async for method, note in client.notifications():
                if method == messages.NOTE_CHANGE and isinstance(note.get("change"), dict):
                    self._on_change(note["change"], rows)
                elif method == messages.NOTE_CONFIGURATION:
                    self.on_configuration()
                elif method == messages.NOTE_MISSED:
                    self._tell("reset", {})
                elif method == messages.NOTE_END:
                    return

    def _position(self) -> Message:
        """Return where to go on: what happened while the daemon was another one counts, too."""
        return {"limit": 1} if self._serial is None else {"since": self._serial, "limit": MISSED}

    def _on_change(self, change: Message, rows: _Rows) -> None:
        self._serial = int(change.get("serial") or 0) or self._serial
        self._count(change)
        self._tell("change", change)
        if self._watchers:
            rows.changed(str(change.get("name")))

    def _count(self, change: Message) -> None:
        name, before, after = (str(change.get(key)) for key in ("name", "from", "to"))
        if before == after:
            return  # a daemon has taken it over: nothing has happened to it
        if after == "STARTING":
            self.starts[name, _why_started(change)] += 1
        how = change.get("signal") or change.get("exitcode")
        if after in ("EXITED", "BACKOFF", "STOPPED", "FATAL") and how is not None:
            expected = after == "STOPPED" or bool(change.get("expected"))
            self.exits[name, str(how), str(expected).lower()] += 1

    def _on_rows(self, rows: list[Message], now: float, *, complete: bool) -> None:
        found = {str(row["fullname"]): row for row in rows}
        if complete:
            before, self._known = self._known, found
            if before is None:
                return  # whoever has just come has a snapshot
            for name in before.keys() - found.keys():
                self._tell("gone", {"fullname": name})
            rows = [row for name, row in found.items() if before.get(name) != row]
        elif self._known is not None:
            self._known |= found
        for row in rows:
            self._tell("process", row_shown(row, now))

    def _tell(self, kind: str, about: Message) -> None:
        for watcher in self._watchers:
            watcher.put((kind, about))

    @contextlib.contextmanager
    def watch(self) -> Iterator[Watcher]:
        """Hear of everything from now on."""
        watcher = Watcher()
        self._watchers.add(watcher)
        if self._known is None and self._rows is not None:
            self._rows.everything()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._known = None  # nobody keeps it up to date from here on


class Watcher:
    """What one watcher has not taken yet."""

    def __init__(self) -> None:
        self._notes: deque[Notice] = deque()
        self._ready = asyncio.Event()

    def put(self, note: Notice) -> None:
        """Add what there is to say."""
        if len(self._notes) >= QUEUE:
            self._notes.clear()
            self._notes.append(("reset", {}))
        self._notes.append(note)
        self._ready.set()

    async def take(self, patience: float) -> list[Notice]:
        """Return what there is; an empty list if nothing came in so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._ready.wait()
        self._ready.clear()
        notes = list(self._notes)
        self._notes.clear()
        return notes


class _Rows:
    """Asks for the rows of what has changed: soon, at once for many, never twice at a time."""

    def __init__(self, daemon: Daemon, tell: Callable[..., None]) -> None:
        self._daemon = daemon
        self._tell = tell
        self._changed: set[str] = set()
        self._all = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Rows:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    def changed(self, name: str) -> None:
        self._changed.add(name)
        self._wake.set()

    def everything(self) -> None:
        self._all = True
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            names, self._changed = sorted(self._changed), set()
            complete, self._all = self._all or len(names) > 50, False
            with contextlib.suppress(ClientError):  # then the subscription is over, too
                await self._ask(None if complete else names)
            if not complete:
                # The next look is at everything, once it is quiet.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(QUIET):
                        await self._wake.wait()
                if not self._wake.is_set():
                    self.everything()

    async def _ask(self, names: list[str] | None) -> None:
        if names is None:
            result = await self._daemon.ask("status")
            self._tell(listed(result, "processes", "fullname"), result["now"], complete=True)
            return
        async with self._daemon.connect() as client:
            for name in names:
                try:
                    result = await client.call("status", {"names": [name]})
                except RemoteError:
                    self._all = True  # it is gone
                    self._wake.set()
                    continue
                rows = listed(result, "processes", "fullname")
                exactly = [row for row in rows if row["fullname"] == name]
                self._tell(exactly, result["now"], complete=False)


_STARTS = {
    CauseKind.START_ASKED.value: "asked",
    CauseKind.RESTART_ASKED.value: "asked",
    CauseKind.ADDED.value: "asked",
    CauseKind.ADDED_BY_UPDATE.value: "asked",
    CauseKind.CHANGED_BY_UPDATE.value: "asked",
    CauseKind.AUTOSTART.value: "autostart",
    CauseKind.RETRY.value: "failed_start",
}
"""The label of a start in the metrics, by the kind of its cause."""


def _why_started(change: Message) -> str:
    """Return one of a few words for the cause of a start."""
    cause = change.get("cause_data") or {}
    if cause.get("kind") == CauseKind.RESTARTED.value:
        return "signal" if cause.get("exit", {}).get("signal") else "exit"
    return _STARTS.get(cause.get("kind", ""), "other")
