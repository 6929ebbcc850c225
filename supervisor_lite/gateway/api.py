"""/api/v1: JSON over HTTP. What it tells and takes are the messages of the control socket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import ClientError, RemoteError, Unreachable
from supervisor_lite.gateway.daemon import Daemon, own_process, shown
from supervisor_lite.gateway.endpoints import (
    ANSWERS,
    BOOLEAN,
    PARAMETERS,
    PREFIX,
    STRING,
    Endpoint,
    body_of,
    count,
    openapi,
)
from supervisor_lite.gateway.http import (
    StreamResponse,
    principal,
    read_body,
    require,
    while_connected,
)
from supervisor_lite.gateway.log_events import LogEvents
from supervisor_lite.gateway.output import LogText, as_text
from supervisor_lite.gateway.usage import UsageMeter
from supervisor_lite.protocol import codes, messages
from supervisor_lite.protocol.commands import METHODS, ROLES, Command
from supervisor_lite.protocol.messages import Message

_STATUS = {
    codes.NO_SUCH_PROCESS: 404, codes.NOT_PERMITTED: 403, codes.TIMED_OUT: 504,
    codes.FAILED: 409, codes.USAGE: 422, codes.INVALID_PARAMS: 400,
    codes.METHOD_NOT_FOUND: 501,
}  # fmt: skip

_LIMIT = {"limit": count(50, 1000)}
_SINCE = {"since": count(0, 1 << 53), "limit": count(100, 1000)}


class Api:
    """The handlers."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._meter = UsageMeter(daemon)
        one = "/processes/{name}"
        logged = {"bytes": count(16384, 1 << 53), "follow": BOOLEAN, "after": STRING}
        self.endpoints = [
            Endpoint("GET", "/daemon", "version", "Who the daemon is, and who you are",
                     self.about, "Daemon"),
            Endpoint("GET", "/processes", "status", "Where all processes are",
                     self.processes, "Processes", {"name": STRING}),
            Endpoint("GET", "/usage", "usage", "What the processes of each run use together",
                     self.usage, "Usages"),
            Endpoint("GET", one, "status", "Where one process is", self.process, "Process"),
            *[self._passed_on(row) for row in METHODS.values() if row.rest],
            Endpoint("GET", f"{one}/log/{{stream}}", "tail",
                     "The end of a log, and with follow=true what comes", self.log, "text/plain",
                     logged),
            Endpoint("GET", f"{one}/runs", "runs", "The history of runs, the newest first",
                     self.runs, "Runs", _LIMIT),
            Endpoint("GET", "/runs", "runs", "The history of all runs, the newest first",
                     self.runs, "Runs", _LIMIT),
            Endpoint("GET", "/events", "events", "Changes of state, the oldest first",
                     self.events, "Changes", _SINCE),
            Endpoint("GET", "/log", "maintail", "The end of the daemon's own log",
                     self.main_log, "text/plain", logged),
            Endpoint("GET", "/openapi.json", "version", "This description", self.describe,
                     "Object"),
        ]  # fmt: skip

    def _passed_on(self, row: Command) -> Endpoint:
        """Return the endpoint of a method whose row in the table of commands says all of it."""
        verb, path = row.rest.split()
        handler = self._telling(row.name) if verb == "GET" else self._passing(row)
        required, optional = body_of(row)
        return Endpoint(
            verb, path, row.name, f"{row.summary[0].upper()}{row.summary[1:]}", handler,
            ANSWERS.get(row.name, "Object"),
            body={key: PARAMETERS.get(key, {}) for key in (*required, *optional)},
            required=required,
        )  # fmt: skip

    def routes(self) -> list[Route]:
        """Return the routes."""
        routes = []
        for endpoint in self.endpoints:
            handler = _guarded(endpoint, endpoint.handler)
            routes.append(Route(PREFIX + endpoint.path, handler, methods=[endpoint.method]))
            if endpoint.handler == self.describe:
                routes += [Route(path, handler) for path in (PREFIX, f"{PREFIX}/")]
        return routes

    async def _ask(self, request: Request, method: str, params: Message) -> Message:
        try:
            work = self._daemon.ask(method, params, who=principal(request), timeout=None)
            return await while_connected(request, work)
        except RemoteError as error:
            raise refusal(error) from error

    # Reading.

    async def about(self, request: Request) -> Response:
        """Answer who the daemon is, and what the caller may do."""
        found = await self._ask(request, "version", {})
        known = principal(request)
        more = {"user": known.name, "role": known.role, "roles": list(ROLES)}
        own = {"password": known.by_password, "gateway": own_process()}
        return JSONResponse({**found, **more, **own})

    async def processes(self, request: Request) -> Response:
        """Answer where processes are."""
        names = request.query_params.getlist("name")
        found = await self._ask(request, "status", {"names": names} if names else {})
        return JSONResponse({"processes": shown(found)})

    async def usage(self, request: Request) -> Response:
        """Answer what processes use; measured at most every two seconds, whoever asks."""
        try:
            return JSONResponse(await self._meter.measure(principal(request)))
        except RemoteError as error:
            raise refusal(error) from error

    async def process(self, request: Request) -> Response:
        """Answer where one process is."""
        found = shown(await self._ask(request, "status", {"names": [_name(request)]}))
        if len(found) != 1:
            raise HTTPException(409, f"that is {len(found)} processes; name one")
        return JSONResponse(found[0])

    async def runs(self, request: Request) -> Response:
        """Answer the history of runs."""
        names = [_name(request)] if "name" in request.path_params else []
        params: Message = {"limit": number(request, "limit", 50)}
        found = await self._ask(request, "runs", {**params, **({"names": names} if names else {})})
        return JSONResponse(found)

    async def events(self, request: Request) -> Response:
        """Answer changes of state."""
        params: Message = {"limit": number(request, "limit", 100)}
        if "since" in request.query_params:
            params["since"] = number(request, "since", 0)
        return JSONResponse(await self._ask(request, "events", params))

    def _telling(self, method: str) -> Callable[[Request], Awaitable[Response]]:
        async def tell(request: Request) -> Response:
            found = await self._ask(request, method, {"names": [_name(request)]})
            rows = listed(found, "processes", "fullname", "lines")
            if len(rows) != 1:
                raise HTTPException(409, f"that is {len(rows)} processes; name one")
            return JSONResponse(rows[0])

        return tell

    async def log(self, request: Request) -> Response:
        """Answer, or stream, a log."""
        where = {"name": _name(request), "stream": request.path_params["stream"]}
        return await self._log(request, "tail", where)

    async def main_log(self, request: Request) -> Response:
        """Answer, or stream, the daemon's own log."""
        return await self._log(request, "maintail", {})

    async def _log(self, request: Request, verb: str, params: Message) -> Response:
        count, after = number(request, "bytes", 16384), request.query_params.get("after")
        following = flag(request, "follow")
        try:
            if following and "text/event-stream" in request.headers.get("accept", ""):
                return await self._as_events(request, verb, {**params, "bytes": count}, after)
            stream = LogText(self._daemon, principal(request), verb, params)
            first = await stream.begin(count=count, after=after)
        except RemoteError as error:
            raise refusal(error) from error
        if not following and not first.get("more"):
            stream.close()
            return Response(messages.unpack_data(first), media_type="text/plain")
        source = as_text(stream, first, following=following)
        return StreamResponse(source, self._daemon.ending, "text/plain")

    async def _as_events(
        self, request: Request, verb: str, params: Message, after: str | None
    ) -> Response:
        log = LogEvents(self._daemon, principal(request), verb, params, after)
        await log.open()
        return StreamResponse(log.events(), self._daemon.ending, "text/event-stream")

    async def describe(self, request: Request) -> Response:
        """Answer the OpenAPI description."""
        return JSONResponse(openapi(self.endpoints))

    # Operating.

    def _passing(self, row: Command) -> Callable[[Request], Awaitable[Response]]:
        """Return a handler that passes the body, and the name in the path, on to the daemon."""
        required, optional = body_of(row)

        async def answer(request: Request) -> Response:
            given = await _body(request, (*required, *optional), required)
            if "name" in request.path_params:
                one = "name" in row.parameters()
                given |= {"name": _name(request)} if one else {"names": [_name(request)]}
            found = await self._ask(request, row.name, given)
            return _results(found) if ANSWERS.get(row.name) == "Results" else JSONResponse(found)

        return answer


