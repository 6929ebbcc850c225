"""The control socket's own bounds: late lines, many connections, much unread, half-closed clients.

The server is the real one, on a socket, without a daemon behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from supervisor_lite.control import access, connection, limits, server
from supervisor_lite.control.access import Caller
from supervisor_lite.control.configured import OwnConfiguration
from supervisor_lite.control.request import Request
from supervisor_lite.control.server import ControlServer
from supervisor_lite.control.subscriptions import Subscription
from supervisor_lite.errors import OtherConfiguration
from supervisor_lite.model.settings import AccessRule
from tests.loops import until

RULES = (AccessRule(role="view", users=(str(os.geteuid()),)),)


class Served:
    """A server that answers a few methods, and who was refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refused: list[str] = []
        self.subscriptions: list[Subscription] = []
        self.ended = 0
        self.release = asyncio.Event()
        self.asked: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.server = ControlServer(
            self._methods().get, RULES, self._bug, self._denied, self.refused.append
        )
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(100)
        listening.setblocking(False)
        self.server.serve(listening)

    def _methods(self) -> dict[str, Callable[[Request], Any]]:
        def echo(request: Request) -> dict[str, Any]:
            self.asked.append(str(request.params.text("text", "")))
            return {"text": "x" * request.params.count("size", 1, maximum=1 << 30)}

        async def later(request: Request) -> dict[str, Any]:
            await self.release.wait()
            return {"later": True}

        def follow(request: Request) -> dict[str, Any]:
            subscription = Subscription(request.connection)
            subscription.on_end(self._end, lambda: None)
            self.subscriptions.append(subscription)
            return {"subscription": subscription.number}

        return {"echo": echo, "later": later, "follow": follow}

    def _end(self) -> None:
        self.ended += 1

    def _bug(self, error: Exception) -> None:
        raise AssertionError from error

    def _denied(self, caller: Caller, method: str, name: str | None) -> None:
        self.refused.append(method)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(str(self.path), limit=1 << 24)
        self.writers.append(writer)
        return reader, writer


@contextlib.asynccontextmanager
async def serving(tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path / "socket")
    try:
        yield served
    finally:
        for writer in served.writers:
            writer.close()
        for writer in served.writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        served.server.close()
        await until(lambda: not served.server.connections)


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is trusted."""
    for module in (access, connection, server):
        monkeypatch.setattr(module, "is_trusted", lambda uid: False)


def line(method: str, number: int = 1, **params: object) -> bytes:
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    return json.dumps(message).encode() + b"\n"


async def answer(reader: asyncio.StreamReader) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await reader.readline())
    return found


async def test_a_line_that_is_never_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte by byte does not help; one that has sent nothing may stay."""
    monkeypatch.setattr(limits, "LINE_TIMEOUT", 0.2)
    async with serving(tmp_path) as served:
        idle, _idle_writer = await served.connect()
        reader, writer = await served.connect()

        async def drip() -> None:
            with contextlib.suppress(OSError):
                for byte in line("echo", text="y" * 10_000)[:-1]:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.02)

        dripping = asyncio.ensure_future(drip())
        error = (await answer(reader))["error"]
        assert error["data"]["code"] == "invalid_request"
        assert "within" in error["message"]
        with contextlib.suppress(ConnectionError):  # it still sends
            assert await reader.read() == b""
        dripping.cancel()
        assert not served.asked
        assert not idle.at_eof()
        # Each line has a time of its own.
        reader, writer = await served.connect()
        for number in range(4):
            writer.write(line("echo", number)[:10])
            await asyncio.sleep(0.1)
            writer.write(line("echo", number)[10:])
            assert (await answer(reader))["id"] == number


@pytest.mark.usefixtures("stranger")
async def test_connections_of_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many and no more, until one ends; who is trusted gets in all the same."""
    monkeypatch.setattr(limits, "MAX_USER_CONNECTIONS", 3)
    async with serving(tmp_path) as served:
        inside = [await served.connect() for _ in range(3)]
        await until(lambda: len(served.server.connections) == 3)
        reader, _ = await served.connect()
        error = (await answer(reader))["error"]
        assert error["data"]["code"] == "limit_exceeded"
        assert "3 connections already" in error["message"]
        assert await reader.read() == b""
        for module in (access, connection, server):
            monkeypatch.setattr(module, "is_trusted", lambda uid: True)
        reader, writer = await served.connect()
        writer.write(line("echo"))
        assert "result" in await answer(reader)
        for module in (access, connection, server):
            monkeypatch.setattr(module, "is_trusted", lambda uid: False)
        inside[0][1].close()
        await until(lambda: len(served.server.connections) == 3)
        reader, writer = await served.connect()
        writer.write(line("echo"))
        assert "result" in await answer(reader)
        assert len(served.refused) == 1


@pytest.mark.usefixtures("stranger")
async def test_memory_of_one_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unfinished lines and unread replies of all of his connections are counted together."""
    monkeypatch.setattr(limits, "MAX_USER_BYTES", 1 << 20)
    async with serving(tmp_path) as served:
        held = [await served.connect() for _ in range(3)]
        for _, writer in held[:2]:
            writer.write(b'{"x": "' + b"y" * 400_000)
        await until(lambda: served.server.quotas.total.bytes >= 800_000)
        reader, writer = held[2]
        writer.write(line("echo", size=100_000))
        assert len((await answer(reader))["result"]["text"]) == 100_000
        writer.write(line("echo", size=4 << 20))
        with contextlib.suppress(ConnectionError):
            await reader.read()
        await until(lambda: len(served.server.connections) == 2)
        for _, each in held:
            each.close()
        await until(lambda: not served.server.connections)
        assert (served.server.quotas.total.bytes, served.server.quotas.total.connections) == (0, 0)


