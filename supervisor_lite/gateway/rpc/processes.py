"""start*, stop*, signal*, clear*, sendProcessStdin: Supervisor's checks, in its order."""

from __future__ import annotations

import asyncio
import re
import signal as signals

from supervisor_lite.client.aio import Message
from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import RemoteError
from supervisor_lite.gateway.rpc.session import SIGNALLABLE, STOPPING, UP, Session, item
from supervisor_lite.gateway.rpc.table import TABLE
from supervisor_lite.gateway.xmlrpc import Code, Fault
from supervisor_lite.protocol import codes

_QUOTED = re.compile(r'"(.*)"')

_INPUT_PIECE = 4096
"""Bytes that a pipe takes whole or not at all (pipe(7), PIPE_BUF)."""

_INPUT_PATIENCE = 5.0
"""Seconds that a process may leave its input unread."""


@TABLE.method("startProcess", "operate", "boolean", "string name, boolean wait?")
async def start_process(session: Session, name: str, wait: bool = True) -> object:
    """Start a process (NAME, GROUP:NAME, or GROUP:* for all of a group); with wait, answer when it
    is RUNNING or its start has failed."""
    await session.check()
    row, rows, _ = await session.find(name)
    if row is None:
        return await _start_all(session, rows, wait)
    (trouble,) = await _trouble(session, [row])
    fault = _unspawnable(trouble)
    if fault is not None:
        raise fault
    if row["statecode"] in UP:
        raise Fault(Code.ALREADY_STARTED, name)
    if row["statecode"] == STOPPING:
        return _not_while_stopping(name, wait)
    result = (await _operate(session, "start", [row], wait))[0]
    if not result["ok"]:
        raise Fault(_start_code(result), name)
    return True


def _not_while_stopping(name: str, wait: bool) -> bool:
    if wait:
        raise Fault(Code.ABNORMAL_TERMINATION, name)
    return True


@TABLE.method("startProcessGroup", "operate", "array", "string name, boolean wait?")
async def start_group(session: Session, name: str, wait: bool = True) -> object:
    """Start all processes of a group that are not up; one result for each."""
    await session.check()
    return await _start_all(session, await session.group(name), wait)


@TABLE.method("startAllProcesses", "operate", "array", "boolean wait?")
async def start_all(session: Session, wait: bool = True) -> object:
    """Start all processes that are not up; one result for each."""
    await session.check()
    return await _start_all(session, await session.all_by_priority(), wait)


async def _start_all(session: Session, rows: list[Message], wait: bool) -> list[Message]:
    rows = [row for row in rows if row["statecode"] not in UP]
    results: list[Message] = []
    able: list[Message] = []
    for row, trouble in zip(rows, await _trouble(session, rows), strict=True):
        fault = _unspawnable(trouble)
        if fault is not None:
            results.append({**item(row, fault.code), "description": fault.text})
        elif row["statecode"] == STOPPING:
            code = Code.ABNORMAL_TERMINATION if wait else Code.SUCCESS
            results.append(item(row, code, row["fullname"]))
        else:
            able.append(row)
    answers = await _operate(session, "start", able, wait)
    # Supervisor lists them as they are done, and a start fails sooner than it succeeds.
    for result in sorted(answers, key=lambda answer: bool(answer["ok"])):
        code = Code.SUCCESS if result["ok"] else _start_code(result)
        results.append(item(result, code, result["fullname"]))
    return results


async def _trouble(session: Session, rows: list[Message]) -> list[Message]:
    if not rows:
        return []
    answer = await session.call("trouble", names=[row["fullname"] for row in rows])
    return listed(answer, "processes", "command", "reason")


def _unspawnable(trouble: Message) -> Fault | None:
    """Return what Supervisor would say before it even tries."""
    if not trouble["command"]:
        return None
    code = Code.NO_FILE if trouble["command"] == "not found" else Code.NOT_EXECUTABLE
    return Fault(code, spawn_error(str(trouble["reason"])))


def spawn_error(reason: str) -> str:
    """Return the reason of a failed spawn in Supervisor's words, where it has any."""
    match = _QUOTED.search(reason)
    what = repr(match.group(1)) if match else ""
    if reason.startswith("cannot find the command"):
        return f"can't find command {what}"
    if reason.startswith("no permission to run the command"):
        return f"no permission to run command {what}"
    for ending in ("is a directory", "is not executable"):
        if reason.startswith("the command") and reason.endswith(ending):
            return f"command at {what} {ending}"
    return reason


