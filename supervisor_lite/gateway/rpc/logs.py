"""readProcess*Log, tailProcess*Log, clearProcess*Log*, readLog, clearLog."""

from __future__ import annotations

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import RemoteError
from supervisor_lite.gateway.rpc.session import Session, item
from supervisor_lite.gateway.rpc.table import TABLE
from supervisor_lite.gateway.xmlrpc import Code, Fault
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.messages import Message

MAX_PIECE = 1 << 20
"""Bytes of a log that are asked for at a time."""

MAX_READ = 64 << 20
"""Bytes of a log in one reply; whoever wants more is told so, and asks with offset and length."""

_READ = "string name, int offset, int length"


class _Log:
    """One log file at the daemon."""

    def __init__(self, session: Session, method: str, params: Message, path: str | None) -> None:
        self._session = session
        self._method = method
        self._params = params
        self._path = path

    async def piece(self, **where: int) -> Message:
        """Return a piece, and the size of the file. Raises NO_FILE, FAILED."""
        try:
            return await self._session.call(self._method, **self._params, **where)
        except RemoteError as error:
            if error.code == ErrorCode.NO_LOG_FILE:
                raise Fault(Code.NO_FILE, self._path) from error
            if error.number == codes.FAILED:
                raise Fault(Code.FAILED) from error
            raise

    async def read(self, offset: int, length: int) -> str:
        """Return what Supervisor calls reading: from an offset, or the last bytes of it all."""
        size = int((await self.piece(length=0))["size"])
        if offset < 0:
            if length:
                raise Fault(Code.BAD_ARGUMENTS)
            return await self._last(-offset)
        if length < 0:
            raise Fault(Code.BAD_ARGUMENTS)
        left = max(0, size - offset) if not length else min(length, max(0, size - offset))
        if left > MAX_READ:
            raise Fault(Code.FAILED, _too_much(left))
        data = b""
        while left > 0:
            part = await self.piece(offset=offset + len(data), length=min(left, MAX_PIECE))
            found = messages.unpack_data(part)
            data += found
            left -= len(found)
            if not found:
                break
        return data.decode("utf-8", "replace")

    async def _last(self, count: int) -> str:
        """Return the last bytes, over rotated files, piece by piece."""
        verb = "tail" if self._method == "read_log" else "maintail"
        asked: Message = {**self._params, "bytes": count, "pieces": True}
        data = b""
        while True:
            part = await self._session.call(verb, **asked)
            data += messages.unpack_data(part)
            if not part.get("more"):
                return data.decode("utf-8", "replace")
            if len(data) > MAX_READ:
                raise Fault(Code.FAILED, _too_much(count))
            asked = {**self._params, "after": part["after"], "pieces": True}

    async def tail(self, offset: int, length: int) -> list[object]:
        """Return [text, size, overflow], for a reader that asks again with the size as offset."""
        try:
            size = int((await self.piece(length=0))["size"])
        except Fault as fault:
            if fault.code is Code.NO_FILE:
                return ["", 0, False]
            return ["", offset, False]
        overflow = size > offset + length
        length = min(max(length, 0), 4 * MAX_PIECE)
        if not overflow and offset >= size:
            return ["", size, False]
        start = max(0, size - length)
        part = await self.piece(offset=start, length=length) if length else {"data": ""}
        return [_text(part), size, overflow]


def _too_much(count: int) -> str:
    most = f"{MAX_READ >> 20} MB fit into a reply"
    return f"{count} bytes are too much: {most}; ask for less, with offset and length"


def _text(part: Message) -> str:
    return messages.unpack_data(part).decode("utf-8", "replace")


async def _of(session: Session, name: str, stream: str) -> _Log:
    await session.check()
    row, _ = await session.one(name)
    where = {"name": row["fullname"], "stream": stream}
    return _Log(session, "read_log", where, row.get(f"{stream}_logfile"))


@TABLE.method("readProcessStdoutLog readProcessLog", "view", "string", _READ)
async def read_stdout(session: Session, name: str, offset: int, length: int) -> object:
    """Read bytes of the stdout log: from an offset (length 0: to its end), or with a negative
    offset and length 0 the last ones."""
    return await (await _of(session, name, "stdout")).read(offset, length)


@TABLE.method("readProcessStderrLog", "view", "string", _READ)
async def read_stderr(session: Session, name: str, offset: int, length: int) -> object:
    """Read bytes of the stderr log; see readProcessStdoutLog."""
    return await (await _of(session, name, "stderr")).read(offset, length)


@TABLE.method("tailProcessStdoutLog tailProcessLog", "view", "array", _READ)
async def tail_stdout(session: Session, name: str, offset: int, length: int) -> object:
    """Read what came into the stdout log after an offset, at most so many bytes: the text, the
    offset for the next time, and whether something was skipped."""
    return await (await _of(session, name, "stdout")).tail(offset, length)


@TABLE.method("tailProcessStderrLog", "view", "array", _READ)
async def tail_stderr(session: Session, name: str, offset: int, length: int) -> object:
    """Read what came into the stderr log; see tailProcessStdoutLog."""
    return await (await _of(session, name, "stderr")).tail(offset, length)


@TABLE.method("readLog readMainLog", "admin", "string", "int offset, int length")
async def read_main_log(session: Session, offset: int, length: int) -> object:
    """Read bytes of the daemon's own log; offset and length as for readProcessStdoutLog."""
    await session.check()
    return await _Log(session, "read_main_log", {}, None).read(offset, length)


@TABLE.method("clearLog", "admin", "boolean")
async def clear_main_log(session: Session) -> object:
    """Empty the daemon's own log."""
    await session.check()
    try:
        await session.call("clear_main_log")
    except RemoteError as error:
        if error.code == ErrorCode.NO_LOG_FILE:
            raise Fault(Code.NO_FILE) from error
        raise
    return True


@TABLE.method("clearProcessLogs clearProcessLog", "operate", "boolean", "string name")
async def clear(session: Session, name: str) -> object:
    """Empty the logs of a process, whether it runs or not."""
    await session.check()
    row, _ = await session.one(name)
    ((_, cleared),) = await _clear(session, [row])
    if not cleared:
        raise Fault(Code.FAILED, name)
    return True


@TABLE.method("clearAllProcessLogs", "operate", "array")
async def clear_all(session: Session) -> object:
    """Empty the logs of all processes; one result for each."""
    await session.check()
    done = await _clear(session, await session.all_by_priority())
    return [
        item(row, Code.SUCCESS if cleared else Code.FAILED, row["fullname"])
        for row, cleared in done
    ]


async def _clear(session: Session, rows: list[Message]) -> list[tuple[Message, bool]]:
    if not rows:
        return []
    answer = await session.call("clear", names=[row["fullname"] for row in rows])
    results = listed(answer, "results", "fullname", "ok", "reason")
    # To have no log is no reason to complain, as in Supervisor.
    return [
        (row, bool(result["ok"]) or result.get("code") == ErrorCode.NO_LOG_FILE)
        for row, result in zip(rows, results, strict=True)
    ]
