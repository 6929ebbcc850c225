"""How records and definitions are written in the journal, and read by a later daemon.

A later daemon may be a newer or an older version: fields that it does not know are dropped, those
that are missing have their defaults.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from supervisor_lite.model.exit import Exit
from supervisor_lite.model.output import Output
from supervisor_lite.model.process_attributes import Placement, ResourceLimit
from supervisor_lite.model.program import Leftovers, Program, Stdin
from supervisor_lite.model.record import Record
from supervisor_lite.model.restart import AutoRestart, Backoff, BackoffKind, RestartLimit
from supervisor_lite.model.secrets import Credential, EnvFile
from supervisor_lite.model.sockets import ListenSocket
from supervisor_lite.model.states import State


def record_to_json(record: Record) -> dict[str, Any]:
    """Return the record as a JSON object."""
    values = record._asdict()
    if record.exit is not None:
        how = record.exit
        values["exit"] = [how.code, how.signal, how.core, *([how.why] if how.why else [])]
    return values


def record_from_json(values: dict[str, Any]) -> Record:
    """Return the record that `record_to_json` wrote."""
    known = {name: values[name] for name in Record._fields if name in values}
    known["state"] = State(known["state"])
    known["restarts"] = tuple(known.get("restarts", ()))
    if known.get("exit") is not None:
        known["exit"] = Exit(*known["exit"])
    return Record(**known)


def program_to_text(program: Program) -> str:
    """Return the definition as JSON text."""
    return json.dumps(_plain(program), separators=(",", ":"))


def program_from_json(values: dict[str, Any]) -> Program:
    """Return the definition that `program_to_text` wrote."""
    known = _known(Program, values)
    known["command"] = tuple(known["command"])
    for name, kind in _KINDS.items():
        if known.get(name) is not None:
            known[name] = kind(known[name])
    return Program(**known)


def _known(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in kind._fields if name in values}


def _output(values: dict[str, Any]) -> Output:
    return Output(**_known(Output, values))


def _backoff(values: dict[str, Any]) -> Backoff:
    known = _known(Backoff, values)
    return Backoff(**{**known, "kind": BackoffKind(known["kind"])})


def _limit(values: dict[str, Any]) -> RestartLimit:
    return RestartLimit(**_known(RestartLimit, values))


def _sockets(values: list[dict[str, Any]]) -> tuple[ListenSocket, ...]:
    return tuple(ListenSocket(**_known(ListenSocket, each)) for each in values)


def _placement(values: dict[str, Any]) -> Placement:
    known = _known(Placement, values)
    limits = known.get("rlimits", ())
    known["rlimits"] = tuple(ResourceLimit(**_known(ResourceLimit, each)) for each in limits)
    if known.get("cpu_affinity") is not None:
        known["cpu_affinity"] = tuple(known["cpu_affinity"])
    return Placement(**known)


def _env_files(values: list[dict[str, Any]]) -> tuple[EnvFile, ...]:
    return tuple(EnvFile(**_known(EnvFile, each)) for each in values)


def _credentials(values: list[dict[str, Any]]) -> tuple[Credential, ...]:
    return tuple(Credential(**_known(Credential, each)) for each in values)


_KINDS: dict[str, Any] = {
    "exitcodes": tuple,
    "autorestart": AutoRestart,
    "leftovers": Leftovers,
    "stdin": Stdin,
    "stdout": _output,
    "stderr": _output,
    "backoff": _backoff,
    "restart_limit": _limit,
    "sockets": _sockets,
    "placement": _placement,
    "env_file": _env_files,
    "credentials": _credentials,
}


_WITH_FIELDS = (
    Program, Output, Backoff, RestartLimit, ListenSocket, Placement, ResourceLimit, EnvFile,
    Credential,
)  # fmt: skip


def _plain(value: object) -> object:
    """Return a value as JSON has it: what has named fields becomes an object, not an array."""
    if isinstance(value, _WITH_FIELDS):
        return {name: _plain(each) for name, each in zip(value._fields, value, strict=True)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Enum):
        return value.value
    return dict(value) if isinstance(value, Mapping) else value