def _start_code(result: Message) -> Code:
    return Code.ABNORMAL_TERMINATION if result["result"] == "aborted" else Code.SPAWN_ERROR


async def _operate(session: Session, verb: str, rows: list[Message], wait: bool) -> list[Message]:
    """Have the daemon do it to all at once; return its results in the order of the rows."""
    if not rows:
        return []
    names = [row["fullname"] for row in rows]
    answer = await session.call(verb, timeout=None, names=names, wait=wait)
    results = {r["fullname"]: r for r in listed(answer, "results", "fullname", "ok", "result")}
    return [results[name] for name in names if name in results]


@TABLE.method("stopProcess", "operate", "boolean", "string name, boolean wait?")
async def stop_process(session: Session, name: str, wait: bool = True) -> object:
    """Stop a process (NAME, GROUP:NAME, or GROUP:* for all of a group); with wait, answer when
    nothing of it is left."""
    await session.check()
    row, rows, _ = await session.find(name)
    if row is None:
        return await _stop_all(session, rows, wait)
    if row["statecode"] not in UP:
        raise Fault(Code.NOT_RUNNING, name)
    result = (await _operate(session, "stop", [row], wait))[0]
    if not result["ok"]:
        raise Fault(Code.FAILED, result.get("reason") or name)
    return True


@TABLE.method("stopProcessGroup", "operate", "array", "string name, boolean wait?")
async def stop_group(session: Session, name: str, wait: bool = True) -> object:
    """Stop all processes of a group that are up; one result for each."""
    await session.check()
    return await _stop_all(session, await session.group(name), wait)


@TABLE.method("stopAllProcesses", "operate", "array", "boolean wait?")
async def stop_all(session: Session, wait: bool = True) -> object:
    """Stop all processes that are up; one result for each."""
    await session.check()
    return await _stop_all(session, await session.all_by_priority(), wait)


async def _stop_all(session: Session, rows: list[Message], wait: bool) -> list[Message]:
    rows = [row for row in rows if row["statecode"] in UP]
    return [
        item(answer, Code.SUCCESS if answer["ok"] else Code.FAILED, answer.get("reason"))
        for answer in await _operate(session, "stop", rows, wait)
    ]


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
    """Send a signal to all processes that are alive; one result for each."""
    await session.check()
    return await _signal_all(session, await session.all_by_priority(), signal)


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
        gone = result["reason"] == "not running"
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
        (row, bool(result["ok"]) or str(result["reason"]).endswith("no log file"))
        for row, result in zip(rows, results, strict=True)
    ]


@TABLE.method("sendProcessStdin", "operate", "boolean", "string name, string chars")
async def send_stdin(session: Session, name: str, chars: str) -> object:
    """Write text to the standard input of a process, as UTF-8."""
    await session.check()
    row, _ = await session.one(name)
    if row.get("pid") is None or row["statecode"] == STOPPING:
        raise Fault(Code.NOT_RUNNING, name)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _INPUT_PATIENCE
    for piece in _pieces(chars.encode("utf-8", "replace")):
        while True:
            try:
                await session.call("send", name=row["fullname"], text=piece)
                break
            except RemoteError as error:
                fault = _input_fault(error, name)
                if fault is not None or loop.time() > deadline:
                    raise (fault or Fault(Code.FAILED, error.message)) from error
            await asyncio.sleep(0.05)
    return True


def _pieces(data: bytes) -> list[str]:
    """Cut at the ends of characters, so that each piece is text and fits into a pipe at once."""
    pieces = []
    while data:
        end = min(len(data), _INPUT_PIECE)
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(data[:end].decode())
        data = data[end:]
    return pieces


def _input_fault(error: RemoteError, name: str) -> Fault | None:
    """Return what is final; None while the pipe is only full."""
    if error.code != codes.FAILED:
        return Fault(Code.FAILED, error.message)
    if error.message == "not running":
        return Fault(Code.NOT_RUNNING, name)
    if "reads no input" in error.message:
        return Fault(Code.NO_FILE, name)
    return None if "pipe is full" in error.message else Fault(Code.FAILED, error.message)
