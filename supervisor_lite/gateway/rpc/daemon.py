"""The daemon itself and its configuration: who it is, reread, add, remove, shutdown, restart."""

from __future__ import annotations

import asyncio

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import RemoteError
from supervisor_lite.gateway.rpc.session import Session
from supervisor_lite.gateway.rpc.table import TABLE
from supervisor_lite.gateway.xmlrpc import Code, Fault
from supervisor_lite.protocol.codes import ErrorCode

API_VERSION = "3.0"
SUPERVISOR_VERSION = "4.3.0"
"""What clients compare: the version of Supervisor whose interface this is."""

_REFUSAL_TIME = 0.2
"""Seconds in which the daemon refuses what it will not do."""


@TABLE.method("getAPIVersion getVersion", "view", "string")
async def api_version(session: Session) -> object:
    """Tell the version of this interface."""
    await session.check()
    return API_VERSION


@TABLE.method("getSupervisorVersion", "view", "string")
async def supervisor_version(session: Session) -> object:
    """Tell the version of Supervisor that this interface is as of."""
    await session.check()
    return SUPERVISOR_VERSION


@TABLE.method("getIdentification", "view", "string")
async def identification(session: Session) -> object:
    """Tell the name of the daemon, `identifier` in its configuration."""
    return str((await session.check()).get("identifier", ""))


@TABLE.method("getState", "view", "struct")
async def state(session: Session) -> object:
    """Tell the state of the daemon."""
    await session.check()
    return {"statecode": 1, "statename": "RUNNING"}


@TABLE.method("getPID", "view", "int")
async def pid(session: Session) -> object:
    """Tell the pid of the daemon."""
    return int((await session.check())["pid"])


@TABLE.method("reloadConfig", "admin", "array")
async def reload_config(session: Session) -> object:
    """Read the configuration; tell the names of the groups that are new, changed and gone, as
    [[added, changed, removed]]."""
    await session.check()
    found = await _reread(session)
    return [[found[key] for key in ("added", "changed", "removed")]]


async def _reread(session: Session) -> dict[str, list[str]]:
    try:
        return await session.call("reread")
    except RemoteError as error:
        if error.code != ErrorCode.BAD_CONFIGURATION:
            raise
        raise Fault(Code.CANT_REREAD, "; ".join(error.details) or error) from error


@TABLE.method("addProcessGroup", "admin", "boolean", "string name")
async def add_group(session: Session, name: str) -> object:
    """Take a group into use that was read from the configuration."""
    await session.check()
    await _change_group(session, "add", name)
    return True


@TABLE.method("removeProcessGroup", "admin", "boolean", "string name")
async def remove_group(session: Session, name: str) -> object:
    """Take a group out of use whose processes are all down."""
    await session.check()
    await _change_group(session, "remove", name)
    return True


_GROUP_FAULTS = {
    ErrorCode.ALREADY_ACTIVE: Code.ALREADY_ADDED,
    ErrorCode.STILL_RUNNING: Code.STILL_RUNNING,
}


async def _change_group(session: Session, verb: str, name: str) -> None:
    """Add or remove a group. Raises Fault if that was not done."""
    try:
        # Supervisor does not wait for what an addition starts.
        patience = {"wait": False} if verb == "add" else {}
        answer = await session.call(verb, timeout=None, names=[name], **patience)
    except RemoteError as error:
        if error.code != ErrorCode.NO_SUCH_GROUP:
            raise
        raise Fault(Code.BAD_NAME, name) from error
    (result,) = listed(answer, "results", "ok")
    if not result["ok"]:
        raise Fault(_GROUP_FAULTS.get(str(result.get("code")), Code.BAD_NAME), name)


@TABLE.method("shutdown", "admin", "boolean")
async def shutdown(session: Session) -> object:
    """Stop all processes and end the daemon; answered at once."""
    await session.check()
    task = session.background.start(_alone(session, "shutdown"))
    await _unless_refused(task)
    return True


@TABLE.method("restart", "admin", "boolean")
async def restart(session: Session) -> object:
    """Stop all processes, read the configuration and start anew; answered at once."""
    await session.check()
    await _reread(session)  # what would go wrong goes wrong while everything still runs

    async def work() -> None:
        session.background.restarting = True
        try:
            await _alone(session, "reload", wait=False)
        finally:
            session.background.restarting = False

    await _unless_refused(session.background.start(work()))
    return True


async def _alone(session: Session, method: str, **params: object) -> None:
    """Ask over a connection of its own, which outlives the request."""
    async with session.connect() as client:
        await client.call(method, params, None)


async def _unless_refused(task: asyncio.Task[object]) -> None:
    """Return when the daemon has begun. Raises RemoteError if it does not want to."""
    done, _ = await asyncio.wait((task,), timeout=_REFUSAL_TIME)
    error = task.exception() if done else None
    if isinstance(error, RemoteError):
        raise error


@TABLE.method("sendRemoteCommEvent", "operate", "boolean", "string type, string data")
async def remote_event(session: Session, type: str, data: str) -> object:  # noqa: A002 its name
    """Send an event of your own to the event listeners."""
    await session.call("remote_event", type=type, data=data)
    return True
