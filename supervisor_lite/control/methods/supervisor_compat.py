"""What Supervisor's XML-RPC interface tells beyond slctl: definitions, pieces of logs, trouble.

The gateway asks these; nothing here changes a process.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from supervisor_lite.config.definition import published
from supervisor_lite.control.gateway_identity import is_gateway
from supervisor_lite.control.jsonrpc import RawJson, Result
from supervisor_lite.control.methods.output import no_log_file, no_such_stream
from supervisor_lite.control.request import Methods, Request
from supervisor_lite.controllers.rollout import Rollout
from supervisor_lite.core.process import Process
from supervisor_lite.core.supervisor import Supervisor
from supervisor_lite.core.topics import RemoteEvent
from supervisor_lite.errors import (
    NotPermitted,
    OperationFailed,
    ProtocolError,
    SpawnError,
    SpawnErrorCode,
)
from supervisor_lite.host.command import find_command
from supervisor_lite.host.signals import signal_number
from supervisor_lite.host.users import lookup
from supervisor_lite.logs.logfile import LogFile
from supervisor_lite.logs.read import tail_bytes
from supervisor_lite.model.plan import Group
from supervisor_lite.model.program import Program
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.codes import ErrorCode
from supervisor_lite.protocol.commands import ROLES
from supervisor_lite.safe_paths import open_file

MAX_BYTES = 4 << 20
"""Bytes of a log in one reply."""

MAX_OFFSET = 1 << 62

MAX_PRINCIPAL_NAME = 80

DEFINITIONS_AT_ONCE = 50
"""Definitions that are written without looking after anything else."""

method = Methods()


class CompatMethods:
    """Methods for the gateway; see docs/protocol.md."""

    def __init__(
        self,
        supervisor: Supervisor,
        rollout: Rollout,
        main_log: Callable[[], LogFile | None],
        gateway_user: Callable[[], str | None],
        note: Callable[[str, str], None],
    ) -> None:
        """`note` writes to the daemon's own log what was done, and who asked for it."""
        self._note = note
        self._gateway_user = gateway_user
        self._supervisor = supervisor
        self._rollout = rollout
        self._main_log = main_log

    @method("introduce")
    def on_behalf_of(self, request: Request) -> Result:
        """Say for whom this connection asks, and which role they have at most.

        It is noted with what is done and grants nothing: what is said before takes away at most.
        """
        whom, role = request.params.text("whom"), request.params.text("role", "admin")
        request.params.done()
        if role not in ROLES:
            raise ProtocolError(codes.INVALID_PARAMS, f"role must be one of {', '.join(ROLES)}")
        if not whom.isprintable() or not 0 < len(whom) <= MAX_PRINCIPAL_NAME:
            raise ProtocolError(
                codes.INVALID_PARAMS, f"whom must be 1 to {MAX_PRINCIPAL_NAME} printable characters"
            )
        connection = request.connection
        caller = connection.caller
        believed = connection.granted.may(request.method, None)
        if not believed and not is_gateway(
            caller, self._supervisor.processes, self._gateway_user()
        ):
            connection.denied("introduce", None)
            text = f'{caller.user} may not use "introduce": it is not the gateway'
            raise NotPermitted(text)
        connection.caller = caller._replace(whom=whom)
        connection.reduce_to(role)
        return {"ok": True}

    @method("definitions")
    async def definitions(self, request: Request) -> Result:
        """Answer the definition of every process that the configuration holds, in force or not."""
        request.params.done()
        plan, active = self._rollout.available, self._rollout.active
        connection = request.connection
        rows: list[bytes] = []
        seen = [
            (group, program)
            for _, group in sorted(plan.groups.items())
            for program in group.processes
            if connection.sees(request.method, program.fullname)
        ]
        for number, (group, program) in enumerate(seen):
            if number % DEFINITIONS_AT_ONCE == 0:
                await connection.turn()
            whole = connection.granted.is_admin(program.fullname)
            row = _definition(group, program, group.name in active.groups, whole=whole)
            rows.append(messages.encode(row).rstrip())
        shown = {group.name for group, _ in seen}
        everything = connection.sees_all(request.method)
        groups = messages.encode_value(sorted(g for g in active.groups if everything or g in shown))
        return RawJson(b'{"processes":[%s],"groups":%s}' % (b",".join(rows), groups))

    @method("trouble")
    async def spawn_check(self, request: Request) -> Result:
        """Answer what keeps processes from being spawned: the last time, and if tried now."""
        names = request.params.names(required=True)
        request.params.done()
        processes = request.chosen(names, self._supervisor.processes)
        found = []
        for process in processes:
            await request.connection.turn()
            found.append(_spawn_check(process))
        return {"processes": found}

    @method("read_log")
    def read_log(self, request: Request) -> Result:
        """Answer a piece of the live log file of a stream, by offset."""
        name = request.params.text("name")
        stream = request.params.text("stream", "stdout")
        process = request.chosen_one(name, self._supervisor.processes)
        if stream not in ("stdout", "stderr"):
            raise no_such_stream(stream)
        log = self._supervisor.channels.logs_of(process).log(stream)
        return _slice(request, log, process.name)

    @method("read_main_log")
    def read_main_log(self, request: Request) -> Result:
        """Answer a piece of the daemon's own log, by offset."""
        request.require()
        return _slice(request, self._main_log(), "supervisor-lite")

    @method("clear_main_log")
    def clear_main_log(self, request: Request) -> Result:
        """Empty the daemon's own log."""
        request.params.done()
        request.require()
        log = self._main_log()
        if log is None:
            raise no_log_file()
        try:
            log.clear()
        except OSError as error:
            text = f'cannot clear "{log.path}": {error.strerror}'
            raise OperationFailed(text, ErrorCode.IO_ERROR) from error
        self._note("the log before this line was cleared", request.by())
        return {"ok": True}

    @method("remote_event")
    def remote_event(self, request: Request) -> Result:
        """Hand an event from outside to whoever listens."""
        kind, data = request.params.text("type"), request.params.text("data")
        request.params.done()
        request.require()
        self._supervisor.bus.publish(RemoteEvent(kind, data))
        return {"ok": True}


