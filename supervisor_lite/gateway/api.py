"""/api/v1: JSON over HTTP. What it tells and takes are the messages of the control socket."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from supervisor_lite.client.aio import Message
from supervisor_lite.client.buffer import listed
from supervisor_lite.client.errors import ClientError, RemoteError, Unreachable
from supervisor_lite.gateway.compat import output
from supervisor_lite.gateway.daemon import Daemon, shown
from supervisor_lite.gateway.endpoints import (
    BOOLEAN,
    NAMES,
    PREFIX,
    SECONDS,
    STRING,
    Endpoint,
    count,
    openapi,
)
from supervisor_lite.gateway.http import Stream, read_body, require, while_connected, who
from supervisor_lite.protocol import codes, messages

_STATUS = {
    codes.NO_SUCH_PROCESS: 404, codes.NOT_PERMITTED: 403, codes.TIMED_OUT: 504,
    codes.FAILED: 409, codes.USAGE: 422, codes.INVALID_PARAMS: 400,
    codes.METHOD_NOT_FOUND: 501,
}  # fmt: skip

_TIMES = {"wait": BOOLEAN, "timeout": SECONDS}
_LIMIT = {"limit": count(50, 1000)}
_SINCE = {"since": count(0, 1 << 53), "limit": count(100, 1000)}


class Api:
    """The handlers."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        one = "/processes/{name}"
        self.endpoints = [
            Endpoint("GET", "/daemon", "view", "Who the daemon is, and who you are",
                     self.about, "Daemon"),
            Endpoint("GET", "/processes", "view", "Where all processes are",
                     self.processes, "Processes", {"name": STRING}),
            Endpoint("GET", one, "view", "Where one process is", self.process, "Process"),
            *[Endpoint("POST", f"{one}/{verb}", "operate", summary, self._operating(verb),
                       "Results", body=_TIMES)
              for verb, summary in (
                  ("start", "Start; answers when RUNNING, or failed"),
                  ("stop", "Stop; answers when nothing is left"),
                  ("restart", "Stop and start, as one operation of the daemon"))],
            Endpoint("POST", f"{one}/signal", "operate", "Send a signal", self.signal, "Results",
                     body={"signal": STRING}, required=("signal",)),
            Endpoint("POST", f"{one}/clear", "operate", "Empty the logs", self.clear, "Results"),
            Endpoint("POST", f"{one}/send", "operate", "Write to the standard input",
                     self.send, "Object", body={"text": STRING}, required=("text",)),
            Endpoint("GET", f"{one}/log/{{stream}}", "view",
                     "The end of a log, and with follow=true what comes", self.log, "text/plain",
                     {"bytes": count(16384, 4 << 20), "follow": BOOLEAN}),
            Endpoint("GET", f"{one}/runs", "view", "The history of runs, the newest first",
                     self.runs, "Runs", _LIMIT),
            Endpoint("GET", f"{one}/why", "view", "The chain of causes", self._telling("why"),
                     "Story"),
            Endpoint("GET", f"{one}/explain", "view", "What the restart policy will do",
                     self._telling("explain"), "Future"),
            Endpoint("GET", "/runs", "view", "The history of all runs, the newest first",
                     self.runs, "Runs", _LIMIT),
            Endpoint("GET", "/events", "view", "Changes of state, the oldest first",
                     self.events, "Changes", _SINCE),
            Endpoint("GET", "/log", "admin", "The end of the daemon's own log",
                     self.main_log, "text/plain",
                     {"bytes": count(16384, 4 << 20), "follow": BOOLEAN}),
            Endpoint("POST", "/reread", "admin", "Read the configuration; what would change",
                     self.reread, "Difference"),
            Endpoint("POST", "/update", "admin", "Read the configuration and make it true",
                     self.update, "Object", body={"names": NAMES}),
            Endpoint("GET", "/openapi.json", "view", "This description", self.describe, "Object"),
        ]  # fmt: skip

    def routes(self) -> list[Route]:
        """Return the routes."""
        routes = []
        for endpoint in self.endpoints:
            handler = _guarded(endpoint, endpoint.handler)
            routes.append(Route(PREFIX + endpoint.path, handler, methods=[endpoint.method]))
        return routes

    async def _ask(self, request: Request, method: str, params: Message) -> Message:
        try:
            work = self._daemon.ask(method, params, who=who(request), timeout=None)
            return await while_connected(request, work)
        except RemoteError as error:
            raise refusal(error) from error

    # Reading.

    async def about(self, request: Request) -> Response:
        """Answer who the daemon is."""
        found = await self._ask(request, "version", {})
        return JSONResponse({**found, "user": who(request).name, "role": who(request).role})

    async def processes(self, request: Request) -> Response:
        """Answer where processes are."""
        names = request.query_params.getlist("name")
        found = await self._ask(request, "status", {"names": names} if names else {})
        return JSONResponse({"processes": shown(found)})

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
        params = {**params, "bytes": number(request, "bytes", 16384)}
        if request.query_params.get("follow", "false") != "true":
            found = await self._ask(request, verb, params)
            return Response(messages.unpack_data(found), media_type="text/plain")
        link = self._daemon.link(who(request))
        await link.open()
        try:
            first = await link.call(verb, {**params, "follow": True})
        except BaseException as error:
            link.close()
            if isinstance(error, RemoteError):
                raise refusal(error) from error
            raise
        return Stream(output(link, first), self._daemon.ending, "text/plain")

    async def describe(self, request: Request) -> Response:
        """Answer the OpenAPI description."""
        return JSONResponse(openapi(self.endpoints))

    # Operating.

    def _operating(self, verb: str) -> Callable[[Request], Awaitable[Response]]:
        async def operate(request: Request) -> Response:
            given = await _body(request, _TIMES)
            found = await self._ask(request, verb, {"names": [_name(request)], **given})
            return _results(found)

        return operate

    async def signal(self, request: Request) -> Response:
        """Send a signal."""
        given = await _body(request, {"signal": STRING}, "signal")
        return _results(await self._ask(request, "signal", {"names": [_name(request)], **given}))

    async def clear(self, request: Request) -> Response:
        """Empty logs."""
        await _body(request, {})
        return _results(await self._ask(request, "clear", {"names": [_name(request)]}))

    async def send(self, request: Request) -> Response:
        """Write to a standard input."""
        given = await _body(request, {"text": STRING}, "text")
        return JSONResponse(await self._ask(request, "send", {"name": _name(request), **given}))

    async def reread(self, request: Request) -> Response:
        """Read the configuration."""
        await _body(request, {})
        return JSONResponse(await self._ask(request, "reread", {}))

    async def update(self, request: Request) -> Response:
        """Make the configuration true."""
        return JSONResponse(
            await self._ask(request, "update", await _body(request, {"names": NAMES}))
        )


