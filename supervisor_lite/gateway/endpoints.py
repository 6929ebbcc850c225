"""The REST interface as a table, from which the routes and the OpenAPI description are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from supervisor_lite import __version__
from supervisor_lite.protocol.commands import METHODS, Command

Json = dict[str, Any]
Handler = Callable[[Request], Awaitable[Response]]

PREFIX = "/api/v1"

STRING: Json = {"type": "string"}
BOOLEAN: Json = {"type": "boolean"}
SECONDS: Json = {"type": "number", "minimum": 0}
NAMES: Json = {"type": "array", "items": STRING}


def count(default: int, maximum: int) -> Json:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": 0, "maximum": maximum, "default": default}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    """Below PREFIX."""
    command: str
    """The method of the control socket that it is about, whose role it needs."""
    summary: str
    handler: Handler
    answer: str
    """The name of a schema, or a media type."""
    query: Json = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    required: tuple[str, ...] = ()

    @property
    def role(self) -> str:
        """The role that it needs."""
        return METHODS[self.command].role


PARAMETERS: Json = {
    "names": NAMES, "wait": BOOLEAN, "timeout": SECONDS, "signal": STRING, "text": STRING,
    "at_once": BOOLEAN, "yes": BOOLEAN,
}  # fmt: skip
"""Parameters of the control socket that a body may hold."""

ANSWERS = {
    "start": "Results", "stop": "Results", "restart": "Results", "signal": "Results",
    "clear": "Results", "why": "Story", "explain": "Future", "reread": "Difference",
    "update": "Results",
}  # fmt: skip
"""The schema of what a method answers, where it is more than an object."""


def body_of(row: Command) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the parameters, needed and optional, that the body of a method's endpoint holds."""
    in_path = ("name", "names") if "{name}" in row.rest else ()
    if row.rest.startswith("GET"):
        return (), ()
    words = {key: needed for key, needed in row.parameters().items() if key not in in_path}
    needed = tuple(key for key, must in words.items() if must)
    return needed, tuple(key for key, must in words.items() if not must)


_RESULT = {
    "name": STRING, "group": STRING, "fullname": STRING, "ok": BOOLEAN, "result": STRING,
    "reason": STRING, "code": STRING,
}  # fmt: skip

_PATH_TEXTS = {
    "name": "A process as in slctl: web, site:web; where it makes sense also a group, a pattern or"
    " all. A colon may stand as it is.",
    "stream": "stdout or stderr",
}


def _object(**properties: Json) -> Json:
    return {"type": "object", "properties": properties}


def _list_of(name: str) -> Json:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_MAYBE_STRING: Json = {"type": ["string", "null"]}
_MAYBE_INT: Json = {"type": ["integer", "null"]}
_MAYBE_NUMBER: Json = {"type": ["number", "null"]}

_KIND: Json = {"type": "object", "properties": {"kind": STRING}, "required": ["kind"]}
_MAYBE_CAUSE: Json = {**_KIND, "type": ["object", "null"]}

