"""signal*: Supervisor's checks, in its order."""

from __future__ import annotations

import signal as signals

from supervisor_lite.client.buffer import listed
from supervisor_lite.gateway.rpc.session import SIGNALLABLE, Session, item
from supervisor_lite.gateway.rpc.table import TABLE
from supervisor_lite.gateway.xmlrpc import Code, Fault
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.messages import Message


@TABLE.method("signalProcess", "operate", "boolean", "string name, signal signal")
async def signal_process(session: Session, name: str, signal: str) -> object:
    """Send a signal, by name (HUP, SIGHUP) or number, to a process (or GROUP:* to all of one)."""
    await session.check()
    row, rows, _ = await session.find(name)
    if row is None:
        return await _signal_all(session, rows, signal)
    word = _signal_word(signal)
    if row["statecode"] not in SIGNALLABLE:
        raise Fault(Code.NOT_RUNNING, name)
    code, extra = (await _signal(session, [row], word))[0]
    if code is not Code.SUCCESS:
        raise Fault(code, name if code is Code.NOT_RUNNING else extra)
    return True


@TABLE.method("signalProcessGroup", "operate", "array", "string name, signal signal")
async def signal_group(session: Session, name: str, signal: str) -> object:
    """Send a signal to all processes of a group that are alive; one result for each."""
    await session.check()
    return await _signal_all(session, await session.group(name), signal)


@TABLE.method("signalAllProcesses", "operate", "array", "signal signal")
async def signal_all(session: Session, signal: str) -> object:
    """Send a signal to all processes that are alive, but not the gateway; one result for each."""
    await session.check()
    return await _signal_all(session, await session.others_by_priority(), signal)


async def _signal_all(session: Session, rows: list[Message], signal: str) -> list[Message]:
    rows = [row for row in rows if row["statecode"] in SIGNALLABLE]
    try:
        word = _signal_word(signal)
    except Fault as fault:
        return [{**item(row, fault.code), "description": fault.text} for row in rows]
    outcomes = await _signal(session, rows, word)
    return [item(row, code, extra) for row, (code, extra) in zip(rows, outcomes, strict=True)]


async def _signal(
    session: Session, rows: list[Message], word: str
) -> list[tuple[Code, str | None]]:
    if not rows:
        return []
    answer = await session.call("signal", names=[r["fullname"] for r in rows], signal=word)
    outcomes: list[tuple[Code, str | None]] = []
    for result in listed(answer, "results", "fullname", "ok", "reason"):
        gone = result.get("code") == ErrorCode.NOT_RUNNING
        if result["ok"]:
            outcomes.append((Code.SUCCESS, None))
        else:
            code = Code.NOT_RUNNING if gone else Code.FAILED
            outcomes.append((code, result["fullname"] if gone else result["reason"]))
    return outcomes


def _signal_word(text: str) -> str:
    """Return a signal as the daemon takes it. Raises BAD_SIGNAL."""
    word = text.strip().upper()
    try:
        number = int(word)
    except ValueError:
        word = word.removeprefix("SIG")
        try:
            number = int(signals.Signals[f"SIG{word}"])
        except KeyError:
            raise Fault(Code.BAD_SIGNAL, text) from None
    if number != 0 and number not in signals.valid_signals():
        raise Fault(Code.BAD_SIGNAL, text)
    return str(number)
