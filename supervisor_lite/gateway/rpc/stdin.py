"""sendProcessStdin: input, in pieces that a pipe takes whole."""

from __future__ import annotations

import asyncio

from supervisor_lite.client.errors import RemoteError
from supervisor_lite.gateway.rpc.session import STOPPING, Session
from supervisor_lite.gateway.rpc.table import TABLE
from supervisor_lite.gateway.xmlrpc import Code, Fault
from supervisor_lite.protocol.codes import ErrorCode

PIPE_BUF = 4096
"""Bytes that a pipe takes whole or not at all (pipe(7))."""

INPUT_TIMEOUT = 5.0
"""Seconds that a process may leave its input unread."""

_RETRY_PAUSE = 0.05


@TABLE.method("sendProcessStdin", "operate", "boolean", "string name, string chars")
async def send_stdin(session: Session, name: str, chars: str) -> object:
    """Write text to the standard input of a process, as UTF-8."""
    await session.check()
    row, _ = await session.one(name)
    if row.get("pid") is None or row["statecode"] == STOPPING:
        raise Fault(Code.NOT_RUNNING, name)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + INPUT_TIMEOUT
    for piece in _pieces(chars.encode("utf-8", "replace")):
        while True:
            try:
                await session.call("send", name=row["fullname"], text=piece)
                break
            except RemoteError as error:
                fault = _input_fault(error, name)
                if fault is not None or loop.time() > deadline:
                    raise (fault or Fault(Code.FAILED, error)) from error
            await asyncio.sleep(_RETRY_PAUSE)
    return True


def _pieces(data: bytes) -> list[str]:
    """Cut at the ends of characters, so that each piece is text and fits into a pipe at once."""
    pieces = []
    while data:
        end = min(len(data), PIPE_BUF)
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(data[:end].decode())
        data = data[end:]
    return pieces


def _input_fault(error: RemoteError, name: str) -> Fault | None:
    """Return what is final; None while the pipe is only full."""
    match error.code:
        case ErrorCode.INPUT_FULL:
            return None
        case ErrorCode.NOT_RUNNING:
            return Fault(Code.NOT_RUNNING, name)
        case ErrorCode.NO_INPUT:
            return Fault(Code.NO_FILE, name)
        case _:
            return Fault(Code.FAILED, error)