SCHEMAS: Json = {
    "Process": {
        **_object(
            name=STRING, group=STRING, fullname=STRING, program=STRING, state=STRING,
            statecode={"type": "integer"}, wanted=BOOLEAN, pid=_MAYBE_INT, run=_MAYBE_INT,
            uptime=_MAYBE_NUMBER, started=_MAYBE_STRING, since=STRING, exitcode=_MAYBE_INT,
            signal=_MAYBE_STRING, failures={"type": "integer"}, restarts={"type": "integer"},
            next_try=_MAYBE_STRING, reason=STRING, cause=_MAYBE_CAUSE, autostart=BOOLEAN,
            priority={"type": "integer"},
            stdout_logfile=_MAYBE_STRING, stderr_logfile=_MAYBE_STRING, stale=BOOLEAN,
            output_trouble={"type": ["object", "null"]}, output_dropped={"type": "object"},
            output_lost=BOOLEAN, listener={"type": ["object", "null"]},
        ),
        "required": ["name", "group", "fullname", "state", "wanted", "pid"],
    },
    "Processes": _object(processes=_list_of("Process")),
    "Usage": _object(
        name=STRING, group=STRING, fullname=STRING, run={"type": "integer"},
        processes={"type": "integer"}, memory_bytes={"type": "integer"},
        cpu_seconds={"type": "number"},
    ),
    "Usages": _object(now={"type": "number"}, processes=_list_of("Usage")),
    "Change": _object(
        serial={"type": "integer"}, time=STRING, name=STRING, process=STRING, group=STRING,
        cause=STRING, cause_data=_MAYBE_CAUSE, note=STRING,
        notes={"type": "array", "items": _KIND}, by=STRING, run=_MAYBE_INT, pid=_MAYBE_INT,
        to=STRING, exitcode=_MAYBE_INT, signal=_MAYBE_STRING, tries={"type": "integer"},
        last_words=STRING,
        **{"from": STRING},
    ),
    "Changes": _object(changes=_list_of("Change")),
    "Run": _object(
        run={"type": "integer"}, name=STRING, pid=_MAYBE_INT, spawned=_MAYBE_STRING,
        ended=_MAYBE_STRING, exitcode=_MAYBE_INT, signal=_MAYBE_STRING, duration=_MAYBE_NUMBER,
        reason=STRING, cause=_MAYBE_CAUSE, maxrss=_MAYBE_INT, utime=_MAYBE_NUMBER,
        stime=_MAYBE_NUMBER, last_words=STRING,
    ),
    "Runs": _object(runs=_list_of("Run")),
    "Story": _object(fullname=STRING, lines=NAMES),
    "Future": _object(fullname=STRING, lines=NAMES, schedule={"type": "array"}),
    "Result": _object(**_RESULT),
    "Results": _object(results=_list_of("Result")),
    "Daemon": _object(
        version=STRING, protocol={"type": "integer"}, pid={"type": "integer"},
        identifier=STRING, state=STRING, role=STRING, roles=NAMES, user=STRING,
        password=BOOLEAN, gateway={"type": ["object", "null"]},
        log_lines_lost={"type": "integer"}, upgrade_error=_MAYBE_STRING,
    ),
    "Difference": _object(added=NAMES, changed=NAMES, removed=NAMES, warnings=NAMES),
    "Object": {"type": "object"},
    "Error": _object(
        error=_object(status={"type": "integer"}, message=STRING, code=STRING, details=NAMES)
    ),
}  # fmt: skip


def openapi(endpoints: list[Endpoint]) -> Json:
    """Return the OpenAPI description of the endpoints."""
    paths: dict[str, Json] = {}
    for endpoint in endpoints:
        path = PREFIX + endpoint.path.replace(":path}", "}")
        paths.setdefault(path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "supervisor-lite",
            "version": __version__,
            "description": "Keys are those of the control socket (docs/protocol.md); uptime is in"
            " seconds. A POST needs Content-Type application/json or the header"
            " X-Supervisor-Lite. One that could not do all it was asked to answers 409 with the"
            " same body, where `ok` and `reason` tell which and why.",
        },
        "paths": paths,
        "security": [{"basic": []}],
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
    }


_REFUSALS = ("400", "401", "403", "404", "405", "409", "413", "415", "429", "500", "503")


def _operation(endpoint: Endpoint) -> Json:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": STRING, "description": text}
        for name, text in _PATH_TEXTS.items()
        if f"{{{name}}}" in endpoint.path
    ]
    parameters += [
        {"name": name, "in": "query", "schema": schema} for name, schema in endpoint.query.items()
    ]
    failed = {"description": "refused", "content": _json("Error")}
    operation: Json = {
        "summary": endpoint.summary,
        "description": f"Needs the role {endpoint.role}.",
        "operationId": _identifier(endpoint),
        "parameters": parameters,
        "responses": {"200": {"description": "done", "content": _content(endpoint.answer)},
                      **dict.fromkeys(_REFUSALS, failed)},
    }  # fmt: skip
    if endpoint.method == "POST":
        schema: Json = {**_object(**endpoint.body), "additionalProperties": False}
        if endpoint.required:
            schema["required"] = list(endpoint.required)
        operation["requestBody"] = {
            "required": bool(endpoint.required),
            "content": {"application/json": {"schema": schema}},
        }
        if endpoint.answer == "Results":
            some = {"description": "not all could be done", "content": _json("Results")}
            operation["responses"]["409"] = some
    return operation


def _identifier(endpoint: Endpoint) -> str:
    words = [word for word in endpoint.path.split("/") if word and not word.startswith("{")]
    one = "{name}" in endpoint.path
    return "_".join([endpoint.method.lower(), *(["one"] if one else []), *words])


def _content(answer: str) -> Json:
    return _json(answer) if answer in SCHEMAS else {answer: {"schema": STRING}}


def _json(name: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
