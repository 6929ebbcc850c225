"""What answers one XML-RPC request: a connection to the daemon, and Supervisor's way of naming."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from supervisor_lite.client.aio import AsyncClient
from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import RemoteError
from supervisor_lite.gateway.xmlrpc import Code, Fault
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.messages import Message

STARTING, RUNNING, BACKOFF, STOPPING = 10, 20, 30, 40
UP = frozenset({STARTING, RUNNING, BACKOFF})
"""Where Supervisor refuses a start and accepts a stop."""
SIGNALLABLE = frozenset({STARTING, RUNNING, STOPPING})


@dataclass(slots=True)
class Background:
    """What goes on after it was answered: a shutdown, a restart of everything."""

    restarting: bool = False
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let it go on, and keep a reference until it is done (asyncio's rule)."""
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has seen it; nobody else can


class Session:
    """One request, one connection to the daemon."""

    def __init__(
        self, client: AsyncClient, background: Background, connect: Callable[[], AsyncClient]
    ) -> None:
        self.client = client
        self.background = background
        self.connect = connect
        """Makes a connection for the same user, for what goes on after this request."""

    async def call(self, method: str, timeout: float | None = 60.0, **params: object) -> Message:
        """Ask the daemon."""
        return await self.client.call(method, params, timeout)

    async def check(self) -> Message:
        """Return who the daemon is; raises SHUTDOWN_STATE, as almost every method does first."""
        about = await self.call("version")
        if about.get("state") == "stopping" or self.background.restarting:
            raise Fault(Code.SHUTDOWN_STATE)
        return about

    async def everything(self) -> tuple[list[Message], float]:
        """Return all processes, by group and name as text, and the daemon's clock."""
        result = await self.call("status")
        rows = listed(result, "processes", "name", "group", "fullname", "statecode")
        return sorted(rows, key=lambda row: (row["group"], row["name"])), float(result["now"])

    async def find(self, name: str) -> tuple[Message | None, list[Message], float]:
        """Return the process that a name means, or None and those of its group; and the clock.

        Raises BAD_NAME.
        """
        group, process = split(name)
        if process is None:
            rows, now = await self._named(f"{group}:*")
            rows = [row for row in rows if row["group"] == group]
            if not rows and group not in (await self.call("definitions"))["groups"]:
                raise Fault(Code.BAD_NAME, name)
            return None, by_priority(rows), now
        rows, now = await self._named(fullname(group, process))
        for row in rows:
            if (row["group"], row["name"]) == (group, process):
                return row, rows, now
        raise Fault(Code.BAD_NAME, name)

    async def one(self, name: str) -> tuple[Message, float]:
        """Return the one process that a name means, and the clock. Raises BAD_NAME."""
        row, _, now = await self.find(name)
        if row is None:
            raise Fault(Code.BAD_NAME, name)
        return row, now

    async def group(self, name: str) -> list[Message]:
        """Return the processes of a group by priority. Raises BAD_NAME."""
        if ":" in name:
            raise Fault(Code.BAD_NAME, name)
        try:
            _, rows, _ = await self.find(f"{name}:*")
        except Fault:
            raise Fault(Code.BAD_NAME, name) from None
        return rows

    async def all_by_priority(self) -> list[Message]:
        """Return all processes in the order in which Supervisor goes through them."""
        rows, _ = await self.everything()
        groups = {
            row["group"]: row["group_priority"]
            for row in listed(await self.call("definitions"), "processes", "group")
        }
        return sorted(
            by_priority(rows), key=lambda row: (groups.get(row["group"], 999), row["group"])
        )

    async def others_by_priority(self) -> list[Message]:
        """Return the same without the gateway: who asks for all would cut himself off."""
        here = (os.getpid(), os.getppid())  # the parent: a shell that runs us
        rows = await self.all_by_priority()
        return [row for row in rows if row.get("pid") is None or row["pid"] not in here]

    async def _named(self, name: str) -> tuple[list[Message], float]:
        try:
            result = await self.call("status", names=[name])
        except RemoteError as error:
            if error.code == ErrorCode.NO_SUCH_PROCESS:
                return [], 0.0
            raise
        rows = listed(result, "processes", "name", "group", "fullname", "statecode")
        return rows, float(result["now"])


def split(name: str) -> tuple[str, str | None]:
    """Return group and process of Supervisor's `name`, `group:name`, `group:*` or `group:`."""
    group, colon, process = name.partition(":")
    if not colon:
        return name, name
    return group, None if process in ("", "*") else process


def fullname(group: str, process: str) -> str:
    """Return `group:name`, or just the name where both are equal."""
    return process if group == process else f"{group}:{process}"


def by_priority(rows: list[Message]) -> list[Message]:
    """Return processes by ascending priority, those of one priority by name."""
    return sorted(rows, key=lambda row: (row.get("priority", 999), row["name"]))


def item(row: Message, code: Code, extra: object = None) -> Message:
    """Return one result of a method that does something to many."""
    text = "OK" if code is Code.SUCCESS else Fault(code, extra).text
    return {
        "name": row["name"], "group": row["group"], "status": int(code), "description": text,
    }  # fmt: skip