def _guarded(endpoint: Endpoint, handler: Callable[[Request], Awaitable[Response]]) -> Any:
    async def answer(request: Request) -> Response:
        require(request, endpoint.role)
        return await handler(request)

    return answer


def _results(found: Message) -> Response:
    done = all(row["ok"] for row in listed(found, "results", "ok"))
    return JSONResponse(found, 200 if done else 409)


def _name(request: Request) -> str:
    name: str = request.path_params["name"]
    return name


def number(request: Request, key: str, default: int) -> int:
    """Return a number of the query. Raises HTTPException 400; limits are the daemon's."""
    text = request.query_params.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 15:
        raise HTTPException(400, f"{key} must be a whole number")
    return int(text)


async def _body(request: Request, known: dict[str, Any], *required: str) -> Message:
    """Return the JSON object of the body; none is an empty one. Raises HTTPException 400."""
    data = await read_body(request)
    try:
        given = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(given, dict):
        raise HTTPException(400, "the body must be a JSON object")
    unknown = sorted(str(key) for key in given.keys() - known.keys())
    missing = [key for key in required if key not in given]
    if unknown or missing:
        raise HTTPException(400, f"unknown: {unknown}; missing: {missing}")
    # Their types are checked by the daemon, which knows them.
    return given


def refusal(error: ClientError) -> HTTPException:
    """Return what the daemon's refusal is in HTTP."""
    if isinstance(error, RemoteError):
        known = HTTPException(_STATUS.get(error.code, 500), error.message)
        known.details = error.data  # type: ignore[attr-defined]
        return known
    return HTTPException(503 if isinstance(error, Unreachable) else 502, str(error))


def error_response(error: HTTPException) -> Response:
    """Return an error as JSON."""
    about = {"status": error.status_code, "message": error.detail}
    details = getattr(error, "details", None)
    return JSONResponse(
        {"error": {**about, **({"details": details} if details else {})}},
        error.status_code,
        dict(error.headers or {}),
    )