async def test_subscriptions_of_one_connection(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        reader, writer = await served.connect()
        for _ in range(limits.MAX_SUBSCRIPTIONS):
            writer.write(line("follow"))
            assert "result" in await answer(reader)
        writer.write(line("follow"))
        assert (await answer(reader))["error"]["data"]["code"] == "limit_exceeded"
        writer.close()
        await until(lambda: served.ended == limits.MAX_SUBSCRIPTIONS)


@pytest.mark.usefixtures("stranger")
async def test_users_are_served_by_turns(tmp_path: Path) -> None:
    """Whatever is asked at once, other things of the loop happen in between."""
    async with serving(tmp_path) as served:
        served.server.turns.spend(1.0)  # this iteration is full
        clients = [await served.connect() for _ in range(4)]
        for _, writer in clients:
            writer.write(b"".join(line("echo", number) for number in range(100)))
        for reader, _ in clients:
            assert [(await answer(reader))["id"] for _ in range(100)] == list(range(100))
        assert served.server.turns.is_free()


@pytest.mark.parametrize("ending", [b"\n", b""], ids=["whole line", "without its end"])
@pytest.mark.parametrize("method", ["echo", "later"])
async def test_a_half_closed_client_gets_its_answer(
    tmp_path: Path, method: str, ending: bytes
) -> None:
    async with serving(tmp_path) as served:
        reader, writer = await served.connect()
        writer.write(line(method)[:-1] + ending)
        writer.write_eof()
        if method == "later":
            await until(lambda: bool(served.server.connections))
        served.release.set()
        assert "result" in await answer(reader)
        assert await reader.read() == b""


@pytest.mark.usefixtures("stranger")
async def test_a_half_closed_client_gets_a_large_answer_and_all_of_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        reader, writer = await served.connect()
        writer.write(b"".join(line("echo", number, size=1 << 20) for number in range(5)))
        writer.write_eof()
        for number in range(5):
            found = await answer(reader)
            assert (found["id"], len(found["result"]["text"])) == (number, 1 << 20)
        assert await reader.read() == b""


async def test_a_half_closed_subscriber_hears_on_and_is_forgotten_when_it_is_gone(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as served:
        reader, writer = await served.connect()
        writer.write(line("follow"))
        writer.write_eof()
        assert "result" in await answer(reader)
        for number in range(3):
            served.subscriptions[0].notify("note", number=number)
            assert (await answer(reader))["params"]["number"] == number
        assert served.ended == 0
        writer.close()
        await until(lambda: served.ended == 1)
        assert not served.server.connections


async def test_a_client_that_hangs_up_is_gone_at_once(tmp_path: Path) -> None:
    """Also with an answer outstanding: only what was asked goes on."""
    async with serving(tmp_path) as served:
        _, writer = await served.connect()
        writer.write(line("later") + line("follow"))
        await until(lambda: len(served.subscriptions) == 1)
        writer.close()
        await until(lambda: served.ended == 1)
        assert not served.server.connections


@pytest.mark.parametrize("number", ["x" * 257, True, [1], float("inf")])
async def test_an_id_is_short(tmp_path: Path, number: object) -> None:
    async with serving(tmp_path) as served:
        reader, writer = await served.connect()
        message = {"jsonrpc": "2.0", "id": number, "method": "echo", "params": {}}
        writer.write(json.dumps(message).encode() + b"\n")
        found = await reader.readline()
        assert json.loads(found)["error"]["data"]["code"] == "invalid_request"
        assert len(found) < 300


async def test_an_error_does_not_repeat_all_that_was_typed(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        reader, writer = await served.connect()
        for sent in (line("x" * 500_000), line("echo", **{"y" * 500_000: 1})):
            writer.write(sent)
            assert len(await reader.readline()) < 10_000


@pytest.mark.parametrize("other", [["x"], {"a": 1}, 7, "\0", "x" * 100_000, True])
def test_a_configuration_that_is_none_is_not_ours(other: object, tmp_path: Path) -> None:
    """Whatever a client sends for it; nothing is an internal error."""
    with pytest.raises(OtherConfiguration):
        OwnConfiguration(str(tmp_path), ["x.toml"]).require(other)