def _slice(request: Request, log: LogFile | None, name: str) -> Result:
    """Answer `length` bytes from `offset`, or the last `last` bytes, and the size of the file.

    `last` goes back over rotated files, because the live one is empty right after a rotation.
    """
    offset = request.params.count("offset", 0, maximum=MAX_OFFSET)
    length = request.params.count("length", MAX_BYTES, maximum=MAX_BYTES)
    last = request.params.count("last", 0, maximum=MAX_BYTES)
    request.params.done()
    if log is None:
        raise no_log_file(name)
    try:
        fd = open_file(log.path, os.O_RDONLY)
    except FileNotFoundError:
        raise no_log_file(name) from None
    except OSError as error:
        raise _cannot_read(log, error) from error
    try:
        size = os.fstat(fd).st_size
        data = tail_bytes(log.path, last) if last else os.pread(fd, length, offset)
    except OSError as error:
        raise _cannot_read(log, error) from error
    finally:
        os.close(fd)
    return {"fullname": name, "path": log.path, "size": size, **messages.pack_data(data)}


def _cannot_read(log: LogFile, error: OSError) -> OperationFailed:
    text = f'cannot read "{log.path}": {error.strerror}'
    return OperationFailed(text, ErrorCode.IO_ERROR)


def _spawn_check(process: Process) -> dict[str, Any]:
    program, error = process.latest, process.record.error
    environment = {**os.environ, **program.environment}
    refusal: SpawnError | None = None
    command = ""
    try:
        find_command(program, environment)
    except SpawnError as refused:
        refusal = refused
        missing = refused.code is SpawnErrorCode.COMMAND_NOT_FOUND
        command = "not found" if missing else "not executable"
    return {
        "name": process.program.name,
        "group": process.group,
        "fullname": process.name,
        "error": error.text if error is not None else "",
        "command": command,
        "reason": str(refusal or ""),
        "error_code": error.code if error is not None else "",
        "error_name": error.name if error is not None else "",
        "reason_code": refusal.code if refusal is not None else "",
        "reason_name": refusal.name if refusal is not None else "",
    }


def _definition(group: Group, program: Program, in_use: bool, *, whole: bool) -> dict[str, Any]:
    """Return a definition with the keys of the configuration file; secrets only if it is whole."""
    uid = None
    if program.user is not None:
        try:
            uid = lookup(program.user).uid
        except SpawnError:
            uid = None  # the user is gone since the configuration was read
    import shlex  # only who migrates from Supervisor asks this

    from supervisor_lite.explain.masking import mask_words

    fields: dict[str, Any] = {
        **_shown(program, whole),
        "name": program.name,
        "group": group.name,
        "fullname": program.fullname,
        "program": program.program or program.name,
        "in_use": in_use,
        "group_priority": group.priority,
        "command": shlex.join(program.command if whole else mask_words(program.command)),
        "uid": uid,
        "stopsignal_number": _number(program.stopsignal),
    }
    for stream, output in (("stdout", program.stdout), ("stderr", program.stderr)):
        # What follows from settings of the daemon, and from being an event listener.
        for key in ("prefix", "strip_ansi", "answers"):
            fields[f"{stream}_{key}"] = getattr(output, key)
    return fields


def _shown(program: Program, whole: bool) -> dict[str, Any]:
    """Return what clients see of a definition; of the command see `_definition`."""
    from supervisor_lite.explain.masking import mask_values

    fields = published(program)
    return fields if whole else {key: mask_values(value) for key, value in fields.items()}


def _number(name: str) -> int:
    try:
        return int(signal_number(name))
    except KeyError:
        return int(signal.SIGTERM)
