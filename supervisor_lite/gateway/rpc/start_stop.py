"""start* and stop*: Supervisor's checks, in its order."""

from __future__ import annotations

from supervisor_lite.client.buffer import listed
from supervisor_lite.errors import SpawnErrorCode
from supervisor_lite.gateway.rpc.session import STOPPING, UP, Session, item
from supervisor_lite.gateway.rpc.spawn_error import spawn_error
from supervisor_lite.gateway.rpc.table import TABLE
from supervisor_lite.gateway.xmlrpc import Code, Fault
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.messages import Message


@TABLE.method("startProcess", "operate", "boolean", "string name, boolean wait?")
async def start_process(session: Session, name: str, wait: bool = True) -> object:
    """Start a process (NAME, GROUP:NAME, or GROUP:* for all of a group); with wait, answer when it
    is RUNNING or its start has failed."""
    await session.check()
    row, rows, _ = await session.find(name)
    if row is None:
        return await _start_all(session, rows, wait)
    (found,) = await _spawn_checks(session, [row])
    fault = _unspawnable(found)
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
    for row, found in zip(rows, await _spawn_checks(session, rows), strict=True):
        fault = _unspawnable(found)
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


async def _spawn_checks(session: Session, rows: list[Message]) -> list[Message]:
    if not rows:
        return []
    answer = await session.call("trouble", names=[row["fullname"] for row in rows])
    return listed(answer, "processes", "command", "reason")


def _unspawnable(found: Message) -> Fault | None:
    """Return what Supervisor would say before it even tries."""
    code = found.get("reason_code")
    if not code:
        return None
    words = spawn_error(code, found.get("reason_name"), found["reason"])
    missing = code == SpawnErrorCode.COMMAND_NOT_FOUND
    return Fault(Code.NO_FILE if missing else Code.NOT_EXECUTABLE, words)


def _start_code(result: Message) -> Code:
    aborted = result.get("code") == ErrorCode.ABORTED
    return Code.ABNORMAL_TERMINATION if aborted else Code.SPAWN_ERROR


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
    """Stop all processes that are up, but not the gateway; one result for each."""
    await session.check()
    return await _stop_all(session, await session.others_by_priority(), wait)


async def _stop_all(session: Session, rows: list[Message], wait: bool) -> list[Message]:
    rows = [row for row in rows if row["statecode"] in UP]
    return [
        item(answer, Code.SUCCESS if answer["ok"] else Code.FAILED, answer.get("reason"))
        for answer in await _operate(session, "stop", rows, wait)
    ]