def _guarded(endpoint: Endpoint, handler: Callable[[Request], Awaitable[Response]]) -> Any:
    async def answer(request: Request) -> Response:
        require(request, endpoint.role)
        return await handler(request)

    return answer


def _results(found: Message) -> Response:
    failed = [row for row in listed(found, "results", "ok") if not row["ok"]]
    if not failed:
        return JSONResponse(found)
    text = "; ".join(f"{row.get('fullname')}: {row.get('reason')}" for row in failed)
    return JSONResponse({**found, "error": {"status": 409, "message": text}}, 409)


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    return name


def number(request: Request, key: str, default: int) -> int:
    """Return a number of the query. Raises HTTPException 400; limits are the daemon's."""
    text = request.query_params.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise HTTPException(400, f'{key} must be a whole number, not "{text[:40]}"')
    return int(text)


def flag(request: Request, key: str) -> bool:
    """Return true or false of the query; false if it is not there. Raises HTTPException 400."""
    text = request.query_params.get(key, "false")
    if text not in ("true", "false"):
        raise HTTPException(400, f'{key} must be true or false, not "{text[:40]}"')
    return text == "true"


async def _body(request: Request, known: Sequence[str], required: Sequence[str]) -> Message:
    """Return the JSON object of the body; none is an empty one. Raises HTTPException 400."""
    data = await read_body(request)
    try:
        given = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("", "application/json"):
            text = f"the body must be JSON (application/json), not {kind[:80]}"
            raise HTTPException(415, text) from None
        where = str(error) if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        raise HTTPException(400, f"the body is not JSON: {where}") from None
    if not isinstance(given, dict):
        raise HTTPException(400, 'the body must be a JSON object, such as {"wait": false}')
    wrong = [f'unknown key "{key[:80]}"' for key in sorted(given.keys() - set(known))]
    wrong += [f'"{key}" is missing' for key in required if key not in given]
    if wrong:
        takes = ", ".join(f'"{key}"' for key in known) or "nothing"
        raise HTTPException(400, f"{'; '.join(wrong[:10])}; the body takes {takes}")
    # Their types are checked by the daemon, which knows them.
    return given


class Refusal(HTTPException):
    """What the daemon refuses, as HTTP has it: with its code, and the details it gives."""

    def __init__(self, error: RemoteError) -> None:
        text = str(error)
        if error.code == codes.ErrorCode.NO_SUCH_PROCESS:
            text = f"no such process: {', '.join(error.names) or text}"
        super().__init__(_STATUS.get(error.number, 500), text)
        self.code = error.code
        self.details = error.details


def refusal(error: ClientError) -> HTTPException:
    """Return what went wrong between us and the daemon in HTTP."""
    if isinstance(error, RemoteError):
        return Refusal(error)
    return HTTPException(503 if isinstance(error, Unreachable) else 502, str(error))
