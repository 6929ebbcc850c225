"""getProcessInfo, getAllProcessInfo, getAllConfigInfo: Supervisor's structs."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta

from supervisor_lite.client.buffer import listed
from supervisor_lite.config.schema.program import PROGRAM
from supervisor_lite.gateway.rpc.session import BACKOFF, RUNNING, STARTING, STOPPING, Session
from supervisor_lite.gateway.rpc.spawn_error import spawn_error
from supervisor_lite.gateway.rpc.table import TABLE
from supervisor_lite.protocol.messages import Message

STOPPED, EXITED, FATAL = 0, 100, 200


@TABLE.method("getProcessInfo", "view", "struct", "string name")
async def process_info(session: Session, name: str) -> object:
    """Tell where a process is."""
    await session.check()
    row, now = await session.one(name)
    return (await infos(session, [row], now))[0]


@TABLE.method("getAllProcessInfo", "view", "array")
async def all_process_info(session: Session) -> object:
    """Tell where every process is, by group and name."""
    await session.check()
    rows, now = await session.everything()
    return await infos(session, rows, now)


async def infos(session: Session, rows: list[Message], now: float) -> list[Message]:
    """Return the structs for processes; `now` is the daemon's clock."""
    failed = [row["fullname"] for row in rows if row["statecode"] in (BACKOFF, FATAL)]
    errors: dict[str, str] = {}
    if failed:
        answer = await session.call("trouble", names=failed)
        for row in listed(answer, "processes", "fullname", "error"):
            if row["error"]:
                words = spawn_error(row.get("error_code"), row.get("error_name"), row["error"])
                errors[row["fullname"]] = words
    return [info(row, errors.get(row["fullname"], ""), now) for row in rows]


def info(row: Message, error: str, now: float) -> Message:
    """Return the struct for one process; `error` is why it could not even be spawned."""
    state = row["statecode"]
    start = _seconds(row.get("started"))
    alive = state in (STARTING, RUNNING, STOPPING)
    ended = row.get("exitcode") is not None or row.get("signal") is not None
    # When a run ended is known of those that are down. The run before the present one ended just
    # before that began, if it was not stopped in between.
    stop = start if alive else _seconds(row.get("since"))
    exitstatus = 0
    if not alive and ended:
        exitstatus = -1 if row.get("signal") is not None else int(row["exitcode"])
    stdout, stderr = row.get("stdout_logfile") or "", row.get("stderr_logfile") or ""
    struct = {
        "name": row["name"],
        "group": row["group"],
        "start": start,
        "stop": stop if start and ended else 0,
        "now": int(time.time()),
        "state": state,
        "statename": row.get("state", ""),
        "spawnerr": _spawn_error(row, state, error, exitstatus),
        "exitstatus": exitstatus,
        "logfile": stdout,
        "stdout_logfile": stdout,
        "stderr_logfile": stderr,
        "pid": row.get("pid") or 0,
    }
    return {**struct, "description": _description(row, struct, now)}


def _spawn_error(row: Message, state: int, error: str, exitstatus: int) -> str:
    if state in (BACKOFF, FATAL):
        return error or "Exited too quickly (process log may have details)"
    cause = row.get("cause")
    unexpected = isinstance(cause, dict) and cause.get("expected") is False
    return f"Bad exit code {exitstatus}" if state == EXITED and unexpected else ""


def _description(row: Message, struct: Message, now: float) -> str:
    state = struct["state"]
    if state == RUNNING:
        up_since = row.get("up_since")
        uptime = timedelta(seconds=max(0, int(now - up_since)) if up_since is not None else 0)
        return f"pid {struct['pid']}, uptime {uptime}"
    if state in (BACKOFF, FATAL):
        return str(struct["spawnerr"])
    if state in (STOPPED, EXITED):
        if not struct["start"]:
            return "Not started"
        since = _seconds(row.get("since"))
        return datetime.fromtimestamp(since).strftime("%b %d %I:%M %p")
    return ""


def _seconds(text: object) -> int:
    """Return whole seconds since the epoch; 0 for never."""
    return int(datetime.fromisoformat(text).timestamp()) if isinstance(text, str) else 0


_CONFIG = {
    **{key.rpc_name: key.name for key in PROGRAM.keys if key.rpc_name},
    "group": "group", "group_prio": "group_priority", "inuse": "in_use", "name": "name",
    "stopsignal": "stopsignal_number", "uid": "uid",
}  # fmt: skip
"""Supervisor's keys, and ours."""


@TABLE.method("getAllConfigInfo", "view", "array")
async def all_config_info(session: Session) -> object:
    """Tell the definition of every process that the configuration holds, in use or not."""
    await session.check()
    rows = listed(await session.call("definitions"), "processes", "name", "group")
    return sorted(map(_config_info, rows), key=lambda struct: str(struct["name"]))


def _config_info(row: Message) -> Message:
    struct: Message = {key: row.get(ours) for key, ours in _CONFIG.items()}
    for key in ("startsecs", "stopwaitsecs"):
        struct[key] = math.ceil(struct[key] or 0)
    return {key: "none" if value is None else value for key, value in struct.items()}
